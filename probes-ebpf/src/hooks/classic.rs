//! Entries at classic tracepoints: their records name tasks by number, and only the current task
//! can be asked for more. Where fields stand, user space read from the tracepoints' `format`.

use aya_ebpf::{Global, macros::tracepoint, programs::TracePointContext};
use cronx_abi::{hook, layer, opening};

use crate::{
    cpu::counted,
    interrupt, offsets, switch,
    task::{self, Name, Task, now},
    wakeup,
};

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
    counted(hook::WAKING, || wakeup::waking(other(&ctx, &offsets::WAKING_PID)?));
    0
}

/// The wakee is on a queue: that of its own CPU, which is not always the one that runs this.
#[tracepoint(category = "sched", name = "sched_wakeup")]
pub fn sched_wakeup(ctx: TracePointContext) -> u32 {
    counted(hook::WAKEUP, || queued(&ctx, opening::WAKEUP));
    0
}

/// A forked thread is on a queue for the first time.
#[tracepoint(category = "sched", name = "sched_wakeup_new")]
pub fn sched_wakeup_new(ctx: TracePointContext) -> u32 {
    counted(hook::WAKEUP_NEW, || queued(&ctx, opening::FORK));
    0
}

#[inline(always)]
fn queued(ctx: &TracePointContext, opening: u8) -> Option<()> {
    let wakee = other(ctx, &offsets::WAKEUP_PID)?;
    wakeup::queued(wakee, field(ctx, &offsets::WAKEUP_TARGET_CPU)?, opening)
}

/// A task changes its queue.
#[tracepoint(category = "sched", name = "sched_migrate_task")]
pub fn sched_migrate_task(ctx: TracePointContext) -> u32 {
    counted(hook::MIGRATE, || moved(&ctx));
    0
}

#[inline(always)]
fn moved(ctx: &TracePointContext) -> Option<()> {
    let migrant = other(ctx, &offsets::MIGRATE_PID)?;
    wakeup::moved(migrant, field(ctx, &offsets::MIGRATE_DEST_CPU)?)
}

/// One task leaves a CPU, another takes it. The runqueue lock of this CPU is held.
#[tracepoint(category = "sched", name = "sched_switch")]
pub fn sched_switch(ctx: TracePointContext) -> u32 {
    counted(hook::SWITCH, || switched(&ctx, now()));
    0
}

#[inline(always)]
fn switched(ctx: &TracePointContext, now: u64) -> Option<()> {
    /// `EXIT_DEAD` and `EXIT_ZOMBIE` of include/linux/sched.h: it will not come back.
    const EXITED: u64 = 0x10 | 0x20;
    /// `TASK_REPORT_MAX`: how the record says that a runnable task was preempted.
    const PREEMPTED: u64 = 0x100;
    let prev_state: u64 = field(ctx, &offsets::SWITCH_PREV_STATE)?;
    let prev_tid: u32 = field(ctx, &offsets::SWITCH_PREV_PID)?;
    let next_tid: u32 = field(ctx, &offsets::SWITCH_NEXT_PID)?;
    // The current task is still the one that leaves; the idle task is nobody's process.
    let prev = if prev_tid == 0 { Task::other(0, Name::Unknown) } else { task::current() };
    let next = Task::other(next_tid, Name::Field(name_of_next(ctx)));
    let runnable = prev_state == 0 || prev_state & PREEMPTED != 0;
    switch::switch(ctx, prev, next, runnable, now);
    if prev_state & EXITED != 0 {
        task::forget(prev_tid);
    }
    Some(())
}

#[inline(always)]
fn name_of_next(ctx: &TracePointContext) -> *const u8 {
    use aya_ebpf::EbpfContext;
    // SAFETY: only ever given to a probe read.
    unsafe { ctx.as_ptr().cast::<u8>().add(offsets::SWITCH_NEXT_COMM.load() as usize) }
}

/// A child of a watched thread is watched. Nobody else's tid can still be remembered: it is new.
#[tracepoint(category = "task", name = "task_newtask")]
pub fn task_newtask(ctx: TracePointContext) -> u32 {
    counted(hook::FORK, || born(&ctx));
    0
}

#[inline(always)]
fn born(ctx: &TracePointContext) -> Option<()> {
    const CLONE_THREAD: u64 = 0x0001_0000;
    let tid: u32 = field(ctx, &offsets::NEWTASK_PID)?;
    let flags: u64 = field(ctx, &offsets::NEWTASK_FLAGS)?;
    let parent = task::current();
    task::forget(tid);
    task::watched(parent)?;
    let tgid = if flags & CLONE_THREAD != 0 { parent.tgid } else { tid };
    task::watch(tid, tgid, now())
}

/// A new name, by prctl or exec: the next evidence tells it.
#[tracepoint(category = "task", name = "task_rename")]
pub fn task_rename(ctx: TracePointContext) -> u32 {
    counted(hook::RENAME, || {
        task::known(other(&ctx, &offsets::RENAME_PID)?)?.named = 0;
        Some(())
    });
    0
}

macro_rules! interrupts {
    ($($layer:ident $at:ident $entry_hook:ident $exit_hook:ident: $enter:ident, $exit:ident;)*) => {$(
        #[doc = concat!("`", stringify!($enter), "`.")]
        #[tracepoint]
        pub fn $enter(ctx: TracePointContext) -> u32 {
            counted(hook::$entry_hook, || {
                interrupt::enter(layer::$layer, field(&ctx, &offsets::$at)?)
            });
            0
        }
        #[doc = concat!("`", stringify!($exit), "`.")]
        #[tracepoint]
        pub fn $exit(ctx: TracePointContext) -> u32 {
            counted(hook::$exit_hook, || {
                interrupt::exit(layer::$layer, field(&ctx, &offsets::$at)?)
            });
            0
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
