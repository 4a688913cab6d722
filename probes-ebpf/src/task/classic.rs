//! Tasks as numbers, remembered in a hash by thread: an entry lives from the birth of a thread of
//! the load, or from the first evidence of another, to its last switch-out.

use aya_ebpf::{
    btf_maps::HashMap,
    helpers::{bpf_get_current_comm, bpf_get_current_pid_tgid, bpf_probe_read_kernel_buf},
    macros::btf_map,
};
use cronx_abi::{TaskKey, TaskRecord, UNKNOWN_PRIORITY, Wait, Waker, opening};

use super::{TaskState, state};

/// Threads remembered at once. User space counts what did not fit.
const MAX_TASKS: usize = 1 << 16;

/// The start of a thread whose birth was not seen: it is older than the recording.
const UNSEEN_BIRTH: u64 = 1;

#[btf_map]
static TASKS: HashMap<u32, TaskState, MAX_TASKS> = HashMap::new();

/// Where a task's name is to be read.
#[derive(Clone, Copy)]
pub enum Name {
    /// It is the current task's.
    Current,
    /// In the tracepoint's record, at this address.
    Field(*const u8),
    /// Nowhere.
    Unknown,
}

/// A task as a hook names it.
#[derive(Clone, Copy)]
pub struct Task {
    tid: u32,
    /// 0 if the hook does not say.
    pub tgid: u32,
    name: Name,
    /// UNKNOWN_PRIORITY if the hook does not say.
    priority: i32,
}

impl Task {
    /// A task that is not the current one.
    #[inline(always)]
    pub fn other(tid: u32, name: Name) -> Self {
        Self { tid, tgid: 0, name, priority: UNKNOWN_PRIORITY }
    }

    /// Whether it is the thread of this number.
    #[inline(always)]
    pub fn is(self, tid: u32) -> bool {
        self.tid == tid
    }

    /// The same with a priority that the hook names.
    #[inline(always)]
    pub fn with_priority(self, priority: Option<i32>) -> Self {
        Self { priority: priority.unwrap_or(UNKNOWN_PRIORITY), ..self }
    }

    /// Whether the priority, if the hook names one, is what was told last.
    #[inline(always)]
    pub fn is_as_told(self, state: &TaskState) -> bool {
        self.priority == UNKNOWN_PRIORITY || self.priority == state.priority
    }

    /// Fills in what the hook says. A process's own name and whose cgroup it is are not among it.
    #[inline(always)]
    pub fn describe(self, record: &mut TaskRecord, state: &mut TaskState) {
        if self.priority != UNKNOWN_PRIORITY {
            state.priority = self.priority;
        }
        record.priority = state.priority;
        record.policy = 0;
        record.cgroup = 0;
        record.flags = 0;
        match self.name {
            Name::Current => record.comm = bpf_get_current_comm().unwrap_or_default(),
            Name::Field(from) => {
                // SAFETY: a probe read fails rather than faults; a failed one leaves no name.
                let _ = unsafe { bpf_probe_read_kernel_buf(from, &mut record.comm) };
            }
            Name::Unknown => {}
        }
    }
}

/// The task that runs here.
#[inline(always)]
pub fn current() -> Task {
    let both = bpf_get_current_pid_tgid();
    Task {
        tid: both as u32,
        tgid: (both >> 32) as u32,
        name: Name::Current,
        priority: UNKNOWN_PRIORITY,
    }
}

/// What is remembered of `task`, if anything is.
#[inline(always)]
pub fn known<'a>(task: Task) -> Option<&'a mut TaskState> {
    // SAFETY: a value of a preallocated hash stays mapped while a program runs.
    TASKS.get_ptr_mut(task.tid).and_then(|value| unsafe { value.as_mut() })
}

/// What is remembered of `task`, from now on.
#[inline(always)]
pub fn remembered<'a>(task: Task) -> Option<&'a mut TaskState> {
    if known(task).is_none() {
        let unseen = TaskKey { start_ns: UNSEEN_BIRTH, tid: task.tid, tgid: task.tgid };
        insert(&unseen, 0, 0);
    }
    known(task)
}

/// Remembers a thread of the load from its birth.
#[inline(always)]
pub fn watch(tid: u32, tgid: u32, start_ns: u64) -> Option<()> {
    insert(&TaskKey { start_ns, tid, tgid }, 1, state::BLOCKED).then_some(())
}

/// Kept out of line: the value to insert is a quarter of the stack that a program has.
#[inline(never)]
fn insert(key: &TaskKey, watched: u32, state: u32) -> bool {
    let none = Waker { task: TaskKey { start_ns: 0, tid: 0, tgid: 0 }, interrupt: 0, reserved: 0 };
    let new = TaskState {
        waking_ns: 0,
        waker: none,
        wait: Wait {
            open_ns: 0,
            queued_ns: 0,
            victim: *key,
            waker: none,
            first_cpu: 0,
            cpu: 0,
            moves: 0,
            opening: opening::FORK,
            flags: 0,
            off_ns: 0,
            off_state: 0,
            reserved: 0,
        },
        state,
        watched,
        named: 0,
        priority: UNKNOWN_PRIORITY,
        group: 0,
    };
    let inserted = TASKS.insert(key.tid, &new, 0).is_ok();
    if !inserted {
        if let Some(cpu) = crate::cpu::Cpu::here() {
            cpu.count_storage_failure();
        }
    }
    inserted
}

/// Remembers a thread no more: it has gone, or its number has a new owner.
#[inline(always)]
pub fn forget(tid: u32) {
    // An entry that is not there cannot be removed, which is what was wanted.
    let _ = TASKS.remove(tid);
}

/// The task's key: as remembered, since only then the start is known.
#[inline(always)]
pub fn key(task: Task) -> TaskKey {
    if task.tid == 0 {
        return TaskKey { start_ns: 0, tid: 0, tgid: 0 };
    }
    match known(task) {
        Some(known) => known.wait.victim,
        None => TaskKey { start_ns: UNSEEN_BIRTH, tid: task.tid, tgid: task.tgid },
    }
}

/// Whether two keys are of one task: a hook that names the next task does not name its process.
#[inline(always)]
pub fn same(a: TaskKey, b: TaskKey) -> bool {
    a.tid == b.tid
}

/// Whether the task is on a CPU, as far as its hooks told: it cannot be asked.
#[inline(always)]
pub fn runs(_task: Task, known: &TaskState) -> bool {
    known.state == state::RUNNING
}

/// Whether the task is on a CPU, as far as a hook can know: it is the one that runs here.
#[inline(always)]
pub fn on_cpu(task: Task) -> bool {
    task.tid == bpf_get_current_pid_tgid() as u32
}

/// No hook tells: time without quota is told as waiting for whoever ran.
#[inline(always)]
pub fn is_throttled(_task: Task) -> bool {
    false
}

/// Whether the task sleeps: no hook tells, so of one that is about to be woken it is believed.
#[inline(always)]
pub fn sleeps(_task: Task) -> bool {
    true
}

/// Whether the task waits for a CPU: no hook tells of one whose queueing was not seen.
#[inline(always)]
pub fn is_queued(_task: Task) -> bool {
    false
}
