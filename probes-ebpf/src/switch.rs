//! The context switch: where waits close, slices end, and preemptions open waits.

use aya_ebpf::EbpfContext;
use cronx_abi::{
    OpenWaitRecord, Slice, SliceRecord, TaskKey, UnopenedRecord, Wait, WaitRecord, Waker, flag,
    kind, opening,
};

use crate::{
    cpu::Cpu,
    interrupt,
    task::{self, Task, TaskState, state},
};

/// `prev` leaves this CPU, still `runnable` or not, and `next` takes it.
#[inline(always)]
pub fn switch(
    ctx: &impl EbpfContext,
    prev: Task,
    next: Task,
    runnable: bool,
    now: u64,
) -> Option<()> {
    let cpu = Cpu::here()?;
    let (leaving, coming) = (task::key(prev), task::key(next));

    interrupt::switched(&cpu, now);
    let victim = if coming.tid == 0 { None } else { task::watched(next) };
    let preempted = if leaving.tid == 0 { None } else { leave(ctx, &cpu, prev, now) };
    tell(ctx, &cpu, (prev, leaving), next, victim, now);
    if let Some(known) = preempted {
        if runnable {
            queue_again(&cpu, leaving, known, now);
        }
    }

    let state = cpu.state();
    state.occupant = coming;
    state.since_ns = now;
    cpu.settle();
    Some(())
}

/// The outgoing task, if watched: it is off the CPU, whatever we believed of it.
#[inline(always)]
fn leave<'a>(ctx: &impl EbpfContext, cpu: &Cpu, prev: Task, now: u64) -> Option<&'a mut TaskState> {
    let known = task::watched(prev)?;
    if known.state == state::QUEUED {
        // It was switched in and nobody saw it.
        unexpected(ctx, "leaves a CPU while it waits for one", known.wait.victim.tid);
        if let Some(counted) = Cpu::numbered(known.wait.cpu.into()) {
            counted.uncount();
        }
        task::name_remembered(cpu, prev, known, now);
        cpu.emit(kind::UNSEEN_CLOSE, 0, now, |record: &mut OpenWaitRecord| {
            record.wait = known.wait;
        });
    }
    known.off_ns = now;
    known.state = state::BLOCKED;
    Some(known)
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
    (prev, leaving): (Task, TaskKey),
    next: Task,
    victim: Option<&mut TaskState>,
    now: u64,
) {
    let state = cpu.state();
    let slice = Slice { since_ns: state.since_ns, task: leaving };
    let flags = if task::same(state.occupant, leaving) { 0 } else { flag::CONTRADICTS };
    let Some(known) = victim else {
        if cpu.is_watched() || state.owed != 0 {
            tell_slice(cpu, prev, slice, flags, now);
        }
        return;
    };
    task::name_remembered(cpu, next, known, now);
    if known.state != state::QUEUED {
        if known.state == state::RUNNING {
            cpu.count_impossible();
            unexpected(ctx, "takes a CPU while it has one", task::key(next).tid);
        }
        tell_unopened(cpu, known, next, now);
        if cpu.is_watched() || state.owed != 0 {
            tell_slice(cpu, prev, slice, flags, now);
        }
        return;
    }
    known.state = state::RUNNING;
    if leaving.tid != 0 {
        task::name(cpu, prev, now);
    }
    if let Some(counted) = Cpu::numbered(known.wait.cpu.into()) {
        counted.uncount();
    }
    cpu.emit(kind::WAIT, flags, now, |record: &mut WaitRecord| {
        record.slice = slice;
        record.wait = known.wait;
    });
}

#[inline(always)]
fn tell_slice(cpu: &Cpu, prev: Task, slice: Slice, flags: u8, now: u64) {
    if slice.task.tid != 0 {
        task::name(cpu, prev, now);
    }
    cpu.emit(kind::SLICE, flags, now, |record: &mut SliceRecord| record.slice = slice);
}

#[inline(always)]
fn tell_unopened(cpu: &Cpu, known: &mut TaskState, next: Task, now: u64) {
    known.state = state::RUNNING;
    cpu.emit(kind::UNOPENED, 0, now, |record: &mut UnopenedRecord| {
        record.victim = task::key(next);
    });
}

/// The outgoing task is still runnable: preempted, or it yielded. Counted after the slice was told,
/// since its own slice is no evidence for its own wait.
#[inline(always)]
fn queue_again(cpu: &Cpu, victim: TaskKey, known: &mut TaskState, now: u64) {
    cpu.count(|| now);
    known.wait = Wait {
        open_ns: now,
        queued_ns: now,
        victim,
        waker: Waker { task: TaskKey { start_ns: 0, tid: 0, tgid: 0 }, interrupt: 0, reserved: 0 },
        first_cpu: cpu.number as u16,
        cpu: cpu.number as u16,
        moves: 0,
        opening: opening::PREEMPTED,
        flags: 0,
    };
    known.state = state::QUEUED;
}
