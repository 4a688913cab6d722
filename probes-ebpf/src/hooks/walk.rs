//! Walks over all tasks, run by user space: once to mark the load, once to tell the waits still open.

use aya_ebpf::{
    bindings::{BPF_F_NO_PREALLOC, task_struct},
    btf_maps::HashMap,
    macros::btf_map,
};
use core::ffi::c_void;
use cronx_abi::{OpenWaitRecord, filter, kind, target, wait_flag};

use crate::{
    cpu::Cpu,
    offsets, targets,
    task::{self, Task, now, state},
};

/// What is asked of threads by their number: `cronx_abi::target`. User space fills it for one walk.
#[btf_map]
static TARGETS: HashMap<u32, u32, { 1 << 16 }, { BPF_F_NO_PREALLOC as usize }> = HashMap::new();

/// `struct bpf_iter__task`: the task is its second member, null after the last task.
#[inline(always)]
fn visited(ctx: *mut c_void) -> Option<Task> {
    // SAFETY: the verifier knows the context's layout and types the load.
    let task = Task::given(unsafe { *ctx.cast::<*mut task_struct>().add(1) });
    (!task.is_null()).then_some(task)
}

/// Watches the threads that are asked for, and tells the profiler's own names, which is how user
/// space checks that the offsets are right.
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
    let now = now();
    if task::read::<u32>(task, &offsets::TASK_TGID) == offsets::PROFILER_TGID.load() {
        task::name(&cpu, task, now);
    }
    match asked(task)? {
        target::LEAVE => task::end(&cpu, task::known(task)?, now),
        _ => match task::remembered(task) {
            Some(known) => task::begin(task, known),
            None => cpu.count_storage_failure(),
        },
    }
    Some(())
}

/// What is asked of a task, by its number or its name.
#[inline(always)]
fn asked(task: Task) -> Option<u32> {
    if offsets::FILTER.load() == filter::NAMED {
        return targets::is_wanted(task.comm())?.then_some(target::WATCH);
    }
    // SAFETY: the value is read at once.
    unsafe { TARGETS.get(task::read::<u32>(task, &offsets::TASK_PID)) }.copied()
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
    let known = task::known(task).filter(|known| task::is_watched(known))?;
    if known.state != state::QUEUED {
        return None;
    }
    let cpu = Cpu::here()?;
    let now = now();
    task::name_remembered(&cpu, task, known, now);
    // One that runs was switched in and nobody saw it.
    let told = if task::on_cpu(task) { kind::UNSEEN_CLOSE } else { kind::OPEN };
    cpu.emit(told, 0, now, |record: &mut OpenWaitRecord| {
        record.wait = known.wait;
        // Where the kernel has it: if that is not where it was counted, a move was not seen.
        record.wait.cpu = task::read::<u32>(task, &offsets::TASK_CPU) as u16;
        if task::is_throttled(task) {
            record.wait.flags |= wait_flag::THROTTLED_AT_STOP;
        }
    });
    Some(())
}
