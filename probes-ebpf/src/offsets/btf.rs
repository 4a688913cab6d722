//! Where members stand in the kernel's structs, from its BTF.

use aya_ebpf::Global;

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
