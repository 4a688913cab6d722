//! What user space tells the programs before they load: rodata, folded to constants by the verifier.
//!
//! rustc emits no CO-RE relocations, so struct offsets come from the running kernel's BTF through
//! these globals. A load through a BTF pointer at such an offset is still checked by the verifier.

use aya_ebpf::Global;

/// `cronx_abi::ABI_VERSION`; user space refuses an object with another.
#[unsafe(no_mangle)]
pub static ABI_VERSION: Global<u32> = Global::new(cronx_abi::ABI_VERSION);

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

/// The process of the profiler, whose threads are marked.
#[unsafe(no_mangle)]
pub static PROFILER_TGID: Global<u32> = Global::new(0);

/// Bytes unread in a ring that wake the reader before its time: half a ring.
#[unsafe(no_mangle)]
pub static WAKE_BYTES: Global<u64> = Global::new(4 << 20);
