//! The kernel side of cronx: an entry per hook, a few shared bodies, no analysis.
//!
//! A CPU's history matters only while somebody watched waits for that CPU. Each CPU has a gate,
//! `waiters`; slices are told at their end, carrying their start, so whoever ran when a wait began
//! is caught when it stops. Blame is computed in user space from the records alone.
//!
//! Two objects are built of it. The first stands on BTF tracepoints, BTF pointers and task storage.
//! The second, feature `legacy`, is for kernels that lack one of these: classic tracepoints, a hash
//! by thread, and the same records. They differ in `hooks/` and `task/` alone.
//!
//! What it does not do: decide anything that user space could decide.
#![no_std]
#![no_main]
#![allow(internal_features, reason = "the only way to an atomic add on this target")]
#![feature(core_intrinsics)]

mod atomic;
mod cpu;
mod hooks;
mod interrupt;
mod offsets;
#[cfg(not(feature = "legacy"))]
mod refill;
mod ring;
mod sample;
mod spared;
mod switch;
mod targets;
mod task;
mod wakeup;

/// The verifier lets GPL-only helpers (stacks, task storage, probe reads) to a dual licence.
#[unsafe(no_mangle)]
#[unsafe(link_section = "license")]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    loop {}
}
