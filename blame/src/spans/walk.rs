//! One firing or span to its parts: disjoint, in order, and summing to it exactly.
//!
//! ```text
//! due                woken    popped enqueued        free   dequeued      started
//!  |- timer ----------|- shard waits, runs -|- queue ---|- worker waits, runs -|
//! ```
//!
//! The scheduler says five of these instants, and of what is between them only which thread it was up
//! to: what that thread did then, the kernel's records say. A shard that sleeps when something is due
//! sleeps in its timer. One that sleeps again after that holds the firing, since it sleeps nowhere
//! else: there is no room in the queue, or a run of the same job must end first.

use cronx_abi::TaskKey;
use cronx_abi::span::{SpanRecord, firing};
use cronx_recording::Part;

use super::life::{Doing, Lives, Spell};
use crate::waits::Interval;

/// A piece of a firing or span, `[from_ns, to_ns)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    pub(super) part: Part,
    pub(super) from_ns: u64,
    pub(super) to_ns: u64,
    /// The wait that it is a part of.
    pub(super) wait: Option<&'a Interval>,
}

impl Piece<'_> {
    pub(super) fn length_ns(&self) -> u64 {
        self.to_ns - self.from_ns
    }
}

/// The instants of a started firing, in the order of time but for `due`, and the threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Firing {
    pub(super) due_ns: u64,
    enqueued_ns: u64,
    free_ns: u64,
    dequeued_ns: u64,
    pub(super) started_ns: u64,
    pub(super) shard_tid: u32,
    runner_tid: u32,
    pub(super) tid: u32,
    pub(super) tgid: u32,
}

impl Firing {
    /// `None` if what the program says cannot be.
    pub(super) fn of(record: &SpanRecord) -> Option<Self> {
        let args = &record.args;
        let [popped_ns, enqueued_ns, dequeued_ns, started_ns] =
            [firing::POPPED, firing::ENQUEUED, firing::DEQUEUED, firing::STARTED].map(|n| args[n]);
        let in_order = [popped_ns, enqueued_ns, dequeued_ns, started_ns, record.at_ns].is_sorted();
        let due_ns = args[firing::DUE];
        let plausible = started_ns.saturating_sub(due_ns) <= crate::waits::IMPLAUSIBLE_NS;
        (in_order && plausible).then_some(Self {
            due_ns,
            enqueued_ns,
            free_ns: args[firing::FREE],
            dequeued_ns,
            started_ns,
            shard_tid: args[firing::SHARD] as u32,
            runner_tid: args[firing::RUNNER] as u32,
            tid: record.tid,
            tgid: record.tgid,
        })
    }
}

/// The parts of the lateness of a firing that was put off since the instant, if it was.
pub(super) fn firing<'a>(
    firing: &Firing,
    since_ns: Option<u64>,
    lives: &Lives<'a>,
) -> Vec<Piece<'a>> {
    let mut row = Row { pieces: Vec::new() };
    if let Some(since_ns) = since_ns {
        row.lay(Part::Breaker, (since_ns, firing.due_ns.min(firing.started_ns)), None);
    }
    if firing.due_ns >= firing.started_ns {
        return row.pieces;
    }
    let due = |instant_ns: u64| instant_ns.max(firing.due_ns);
    let find = |tid, at_ns| lives.find(tid, firing.tgid, at_ns);
    let worker = find(firing.tid, firing.started_ns);
    let runner = find(firing.runner_tid, firing.dequeued_ns);
    let at_shard = (firing.due_ns, due(firing.enqueued_ns));
    match find(firing.shard_tid, firing.enqueued_ns) {
        Some(shard) => at_the_shard(shard, at_shard, lives, &mut row),
        None => row.lay(Part::Unknown, at_shard, None),
    }
    let queued = (at_shard.1, due(firing.dequeued_ns));
    let taken = (queued.1, firing.started_ns);
    // Of the thread in which the probe fired no wait is needed: it is watched, or would not be heard.
    if runner.is_none() && firing.runner_tid != firing.tid {
        row.lay(Part::Unknown, (queued.0, taken.1), None);
        return row.pieces;
    }
    let free_ns = free_ns(firing, runner, lives).clamp(queued.0, queued.1);
    in_the_queue(runner, (queued.0, free_ns), lives, &mut row);
    at_the_worker(runner, (free_ns, queued.1), Part::Queue, lives, &mut row);
    if firing.runner_tid == firing.tid {
        at_the_worker(runner, taken, Part::WorkerBlocked, lives, &mut row);
        return row.pieces;
    }
    // Another thread executes it: up to its waking the runner had it.
    let woken_ns = worker.and_then(|worker| lives.last_woken_ns(worker, taken.0, taken.1));
    let handed_ns = woken_ns.unwrap_or(taken.1);
    at_the_worker(runner, (taken.0, handed_ns), Part::Queue, lives, &mut row);
    at_the_worker(worker, (handed_ns, taken.1), Part::WorkerBlocked, lives, &mut row);
    row.pieces
}

/// When the runner was ready for this firing: by its own word, or, of one that was made for it, when
/// its thread was last woken. A thread that was never woken meanwhile was busy with something else.
fn free_ns(firing: &Firing, runner: Option<TaskKey>, lives: &Lives) -> u64 {
    if firing.free_ns > 0 {
        return firing.free_ns;
    }
    let (from_ns, to_ns) = (firing.enqueued_ns, firing.dequeued_ns);
    runner.and_then(|runner| lives.last_woken_ns(runner, from_ns, to_ns)).unwrap_or(to_ns)
}

fn at_the_shard<'a>(shard: TaskKey, span: (u64, u64), lives: &Lives<'a>, row: &mut Row<'a>) {
    let mut spells: Vec<Spell> = Vec::new();
    lives.walk(Some(shard), span, &mut |spell| spells.push(spell));
    let sleeps = |spell: &&Spell| spell.doing == Doing::Sleeps && spell.from_ns > span.0;
    let from_ns = spells.iter().find(sleeps).map(|spell| spell.from_ns);
    let to_ns = spells.iter().rev().find(sleeps).map(|spell| spell.to_ns);
    let held = from_ns.zip(to_ns);
    for spell in &spells {
        let is_held =
            |&(from_ns, to_ns): &(u64, u64)| from_ns <= spell.from_ns && spell.to_ns <= to_ns;
        let (part, wait) = match spell.doing {
            _ if held.as_ref().is_some_and(is_held) => (Part::Queue, None),
            Doing::Sleeps => (Part::Timer, None),
            Doing::Runs => (Part::ShardRuns, None),
            Doing::Waits(interval) => (Part::ShardWaits, Some(interval)),
            Doing::Blocked | Doing::Stopped => (Part::ShardBlocked, None),
            Doing::Unknown => (Part::Unknown, None),
        };
        row.lay(part, (spell.from_ns, spell.to_ns), wait);
    }
}

/// Until the runner is free. What it does meanwhile is for others; but stopped, it is for nobody.
fn in_the_queue<'a>(
    runner: Option<TaskKey>,
    span: (u64, u64),
    lives: &Lives<'a>,
    row: &mut Row<'a>,
) {
    lives.walk(runner, span, &mut |spell| {
        let stopped = spell.doing == Doing::Stopped;
        let part = if stopped { Part::WorkerBlocked } else { Part::Queue };
        row.lay(part, (spell.from_ns, spell.to_ns), None);
    });
}

/// What a sleep of the thread is called depends on whether it has the firing already.
fn at_the_worker<'a>(
    thread: Option<TaskKey>,
    span: (u64, u64),
    sleeps: Part,
    lives: &Lives<'a>,
    row: &mut Row<'a>,
) {
    lives.walk(thread, span, &mut |spell| {
        let (part, wait) = match spell.doing {
            Doing::Sleeps => (sleeps, None),
            Doing::Runs => (Part::WorkerRuns, None),
            Doing::Waits(interval) => (Part::WorkerWaits, Some(interval)),
            Doing::Blocked | Doing::Stopped => (Part::WorkerBlocked, None),
            Doing::Unknown => (Part::Unknown, None),
        };
        row.lay(part, (spell.from_ns, spell.to_ns), wait);
    });
}

/// All of it, of a span that moved from one thread to another: nothing is known of that.
pub(super) fn moved<'a>(span: (u64, u64)) -> Vec<Piece<'a>> {
    let mut row = Row { pieces: Vec::new() };
    row.lay(Part::Unknown, span, None);
    row.pieces
}

/// The parts of a span that began and ended in `thread`, of which there may be no wait.
pub(super) fn span<'a>(
    thread: Option<TaskKey>,
    span: (u64, u64),
    lives: &Lives<'a>,
) -> Vec<Piece<'a>> {
    let mut row = Row { pieces: Vec::new() };
    lives.walk(thread, span, &mut |spell| {
        let (part, wait) = match spell.doing {
            Doing::Sleeps | Doing::Blocked | Doing::Stopped => (Part::Blocked, None),
            Doing::Runs => (Part::Runs, None),
            Doing::Waits(interval) => (Part::Waits, Some(interval)),
            Doing::Unknown => (Part::Unknown, None),
        };
        row.lay(part, (spell.from_ns, spell.to_ns), wait);
    });
    row.pieces
}

/// The pieces of one, in the making.
struct Row<'a> {
    pieces: Vec<Piece<'a>>,
}

impl<'a> Row<'a> {
    /// Appends a piece; it becomes part of the last one if nothing parts them.
    fn lay(&mut self, part: Part, (from_ns, to_ns): (u64, u64), wait: Option<&'a Interval>) {
        if from_ns >= to_ns {
            return;
        }
        match self.pieces.last_mut() {
            Some(last) if last.part == part && last.wait.is_none() && wait.is_none() => {
                last.to_ns = to_ns;
            }
            _ => self.pieces.push(Piece { part, from_ns, to_ns, wait }),
        }
    }
}
