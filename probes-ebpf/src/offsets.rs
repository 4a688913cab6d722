//! What user space tells the programs before they load: rodata, folded to constants by the verifier.
//!
//! For the first object: rustc emits no CO-RE relocations, so struct offsets come from the running kernel's BTF through
//! these globals. A load through a BTF pointer at such an offset is still checked by the verifier.

use aya_ebpf::Global;

/// `cronx_abi::ABI_VERSION`; user space refuses an object with another.
#[unsafe(no_mangle)]
pub static ABI_VERSION: Global<u32> = Global::new(cronx_abi::ABI_VERSION);

/// The process of the profiler, whose threads are marked.
#[unsafe(no_mangle)]
pub static PROFILER_TGID: Global<u32> = Global::new(0);

/// The process that asks the kernel for statistics on its behalf; 0 for none.
#[unsafe(no_mangle)]
pub static KEEPER_TGID: Global<u32> = Global::new(0);

/// One of `cronx_abi::filter`.
#[unsafe(no_mangle)]
pub static FILTER: Global<u32> = Global::new(cronx_abi::filter::MARKED);

/// Waits shorter than this are counted, and not told; 0 for none.
#[unsafe(no_mangle)]
pub static FLOOR_NS: Global<u64> = Global::new(0);

/// Bytes unread in a ring that wake the reader before its time: half a ring.
#[unsafe(no_mangle)]
pub static WAKE_BYTES: Global<u64> = Global::new(4 << 20);

#[cfg(not(feature = "legacy"))]
mod btf;
#[cfg(feature = "legacy")]
mod classic;

#[cfg(not(feature = "legacy"))]
pub use btf::*;
#[cfg(feature = "legacy")]
pub use classic::*;
