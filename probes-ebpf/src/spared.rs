//! Waits that are too short to be told are counted: a histogram of each part of a wait.

use aya_ebpf::{bindings::BPF_F_MMAPABLE, btf_maps::Array, macros::btf_map};
use core::hint::black_box;
use cronx_abi::{SparedHistogram, SparedWaits, Wait, bucket, opening};

use crate::{
    cpu::{Cpu, MAX_CPUS},
    offsets,
};

/// By CPU; user space shrinks it to one where nothing is spared.
#[btf_map]
static SPARED: Array<SparedWaits, MAX_CPUS, { BPF_F_MMAPABLE as usize }> = Array::new();

/// Whether a wait that ends now is shorter than is told.
#[inline(always)]
pub fn is_short(wait: &Wait, now: u64) -> bool {
    now.wrapping_sub(wait.open_ns) < offsets::FLOOR_NS.load()
}

/// Counts a wait that ends now.
#[inline(always)]
pub fn count(cpu: &Cpu, wait: &Wait, now: u64) {
    let Some(waits) = SPARED.get_ptr_mut(cpu.number) else { return };
    // SAFETY: a value of an array map lives as long as the program runs, and only this CPU writes
    // it: the runqueue lock is held.
    let waits = unsafe { &mut *waits };
    add(&mut waits.wake_to_run, now - wait.open_ns);
    add(&mut waits.run_queue, now - wait.queued_ns);
    if wait.opening == opening::WAKEUP {
        add(&mut waits.placement, wait.queued_ns - wait.open_ns);
    }
}

/// Kept out of line: three calls of a few dozen instructions.
#[inline(never)]
fn add(histogram: &mut SparedHistogram, value_ns: u64) {
    // The compiler knows that the bucket exists and would drop the mask; the verifier does not.
    let bucket = black_box(bucket::of(value_ns)) & (bucket::COUNT - 1);
    histogram.counts[bucket] += 1;
    histogram.sum_ns += value_ns;
    if value_ns > histogram.max_ns {
        histogram.max_ns = value_ns;
    }
}
