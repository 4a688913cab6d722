//! A store in memory that writes as a disk does: record by record, and whole transactions only count. It can
//! end at every record.

use std::collections::BTreeMap;

use cronx_ledger::saga::{Gate, Question, Reply, Saga};
use cronx_ledger::{Key, SagaId};
use cronx_scheduler::Utc;

/// What is written at once, or is not.
#[derive(Debug, Clone)]
enum Record {
    Saga(Saga),
    Gate(Gate),
    /// In the user's own table: of a compensation whether it had something to undo.
    Effect(Key, bool),
    Commit,
}

/// The process ended before it had an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended;

/// What the simulation must find out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Half of a transaction may be there.
    NoTransactions,
    /// What comes late takes effect.
    NoGates,
}

/// What is on the disk.
#[derive(Debug, Default)]
pub struct Model {
    pub sagas: BTreeMap<SagaId, Saga>,
    gates: BTreeMap<Key, bool>,
    /// The user's own table.
    pub effects: BTreeMap<Key, bool>,
    pub now: Utc,
    /// So many records are written before the process ends.
    pub ends_after: Option<u64>,
    fault: Option<Fault>,
}

impl Model {
    pub fn new(fault: Option<Fault>) -> Self {
        Self { fault, ..Self::default() }
    }

    /// As every store does it: reads, asks, writes.
    pub fn ask(&mut self, id: &SagaId, question: &Question) -> Result<Reply, Ended> {
        let answer = question.on(id, self.sagas.get(id), self.now);
        let mut records = Vec::new();
        if let Some(change) = answer.change {
            records.push(Record::Saga(change.saga));
            records.extend(change.gates.into_iter().map(Record::Gate));
        }
        self.write(records)?;
        Ok(answer.reply)
    }

    /// In one transaction of the user's: whether it may, whether it has, and else the effect.
    pub fn effect(&mut self, key: &Key, undid: impl FnOnce(&Self) -> bool) -> Result<bool, Ended> {
        let may = self.gates.get(key).copied().unwrap_or(false);
        if !may && self.fault != Some(Fault::NoGates) {
            return Ok(false);
        }
        if !self.effects.contains_key(key) {
            let undid = undid(self);
            self.write(vec![Record::Effect(key.clone(), undid)])?;
        }
        Ok(true)
    }

    /// What nobody needs to be told is not written: there is nothing to lose then.
    fn write(&mut self, records: Vec<Record>) -> Result<(), Ended> {
        if records.is_empty() {
            return self.step();
        }
        let mut written = Vec::new();
        for record in records.into_iter().chain([Record::Commit]) {
            if self.step().is_err() {
                if self.fault == Some(Fault::NoTransactions) {
                    self.apply(written);
                }
                return Err(Ended);
            }
            written.push(record);
        }
        self.apply(written);
        // It is written, and yet the answer may be lost.
        self.step()
    }

    fn step(&mut self) -> Result<(), Ended> {
        match &mut self.ends_after {
            None => Ok(()),
            Some(0) => Err(Ended),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
        }
    }

    fn apply(&mut self, records: Vec<Record>) {
        for record in records {
            match record {
                Record::Saga(saga) => _ = self.sagas.insert(saga.id.clone(), saga),
                Record::Gate(Gate { key, is_open: true }) => {
                    _ = self.gates.entry(key).or_insert(true);
                }
                Record::Gate(Gate { key, .. }) => {
                    if let Some(gate) = self.gates.get_mut(&key) {
                        *gate = false;
                    }
                }
                Record::Effect(key, undid) => _ = self.effects.insert(key, undid),
                Record::Commit => {}
            }
        }
    }
}
