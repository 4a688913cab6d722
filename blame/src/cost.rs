//! What the probes took: from the runs that the kernel timed to all that there were.

use std::collections::BTreeMap;

use cronx_abi::hook;
use cronx_recording::{Runs, Trailer};

/// What timing a run adds to it, nanoseconds.
const TIMING_NS: u64 = 40;

/// The hook whose events each program counts, of both objects.
const PROGRAMS: [(&str, usize); 23] = [
    ("sched_waking", hook::WAKING),
    ("sched_wakeup", hook::WAKEUP),
    ("sched_wakeup_new", hook::WAKEUP_NEW),
    ("sched_migrate_task", hook::MIGRATE),
    ("sched_switch", hook::SWITCH),
    ("sched_process_fork", hook::FORK),
    ("task_newtask", hook::FORK),
    ("task_rename", hook::RENAME),
    ("irq_handler_entry", hook::HARD_ENTRY),
    ("irq_handler_exit", hook::HARD_EXIT),
    ("local_timer_entry", hook::HARD_ENTRY),
    ("local_timer_exit", hook::HARD_EXIT),
    ("reschedule_entry", hook::HARD_ENTRY),
    ("reschedule_exit", hook::HARD_EXIT),
    ("call_function_entry", hook::HARD_ENTRY),
    ("call_function_exit", hook::HARD_EXIT),
    ("call_function_single_entry", hook::HARD_ENTRY),
    ("call_function_single_exit", hook::HARD_EXIT),
    ("irq_work_entry", hook::HARD_ENTRY),
    ("irq_work_exit", hook::HARD_EXIT),
    ("softirq_entry", hook::SOFT_ENTRY),
    ("softirq_exit", hook::SOFT_EXIT),
    ("sample", hook::SAMPLE),
];

/// The mean run of each hook's programs, times its events; `None` if no run was timed.
pub(crate) fn own_ns(trailer: &Trailer) -> Option<u64> {
    let mut by_hook: BTreeMap<usize, Runs> = BTreeMap::new();
    for (program, hook) in PROGRAMS {
        let Some(runs) = trailer.programs.get(program) else { continue };
        let sum = by_hook.entry(hook).or_default();
        sum.timed = sum.timed.saturating_add(runs.timed);
        sum.time_ns = sum.time_ns.saturating_add(runs.time_ns);
    }
    by_hook.retain(|_, runs| runs.timed > 0);
    let own = by_hook.iter().map(|(&hook, runs)| of_hook(runs, seen(trailer, hook)));
    (!by_hook.is_empty()).then(|| own.fold(0, u64::saturating_add))
}

fn of_hook(runs: &Runs, seen: u64) -> u64 {
    let own_ns = runs.time_ns.saturating_sub(runs.timed.saturating_mul(TIMING_NS));
    let in_all = u128::from(own_ns) * u128::from(seen) / u128::from(runs.timed);
    u64::try_from(in_all).unwrap_or(u64::MAX)
}

fn seen(trailer: &Trailer, hook: usize) -> u64 {
    let events = trailer.cpus.iter().filter_map(|cpu| cpu.events.get(hook::NAMES[hook]));
    events.fold(0, |sum, events| sum.saturating_add(events.seen))
}

#[cfg(test)]
mod tests;
