//! One ring buffer per CPU, and how a record gets into it.

use aya_ebpf::{
    btf_maps::{ArrayOfMaps, RingBuf},
    helpers::generated::bpf_ringbuf_query,
    macros::btf_map,
};
use core::ptr;
use cronx_abi::{Header, Record};

use crate::{
    cpu::{Cpu, MAX_CPUS},
    offsets,
};

/// The inner map is only a template: user space makes each CPU's ring in its own size.
type Ring = RingBuf<[u64; 1], 4096>;

#[btf_map]
static RINGS: ArrayOfMaps<Ring, MAX_CPUS> = ArrayOfMaps::new();

const BPF_RB_NO_WAKEUP: u64 = 1;
const BPF_RB_FORCE_WAKEUP: u64 = 2;
const BPF_RB_AVAIL_DATA: u64 = 0;

/// How often the fill of the ring is looked at: every so many records.
const LOOK_EVERY: u64 = 32;

impl Cpu {
    /// Writes one record into this CPU's ring; `fill` sets every field but the header. The number
    /// is taken before the room, so that a record that finds none leaves a gap. False if lost.
    #[inline(always)]
    pub fn emit<R: Record + 'static>(
        &self,
        kind: u8,
        flags: u8,
        at_ns: u64,
        fill: impl FnOnce(&mut R),
    ) -> bool {
        let seq = self.next_seq();
        let Some(ring) = RINGS.get(self.number) else {
            self.count_lost();
            return false;
        };
        let Some(mut entry) = ring.reserve_untyped::<R>(0) else {
            self.count_lost();
            return false;
        };
        let record = entry.as_mut_ptr();
        // SAFETY: reserved for an R, which starts with a header; every bit pattern is an R.
        unsafe {
            record.cast::<Header>().write(Header {
                at_ns,
                seq,
                kind,
                flags,
                cpu: self.number as u16,
                reserved: 0,
            });
            fill(&mut *record);
        }
        entry.submit(wakeup(ring, seq));
        true
    }
}

/// The reader drains by a timer. Waking it for each record would triple the cost of a switch; past
/// half a ring it is woken at once.
#[inline(always)]
fn wakeup(ring: &Ring, seq: u64) -> u64 {
    if seq % LOOK_EVERY != 0 {
        return BPF_RB_NO_WAKEUP;
    }
    // SAFETY: our own ring buffer map.
    let unread =
        unsafe { bpf_ringbuf_query(ptr::from_ref(ring).cast_mut().cast(), BPF_RB_AVAIL_DATA) };
    if unread > offsets::WAKE_BYTES.load() { BPF_RB_FORCE_WAKEUP } else { BPF_RB_NO_WAKEUP }
}
