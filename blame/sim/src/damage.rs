//! Takes evidence away from a Capture: records are lost, doubled, moved about and cut off.

use cronx_abi::{Header, Record, kind};
use cronx_recording::{Capture, CpuRecords};

use crate::random::Random;

/// What is done to the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// Each is lost once in so many times.
    Drop {
        /// Once in so many.
        one_in: u64,
        /// Whether the records that say who a task is may be lost too.
        names: bool,
    },
    /// A run of so many is lost on one CPU: a ring that was full for a while.
    DropRun(u64),
    /// Some are there twice.
    Double,
    /// They are in another order.
    Shuffle,
    /// Every CPU's last ones are cut off, the last of them in its middle.
    Truncate,
    /// The same, and the trailer is gone with them.
    Tear,
}

/// Does it; gives how many records are gone.
pub fn inflict(capture: &mut Capture, damage: Damage, random: &mut Random) -> u64 {
    let before = count(capture);
    match damage {
        Damage::Drop { one_in, names } => {
            rewrite(capture, |records| {
                records.retain(|record| is_spared(record, names) || !random.one_in(one_in));
            });
        }
        Damage::DropRun(length) => drop_run(capture, length, random),
        Damage::Double => rewrite(capture, |records| double(records, random)),
        Damage::Shuffle => rewrite(capture, |records| shuffle(records, random)),
        Damage::Truncate => truncate(capture, random),
        Damage::Tear => {
            truncate(capture, random);
            capture.trailer = None;
            capture.torn = Some("cut off".to_owned());
        }
    }
    before.saturating_sub(count(capture))
}

fn count(capture: &Capture) -> u64 {
    capture.records.iter().map(|run| run.iter().count() as u64).sum()
}

fn is_spared(record: &[u8], names: bool) -> bool {
    !names && Header::from_bytes(record).is_some_and(|header| header.kind == kind::TASK)
}

fn rewrite(capture: &mut Capture, mut change: impl FnMut(&mut Vec<Vec<u8>>)) {
    for run in &mut capture.records {
        let mut records: Vec<_> = run.iter().map(<[u8]>::to_vec).collect();
        change(&mut records);
        *run = CpuRecords { cpu: run.cpu, bytes: Vec::new() };
        for record in &records {
            run.push(record);
        }
    }
}

fn drop_run(capture: &mut Capture, length: u64, random: &mut Random) {
    let mut left = random.below(capture.records.len() as u64);
    rewrite(capture, |records| {
        let is_it = left == 0;
        left = left.wrapping_sub(1);
        if is_it {
            let from = random.below(records.len() as u64) as usize;
            records.drain(from..records.len().min(from + length as usize));
        }
    });
}

fn double(records: &mut Vec<Vec<u8>>, random: &mut Random) {
    for _ in 0..records.len() / 4 {
        let doubled = records[random.below(records.len() as u64) as usize].clone();
        records.insert(random.below(records.len() as u64) as usize, doubled);
    }
}

fn shuffle(records: &mut [Vec<u8>], random: &mut Random) {
    for last in (1..records.len()).rev() {
        records.swap(last, random.below(last as u64 + 1) as usize);
    }
}

fn truncate(capture: &mut Capture, random: &mut Random) {
    for run in &mut capture.records {
        let left = random.below(run.bytes.len() as u64 + 1);
        run.bytes.truncate(left as usize);
    }
}
