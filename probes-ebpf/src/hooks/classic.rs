//! Entries at classic tracepoints: their records name tasks by number, and only the current task
//! can be asked for more. Where fields stand, user space read from the tracepoints' `format`.

use aya_ebpf::{EbpfContext, Global, macros::tracepoint, programs::TracePointContext};
use cronx_abi::{filter, hook, layer, opening};

use crate::{
    cpu::{Cpu, counted},
    interrupt, offsets, switch, targets,
    task::{self, Name, Task, now},
    wakeup,
};

/// What every entry gives back. With 0 the kernel would keep the event from everybody else who listens
/// to the tracepoint through perf.
const OTHERS_TOO: u32 = 1;

/// Reads a field of the tracepoint's record.
#[inline(always)]
fn field<T>(ctx: &TracePointContext, offset: &Global<u64>) -> Option<T> {
    // SAFETY: a probe read fails rather than faults.
    unsafe { ctx.read_at(offset.load() as usize) }.ok()
}

#[inline(always)]
fn other(ctx: &TracePointContext, tid: &Global<u64>) -> Option<Task> {
    Some(Task::other(field(ctx, tid)?, Name::Unknown))
}

/// In the waker's context, before the wakee is put anywhere.
#[tracepoint(category = "sched", name = "sched_waking")]
pub fn sched_waking(ctx: TracePointContext) -> u32 {
    counted(hook::WAKING, |cpu| wakeup::waking(cpu, other(&ctx, &offsets::WAKING_PID)?));
    OTHERS_TOO
}

/// The wakee is on a queue: that of its own CPU, which is not always the one that runs this.
#[tracepoint(category = "sched", name = "sched_wakeup")]
pub fn sched_wakeup(ctx: TracePointContext) -> u32 {
    counted(hook::WAKEUP, |_| queued(&ctx, opening::WAKEUP));
    OTHERS_TOO
}

/// A forked thread is on a queue for the first time.
#[tracepoint(category = "sched", name = "sched_wakeup_new")]
pub fn sched_wakeup_new(ctx: TracePointContext) -> u32 {
    counted(hook::WAKEUP_NEW, |_| queued(&ctx, opening::FORK));
    OTHERS_TOO
}

#[inline(always)]
fn queued(ctx: &TracePointContext, opening: u8) -> Option<()> {
    let wakee = other(ctx, &offsets::WAKEUP_PID)?;
    wakeup::queued(wakee, field(ctx, &offsets::WAKEUP_TARGET_CPU)?, opening)
}

/// A task changes its queue.
#[tracepoint(category = "sched", name = "sched_migrate_task")]
pub fn sched_migrate_task(ctx: TracePointContext) -> u32 {
    counted(hook::MIGRATE, |cpu| moved(cpu, &ctx));
    OTHERS_TOO
}

#[inline(always)]
fn moved(cpu: &Cpu, ctx: &TracePointContext) -> Option<()> {
    let migrant = other(ctx, &offsets::MIGRATE_PID)?;
    let from = field(ctx, &offsets::MIGRATE_ORIG_CPU)?;
    wakeup::moved(cpu, migrant, from, field(ctx, &offsets::MIGRATE_DEST_CPU)?)
}

/// One task leaves a CPU, another takes it. The runqueue lock of this CPU is held.
#[tracepoint(category = "sched", name = "sched_switch")]
pub fn sched_switch(ctx: TracePointContext) -> u32 {
    counted(hook::SWITCH, |cpu| switched(cpu, &ctx, now()));
    OTHERS_TOO
}

#[inline(always)]
fn switched(cpu: &Cpu, ctx: &TracePointContext, now: u64) -> Option<()> {
    /// `EXIT_DEAD` and `EXIT_ZOMBIE` of include/linux/sched.h: it will not come back.
    const EXITED: u64 = 0x10 | 0x20;
    /// `TASK_REPORT_MAX`: how the record says that a runnable task was preempted.
    const PREEMPTED: u64 = 0x100;
    let prev_state: u64 = field(ctx, &offsets::SWITCH_PREV_STATE)?;
    let prev_tid: u32 = field(ctx, &offsets::SWITCH_PREV_PID)?;
    let next_tid: u32 = field(ctx, &offsets::SWITCH_NEXT_PID)?;
    // The current task is still the one that leaves; the idle task is nobody's process.
    let prev = if prev_tid == 0 { Task::other(0, Name::Unknown) } else { task::current() };
    let prev = prev.with_priority(field(ctx, &offsets::SWITCH_PREV_PRIO));
    let next = Task::other(next_tid, Name::Field(address(ctx, &offsets::SWITCH_NEXT_COMM)))
        .with_priority(field(ctx, &offsets::SWITCH_NEXT_PRIO));
    let runnable = prev_state == 0 || prev_state & PREEMPTED != 0;
    switch::switch(ctx, cpu, (prev, next), runnable, now);
    if prev_state & EXITED != 0 {
        task::forget(prev_tid);
    }
    Some(())
}

/// Where a field of the record stands; only ever given to a probe read.
#[inline(always)]
fn address(ctx: &TracePointContext, offset: &Global<u64>) -> *const u8 {
    ctx.as_ptr().cast::<u8>().cast_const().wrapping_add(offset.load() as usize)
}

/// A child of a watched thread is watched. Nobody else's tid can still be remembered: it is new.
#[tracepoint(category = "task", name = "task_newtask")]
pub fn task_newtask(ctx: TracePointContext) -> u32 {
    counted(hook::FORK, |_| born(&ctx));
    OTHERS_TOO
}

#[inline(always)]
fn born(ctx: &TracePointContext) -> Option<()> {
    const CLONE_THREAD: u64 = 0x0001_0000;
    let tid: u32 = field(ctx, &offsets::NEWTASK_PID)?;
    let flags: u64 = field(ctx, &offsets::NEWTASK_FLAGS)?;
    let parent = task::current();
    task::forget(tid);
    task::known(parent).filter(|parent| parent.watched != 0)?;
    let tgid = if flags & CLONE_THREAD != 0 { parent.tgid } else { tid };
    task::watch(tid, tgid, now())
}

/// A new name, by prctl or exec: the next evidence tells it.
#[tracepoint(category = "task", name = "task_rename")]
pub fn task_rename(ctx: TracePointContext) -> u32 {
    counted(hook::RENAME, |cpu| renamed(cpu, &ctx));
    OTHERS_TOO
}

#[inline(always)]
fn renamed(cpu: &Cpu, ctx: &TracePointContext) -> Option<()> {
    let tid = field(ctx, &offsets::RENAME_PID)?;
    let current = task::current();
    let task = if current.is(tid) { current } else { Task::other(tid, Name::Unknown) };
    if offsets::FILTER.load() == filter::NAMED {
        targets::renamed(cpu, task, address(ctx, &offsets::RENAME_NEWCOMM))?;
    }
    task::known(task)?.named = 0;
    Some(())
}

macro_rules! interrupts {
    ($($layer:ident $at:ident $entry_hook:ident $exit_hook:ident: $enter:ident, $exit:ident;)*) => {$(
        #[doc = concat!("`", stringify!($enter), "`.")]
        #[tracepoint]
        pub fn $enter(ctx: TracePointContext) -> u32 {
            counted(hook::$entry_hook, |cpu| {
                interrupt::enter(cpu, layer::$layer, field(&ctx, &offsets::$at)?)
            });
            OTHERS_TOO
        }
        #[doc = concat!("`", stringify!($exit), "`.")]
        #[tracepoint]
        pub fn $exit(ctx: TracePointContext) -> u32 {
            counted(hook::$exit_hook, |cpu| {
                interrupt::exit(cpu, layer::$layer, field(&ctx, &offsets::$at)?)
            });
            OTHERS_TOO
        }
    )*};
}

interrupts! {
    IRQ IRQ_NUMBER HARD_ENTRY HARD_EXIT: irq_handler_entry, irq_handler_exit;
    SOFTIRQ SOFTIRQ_NUMBER SOFT_ENTRY SOFT_EXIT: softirq_entry, softirq_exit;
    VECTOR VECTOR_NUMBER HARD_ENTRY HARD_EXIT: local_timer_entry, local_timer_exit;
    VECTOR VECTOR_NUMBER HARD_ENTRY HARD_EXIT: reschedule_entry, reschedule_exit;
    VECTOR VECTOR_NUMBER HARD_ENTRY HARD_EXIT: call_function_entry, call_function_exit;
    VECTOR VECTOR_NUMBER HARD_ENTRY HARD_EXIT: call_function_single_entry, call_function_single_exit;
    VECTOR VECTOR_NUMBER HARD_ENTRY HARD_EXIT: irq_work_entry, irq_work_exit;
}
