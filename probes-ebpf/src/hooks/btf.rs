//! Entries at BTF tracepoints: their arguments are the kernel's own, tasks among them as pointers.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use cronx_abi::{filter, hook, layer, opening};

use crate::{
    cpu::counted,
    interrupt, offsets, refill, switch, targets,
    task::{self, Task, now},
    wakeup,
};

#[inline(always)]
fn task(ctx: &BtfTracePointContext, n: usize) -> Task {
    Task::given(ctx.arg(n))
}

/// In the waker's context, before the wakee is put anywhere.
#[btf_tracepoint(function = "sched_waking")]
pub fn sched_waking(ctx: BtfTracePointContext) -> Option<()> {
    counted(hook::WAKING, |cpu| wakeup::waking(cpu, task(&ctx, 0)))
}

/// The wakee is on a queue: that of its own CPU, which is not always the one that runs this.
#[btf_tracepoint(function = "sched_wakeup")]
pub fn sched_wakeup(ctx: BtfTracePointContext) -> Option<()> {
    counted(hook::WAKEUP, |_| {
        let wakee = task(&ctx, 0);
        wakeup::queued(wakee, task::read(wakee, &offsets::TASK_CPU), opening::WAKEUP)
    })
}

/// A forked thread is on a queue for the first time.
#[btf_tracepoint(function = "sched_wakeup_new")]
pub fn sched_wakeup_new(ctx: BtfTracePointContext) -> Option<()> {
    counted(hook::WAKEUP_NEW, |_| {
        let wakee = task(&ctx, 0);
        wakeup::first_queued(wakee, task::read(wakee, &offsets::TASK_CPU))
    })
}

/// A task changes its queue.
#[btf_tracepoint(function = "sched_migrate_task")]
pub fn sched_migrate_task(ctx: BtfTracePointContext) -> Option<()> {
    counted(hook::MIGRATE, |cpu| {
        let migrant = task(&ctx, 0);
        // Its CPU is still the one that it leaves.
        wakeup::moved(cpu, migrant, task::read(migrant, &offsets::TASK_CPU), ctx.arg(1))
    })
}

/// One task leaves a CPU, another takes it. The runqueue lock of this CPU is held.
#[btf_tracepoint(function = "sched_switch")]
pub fn sched_switch(ctx: BtfTracePointContext) -> Option<()> {
    counted(hook::SWITCH, |cpu| {
        let now = now();
        // The kernel's 4th argument, not `prev->__state`, which a waker may have set to WAKING already.
        let preempted = ctx.arg::<u32>(0) & 1 != 0;
        let state = if preempted { switch::RUNNABLE } else { ctx.arg(3) };
        switch::switch(&ctx, cpu, (task(&ctx, 1), task(&ctx, 2)), state, now)
    })
}

/// A child of a watched thread is watched.
#[btf_tracepoint(function = "sched_process_fork")]
pub fn sched_process_fork(ctx: BtfTracePointContext) -> Option<()> {
    counted(hook::FORK, |cpu| {
        let (parent, child) = (task(&ctx, 0), task(&ctx, 1));
        task::known(parent).filter(|parent| parent.watched != 0)?;
        match task::remembered(child) {
            Some(known) => known.watched = 1,
            None => cpu.count_storage_failure(),
        }
        Some(())
    })
}

/// A new name, by prctl or exec, which may be one that is asked for.
#[btf_tracepoint(function = "task_rename")]
pub fn task_rename(ctx: BtfTracePointContext) -> Option<()> {
    counted(hook::RENAME, |cpu| {
        let renamed = task(&ctx, 0);
        if offsets::FILTER.load() == filter::NAMED {
            targets::renamed(cpu, renamed, ctx.arg(1))?;
        }
        task::renamed(cpu, renamed, ctx.arg(1))
    })
}

/// Attached only where some cgroup has a quota.
#[btf_tracepoint(function = "hrtimer_expire_entry")]
pub fn hrtimer_expire_entry(ctx: BtfTracePointContext) -> Option<()> {
    counted(hook::TIMER, |cpu| refill::expired(cpu, ctx.arg(0)))
}

macro_rules! interrupts {
    ($($layer:ident $entry_hook:ident $exit_hook:ident: $enter:ident, $exit:ident;)*) => {$(
        #[doc = concat!("`", stringify!($enter), "`.")]
        #[btf_tracepoint]
        pub fn $enter(ctx: BtfTracePointContext) -> Option<()> {
            counted(hook::$entry_hook, |cpu| interrupt::enter(cpu, layer::$layer, ctx.arg(0)))
        }
        #[doc = concat!("`", stringify!($exit), "`.")]
        #[btf_tracepoint]
        pub fn $exit(ctx: BtfTracePointContext) -> Option<()> {
            counted(hook::$exit_hook, |cpu| interrupt::exit(cpu, layer::$layer, ctx.arg(0)))
        }
    )*};
}

// The local vectors have tracepoints of their own: `irq_handler_*` does not see them, and the tail
// of the local timer is most of a typical wait.
interrupts! {
    IRQ HARD_ENTRY HARD_EXIT: irq_handler_entry, irq_handler_exit;
    SOFTIRQ SOFT_ENTRY SOFT_EXIT: softirq_entry, softirq_exit;
    VECTOR HARD_ENTRY HARD_EXIT: local_timer_entry, local_timer_exit;
    VECTOR HARD_ENTRY HARD_EXIT: reschedule_entry, reschedule_exit;
    VECTOR HARD_ENTRY HARD_EXIT: call_function_entry, call_function_exit;
    VECTOR HARD_ENTRY HARD_EXIT: call_function_single_entry, call_function_single_exit;
    VECTOR HARD_ENTRY HARD_EXIT: irq_work_entry, irq_work_exit;
}
