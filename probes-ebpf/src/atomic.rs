//! Adding, atomically. `Atomic*::fetch_add` is not there for BPF, which has no compare-and-swap on
//! every kernel; the instruction itself is.

use core::intrinsics::{AtomicOrdering, atomic_xadd};

/// Adds and gives what was before. Not Relaxed: for that LLVM chooses the form that gives nothing.
///
/// # Safety
/// `to` is aligned and a map's memory.
#[cfg(not(feature = "legacy"))]
#[inline(always)]
pub unsafe fn add(to: *mut i64, by: i64) -> i64 {
    // SAFETY: as the caller's.
    unsafe { atomic_xadd::<i64, i64, { AtomicOrdering::AcqRel }>(to, by) }
}

/// The same for kernels whose atomic add gives nothing back (before 5.12). What was before is read
/// first. For this CPU's own counters that is exact, since no program of this object interrupts
/// another. For the waiters of another CPU it may name the wrong one of two that come at once as
/// the first: the gate's time is then off by what lies between them.
///
/// # Safety
/// `to` is aligned and a map's memory.
#[cfg(feature = "legacy")]
#[inline(always)]
pub unsafe fn add(to: *mut i64, by: i64) -> i64 {
    // SAFETY: as the caller's.
    unsafe {
        let before = to.read_volatile();
        atomic_xadd::<i64, i64, { AtomicOrdering::Relaxed }>(to, by);
        before
    }
}
