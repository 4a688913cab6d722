//! Where fields stand in the records of classic tracepoints, from their `format` in tracefs.

use aya_ebpf::Global;

/// `sched_waking`: the wakee.
#[unsafe(no_mangle)]
pub static WAKING_PID: Global<u64> = Global::new(0);

/// `sched_wakeup`, `sched_wakeup_new`: the wakee.
#[unsafe(no_mangle)]
pub static WAKEUP_PID: Global<u64> = Global::new(0);

/// `sched_wakeup`, `sched_wakeup_new`: the CPU whose queue it is on.
#[unsafe(no_mangle)]
pub static WAKEUP_TARGET_CPU: Global<u64> = Global::new(0);

/// `sched_migrate_task`: who moves.
#[unsafe(no_mangle)]
pub static MIGRATE_PID: Global<u64> = Global::new(0);

/// `sched_migrate_task`: where from.
#[unsafe(no_mangle)]
pub static MIGRATE_ORIG_CPU: Global<u64> = Global::new(0);

/// `sched_migrate_task`: where to.
#[unsafe(no_mangle)]
pub static MIGRATE_DEST_CPU: Global<u64> = Global::new(0);

/// `sched_switch`: who leaves.
#[unsafe(no_mangle)]
pub static SWITCH_PREV_PID: Global<u64> = Global::new(0);

/// `sched_switch`: why it leaves.
#[unsafe(no_mangle)]
pub static SWITCH_PREV_STATE: Global<u64> = Global::new(0);

/// `sched_switch`: who comes.
#[unsafe(no_mangle)]
pub static SWITCH_NEXT_PID: Global<u64> = Global::new(0);

/// `sched_switch`: its name.
#[unsafe(no_mangle)]
pub static SWITCH_NEXT_COMM: Global<u64> = Global::new(0);

/// `task_newtask`: who is born.
#[unsafe(no_mangle)]
pub static NEWTASK_PID: Global<u64> = Global::new(0);

/// `task_newtask`: the flags of clone.
#[unsafe(no_mangle)]
pub static NEWTASK_FLAGS: Global<u64> = Global::new(0);

/// `task_rename`: who has a new name.
#[unsafe(no_mangle)]
pub static RENAME_PID: Global<u64> = Global::new(0);

/// `irq_handler_entry`, `irq_handler_exit`: the line.
#[unsafe(no_mangle)]
pub static IRQ_NUMBER: Global<u64> = Global::new(0);

/// `softirq_entry`, `softirq_exit`: which.
#[unsafe(no_mangle)]
pub static SOFTIRQ_NUMBER: Global<u64> = Global::new(0);

/// All of `irq_vectors`: the vector.
#[unsafe(no_mangle)]
pub static VECTOR_NUMBER: Global<u64> = Global::new(0);

/// `sched_switch`: the priority of who leaves.
#[unsafe(no_mangle)]
pub static SWITCH_PREV_PRIO: Global<u64> = Global::new(0);

/// `sched_switch`: the priority of who comes.
#[unsafe(no_mangle)]
pub static SWITCH_NEXT_PRIO: Global<u64> = Global::new(0);

/// `task_rename`: the new name.
#[unsafe(no_mangle)]
pub static RENAME_NEWCOMM: Global<u64> = Global::new(0);
