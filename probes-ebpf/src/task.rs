//! A task as the kernel shows it to us, and what we remember of it.

#[cfg(not(feature = "legacy"))]
mod btf;
#[cfg(feature = "legacy")]
mod classic;

use core::ptr;

use aya_ebpf::helpers::{bpf_ktime_get_ns, bpf_probe_read_kernel_str_bytes};
use cronx_abi::{COMM_LEN, OpenWaitRecord, TaskRecord, filter, kind, task_flag};
pub use cronx_abi::{TaskState, task_state as state};

use crate::{cpu::Cpu, offsets};

#[cfg(not(feature = "legacy"))]
pub use btf::{
    Task, current, is_queued, is_throttled, key, known, on_cpu, probe, probe_at, read, remembered,
    runs, same, sleeps, task_group_id,
};
#[cfg(feature = "legacy")]
pub use classic::{
    Name, Task, current, forget, is_queued, is_throttled, key, known, on_cpu, remembered, runs,
    same, sleeps, watch,
};

/// The instant, CLOCK_MONOTONIC.
#[inline(always)]
pub fn now() -> u64 {
    // SAFETY: the helper has no precondition.
    unsafe { bpf_ktime_get_ns() }
}

/// What is remembered of `task`: of every task, if all are watched.
#[inline(always)]
pub fn recalled<'a>(task: Task) -> Option<&'a mut TaskState> {
    if offsets::FILTER.load() == filter::ALL { remembered(task) } else { known(task) }
}

/// Whether the task that `state` is of is watched.
#[inline(always)]
pub fn is_watched(state: &TaskState) -> bool {
    offsets::FILTER.load() == filter::ALL || state.watched != 0
}

/// What is remembered of `task` if it is watched.
#[inline(always)]
pub fn watched<'a>(task: Task) -> Option<&'a mut TaskState> {
    recalled(task).filter(|state| is_watched(state))
}

/// Begins to watch a task, wherever it is.
#[inline(always)]
pub fn begin(task: Task, known: &mut TaskState) {
    if known.watched != 0 {
        return;
    }
    known.waking_ns = 0;
    known.wait.off_ns = 0;
    known.state = match (on_cpu(task), is_queued(task)) {
        (true, _) => state::RUNNING,
        (_, true) => state::QUEUED_UNSEEN,
        _ => 0,
    };
    // Watched last: from then on the hooks of other CPUs write the state.
    known.watched = 1;
}

/// Watches a task no more. A wait that is open then has no end that anybody will see.
#[inline(always)]
pub fn end(cpu: &Cpu, known: &mut TaskState, at_ns: u64) {
    if known.watched == 0 {
        return;
    }
    known.watched = 0;
    if known.state == state::QUEUED {
        close_unseen(cpu, known, at_ns);
    }
    known.state = 0;
}

/// The wait that is open has ended, and nobody saw when.
#[inline(always)]
pub fn close_unseen(cpu: &Cpu, known: &mut TaskState, at_ns: u64) {
    if let Some(counted) = Cpu::numbered(known.wait.cpu.into()) {
        // If it was told as open at the stop, the slice that runs now concerns it.
        counted.state().owed = 1;
        counted.uncount();
    }
    known.state = state::BLOCKED;
    cpu.emit(kind::UNSEEN_CLOSE, 0, at_ns, |record: &mut OpenWaitRecord| {
        record.wait = known.wait;
    });
}

/// Tells the name of a task before the first evidence that needs it, and again when it changed, or
/// its priority or cgroup did.
#[inline(always)]
pub fn name(cpu: &Cpu, task: Task, at_ns: u64) {
    match remembered(task) {
        Some(state) => name_remembered(cpu, task, state, at_ns),
        None => cpu.count_storage_failure(),
    }
}

/// [`name`] for a task that is remembered already.
#[inline(always)]
pub fn name_remembered(cpu: &Cpu, task: Task, state: &mut TaskState, at_ns: u64) {
    if state.named == 0 || !task.is_as_told(state) {
        tell_name(cpu, task, state, at_ns, ptr::null());
    }
}

/// The task is about to have the name at that address, and is told by it at once: evidence that comes
/// before the kernel has written it would still read the old one.
#[inline(always)]
pub fn renamed(cpu: &Cpu, task: Task, name: *const u8) -> Option<()> {
    tell_name(cpu, task, known(task)?, now(), name);
    Some(())
}

#[inline(always)]
fn is_ours(tgid: u32) -> bool {
    tgid != 0 && (tgid == offsets::PROFILER_TGID.load() || tgid == offsets::KEEPER_TGID.load())
}

/// With the name at that address, unless it is null. Kept out of line: rare, and large.
#[inline(never)]
fn tell_name(cpu: &Cpu, task: Task, state: &mut TaskState, at_ns: u64, new_name: *const u8) {
    let told = cpu.emit(kind::TASK, 0, at_ns, |record: &mut TaskRecord| {
        record.task = key(task);
        record.comm = [0; COMM_LEN];
        record.process = [0; COMM_LEN];
        task.describe(record, state);
        if !new_name.is_null() {
            // SAFETY: a probe read fails rather than faults; a failed one leaves the old name.
            let _ = unsafe { bpf_probe_read_kernel_str_bytes(new_name, &mut record.comm) };
            if record.task.tid == record.task.tgid && record.process[0] != 0 {
                record.process = record.comm;
            }
        }
        if state.watched != 0 {
            record.flags |= task_flag::WATCHED;
        }
        if is_ours(record.task.tgid) {
            record.flags |= task_flag::PROFILER;
        }
        record.reserved = 0;
    });
    state.named = told.into();
}
