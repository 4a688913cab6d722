//! Walks over all tasks, run by user space: once to mark the load, once to tell the waits still open.

use aya_ebpf::{bindings::task_struct, btf_maps::HashMap, macros::btf_map};
use core::ffi::c_void;
use cronx_abi::{OpenWaitRecord, kind};

use crate::{
    cpu::Cpu,
    offsets,
    task::{self, Task, now, state},
};

/// Processes to record.
#[btf_map]
static TARGETS: HashMap<u32, u32, 1024> = HashMap::new();

/// `struct bpf_iter__task`: the task is its second member, null after the last task.
#[inline(always)]
fn visited(ctx: *mut c_void) -> Option<Task> {
    // SAFETY: the verifier knows the context's layout and types the load.
    let task = Task::given(unsafe { *ctx.cast::<*mut task_struct>().add(1) });
    (!task.is_null()).then_some(task)
}

/// Watches the threads of the target processes, and tells the profiler's own names, which is how
/// user space checks that the offsets are right.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task")]
pub fn watch_tasks(ctx: *mut c_void) -> i32 {
    watch(ctx);
    0
}

#[inline(always)]
fn watch(ctx: *mut c_void) -> Option<()> {
    let task = visited(ctx)?;
    let cpu = Cpu::here()?;
    let tgid: u32 = task::read(task, &offsets::TASK_TGID);
    let now = now();
    if tgid == offsets::PROFILER_TGID.load() {
        task::name(&cpu, task, now);
    }
    // SAFETY: the value is read at once.
    unsafe { TARGETS.get(tgid) }?;
    let Some(known) = task::remembered(task) else {
        cpu.count_storage_failure();
        return None;
    };
    if known.watched == 0 {
        // Watched last: from then on the hooks of other CPUs write the state.
        if task::read::<u8>(task, &offsets::TASK_ON_CPU) != 0 {
            known.state = state::RUNNING;
        }
        known.watched = 1;
    }
    Some(())
}

/// Tells every wait that is still open.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task")]
pub fn tell_open_waits(ctx: *mut c_void) -> i32 {
    tell(ctx);
    0
}

#[inline(always)]
fn tell(ctx: *mut c_void) -> Option<()> {
    let task = visited(ctx)?;
    let known = task::watched(task)?;
    if known.state != state::QUEUED {
        return None;
    }
    let cpu = Cpu::here()?;
    let now = now();
    task::name_remembered(&cpu, task, known, now);
    cpu.emit(kind::OPEN, 0, now, |record: &mut OpenWaitRecord| record.wait = known.wait);
    Some(())
}
