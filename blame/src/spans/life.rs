//! A thread's time as what it did: it ran, waited for a CPU, slept, or nobody knows.
//!
//! A wait carries the switch-out before it. So between the end of one wait and the switch-out of the
//! next its thread ran, and from there to the opening it slept: what is between any two waits of a
//! thread is known, and no record of its own tells it.

use std::collections::BTreeMap;

use cronx_abi::{TaskKey, off_state, opening};
use cronx_recording::Target;

use crate::evidence::Evidence;
use crate::waits::{Interval, Waits, What};

/// What a thread does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doing<'a> {
    Runs,
    Waits(&'a Interval),
    /// Until somebody or a timer wakes it; or it is not there yet.
    Sleeps,
    /// Where nobody can wake it: it waits for a page, a disk, a lock of the kernel's.
    Blocked,
    /// Stopped or frozen.
    Stopped,
    Unknown,
}

/// One thing that a thread did, `[from_ns, to_ns)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spell<'a> {
    pub(super) from_ns: u64,
    pub(super) to_ns: u64,
    pub(super) doing: Doing<'a>,
}

/// One thing that is known of a thread's time.
#[derive(Debug, Clone, Copy)]
enum Known<'a> {
    Wait(&'a Interval),
    /// It was switched in then, and nobody knows since when it was off.
    In(u64),
}

impl Known<'_> {
    fn until_ns(&self) -> u64 {
        match self {
            Self::Wait(interval) => interval.close_ns,
            Self::In(at_ns) => *at_ns,
        }
    }
}

/// Every thread of whom there is a wait.
pub(super) struct Lives<'a> {
    evidence: &'a Evidence<'a>,
    known: BTreeMap<TaskKey, Vec<Known<'a>>>,
    /// By thread number.
    keys: BTreeMap<u32, Vec<TaskKey>>,
    /// From when on threads are watched at the latest; `None` if each from another instant on.
    since_ns: Option<u64>,
}

impl<'a> Lives<'a> {
    pub(super) fn new(evidence: &'a Evidence<'a>, waits: &'a Waits) -> Self {
        let mut known: BTreeMap<TaskKey, Vec<Known>> = BTreeMap::new();
        for interval in waits.closed.iter().chain(&waits.others).chain(&waits.censored) {
            known.entry(interval.wait.victim).or_default().push(Known::Wait(interval));
        }
        for mark in &evidence.marks {
            if matches!(mark.what, What::Unopened | What::UnseenClose(_)) {
                known.entry(mark.victim).or_default().push(Known::In(mark.at_ns));
            }
        }
        let mut keys: BTreeMap<u32, Vec<TaskKey>> = BTreeMap::new();
        for (key, life) in &mut known {
            life.sort_by_key(Known::until_ns);
            keys.entry(key.tid).or_default().push(*key);
        }
        let at_once = match evidence.classes.target {
            Target::Command { .. } | Target::Processes { .. } | Target::All => true,
            Target::Threads { .. } | Target::Cgroup { .. } => false,
        };
        let since_ns = at_once.then_some(evidence.started_ns);
        Self { evidence, known, keys, since_ns }
    }

    /// Who had this number in this process then.
    pub(super) fn find(&self, tid: u32, tgid: u32, at_ns: u64) -> Option<TaskKey> {
        let of_process = self.keys.get(&tid)?.iter().filter(|key| key.tgid == tgid);
        of_process.filter(|key| key.start_ns <= at_ns).max_by_key(|key| key.start_ns).copied()
    }

    /// The last time before `to_ns`, and not before `from_ns`, that somebody woke the thread, or made it.
    pub(super) fn last_woken_ns(&self, thread: TaskKey, from_ns: u64, to_ns: u64) -> Option<u64> {
        let life = self.known.get(&thread)?;
        let end = life.partition_point(|known| known.until_ns() <= to_ns);
        let before = life[..end].iter().rev().take_while(|known| known.until_ns() > from_ns);
        let woken = before.filter_map(|known| match known {
            Known::Wait(interval) if interval.wait.opening != opening::PREEMPTED => {
                Some(interval.wait.open_ns)
            }
            _ => None,
        });
        woken.filter(|&open_ns| open_ns >= from_ns).max()
    }

    /// What the thread did from `from_ns` until `to_ns`, when it is known to have run: `tell` gets
    /// spells that follow each other and are never empty. A thread without a wait ran all the time.
    pub(super) fn walk(
        &self,
        thread: Option<TaskKey>,
        (from_ns, to_ns): (u64, u64),
        tell: &mut impl FnMut(Spell<'a>),
    ) {
        let life = thread.and_then(|thread| self.known.get(&thread)).map_or(&[][..], Vec::as_slice);
        let first = life.partition_point(|known| known.until_ns() <= from_ns);
        let mut at_ns = match first.checked_sub(1) {
            Some(before) => Some(life[before].until_ns()),
            None => self.since_ns,
        };
        let mut lay = |start_ns: u64, end_ns: u64, doing| {
            let (from_ns, to_ns) = (start_ns.max(from_ns), end_ns.min(to_ns));
            if from_ns < to_ns {
                tell(Spell { from_ns, to_ns, doing });
            }
        };
        if at_ns.is_none_or(|at_ns| at_ns > from_ns) {
            let until_ns = at_ns.unwrap_or_else(|| life.first().map_or(to_ns, Self::seen_ns));
            lay(from_ns, until_ns, Doing::Unknown);
            at_ns = Some(until_ns.max(from_ns));
        }
        let mut at_ns = at_ns.unwrap_or(from_ns);
        for known in &life[first..] {
            if at_ns >= to_ns {
                return;
            }
            self.until(known, at_ns, &mut lay);
            at_ns = known.until_ns().max(at_ns);
        }
        lay(at_ns, to_ns, self.ran(at_ns, to_ns));
    }

    /// From when on something is known of a thread that was watched from some instant on.
    fn seen_ns(known: &Known) -> u64 {
        match known {
            Known::Wait(interval) => interval.wait.open_ns,
            Known::In(at_ns) => *at_ns,
        }
    }

    /// From `at_ns`, when the thread ran, to the end of what is known next.
    fn until(&self, known: &Known<'a>, at_ns: u64, lay: &mut impl FnMut(u64, u64, Doing<'a>)) {
        let Known::Wait(interval) = known else {
            return lay(at_ns, known.until_ns(), Doing::Unknown);
        };
        let wait = &interval.wait;
        let open_ns = wait.open_ns.max(at_ns);
        match (wait.opening, wait.off_ns) {
            (opening::FORK, _) => lay(at_ns, open_ns, Doing::Sleeps),
            (opening::PREEMPTED, _) => lay(at_ns, open_ns, self.ran(at_ns, open_ns)),
            // Of an older Capture, or its switch-out was not seen.
            (_, off_ns) if off_ns == 0 || off_ns < at_ns => lay(at_ns, open_ns, Doing::Unknown),
            (_, off_ns) => {
                let off_ns = off_ns.min(open_ns);
                lay(at_ns, off_ns, self.ran(at_ns, off_ns));
                lay(off_ns, open_ns, slept(wait.off_state));
            }
        }
        lay(open_ns, interval.close_ns, Doing::Waits(interval));
    }

    /// It ran, unless a wait of it may be missing there.
    fn ran(&self, from_ns: u64, to_ns: u64) -> Doing<'a> {
        let spared = self.evidence.floor_ns > 0;
        if spared || self.evidence.losses.any_within(from_ns, to_ns) {
            Doing::Unknown
        } else {
            Doing::Runs
        }
    }
}

fn slept(state: u32) -> Doing<'static> {
    match state {
        off_state::ASLEEP => Doing::Sleeps,
        state if state & off_state::UNINTERRUPTIBLE != 0 => Doing::Blocked,
        _ => Doing::Stopped,
    }
}
