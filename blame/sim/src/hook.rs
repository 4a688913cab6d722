//! What passes from the model to the probes: the kernel's calls of their hooks, and in each no more
//! than a hook can see.

use cronx_abi::{COMM_LEN, TaskKey};

/// A task as a hook finds it: the fields of its `task_struct` at that instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "a task_struct is full of them")]
pub struct TaskView {
    /// Which `task_struct`: its address, as it were, by which task storage finds it.
    pub address: usize,
    /// pid, tgid and start time; all 0 for an idle task.
    pub key: TaskKey,
    /// `comm`.
    pub comm: [u8; COMM_LEN],
    /// `group_leader->comm`.
    pub process: [u8; COMM_LEN],
    /// `PF_KTHREAD`.
    pub kernel: bool,
    /// `prio`.
    pub priority: i32,
    /// `policy`.
    pub policy: u32,
    /// The id of its cgroup of the cpu controller.
    pub cgroup: u64,
    /// `thread_info.cpu`.
    pub cpu: u16,
    /// `on_cpu`.
    pub on_cpu: bool,
    /// `on_rq`.
    pub on_rq: bool,
    /// `se.sched_delayed`: it sleeps, and stays on its queue until it would be picked.
    pub sched_delayed: bool,
    /// `throttled`.
    pub throttled: bool,
}

/// One call of one hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// What the clock says in it.
    pub at_ns: u64,
    /// The CPU that runs it.
    pub cpu: u16,
    /// The task in whose context it runs.
    pub current: TaskView,
    /// Which hook, and its arguments.
    pub what: What,
}

/// The hooks and their arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// `sched_waking`.
    Waking(TaskView),
    /// `sched_wakeup`.
    Wakeup(TaskView),
    /// `sched_wakeup_new`.
    WakeupNew(TaskView),
    /// `sched_migrate_task`.
    Migrate {
        /// Who moves.
        migrant: TaskView,
        /// Whose queue it joins.
        to: u16,
    },
    /// `sched_switch`.
    Switch {
        /// Who leaves the CPU.
        prev: TaskView,
        /// Who takes it.
        next: TaskView,
        /// The first argument.
        preempt: bool,
        /// The fourth.
        prev_state: u32,
    },
    /// `sched_process_fork`.
    Fork {
        /// Who forks.
        parent: TaskView,
        /// The new task.
        child: TaskView,
    },
    /// `task_rename`.
    Rename(TaskView),
    /// The entry of an interrupt, of one of [`cronx_abi::layer`].
    Enter {
        /// The layer.
        layer: u8,
        /// The number within it.
        vector: u32,
    },
    /// Its exit.
    Exit {
        /// The layer.
        layer: u8,
        /// The number within it.
        vector: u32,
    },
    /// The sampling clock.
    Sample,
    /// `hrtimer_expire_entry` of a timer of a cgroup's quota.
    Refill {
        /// The cgroup.
        cgroup: u64,
        /// The CPUs of its queues that are out of quota.
        queues: Vec<u16>,
    },
    /// The walk over all tasks at the start, which watches the target's.
    WatchTasks {
        /// Every task there is.
        tasks: Vec<TaskView>,
        /// The processes to watch.
        targets: Vec<u32>,
    },
    /// The walk over all tasks at the stop, which tells the waits still open.
    TellOpenWaits(Vec<TaskView>),
}
