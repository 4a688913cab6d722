//! Records to firings and spans: what began finds its end.

use std::collections::BTreeMap;

use cronx_abi::Record;
use cronx_abi::span::{self, SpanRecord, firing, flag, kind};
use cronx_recording::{CpuRecords, Untrusted};

use super::walk::Firing;
use crate::anomaly::Counts;

/// A firing that started, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Started {
    pub(super) job: Untrusted,
    pub(super) run: u64,
    pub(super) firing: Firing,
    /// Its scheduler called it late.
    pub(super) called_late: bool,
    pub(super) finished_ns: Option<u64>,
}

/// A span with both its ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Whole {
    pub(super) name: Untrusted,
    pub(super) id: u64,
    pub(super) tid: u32,
    pub(super) tgid: u32,
    pub(super) begin_ns: u64,
    pub(super) end_ns: u64,
    /// It ended in another thread.
    pub(super) moved: bool,
}

/// Everything that was announced.
#[derive(Debug, Default)]
pub(super) struct Joined {
    pub(super) started: Vec<Started>,
    pub(super) spans: Vec<Whole>,
    pub(super) records: u64,
}

/// A firing among all: its process, job, nominal instant and run.
type FiringKey = (u32, Untrusted, u64, u64);

#[derive(Default)]
struct Join {
    joined: Joined,
    firings: BTreeMap<FiringKey, usize>,
    open: BTreeMap<(u32, u64), SpanRecord>,
}

/// Puts together what the records of `[started_ns, stopped_ns]` say, in the order of time. A firing has
/// an end to miss only if somebody listened for it.
pub(super) fn join(
    records: &CpuRecords,
    (started_ns, stopped_ns): (u64, u64),
    hears_ends: bool,
    flaws: &mut Counts,
) -> Joined {
    let mut all = Vec::new();
    for bytes in records.iter() {
        match SpanRecord::from_bytes(bytes) {
            Some(record) if (started_ns..=stopped_ns).contains(&record.at_ns) => all.push(record),
            // Heard before the window opened, or after it had closed.
            Some(_) => {}
            None => flaws.count("short_record"),
        }
    }
    all.sort_by_key(|record| (record.at_ns, record.kind));
    let mut join = Join::default();
    join.joined.records = all.len() as u64;
    for record in &all {
        join.take(record, flaws);
    }
    flaws.add("unfinished_span", join.open.len() as u64);
    let unfinished = join.joined.started.iter().filter(|started| started.finished_ns.is_none());
    flaws.add("unfinished_firing", if hears_ends { unfinished.count() as u64 } else { 0 });
    join.joined
}

impl Join {
    fn take(&mut self, record: &SpanRecord, flaws: &mut Counts) {
        if record.flags & flag::UNREADABLE != 0 {
            flaws.count("unreadable_name");
        }
        match record.kind {
            kind::FIRING_STARTED | kind::FIRING_LATE => self.started(record, flaws),
            kind::FIRING_FINISHED => self.finished(record, flaws),
            kind::SPAN_BEGIN => self.begun(record, flaws),
            kind::SPAN_END => self.ended(record, flaws),
            _ => flaws.count("unknown_kind"),
        }
    }

    fn started(&mut self, record: &SpanRecord, flaws: &mut Counts) {
        let Some(firing) = Firing::of(record) else { return flaws.count("impossible_firing") };
        let called_late = record.kind == kind::FIRING_LATE;
        let key = key(record);
        // It is announced as late after it was announced as started, if anybody listens to that.
        if let Some(&known) = self.firings.get(&key) {
            let known = &mut self.joined.started[known];
            if called_late && known.firing == firing {
                known.called_late = true;
            } else {
                flaws.count("firing_twice");
            }
            return;
        }
        let (job, run) = (key.1.clone(), key.3);
        self.firings.insert(key, self.joined.started.len());
        self.joined.started.push(Started { job, run, firing, called_late, finished_ns: None });
    }

    fn finished(&mut self, record: &SpanRecord, flaws: &mut Counts) {
        const FINISHED: usize = 3;
        let finished_ns = record.args[FINISHED];
        match self.firings.get(&key(record)).map(|&number| &mut self.joined.started[number]) {
            Some(started) if finished_ns >= started.firing.started_ns => {
                started.finished_ns = Some(finished_ns);
            }
            Some(_) => flaws.count("impossible_firing"),
            None => flaws.count("unstarted_firing"),
        }
    }

    fn begun(&mut self, record: &SpanRecord, flaws: &mut Counts) {
        let replaced = self.open.insert((record.tgid, record.args[0]), *record);
        flaws.add("unfinished_span", u64::from(replaced.is_some()));
    }

    fn ended(&mut self, record: &SpanRecord, flaws: &mut Counts) {
        let id = record.args[0];
        let Some(begin) = self.open.remove(&(record.tgid, id)) else {
            return flaws.count("unbegun_span");
        };
        let moved = begin.tid != record.tid;
        flaws.add("moved_span", u64::from(moved));
        self.joined.spans.push(Whole {
            name: name(&begin),
            id,
            tid: record.tid,
            tgid: record.tgid,
            begin_ns: begin.at_ns,
            end_ns: record.at_ns,
            moved,
        });
    }
}

fn key(record: &SpanRecord) -> FiringKey {
    (record.tgid, name(record), record.args[firing::NOMINAL], record.args[firing::RUN])
}

fn name(record: &SpanRecord) -> Untrusted {
    if record.flags & flag::UNREADABLE != 0 {
        return "(unreadable)".into();
    }
    let len = usize::from(record.name_len).min(span::NAME_LEN);
    Untrusted::from_kernel(&record.name[..len])
}
