//! Entries at classic tracepoints: their records name tasks by number, and only the current task
//! can be asked for more. Where fields stand, user space read from the tracepoints' `format`.

use aya_ebpf::{EbpfContext, Global, programs::TracePointContext};
use core::ffi::c_void;
use cronx_abi::{filter, hook, layer, opening};

use crate::{
    cpu::{Cpu, counted},
    interrupt, offsets, switch, targets,
    task::{self, Name, Task, now},
    wakeup,
};

/// A program at a tracepoint. It gives back 1: with 0, as `aya_ebpf`'s own macro has it, the kernel
/// would keep the event from everybody else who listens to the tracepoint through perf.
macro_rules! entry {
    ($(#[$doc:meta])* $category:literal $name:ident, $hook:ident: |$cpu:pat_param, $ctx:ident| $body:expr) => {
        $(#[$doc])*
        #[unsafe(no_mangle)]
        #[unsafe(link_section = concat!("tracepoint/", $category, "/", stringify!($name)))]
        pub fn $name(ctx: *mut c_void) -> u32 {
            let $ctx = TracePointContext::new(ctx);
            counted(hook::$hook, |$cpu| $body);
            1
        }
    };
}

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

entry! {
    /// In the waker's context, before the wakee is put anywhere.
    "sched" sched_waking, WAKING: |cpu, ctx| wakeup::waking(cpu, other(&ctx, &offsets::WAKING_PID)?)
}

entry! {
    /// The wakee is on a queue: that of its own CPU, which is not always the one that runs this.
    "sched" sched_wakeup, WAKEUP: |_, ctx| queued(&ctx, opening::WAKEUP)
}

entry! {
    /// A forked thread is on a queue for the first time.
    "sched" sched_wakeup_new, WAKEUP_NEW: |_, ctx| queued(&ctx, opening::FORK)
}

#[inline(always)]
fn queued(ctx: &TracePointContext, opening: u8) -> Option<()> {
    let wakee = other(ctx, &offsets::WAKEUP_PID)?;
    wakeup::queued(wakee, field(ctx, &offsets::WAKEUP_TARGET_CPU)?, opening)
}

entry! {
    /// A task changes its queue.
    "sched" sched_migrate_task, MIGRATE: |cpu, ctx| moved(cpu, &ctx)
}

#[inline(always)]
fn moved(cpu: &Cpu, ctx: &TracePointContext) -> Option<()> {
    let migrant = other(ctx, &offsets::MIGRATE_PID)?;
    let from = field(ctx, &offsets::MIGRATE_ORIG_CPU)?;
    wakeup::moved(cpu, migrant, from, field(ctx, &offsets::MIGRATE_DEST_CPU)?)
}

entry! {
    /// One task leaves a CPU, another takes it. The runqueue lock of this CPU is held.
    "sched" sched_switch, SWITCH: |cpu, ctx| switched(cpu, &ctx, now())
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
    let preempted = prev_state & PREEMPTED != 0;
    let state = if preempted { switch::RUNNABLE } else { prev_state as u32 };
    switch::switch(ctx, cpu, (prev, next), state, now);
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

entry! {
    /// A child of a watched thread is watched. Nobody else's tid can still be remembered: it is new.
    "task" task_newtask, FORK: |_, ctx| born(&ctx)
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

entry! {
    /// A new name, by prctl or exec.
    "task" task_rename, RENAME: |cpu, ctx| renamed(cpu, &ctx)
}

#[inline(always)]
fn renamed(cpu: &Cpu, ctx: &TracePointContext) -> Option<()> {
    let tid = field(ctx, &offsets::RENAME_PID)?;
    let current = task::current();
    let task = if current.is(tid) { current } else { Task::other(tid, Name::Unknown) };
    let name = address(ctx, &offsets::RENAME_NEWCOMM);
    if offsets::FILTER.load() == filter::NAMED {
        targets::renamed(cpu, task, name)?;
    }
    task::renamed(cpu, task, name)
}

macro_rules! interrupts {
    ($($layer:ident $category:literal $at:ident $entry_hook:ident $exit_hook:ident: $enter:ident, $exit:ident;)*) => {$(
        entry! {
            #[doc = concat!("`", stringify!($enter), "`.")]
            $category $enter, $entry_hook:
            |cpu, ctx| interrupt::enter(cpu, layer::$layer, field(&ctx, &offsets::$at)?)
        }
        entry! {
            #[doc = concat!("`", stringify!($exit), "`.")]
            $category $exit, $exit_hook:
            |cpu, ctx| interrupt::exit(cpu, layer::$layer, field(&ctx, &offsets::$at)?)
        }
    )*};
}

interrupts! {
    IRQ "irq" IRQ_NUMBER HARD_ENTRY HARD_EXIT: irq_handler_entry, irq_handler_exit;
    SOFTIRQ "irq" SOFTIRQ_NUMBER SOFT_ENTRY SOFT_EXIT: softirq_entry, softirq_exit;
    VECTOR "irq_vectors" VECTOR_NUMBER HARD_ENTRY HARD_EXIT: local_timer_entry, local_timer_exit;
    VECTOR "irq_vectors" VECTOR_NUMBER HARD_ENTRY HARD_EXIT: reschedule_entry, reschedule_exit;
    VECTOR "irq_vectors" VECTOR_NUMBER HARD_ENTRY HARD_EXIT: call_function_entry, call_function_exit;
    VECTOR "irq_vectors" VECTOR_NUMBER HARD_ENTRY HARD_EXIT: call_function_single_entry, call_function_single_exit;
    VECTOR "irq_vectors" VECTOR_NUMBER HARD_ENTRY HARD_EXIT: irq_work_entry, irq_work_exit;
}
