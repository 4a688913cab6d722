//! Where members stand in the kernel's structs, from its BTF.

use aya_ebpf::Global;

/// This kernel has no such member.
pub const ABSENT: u64 = u64::MAX;

/// Offset of `task_struct.pid`.
#[unsafe(no_mangle)]
pub static TASK_PID: Global<u64> = Global::new(0);

/// Offset of `task_struct.tgid`.
#[unsafe(no_mangle)]
pub static TASK_TGID: Global<u64> = Global::new(0);

/// Offset of `task_struct.start_time`.
#[unsafe(no_mangle)]
pub static TASK_START_TIME: Global<u64> = Global::new(0);

/// Offset of `task_struct.comm`.
#[unsafe(no_mangle)]
pub static TASK_COMM: Global<u64> = Global::new(0);

/// Offset of `task_struct.flags`.
#[unsafe(no_mangle)]
pub static TASK_FLAGS: Global<u64> = Global::new(0);

/// Offset of `task_struct.on_cpu`.
#[unsafe(no_mangle)]
pub static TASK_ON_CPU: Global<u64> = Global::new(0);

/// Offset of `task_struct.group_leader`.
#[unsafe(no_mangle)]
pub static TASK_GROUP_LEADER: Global<u64> = Global::new(0);

/// Offset of `task_struct.thread_info.cpu`.
#[unsafe(no_mangle)]
pub static TASK_CPU: Global<u64> = Global::new(0);

/// Offset of `task_struct.prio`.
#[unsafe(no_mangle)]
pub static TASK_PRIO: Global<u64> = Global::new(0);

/// Offset of `task_struct.policy`.
#[unsafe(no_mangle)]
pub static TASK_POLICY: Global<u64> = Global::new(0);

/// Offset of `task_struct.on_rq`.
#[unsafe(no_mangle)]
pub static TASK_ON_RQ: Global<u64> = Global::new(0);

/// Offset of `task_struct.se.sched_delayed`: from 6.12 on a sleeper may stay on its queue for a while.
#[unsafe(no_mangle)]
pub static TASK_SCHED_DELAYED: Global<u64> = Global::new(ABSENT);

/// Offset of `task_struct.sched_task_group`.
#[unsafe(no_mangle)]
pub static TASK_GROUP: Global<u64> = Global::new(ABSENT);

/// Offset of `task_group.css.cgroup`.
#[unsafe(no_mangle)]
pub static GROUP_CGROUP: Global<u64> = Global::new(ABSENT);

/// Offset of `cgroup.kn`.
#[unsafe(no_mangle)]
pub static CGROUP_NODE: Global<u64> = Global::new(ABSENT);

/// Offset of `kernfs_node.id`.
#[unsafe(no_mangle)]
pub static NODE_ID: Global<u64> = Global::new(ABSENT);

/// Offset of `task_struct.throttled`: from 6.18 on a task itself is throttled.
#[unsafe(no_mangle)]
pub static TASK_THROTTLED: Global<u64> = Global::new(ABSENT);

/// Offset of `task_struct.se.cfs_rq`.
#[unsafe(no_mangle)]
pub static TASK_CFS_RQ: Global<u64> = Global::new(ABSENT);

/// Offset of `cfs_rq.throttle_count`.
#[unsafe(no_mangle)]
pub static CFS_RQ_THROTTLE_COUNT: Global<u64> = Global::new(ABSENT);

/// Offset of `hrtimer.function`.
#[unsafe(no_mangle)]
pub static TIMER_FUNCTION: Global<u64> = Global::new(ABSENT);

/// Offset of `task_group.cfs_bandwidth.period_timer`.
#[unsafe(no_mangle)]
pub static GROUP_PERIOD_TIMER: Global<u64> = Global::new(ABSENT);

/// Offset of `task_group.cfs_bandwidth.slack_timer`.
#[unsafe(no_mangle)]
pub static GROUP_SLACK_TIMER: Global<u64> = Global::new(ABSENT);

/// Offset of `task_group.cfs_bandwidth.throttled_cfs_rq`: its queues that are out of quota.
#[unsafe(no_mangle)]
pub static GROUP_THROTTLED: Global<u64> = Global::new(ABSENT);

/// Offset of `cfs_rq.throttled_list`, by which they hang there.
#[unsafe(no_mangle)]
pub static CFS_RQ_THROTTLED_LIST: Global<u64> = Global::new(ABSENT);

/// Offset of `cfs_rq.rq`.
#[unsafe(no_mangle)]
pub static CFS_RQ_RQ: Global<u64> = Global::new(ABSENT);

/// Offset of `rq.cpu`.
#[unsafe(no_mangle)]
pub static RQ_CPU: Global<u64> = Global::new(ABSENT);

/// CPU numbers are below this.
#[unsafe(no_mangle)]
pub static POSSIBLE_CPUS: Global<u32> = Global::new(0);

/// Address of `sched_cfs_slack_timer`.
#[unsafe(no_mangle)]
pub static SLACK_TIMER: Global<u64> = Global::new(ABSENT);

/// Address of `sched_cfs_period_timer`.
#[unsafe(no_mangle)]
pub static PERIOD_TIMER: Global<u64> = Global::new(ABSENT);
