//! The context switch: where waits close, slices end, and preemptions open waits.

use aya_ebpf::EbpfContext;
use cronx_abi::{
    Slice, SliceRecord, TaskKey, UnopenedRecord, Wait, WaitRecord, flag, kind, off_state, opening,
};

use crate::{
    cpu::Cpu,
    interrupt, offsets, spared,
    task::{self, Task, TaskState, state},
    wakeup::{self, NO_WAKER},
};

/// The state of a task that leaves a CPU and could go on.
pub const RUNNABLE: u32 = 0;

/// The task that leaves the CPU.
struct Leaving<'a> {
    task: Task,
    key: TaskKey,
    known: Option<&'a mut TaskState>,
}

/// `prev` leaves this CPU, `next` takes it. Of `prev_state` only [`off_state`] counts: 0 if it is
/// still runnable.
#[inline(always)]
pub fn switch(
    ctx: &impl EbpfContext,
    cpu: &Cpu,
    (prev, next): (Task, Task),
    prev_state: u32,
    now: u64,
) -> Option<()> {
    interrupt::switched(cpu, now);
    let coming = task::key(next);
    let victim = if coming.tid == 0 { None } else { task::watched(next) };
    let key = task::key(prev);
    let known = if key.tid == 0 { None } else { task::recalled(prev) };
    let mut leaving = Leaving { task: prev, key, known };

    leave(ctx, cpu, &mut leaving, prev_state, now);
    tell(ctx, cpu, &mut leaving, next, victim, now);
    if prev_state == RUNNABLE {
        queue_again(cpu, leaving, now);
    }

    let state = cpu.state();
    state.occupant = coming;
    state.since_ns = now;
    state.occupant_told = 0;
    cpu.settle();
    Some(())
}

/// The outgoing task, if watched: it is off the CPU, whatever we believed of it.
#[inline(always)]
fn leave(ctx: &impl EbpfContext, cpu: &Cpu, leaving: &mut Leaving<'_>, prev_state: u32, now: u64) {
    let Some(known) = leaving.known.as_deref_mut().filter(|known| task::is_watched(known)) else {
        return;
    };
    if known.state == state::QUEUED {
        // It was switched in and nobody saw it.
        unexpected(ctx, "leaves a CPU while it waits for one", known.wait.victim.tid);
        task::name_remembered(cpu, leaving.task, known, now);
        task::close_unseen(cpu, known, now);
    } else if known.state != state::RUNNING {
        // So was this one, and it came to the queue unseen: its waking may still be there.
        known.waking_ns = 0;
    }
    known.wait.off_ns = now;
    known.wait.off_state = prev_state & off_state::ALL;
    known.state = state::BLOCKED;
}

/// For whoever debugs the probes: compiled away without the feature.
#[inline(always)]
#[cfg_attr(not(feature = "debug-log"), expect(unused_variables, reason = "it only logs"))]
fn unexpected(ctx: &impl EbpfContext, what: &str, tid: u32) {
    #[cfg(feature = "debug-log")]
    aya_log_ebpf::warn!(ctx, "thread {} {}", tid, what);
}

/// Tells the slice that ends if anybody waited beneath it, and the wait that ends with it.
#[inline(always)]
fn tell(
    ctx: &impl EbpfContext,
    cpu: &Cpu,
    leaving: &mut Leaving<'_>,
    next: Task,
    victim: Option<&mut TaskState>,
    now: u64,
) {
    let Some(known) = victim else { return tell_slice(cpu, leaving, now) };
    let before = core::mem::replace(&mut known.state, state::RUNNING);
    // Whatever woke it is used up, also if its wake-up was not seen.
    known.waking_ns = 0;
    if before == state::QUEUED {
        return close(cpu, leaving, next, known, now);
    }
    if before == state::RUNNING {
        cpu.count_impossible();
        unexpected(ctx, "takes a CPU while it has one", task::key(next).tid);
    }
    task::name_remembered(cpu, next, known, now);
    cpu.emit(kind::UNOPENED, 0, now, |record: &mut UnopenedRecord| {
        record.victim = task::key(next);
    });
    tell_slice(cpu, leaving, now);
}

/// The wait of the incoming task ends. One that is short is only counted; its slice may still be
/// what others wait for.
#[inline(always)]
fn close(cpu: &Cpu, leaving: &mut Leaving<'_>, next: Task, known: &mut TaskState, now: u64) {
    if let Some(counted) = Cpu::numbered(known.wait.cpu.into()) {
        if counted.number != cpu.number {
            // It left that queue and nobody saw it: the slice that runs there would end unseen.
            counted.state().owed = 1;
        }
        counted.uncount();
    }
    if offsets::FLOOR_NS.load() != 0 && spared::is_short(&known.wait, now) {
        spared::count(cpu, &known.wait, now);
        return tell_slice(cpu, leaving, now);
    }
    task::name_remembered(cpu, next, known, now);
    name(cpu, leaving, now);
    let (slice, flags) = slice(cpu, leaving);
    cpu.emit(kind::WAIT, flags, now, |record: &mut WaitRecord| {
        record.slice = slice;
        record.wait = known.wait;
    });
}

/// The slice that ends, for whoever still waits here, or waited and moved away.
#[inline(always)]
fn tell_slice(cpu: &Cpu, leaving: &mut Leaving<'_>, now: u64) {
    if !cpu.is_watched() && cpu.state().owed == 0 {
        return;
    }
    name(cpu, leaving, now);
    let (slice, flags) = slice(cpu, leaving);
    cpu.emit(kind::SLICE, flags, now, |record: &mut SliceRecord| record.slice = slice);
}

/// The idle task has no name to tell.
#[inline(always)]
fn name(cpu: &Cpu, leaving: &mut Leaving<'_>, now: u64) {
    match leaving.known.as_deref_mut() {
        Some(known) => task::name_remembered(cpu, leaving.task, known, now),
        None if leaving.key.tid != 0 => task::name(cpu, leaving.task, now),
        None => {}
    }
}

/// What the CPU did until now, and whether the one that leaves is the one that came.
#[inline(always)]
fn slice(cpu: &Cpu, leaving: &Leaving<'_>) -> (Slice, u8) {
    let state = cpu.state();
    let flags = if task::same(state.occupant, leaving.key) { 0 } else { flag::CONTRADICTS };
    (Slice { since_ns: state.since_ns, task: leaving.key }, flags)
}

/// The outgoing task is still runnable: preempted, or it yielded. Counted after the slice was told,
/// since its own slice is no evidence for its own wait.
#[inline(always)]
fn queue_again(cpu: &Cpu, leaving: Leaving<'_>, now: u64) {
    let Some(known) = leaving.known.filter(|known| task::is_watched(known)) else { return };
    cpu.count(|| now);
    known.wait = Wait {
        open_ns: now,
        queued_ns: now,
        victim: leaving.key,
        waker: NO_WAKER,
        first_cpu: cpu.number as u16,
        cpu: cpu.number as u16,
        moves: 0,
        opening: opening::PREEMPTED,
        flags: wakeup::throttled(leaving.task),
        off_ns: now,
        off_state: 0,
        reserved: 0,
    };
    known.state = state::QUEUED;
}
