//! Mirrors `cpu.rs` and `ring.rs`: what is remembered of a CPU, its gate, and its ring.

use cronx_abi::{CpuState, Header, Record};
use cronx_recording::CpuRecords;

/// One CPU. Its ring never fills: loss is inflicted on the Capture afterwards.
#[derive(Debug)]
pub(crate) struct Cpu {
    pub(super) number: u16,
    pub(super) state: CpuState,
    pub(super) ring: CpuRecords,
}

impl Cpu {
    pub(super) fn new(number: u16) -> Self {
        let ring = CpuRecords { cpu: number.into(), bytes: Vec::new() };
        Self { number, state: CpuState::default(), ring }
    }

    /// Whether evidence of this CPU is wanted.
    pub(super) fn is_watched(&self) -> bool {
        self.state.waiters > 0
    }

    /// Whether a slice or an interrupt that ends now is told.
    pub(super) fn is_wanted(&self) -> bool {
        self.is_watched() || self.state.owed != 0
    }

    pub(super) fn count(&mut self, now_ns: u64) {
        let before = self.state.waiters;
        self.state.waiters += 1;
        if before <= 0 && self.state.owed == 0 {
            self.state.gate_ns = now_ns;
        }
    }

    pub(super) fn uncount(&mut self) {
        let before = self.state.waiters;
        self.state.waiters -= 1;
        if before <= 1 && self.state.owed == 0 {
            self.state.gate_ns = 0;
        }
    }

    pub(super) fn settle(&mut self) {
        if self.state.owed != 0 {
            self.state.owed = 0;
            if self.state.waiters <= 0 {
                self.state.gate_ns = 0;
            }
        }
    }

    pub(super) fn emit<R: Record>(
        &mut self,
        kind: u8,
        flags: u8,
        at_ns: u64,
        fill: impl FnOnce(Header) -> R,
    ) {
        self.state.seq += 1;
        let (seq, cpu) = (self.state.seq, self.number);
        let record = fill(Header { at_ns, seq, kind, flags, cpu, reserved: 0 });
        self.ring.push(record.as_bytes());
    }
}
