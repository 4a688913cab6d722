//! Wake-ups and moves between queues.

use cronx_abi::{MoveRecord, TaskKey, Wait, Waker, flag, kind, opening, wait_flag};

use crate::{
    cpu::Cpu,
    task::{self, Task, TaskState, now, state},
};

/// Nobody woke it, or nobody knows who.
pub const NO_WAKER: Waker =
    Waker { task: TaskKey { start_ns: 0, tid: 0, tgid: 0 }, interrupt: 0, reserved: 0 };

/// `wakee` is about to be woken by whoever runs here.
#[inline(always)]
pub fn waking(cpu: &Cpu, wakee: Task) -> Option<()> {
    let known = task::watched(wakee)?;
    if known.state == state::QUEUED && task::sleeps(wakee) {
        // It ran and went to sleep since, and nobody saw it: the wait is not that long.
        task::name_remembered(cpu, wakee, known, now());
        task::close_unseen(cpu, known, now());
    }
    if known.state != state::RUNNING && known.state != state::QUEUED && task::is_queued(wakee) {
        // Nobody saw when it was put there, and this wake-up changes nothing.
        known.state = state::QUEUED_UNSEEN;
        return None;
    }
    // The first waking since the last switch-out: it may come before that switch-out, and a later
    // one only finds the thread runnable already.
    if known.waking_ns != 0 && known.waking_ns >= known.wait.off_ns {
        return None;
    }
    known.waking_ns = now();
    known.waker = waker(cpu, known.waking_ns);
    Some(())
}

#[inline(always)]
fn waker(cpu: &Cpu, at_ns: u64) -> Waker {
    let current = task::current();
    let state = cpu.state();
    let interrupt = if state.hard != 0 { state.hard } else { state.soft };
    let key = task::key(current);
    if interrupt == 0 && key.tid != 0 && state.occupant_told == 0 {
        task::name(cpu, current, at_ns);
        state.occupant_told = 1;
    }
    Waker { task: key, interrupt, reserved: 0 }
}

/// `wakee` is on the queue of the CPU `target`: a wait opens, unless it runs or waits already.
#[inline(always)]
pub fn queued(wakee: Task, target: u32, opening: u8) -> Option<()> {
    let known = task::watched(wakee)?;
    let woken = opening == opening::WAKEUP;
    let waits = known.state == state::QUEUED || known.state == state::QUEUED_UNSEEN;
    if woken && (task::runs(wakee, known) || waits) {
        known.waking_ns = 0;
        return None;
    }
    let target = Cpu::numbered(target)?;
    let victim = task::key(wakee);
    let queued_ns = target.count(now);
    known.wait = Wait {
        open_ns: if woken { open_ns(known, queued_ns) } else { queued_ns },
        queued_ns,
        victim,
        waker: if woken && known.waking_ns != 0 { known.waker } else { NO_WAKER },
        first_cpu: target.number as u16,
        cpu: target.number as u16,
        moves: 0,
        opening,
        flags: throttled(wakee),
        off_ns: known.wait.off_ns,
        off_state: known.wait.off_state,
        reserved: 0,
    };
    // It is used up: a later wake-up whose waking nobody saw must not take it for its own.
    known.waking_ns = 0;
    known.state = state::QUEUED;
    Some(())
}

/// The wait's flag for a task that its cgroup's quota keeps from running.
#[inline(always)]
pub fn throttled(task: Task) -> u8 {
    if task::is_throttled(task) { wait_flag::THROTTLED } else { 0 }
}

/// A thread is on a queue for the first time. A worker that the kernel makes for a watched thread
/// (`create_io_thread`) is told by no fork; who wakes it first says whose it is.
#[cfg(not(feature = "legacy"))]
#[inline(always)]
pub fn first_queued(wakee: Task, target: u32) -> Option<()> {
    if task::known(wakee).is_none() && task::watched(task::current()).is_some() {
        task::remembered(wakee)?.watched = 1;
    }
    queued(wakee, target, opening::FORK)
}

/// A wait begins with the waking, or with the switch-out if that came after it. A wake-up whose
/// waking was not seen begins when it is seen.
#[inline(always)]
fn open_ns(known: &TaskState, queued_ns: u64) -> u64 {
    if known.waking_ns == 0 {
        return queued_ns;
    }
    let off_ns = known.wait.off_ns;
    if known.waking_ns > off_ns { known.waking_ns } else { off_ns }
}

/// `migrant` leaves the queue of the CPU `from` and joins that of `to`. Half of these are of sleepers
/// and mean nothing here.
#[inline(always)]
pub fn moved(cpu: &Cpu, migrant: Task, from: u32, to: u32) -> Option<()> {
    let known = task::watched(migrant)?;
    if known.state != state::QUEUED {
        return None;
    }
    // Where it was counted; if that is not where it comes from, a move was not seen.
    let counted = Cpu::numbered(known.wait.cpu.into())?;
    let to = Cpu::numbered(to)?;
    // The slice that runs on the queue left behind would end unseen.
    counted.state().owed = 1;
    let at_ns = to.count(now);
    counted.uncount();
    known.wait.cpu = to.number as u16;
    known.wait.moves = known.wait.moves.saturating_add(1);
    let flags = if task::is_throttled(migrant) { flag::THROTTLED } else { 0 };
    cpu.emit(kind::MOVE, flags, at_ns, |record: &mut MoveRecord| {
        record.victim = known.wait.victim;
        record.from = from as u16;
        record.to = to.number as u16;
        record.reserved = 0;
    });
    Some(())
}
