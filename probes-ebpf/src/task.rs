//! A task as the kernel knows it, and what we remember of it in task storage.

use aya_ebpf::{
    Global,
    bindings::{BPF_F_NO_PREALLOC, task_struct},
    helpers::{
        bpf_probe_read_kernel_buf,
        generated::{bpf_get_current_task_btf, bpf_task_storage_get},
    },
    macros::btf_map,
};
use core::ptr;
use cronx_abi::{COMM_LEN, TaskKey, TaskRecord, Wait, Waker, kind, task_flag};

use crate::{cpu::Cpu, offsets};

/// A BTF pointer to a task: a hook's argument, or the current task.
pub type Task = *mut task_struct;

/// Where a watched task is, as far as its hooks told; 0 if they told nothing yet.
pub mod state {
    /// On a CPU.
    pub const RUNNING: u32 = 1;
    /// Neither on a CPU nor waiting for one.
    pub const BLOCKED: u32 = 2;
    /// Waiting for a CPU, and counted there.
    pub const QUEUED: u32 = 3;
}

/// What is remembered of a task.
#[repr(C)]
pub struct TaskState {
    /// The first waking since the last switch-out; 0 for none.
    pub waking_ns: u64,
    /// The last switch-out; 0 if none was seen.
    pub off_ns: u64,
    /// Who did that waking.
    pub waker: Waker,
    /// The wait, valid while QUEUED; `wait.cpu` is the CPU the task is counted on.
    pub wait: Wait,
    /// One of [`state`].
    pub state: u32,
    /// 1 for a thread of the load.
    pub watched: u32,
    /// 1 once its present name was told.
    pub named: u32,
    /// Always 0.
    pub reserved: u32,
}

/// A BTF map is described by a struct of null pointers; aya-ebpf has none for task storage.
#[repr(C)]
pub struct TaskStorage<T> {
    r#type: *const [i32; 29],
    key: *const i32,
    value: *const T,
    max_entries: *const [i32; 0],
    map_flags: *const [i32; BPF_F_NO_PREALLOC as usize],
}

// SAFETY: the struct holds no data; it only describes the map to the loader.
unsafe impl<T> Sync for TaskStorage<T> {}

#[btf_map]
static TASKS: TaskStorage<TaskState> = TaskStorage {
    r#type: ptr::null(),
    key: ptr::null(),
    value: ptr::null(),
    max_entries: ptr::null(),
    map_flags: ptr::null(),
};

/// What is remembered of `task`, if anything is.
#[inline(always)]
pub fn known<'a>(task: Task) -> Option<&'a mut TaskState> {
    storage(task, 0)
}

/// What is remembered of `task`, from now on.
#[inline(always)]
pub fn remembered<'a>(task: Task) -> Option<&'a mut TaskState> {
    storage(task, 1)
}

/// What is remembered of `task` if it is watched.
#[inline(always)]
pub fn watched<'a>(task: Task) -> Option<&'a mut TaskState> {
    known(task).filter(|state| state.watched != 0)
}

#[inline(always)]
fn storage<'a>(task: Task, create: u64) -> Option<&'a mut TaskState> {
    let map = ptr::from_ref(&TASKS).cast_mut().cast();
    // SAFETY: a BTF pointer and our own map; what comes back is null or a value of the map.
    unsafe { bpf_task_storage_get(map, task, ptr::null_mut(), create).cast::<TaskState>().as_mut() }
}

/// The task that runs here.
#[inline(always)]
pub fn current() -> Task {
    // SAFETY: the helper has no precondition.
    unsafe { bpf_get_current_task_btf() }
}

/// Reads a field of a task through its BTF pointer.
#[inline(always)]
pub fn read<T: Copy>(task: Task, offset: &Global<u64>) -> T {
    // SAFETY: the verifier checks the load against the kernel's BTF.
    unsafe { *task.cast::<u8>().add(offset.load() as usize).cast::<T>() }
}

/// The task's key; all 0 for an idle task, whose start is not worth telling.
#[inline(always)]
pub fn key(task: Task) -> TaskKey {
    let tid: u32 = read(task, &offsets::TASK_PID);
    if tid == 0 {
        return TaskKey { start_ns: 0, tid: 0, tgid: 0 };
    }
    TaskKey {
        start_ns: read(task, &offsets::TASK_START_TIME),
        tid,
        tgid: read(task, &offsets::TASK_TGID),
    }
}

/// Tells the name of a task before the first evidence that needs it, once until it changes.
#[inline(always)]
pub fn name(cpu: &Cpu, task: Task, at_ns: u64) {
    match remembered(task) {
        Some(state) => name_remembered(cpu, task, state, at_ns),
        None => cpu.count_storage_failure(),
    }
}

/// [`name`] for a task whose storage is at hand.
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
        read_comm(task, &mut record.comm);
        let leader: Task = read(task, &offsets::TASK_GROUP_LEADER);
        read_comm(leader, &mut record.process);
        record.flags = flags(task, record.task.tgid, watched);
        record.reserved = 0;
    })
}

#[inline(always)]
fn read_comm(task: Task, comm: &mut [u8; COMM_LEN]) {
    // SAFETY: a probe read fails rather than faults; a failed one leaves an empty name.
    unsafe {
        let from = task.cast::<u8>().cast_const().add(offsets::TASK_COMM.load() as usize);
        if bpf_probe_read_kernel_buf(from, comm).is_err() {
            comm[0] = 0;
        }
    }
}

#[inline(always)]
fn flags(task: Task, tgid: u32, watched: u32) -> u32 {
    /// `PF_KTHREAD` of include/linux/sched.h.
    const PF_KTHREAD: u32 = 0x0020_0000;
    let mut flags = 0;
    if read::<u32>(task, &offsets::TASK_FLAGS) & PF_KTHREAD != 0 {
        flags |= task_flag::KERNEL;
    }
    if watched != 0 {
        flags |= task_flag::WATCHED;
    }
    if tgid == offsets::PROFILER_TGID.load() {
        flags |= task_flag::PROFILER;
    }
    flags
}
