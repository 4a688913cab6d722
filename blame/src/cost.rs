//! What the probes took: from the runs that the kernel timed to all that there were.

use std::collections::BTreeMap;

use cronx_recording::{Runs, Trailer};

/// What timing a run adds to it, nanoseconds.
const TIMING_NS: u64 = 40;

/// The hook whose events each program counts ([`cronx_abi::hook::NAMES`]), of both objects.
const PROGRAMS: [(&str, &str); 24] = [
    ("sched_waking", "waking"),
    ("sched_wakeup", "wakeup"),
    ("sched_wakeup_new", "wakeup_new"),
    ("sched_migrate_task", "migrate"),
    ("sched_switch", "switch"),
    ("sched_process_fork", "fork"),
    ("task_newtask", "fork"),
    ("task_rename", "rename"),
    ("irq_handler_entry", "hard_entry"),
    ("irq_handler_exit", "hard_exit"),
    ("local_timer_entry", "hard_entry"),
    ("local_timer_exit", "hard_exit"),
    ("reschedule_entry", "hard_entry"),
    ("reschedule_exit", "hard_exit"),
    ("call_function_entry", "hard_entry"),
    ("call_function_exit", "hard_exit"),
    ("call_function_single_entry", "hard_entry"),
    ("call_function_single_exit", "hard_exit"),
    ("irq_work_entry", "hard_entry"),
    ("irq_work_exit", "hard_exit"),
    ("softirq_entry", "soft_entry"),
    ("softirq_exit", "soft_exit"),
    ("hrtimer_expire_entry", "timer"),
    ("sample", "sample"),
];

/// The mean run of each hook's programs, times its events; `None` if no run was timed.
pub(crate) fn own_ns(trailer: &Trailer) -> Option<u64> {
    let mut by_hook: BTreeMap<&str, Runs> = BTreeMap::new();
    for (program, hook) in PROGRAMS {
        let Some(runs) = trailer.programs.get(program) else { continue };
        let sum = by_hook.entry(hook).or_default();
        sum.timed = sum.timed.saturating_add(runs.timed);
        sum.time_ns = sum.time_ns.saturating_add(runs.time_ns);
    }
    by_hook.retain(|_, runs| runs.timed > 0);
    let own = by_hook.iter().map(|(hook, runs)| of_hook(runs, seen(trailer, hook)));
    (!by_hook.is_empty()).then(|| own.fold(0, u64::saturating_add))
}

fn of_hook(runs: &Runs, seen: u64) -> u64 {
    let own_ns = runs.time_ns.saturating_sub(runs.timed.saturating_mul(TIMING_NS));
    let in_all = u128::from(own_ns) * u128::from(seen) / u128::from(runs.timed);
    u64::try_from(in_all).unwrap_or(u64::MAX)
}

fn seen(trailer: &Trailer, hook: &str) -> u64 {
    let events = trailer.cpus.iter().filter_map(|cpu| cpu.events.get(hook));
    events.fold(0, |sum, events| sum.saturating_add(events.seen))
}

#[cfg(test)]
mod tests;
