//! What is remembered of each CPU, readable from every CPU and mapped by user space.

use aya_ebpf::{
    bindings::BPF_F_MMAPABLE, btf_maps::Array, helpers::bpf_get_smp_processor_id, macros::btf_map,
};
use cronx_abi::CpuState;

use crate::atomic;

/// CPUs that the maps have room for; user space shrinks them to the possible CPUs.
pub const MAX_CPUS: usize = 4096;

#[btf_map]
static CPUS: Array<CpuState, MAX_CPUS, { BPF_F_MMAPABLE as usize }> = Array::new();

/// Counts an event of `hook` as seen, and then as handled or, if `body` gives nothing, as filtered.
/// A plain add is enough: the kernel does not let a program interrupt itself on its CPU.
#[inline(always)]
pub fn counted(hook: usize, body: impl FnOnce(&Cpu) -> Option<()>) -> Option<()> {
    let cpu = Cpu::here()?;
    let count = &mut cpu.state().hooks[hook];
    count.seen += 1;
    let done = body(&cpu);
    if done.is_some() {
        count.handled += 1;
    } else {
        count.filtered += 1;
    }
    done
}

/// One CPU's state.
pub struct Cpu {
    /// Which CPU.
    pub number: u32,
    state: *mut CpuState,
}

impl Cpu {
    /// The CPU that runs this.
    #[inline(always)]
    pub fn here() -> Option<Self> {
        // SAFETY: the helper has no precondition.
        Self::numbered(unsafe { bpf_get_smp_processor_id() })
    }

    /// Any CPU.
    #[inline(always)]
    pub fn numbered(number: u32) -> Option<Self> {
        CPUS.get_ptr_mut(number).map(|state| Self { number, state })
    }

    /// The state, for fields that only this CPU writes.
    #[inline(always)]
    #[expect(clippy::mut_from_ref, reason = "map memory, shared by its nature")]
    pub fn state(&self) -> &mut CpuState {
        // SAFETY: a value of an array map lives as long as the program runs.
        unsafe { &mut *self.state }
    }

    /// Whether evidence of this CPU is wanted.
    #[inline(always)]
    pub fn is_watched(&self) -> bool {
        self.state().waiters > 0
    }

    /// Counts one more watched thread on this queue; `now` is read after it is counted, so that no
    /// interrupt that ends in between is lost, and is the gate's time if the gate was shut. While a
    /// slice is owed the gate has been open since the wait that it is owed to.
    #[inline(always)]
    pub fn count(&self, now: impl FnOnce() -> u64) -> u64 {
        let before = self.add_waiters(1);
        let at_ns = now();
        if before <= 0 && self.state().owed == 0 {
            self.state().gate_ns = at_ns;
        }
        at_ns
    }

    /// Counts one less. The gate's time stays while its slice is owed: so does its interrupt.
    #[inline(always)]
    pub fn uncount(&self) {
        if self.add_waiters(-1) <= 1 && self.state().owed == 0 {
            self.state().gate_ns = 0;
        }
    }

    /// What was owed is told.
    #[inline(always)]
    pub fn settle(&self) {
        let state = self.state();
        if state.owed != 0 {
            state.owed = 0;
            if state.waiters <= 0 {
                state.gate_ns = 0;
            }
        }
    }

    /// Takes the number of the next record.
    #[inline(always)]
    pub fn next_seq(&self) -> u64 {
        add_one(&raw mut self.state().seq) + 1
    }

    /// Counts a record that found its ring full.
    #[inline(always)]
    pub fn count_lost(&self) {
        add_one(&raw mut self.state().lost);
    }

    /// Counts an event not handled for want of task storage.
    #[inline(always)]
    pub fn count_storage_failure(&self) {
        add_one(&raw mut self.state().storage_failures);
    }

    /// Counts a transition of a task that cannot be.
    #[inline(always)]
    pub fn count_impossible(&self) {
        add_one(&raw mut self.state().impossible);
    }

    /// Adds and gives what was before.
    #[inline(always)]
    fn add_waiters(&self, change: i64) -> i64 {
        // SAFETY: aligned, and every access from another CPU is atomic too.
        unsafe { atomic::add(&raw mut (*self.state).waiters, change) }
    }
}

#[inline(always)]
fn add_one(counter: *mut u64) -> u64 {
    // SAFETY: a field of a map value: aligned, and it lives as long as the program runs.
    unsafe { atomic::add(counter.cast(), 1) as u64 }
}
