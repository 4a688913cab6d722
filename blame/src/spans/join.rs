//! Records to firings and spans: what began finds its end.

use std::collections::BTreeMap;

use cronx_abi::Record;
use cronx_abi::span::{RejectedRecord, SpanRecord, firing, flag, kind, rejected};
use cronx_recording::{CpuRecords, PutOff, Untrusted};

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
    pub(super) held: Option<Held>,
}

impl Started {
    /// When the firing was due, or its first attempt that was rejected.
    pub(super) fn due_ns(&self) -> u64 {
        self.held.as_ref().map_or(self.firing.due_ns, |held| held.since_ns)
    }

    /// One that began early was not late.
    pub(super) fn lateness_ns(&self) -> u64 {
        self.firing.started_ns.saturating_sub(self.due_ns())
    }
}

/// A firing that breakers put off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    /// When its first attempt that was rejected was due.
    pub(super) since_ns: u64,
    pub(super) why: PutOff,
}

/// An attempt that a breaker let not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rejected {
    pub(super) job: Untrusted,
    pub(super) tid: u32,
    pub(super) tgid: u32,
    pub(super) at_ns: u64,
    pub(super) breaker: Untrusted,
    pub(super) state: Untrusted,
    pub(super) rule: Untrusted,
    /// There is to be another.
    pub(super) put_off: bool,
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
    pub(super) rejected: Vec<Rejected>,
    pub(super) records: u64,
}

/// A firing among all: its process, job, nominal instant and run.
type FiringKey = (u32, Untrusted, u64, u64);

#[derive(Default)]
struct Join {
    joined: Joined,
    firings: BTreeMap<FiringKey, usize>,
    open: BTreeMap<(u32, u64), SpanRecord>,
    /// By process, job and nominal instant: attempts have numbers of their own.
    held: BTreeMap<(u32, Untrusted, u64), Held>,
}

/// A record, and of a rejected firing what it has behind that.
#[derive(Clone, Copy)]
struct Heard<'a> {
    record: SpanRecord,
    bytes: &'a [u8],
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
            Some(record) if (started_ns..=stopped_ns).contains(&record.at_ns) => {
                all.push(Heard { record, bytes });
            }
            // Heard before the window opened, or after it had closed.
            Some(_) => {}
            None => flaws.count("short_record"),
        }
    }
    all.sort_by_key(|heard| (heard.record.at_ns, heard.record.kind));
    let mut join = Join::default();
    join.joined.records = all.len() as u64;
    for heard in &all {
        join.take(heard, flaws);
    }
    flaws.add("unfinished_span", join.open.len() as u64);
    let unfinished = join.joined.started.iter().filter(|started| started.finished_ns.is_none());
    flaws.add("unfinished_firing", if hears_ends { unfinished.count() as u64 } else { 0 });
    join.joined
}

impl Join {
    fn take(&mut self, Heard { record, bytes }: &Heard, flaws: &mut Counts) {
        if record.flags & (flag::UNREADABLE | flag::UNREADABLE_WHY) != 0 {
            flaws.count("unreadable_name");
        }
        match record.kind {
            kind::FIRING_STARTED | kind::FIRING_LATE => self.started(record, flaws),
            kind::FIRING_FINISHED => self.finished(record, flaws),
            kind::SPAN_BEGIN => self.begun(record, flaws),
            kind::SPAN_END => self.ended(record, flaws),
            kind::FIRING_REJECTED => match RejectedRecord::from_bytes(bytes) {
                Some(record) => self.rejected(&record, flaws),
                None => flaws.count("short_record"),
            },
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
        let (tgid, job, nominal, run) = key.clone();
        let held = self.held.remove(&(tgid, job.clone(), nominal));
        let fits = |held: &Held| held.since_ns <= firing.due_ns;
        if held.as_ref().is_some_and(|held| !fits(held)) {
            flaws.count("impossible_firing");
        }
        let held = held.filter(fits);
        self.firings.insert(key, self.joined.started.len());
        let started = Started { job, run, firing, called_late, finished_ns: None, held };
        self.joined.started.push(started);
    }

    /// It has no end to wait for: its firing was over by it, or is put off.
    fn rejected(&mut self, record: &RejectedRecord, flaws: &mut Counts) {
        let RejectedRecord { span, breaker_len, state_len, rule_len, .. } = record;
        let (due_ns, again_ns) = (span.args[rejected::DUE], span.args[rejected::AGAIN]);
        let put_off = again_ns != 0;
        let is_possible = |due_ns: u64| {
            due_ns <= span.at_ns && span.at_ns - due_ns <= crate::waits::IMPLAUSIBLE_NS
        };
        if !is_possible(due_ns) || put_off && again_ns < due_ns {
            return flaws.count("impossible_firing");
        }
        let why = |bytes: &[u8], len: u16| text(span.flags & flag::UNREADABLE_WHY, bytes, len);
        let breaker = why(&record.breaker, *breaker_len);
        let (state, rule) = (why(&record.state, *state_len), why(&record.rule, *rule_len));
        let (tgid, job, nominal, _) = key(span);
        let firing = (tgid, job.clone(), nominal);
        let before = self.held.remove(&firing);
        if put_off {
            let times = before.as_ref().map_or(0, |held| held.why.times) + 1;
            let since_ns = before.map_or(due_ns, |held| held.since_ns);
            let (breaker, state, rule) = (breaker.clone(), state.clone(), rule.clone());
            let why = PutOff { times, breaker, state, rule };
            self.held.insert(firing, Held { since_ns, why });
        }
        let (tid, at_ns) = (span.tid, span.at_ns);
        let rejected = Rejected { job, tid, tgid, at_ns, breaker, state, rule, put_off };
        self.joined.rejected.push(rejected);
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
    text(record.flags & flag::UNREADABLE, &record.name, record.name_len)
}

/// So many of these bytes.
fn text(unreadable: u8, bytes: &[u8], len: u16) -> Untrusted {
    if unreadable != 0 {
        return "(unreadable)".into();
    }
    Untrusted::from_kernel(&bytes[..usize::from(len).min(bytes.len())])
}
