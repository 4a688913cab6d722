//! Tasks as BTF pointers, remembered in task storage: the kernel frees it with the task.

use aya_ebpf::{
    Global,
    bindings::{BPF_F_NO_PREALLOC, task_struct},
    helpers::{
        bpf_probe_read_kernel, bpf_probe_read_kernel_buf,
        generated::{bpf_get_current_task_btf, bpf_task_storage_get},
    },
    macros::btf_map,
};
use core::ptr;
use cronx_abi::{COMM_LEN, TaskKey, TaskRecord, task_flag};

use super::TaskState;
use crate::offsets;

/// A BTF pointer to a task: a hook's argument, or the current task.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Task(*mut task_struct);

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

#[inline(always)]
fn storage<'a>(task: Task, create: u64) -> Option<&'a mut TaskState> {
    let map = ptr::from_ref(&TASKS).cast_mut().cast();
    // SAFETY: a BTF pointer and our own map; what comes back is null or a value of the map.
    unsafe {
        bpf_task_storage_get(map, task.0, ptr::null_mut(), create).cast::<TaskState>().as_mut()
    }
}

/// The task that runs here.
#[inline(always)]
pub fn current() -> Task {
    // SAFETY: the helper has no precondition.
    Task(unsafe { bpf_get_current_task_btf() })
}

/// Reads a field of a task through its BTF pointer.
#[inline(always)]
pub fn read<T: Copy>(task: Task, offset: &Global<u64>) -> T {
    // SAFETY: the verifier checks the load against the kernel's BTF.
    unsafe { *task.0.cast::<u8>().add(offset.load() as usize).cast::<T>() }
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

/// Whether the task sleeps: it is on no CPU, and on no queue but to be taken off it. `on_rq` too is a
/// byte since 7.x; it is at most 2.
#[inline(always)]
pub fn sleeps(task: Task) -> bool {
    !on_cpu(task) && !is_on_queue(task)
}

/// Whether the task waits for a CPU.
#[inline(always)]
pub fn is_queued(task: Task) -> bool {
    !on_cpu(task) && is_on_queue(task)
}

#[inline(always)]
fn is_on_queue(task: Task) -> bool {
    let delayed = offsets::TASK_SCHED_DELAYED.load() != offsets::ABSENT
        && read::<u8>(task, &offsets::TASK_SCHED_DELAYED) != 0;
    !delayed && read::<u8>(task, &offsets::TASK_ON_RQ) != 0
}

/// The kernel's `task_group` of a task; null where the kernel was built without.
#[inline(always)]
fn group(task: Task) -> *const u8 {
    if offsets::TASK_GROUP.load() == offsets::ABSENT {
        return ptr::null();
    }
    read(task, &offsets::TASK_GROUP)
}

/// The id of a task group's cgroup; 0 if it has none. By probe reads, which fail rather than fault,
/// since not every caller has a pointer that the verifier knows.
#[inline(always)]
pub fn task_group_id(group: *const u8) -> u64 {
    if group.is_null() || offsets::NODE_ID.load() == offsets::ABSENT {
        return 0;
    }
    let id = || -> Result<u64, i32> {
        let cgroup: *const u8 = probe(group, &offsets::GROUP_CGROUP)?;
        let node: *const u8 = probe(cgroup, &offsets::CGROUP_NODE)?;
        probe(node, &offsets::NODE_ID)
    };
    id().unwrap_or(0)
}

/// Reads kernel memory at an offset.
#[inline(always)]
pub fn probe<T>(from: *const u8, offset: &Global<u64>) -> Result<T, i32> {
    probe_at(from.wrapping_add(offset.load() as usize))
}

/// Reads kernel memory.
#[inline(always)]
pub fn probe_at<T>(at: *const u8) -> Result<T, i32> {
    // SAFETY: a probe read fails rather than faults.
    unsafe { bpf_probe_read_kernel(at.cast::<T>()) }
}

/// Whether the task's cgroup is out of quota, so that the kernel will not let it run.
#[inline(always)]
pub fn is_throttled(task: Task) -> bool {
    if offsets::TASK_THROTTLED.load() != offsets::ABSENT {
        return read::<u8>(task, &offsets::TASK_THROTTLED) != 0;
    }
    /// `MAX_RT_PRIO` of include/linux/sched/prio.h: whoever is above it has no such quota.
    const MAX_RT_PRIO: i32 = 100;
    if offsets::TASK_CFS_RQ.load() == offsets::ABSENT
        || read::<i32>(task, &offsets::TASK_PRIO) < MAX_RT_PRIO
    {
        return false;
    }
    let queue: *const u8 = read(task, &offsets::TASK_CFS_RQ);
    // SAFETY: the verifier types the pointer by the kernel's BTF, and checks this load against it.
    unsafe { *queue.add(offsets::CFS_RQ_THROTTLE_COUNT.load() as usize).cast::<i32>() > 0 }
}

/// Whether two keys are of one task.
#[inline(always)]
pub fn same(a: TaskKey, b: TaskKey) -> bool {
    a == b
}

/// Whether the task is on a CPU. An int in most kernels, a byte since 7.x; it is 0 or 1.
#[inline(always)]
pub fn on_cpu(task: Task) -> bool {
    read::<u8>(task, &offsets::TASK_ON_CPU) != 0
}

/// The same of one that is remembered. What the kernel says outranks our own RUNNING, which is
/// stale after a switch-out that nobody saw.
#[inline(always)]
pub fn runs(task: Task, _known: &TaskState) -> bool {
    on_cpu(task)
}

impl Task {
    /// A task that a hook was given.
    #[inline(always)]
    pub fn given(pointer: *mut task_struct) -> Self {
        Self(pointer)
    }

    /// Whether a walk has come to its end.
    #[inline(always)]
    pub fn is_null(self) -> bool {
        self.0.is_null()
    }

    /// Fills in names and what else the kernel says of the task, and remembers what was said.
    #[inline(always)]
    pub fn describe(self, record: &mut TaskRecord, state: &mut TaskState) {
        /// `PF_KTHREAD` of include/linux/sched.h.
        const PF_KTHREAD: u32 = 0x0020_0000;
        self.read_comm(&mut record.comm);
        let leader = read::<Task>(self, &offsets::TASK_GROUP_LEADER);
        leader.read_comm(&mut record.process);
        let kernel = read::<u32>(self, &offsets::TASK_FLAGS) & PF_KTHREAD != 0;
        record.flags = if kernel { task_flag::KERNEL } else { 0 };
        record.priority = read(self, &offsets::TASK_PRIO);
        record.policy = read(self, &offsets::TASK_POLICY);
        record.cgroup = task_group_id(group(self));
        state.priority = record.priority;
        state.group = group(self) as u64;
    }

    /// Whether priority and cgroup are what was told last.
    #[inline(always)]
    pub fn is_as_told(self, state: &TaskState) -> bool {
        state.priority == read::<i32>(self, &offsets::TASK_PRIO)
            && state.group == group(self) as u64
    }

    /// Where its name stands.
    #[inline(always)]
    pub fn comm(self) -> *const u8 {
        self.0.cast::<u8>().cast_const().wrapping_add(offsets::TASK_COMM.load() as usize)
    }

    #[inline(always)]
    fn read_comm(self, comm: &mut [u8; COMM_LEN]) {
        // SAFETY: a probe read fails rather than faults; a failed one leaves an empty name.
        if unsafe { bpf_probe_read_kernel_buf(self.comm(), comm) }.is_err() {
            comm[0] = 0;
        }
    }
}
