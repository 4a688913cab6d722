//! A task as the kernel shows it to us, and what we remember of it.

#[cfg(not(feature = "legacy"))]
mod btf;
#[cfg(feature = "legacy")]
mod classic;

use aya_ebpf::helpers::bpf_ktime_get_ns;
use cronx_abi::{COMM_LEN, TaskRecord, kind, task_flag};
pub use cronx_abi::{TaskState, task_state as state};

use crate::{cpu::Cpu, offsets};

#[cfg(not(feature = "legacy"))]
pub use btf::{Task, current, key, known, read, remembered, runs, same};
#[cfg(feature = "legacy")]
pub use classic::{Name, Task, current, forget, key, known, remembered, runs, same, watch};

/// The instant, CLOCK_MONOTONIC.
#[inline(always)]
pub fn now() -> u64 {
    // SAFETY: the helper has no precondition.
    unsafe { bpf_ktime_get_ns() }
}

/// What is remembered of `task` if it is watched.
#[inline(always)]
pub fn watched<'a>(task: Task) -> Option<&'a mut TaskState> {
    known(task).filter(|state| state.watched != 0)
}

/// Tells the name of a task before the first evidence that needs it, once until it changes.
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
    if state.named == 0 && tell_name(cpu, task, state.watched, at_ns) {
        state.named = 1;
    }
}

/// Kept out of line: rare, and large.
#[inline(never)]
fn tell_name(cpu: &Cpu, task: Task, watched: u32, at_ns: u64) -> bool {
    cpu.emit(kind::TASK, 0, at_ns, |record: &mut TaskRecord| {
        record.task = key(task);
        record.comm = [0; COMM_LEN];
        record.process = [0; COMM_LEN];
        task.read_names(record);
        if watched != 0 {
            record.flags |= task_flag::WATCHED;
        }
        if record.task.tgid == offsets::PROFILER_TGID.load() {
            record.flags |= task_flag::PROFILER;
        }
        record.reserved = 0;
    })
}
