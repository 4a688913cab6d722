//! Wake-ups, moves between queues, and the birth of threads and names.

use aya_ebpf::{helpers::bpf_ktime_get_ns, macros::btf_tracepoint, programs::BtfTracePointContext};
use cronx_abi::{MoveRecord, TaskKey, Wait, Waker, kind, opening};

use crate::{
    cpu::Cpu,
    offsets,
    task::{self, Task, TaskState, state},
};

fn now() -> u64 {
    // SAFETY: the helper has no precondition.
    unsafe { bpf_ktime_get_ns() }
}

/// In the waker's context, before the wakee is put anywhere.
#[btf_tracepoint(function = "sched_waking")]
pub fn sched_waking(ctx: BtfTracePointContext) -> Option<()> {
    let wakee: Task = ctx.arg(0);
    let known = task::watched(wakee)?;
    // The first waking since the last switch-out: it may come before that switch-out, and a later
    // one only finds the thread runnable already.
    if known.waking_ns != 0 && known.waking_ns >= known.off_ns {
        return None;
    }
    known.waking_ns = now();
    known.waker = waker(known.waking_ns)?;
    Some(())
}

#[inline(always)]
fn waker(at_ns: u64) -> Option<Waker> {
    let cpu = Cpu::here()?;
    let current = task::current();
    let interrupt = match cpu.state().hard {
        0 => cpu.state().soft,
        hard => hard,
    };
    let key = task::key(current);
    if interrupt == 0 && key.tid != 0 {
        task::name(&cpu, current, at_ns);
    }
    Some(Waker { task: key, interrupt, reserved: 0 })
}

/// The wakee is on a queue.
#[btf_tracepoint(function = "sched_wakeup")]
pub fn sched_wakeup(ctx: BtfTracePointContext) -> Option<()> {
    let wakee: Task = ctx.arg(0);
    let known = task::watched(wakee)?;
    // Of a task that still runs or is queued already: nothing began. What the kernel says of
    // `on_cpu` outranks our own RUNNING, which is stale after a switch-out that nobody saw.
    if task::read::<u32>(wakee, &offsets::TASK_ON_CPU) != 0 || known.state == state::QUEUED {
        known.waking_ns = 0;
        return None;
    }
    open(wakee, known, opening::WAKEUP)
}

/// A forked thread is on a queue for the first time.
#[btf_tracepoint(function = "sched_wakeup_new")]
pub fn sched_wakeup_new(ctx: BtfTracePointContext) -> Option<()> {
    let wakee: Task = ctx.arg(0);
    open(wakee, task::watched(wakee)?, opening::FORK)
}

/// Opens a wait on the queue of the wakee's CPU, which is not always the one that runs this.
#[inline(always)]
fn open(wakee: Task, known: &mut TaskState, opening: u8) -> Option<()> {
    let target = Cpu::numbered(task::read(wakee, &offsets::TASK_CPU))?;
    let queued_ns = target.count(now);
    let woken = opening == opening::WAKEUP;
    known.wait = Wait {
        open_ns: if woken { open_ns(known, queued_ns) } else { queued_ns },
        queued_ns,
        victim: task::key(wakee),
        waker: if woken && known.waking_ns != 0 { known.waker } else { NO_WAKER },
        first_cpu: target.number as u16,
        cpu: target.number as u16,
        moves: 0,
        opening,
        reserved: 0,
    };
    known.state = state::QUEUED;
    Some(())
}

const NO_WAKER: Waker =
    Waker { task: TaskKey { start_ns: 0, tid: 0, tgid: 0 }, interrupt: 0, reserved: 0 };

/// A wait begins with the waking, or with the switch-out if that came after it. A wake-up whose
/// waking was not seen begins when it is seen.
#[inline(always)]
fn open_ns(known: &TaskState, queued_ns: u64) -> u64 {
    if known.waking_ns == 0 {
        return queued_ns;
    }
    if known.waking_ns > known.off_ns { known.waking_ns } else { known.off_ns }
}

/// A task changes its queue. Half of these are of sleepers and mean nothing here.
#[btf_tracepoint(function = "sched_migrate_task")]
pub fn sched_migrate_task(ctx: BtfTracePointContext) -> Option<()> {
    let migrant: Task = ctx.arg(0);
    let known = task::watched(migrant)?;
    if known.state != state::QUEUED {
        return None;
    }
    let from = Cpu::numbered(known.wait.cpu.into())?;
    let to = Cpu::numbered(ctx.arg(1))?;
    // The slice that runs on the queue left behind would end unseen.
    from.state().owed = 1;
    let at_ns = to.count(now);
    from.uncount();
    known.wait.cpu = to.number as u16;
    known.wait.moves = known.wait.moves.saturating_add(1);
    Cpu::here()?.emit(kind::MOVE, 0, at_ns, |record: &mut MoveRecord| {
        record.victim = known.wait.victim;
        record.from = from.number as u16;
        record.to = to.number as u16;
        record.reserved = 0;
    });
    Some(())
}

/// A child of a watched thread is watched.
#[btf_tracepoint(function = "sched_process_fork")]
pub fn sched_process_fork(ctx: BtfTracePointContext) -> Option<()> {
    let (parent, child): (Task, Task) = (ctx.arg(0), ctx.arg(1));
    task::watched(parent)?;
    match task::remembered(child) {
        Some(known) => known.watched = 1,
        None => Cpu::here()?.count_storage_failure(),
    }
    Some(())
}

/// A new name, by prctl or exec: the next evidence tells it.
#[btf_tracepoint(function = "task_rename")]
pub fn task_rename(ctx: BtfTracePointContext) -> Option<()> {
    task::known(ctx.arg(0))?.named = 0;
    Some(())
}
