//! The one clock that kernel and user space share.

use nix::sys::time::TimeValLike;
use nix::time::{ClockId, clock_gettime};

/// CLOCK_MONOTONIC, nanoseconds: what `bpf_ktime_get_ns` gives to the probes.
pub fn now_ns() -> u64 {
    // Every Linux has this clock, and no process is kept from it.
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |now| now.num_nanoseconds() as u64)
}
