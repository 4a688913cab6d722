//! One CPU's records by sequence: duplicates out, holes and inversions found.
//!
//! The sequence number says only what is missing. Time says when: a record that interrupts the
//! writing of another has the later time and the earlier number, and that is no fault.

use cronx_abi::kind;

use crate::anomaly::Counts;
use crate::decode;

/// An interrupt's record inside the writing of another is at most so much out of order.
pub(crate) const NESTING_NS: u64 = 1_000;

/// One record and what its head says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp<'a> {
    pub(crate) seq: u64,
    pub(crate) at_ns: u64,
    kind: u8,
    pub(crate) bytes: &'a [u8],
}

/// Evidence was lost, or turned out of order, between these instants of one CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hole {
    /// What was lost happened at or after this; 0 if nothing says.
    pub(crate) after_ns: u64,
    /// What was lost happened at or before this.
    pub(crate) before_ns: u64,
}

/// The records of one CPU, each once, by sequence number.
#[derive(Debug, Default)]
pub(crate) struct Stream<'a> {
    pub(crate) records: Vec<Stamp<'a>>,
    pub(crate) holes: Vec<Hole>,
    /// Records that their numbers say are missing.
    pub(crate) missing: u64,
}

/// Orders the records of `cpu`. `last_seq` is the number of the last one by the trailer, if there is
/// one, and `stopped_ns` the end of the window.
pub(crate) fn order<'a>(
    cpu: u32,
    records: impl Iterator<Item = &'a [u8]>,
    last_seq: Option<u64>,
    stopped_ns: u64,
    anomalies: &mut Counts,
) -> Stream<'a> {
    let mut stamps: Vec<_> = records.filter_map(|bytes| stamp(cpu, bytes, anomalies)).collect();
    if !stamps.is_sorted_by_key(|s| s.seq) {
        stamps.sort_by_key(|s| s.seq);
    }
    drop_duplicates(&mut stamps, anomalies);
    let mut stream = Stream { records: stamps, ..Stream::default() };
    find_holes(&mut stream, last_seq, stopped_ns);
    find_inversions(&mut stream, anomalies);
    stream
}

/// A record that cannot be read leaves its number missing, and so becomes a hole.
fn stamp<'a>(cpu: u32, bytes: &'a [u8], anomalies: &mut Counts) -> Option<Stamp<'a>> {
    let header = match decode::head(bytes) {
        Ok(header) => header,
        Err(kind) => {
            anomalies.count(kind);
            return None;
        }
    };
    if u32::from(header.cpu) != cpu {
        anomalies.count("wrong_cpu");
        return None;
    }
    if header.seq == 0 {
        anomalies.count("no_sequence");
        return None;
    }
    Some(Stamp { seq: header.seq, at_ns: header.at_ns, kind: header.kind, bytes })
}

/// Of equal records one stays. Of different records under one number none can be believed: they
/// go, and their number is missing.
fn drop_duplicates(stamps: &mut Vec<Stamp>, anomalies: &mut Counts) {
    if stamps.is_sorted_by(|a, b| a.seq < b.seq) {
        return;
    }
    let mut kept = Vec::with_capacity(stamps.len());
    for run in stamps.chunk_by(|a, b| a.seq == b.seq) {
        if run.iter().all(|s| s.bytes == run[0].bytes) {
            kept.push(run[0]);
            anomalies.add("duplicate", run.len() as u64 - 1);
        } else {
            anomalies.count("conflicting_sequence");
        }
    }
    *stamps = kept;
}

/// The instant of a name is from when it holds, not when it was written, so names bound no hole.
fn is_timed(stamp: &Stamp) -> bool {
    stamp.kind != kind::TASK
}

fn find_holes(stream: &mut Stream, last_seq: Option<u64>, stopped_ns: u64) {
    let (mut seq, mut after_ns, mut missed) = (0, 0, 0);
    for stamp in &stream.records {
        missed += stamp.seq - seq - 1;
        seq = stamp.seq;
        if !is_timed(stamp) {
            continue;
        }
        if missed > 0 {
            stream.holes.push(Hole { after_ns, before_ns: latest_lost(stamp) });
            stream.missing = stream.missing.saturating_add(missed);
            missed = 0;
        }
        after_ns = earliest_lost(stamp);
    }
    missed = missed.saturating_add(last_seq.unwrap_or(seq).saturating_sub(seq));
    // Without a trailer nobody knows whether more came.
    if missed > 0 || last_seq.is_none() {
        stream.holes.push(Hole { after_ns, before_ns: stopped_ns.max(after_ns) });
        stream.missing = stream.missing.saturating_add(missed);
    }
}

/// What was lost after `stamp` ended after it, unless one switch told both: the slice that it ends
/// comes last, at the same instant, and reaches back to the switch before.
fn earliest_lost(stamp: &Stamp) -> u64 {
    let last = [kind::SLICE, kind::WAIT].contains(&stamp.kind);
    stamp.at_ns.saturating_sub(u64::from(!last))
}

/// What was lost before `stamp` ended before it, unless it interrupted the writing of `stamp`
/// itself: softirqs end with interrupts on, all else is written with interrupts off.
fn latest_lost(stamp: &Stamp) -> u64 {
    let nesting = if stamp.kind == kind::INTERRUPT { NESTING_NS } else { 0 };
    stamp.at_ns.saturating_add(nesting)
}

/// Time that goes back further than nesting can explain: nothing between the two is believed.
fn find_inversions(stream: &mut Stream, anomalies: &mut Counts) {
    let mut latest_ns = 0;
    for stamp in stream.records.iter().filter(|s| is_timed(s)) {
        if stamp.at_ns.saturating_add(NESTING_NS) < latest_ns {
            anomalies.count("inversion");
            stream.holes.push(Hole { after_ns: stamp.at_ns, before_ns: latest_ns });
        }
        latest_ns = latest_ns.max(stamp.at_ns);
    }
}

#[cfg(test)]
mod tests;
