//! A ledger in memory that keeps a journal as a disk does: record by record, and whole transactions only
//! count. It can end at every record.

use std::collections::BTreeMap;
use std::time::Duration;

use cronx_ledger::act::{Act, Change, Reply, Seen};
use cronx_ledger::claim::{Entry, State};
use cronx_ledger::{JobId, Key, Named};
use cronx_scheduler::{Course, Utc};

/// What is written at once, or is not.
#[derive(Debug, Clone)]
enum Record {
    Entry(Key, Entry),
    Course(JobId, Option<Course>),
    /// Something that a user wanted to happen once.
    Effect(Key),
    Commit,
}

/// The process ended before it had an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended;

/// What is on the disk, and what the store makes of it.
#[derive(Debug, Clone, Default)]
pub struct Model {
    journal: Vec<Record>,
    pub entries: BTreeMap<Key, Entry>,
    pub courses: BTreeMap<JobId, Course>,
    /// How often each effect happened.
    pub effects: BTreeMap<Key, u32>,
    pub now: Utc,
    /// So many records are written before the process ends.
    pub ends_after: Option<u64>,
    /// A store that does not know what a transaction is: the simulation must find it out.
    is_broken: bool,
}

impl Model {
    pub fn new(is_broken: bool) -> Self {
        Self { is_broken, ..Self::default() }
    }

    /// As every store does it: reads, asks, writes.
    pub fn act(&mut self, act: &Act) -> Result<Reply, Ended> {
        let outcome = act.on(&self.seen(act));
        let entries = outcome.entries.into_iter().map(|(key, entry)| Record::Entry(key, entry));
        let mut records: Vec<Record> = entries.collect();
        let job = act.wants().course;
        match (outcome.course, job) {
            (Change::Set(course), Some(job)) => {
                records.push(Record::Course(job.clone(), Some(course)));
            }
            (Change::Drop, Some(job)) => records.push(Record::Course(job.clone(), None)),
            _ => {}
        }
        if self.is_broken {
            records.reverse();
        }
        self.write(records)?;
        Ok(outcome.reply)
    }

    /// In the user's own table, of which the key is unique: says whether it happened now.
    pub fn effect(&mut self, key: &Key) -> Result<bool, Ended> {
        if self.effects.contains_key(key) {
            return Ok(false);
        }
        self.write(vec![Record::Effect(key.clone())])?;
        Ok(true)
    }

    /// Lets go of firings and calls that have been done for longer than that; how many.
    pub fn prune(&mut self, done_for: Duration) -> usize {
        let (before, all) = (self.now - done_for, self.entries.len());
        let courses = &self.courses;
        self.entries.retain(|key, entry| {
            let is_over = match key.named() {
                Named::Firing { trigger: Some(_), .. } | Named::Call { .. } => true,
                Named::Firing { job, .. } => {
                    courses.get(&job).is_none_or(|course| entry.since < course.cursor())
                }
                Named::Lease { .. } | Named::Step { .. } => false,
            };
            let is_done = matches!(entry.state, State::Done { .. });
            !(is_done && is_over && entry.since < before)
        });
        all - self.entries.len()
    }

    fn seen(&self, act: &Act) -> Seen {
        let wants = act.wants();
        let entry = |key: Option<&Key>| self.entries.get(key?).cloned();
        let open = wants.course.filter(|_| wants.open).map(|job| self.open(job));
        Seen {
            now: self.now,
            entry: entry(wants.entry),
            guard: entry(wants.guard),
            course: wants.course.and_then(|job| self.courses.get(job)).cloned(),
            open: open.unwrap_or_default(),
        }
    }

    fn open(&self, job: &JobId) -> Vec<(Key, Entry)> {
        let of_job = |key: &Key| matches!(key.named(), Named::Firing { job: of, .. } if of == *job);
        let is_open = |entry: &Entry| !matches!(entry.state, State::Done { .. });
        let open = self.entries.iter().filter(|(key, entry)| is_open(entry) && of_job(key));
        open.map(|(key, entry)| (key.clone(), entry.clone())).collect()
    }

    /// What nobody needs to be told is not written: there is nothing to lose then.
    fn write(&mut self, records: Vec<Record>) -> Result<(), Ended> {
        if records.is_empty() {
            return self.step();
        }
        let sound = self.journal.len();
        for record in records.into_iter().chain([Record::Commit]) {
            if self.step().is_err() {
                self.recover(sound);
                return Err(Ended);
            }
            self.journal.push(record);
        }
        self.recover(sound);
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

    /// Takes what is whole from the journal, and forgets the rest.
    fn recover(&mut self, from: usize) {
        let tail = self.journal.split_off(from);
        if !self.is_broken && !matches!(tail.last(), Some(Record::Commit)) {
            return;
        }
        for record in tail {
            match record {
                Record::Entry(key, entry) => _ = self.entries.insert(key, entry),
                Record::Course(job, Some(course)) => _ = self.courses.insert(job, course),
                Record::Course(job, None) => _ = self.courses.remove(&job),
                Record::Effect(key) => *self.effects.entry(key).or_default() += 1,
                Record::Commit => {}
            }
        }
    }
}
