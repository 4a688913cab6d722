//! Mirrors `interrupt.rs`: entry only stamps; exit tells, while somebody waits.

use std::mem::take;

use cronx_abi::{CpuState, InterruptRecord, flag, kind, layer};

use super::Probes;
use super::cpu::Cpu;

fn slot(state: &mut CpuState, layer: u8) -> (&mut u32, &mut u64) {
    if layer == layer::SOFTIRQ {
        (&mut state.soft, &mut state.soft_since_ns)
    } else {
        (&mut state.hard, &mut state.hard_since_ns)
    }
}

/// An interrupt by its layer and vector, as in `Waker::interrupt`.
fn named(layer: u8, vector: u32) -> u32 {
    u32::from(layer) << 24 | (vector & 0x00ff_ffff)
}

impl Probes {
    /// A handler of `vector` begins.
    pub(super) fn enter(&mut self, layer: u8, vector: u32) {
        let now_ns = self.now_ns;
        let cpu = self.cpu();
        let at_ns = if cpu.is_wanted() { now_ns } else { 0 };
        end_unseen(cpu, layer, at_ns);
        let (running, since_ns) = slot(&mut cpu.state, layer);
        *running = named(layer, vector);
        *since_ns = at_ns;
    }

    /// It ends.
    pub(super) fn exit(&mut self, layer: u8, vector: u32) -> Option<()> {
        let at_ns = self.now_ns;
        let cpu = self.cpu();
        let ended = named(layer, vector);
        let (running, since_ns) = slot(&mut cpu.state, layer);
        let (begun, since) = (take(running), take(since_ns));
        if since == 0 && !cpu.is_wanted() {
            return None;
        }
        let state = &mut cpu.state;
        let seen_ns = if layer == layer::SOFTIRQ { state.soft_seen_ns } else { state.seen_ns };
        let (since, flags) = match (begun, since) {
            (begun, 0) if begun == ended => (state.gate_ns, 0),
            (begun, since) if begun == ended => (since, 0),
            (0, 0) if seen_ns > state.gate_ns => (seen_ns, flag::CONTRADICTS),
            (_, 0) => (state.gate_ns, flag::CONTRADICTS),
            (_, since) => (since, flag::CONTRADICTS),
        };
        state.seen_ns = at_ns;
        if layer == layer::SOFTIRQ {
            state.soft_seen_ns = at_ns;
        }
        if since == 0 {
            return None;
        }
        tell(cpu, flags, ended, since, at_ns);
        Some(())
    }
}

/// The handler that is believed to run has ended, and nobody saw when. One that began while nobody
/// waited concerns whoever waits now from the opening of the gate on.
fn end_unseen(cpu: &mut Cpu, layer: u8, at_ns: u64) {
    let (running, since_ns) = slot(&mut cpu.state, layer);
    let (running, since_ns) = (take(running), take(since_ns));
    if running == 0 || at_ns == 0 {
        return;
    }
    let since_ns = if since_ns != 0 { since_ns } else { cpu.state.gate_ns };
    if since_ns != 0 {
        tell(cpu, flag::CONTRADICTS, running, since_ns, at_ns);
    }
}

/// A switch inside a handler cannot be: the handler's end was not seen.
pub(super) fn switched(cpu: &mut Cpu, at_ns: u64) {
    cpu.state.seen_ns = at_ns;
    cpu.state.soft_seen_ns = at_ns;
    if cpu.state.hard | cpu.state.soft != 0 {
        let stamped = cpu.state.hard_since_ns | cpu.state.soft_since_ns != 0;
        let at_ns = if cpu.is_wanted() || stamped { at_ns } else { 0 };
        end_unseen(cpu, layer::IRQ, at_ns);
        end_unseen(cpu, layer::SOFTIRQ, at_ns);
    }
}

fn tell(cpu: &mut Cpu, flags: u8, which: u32, since_ns: u64, at_ns: u64) {
    cpu.emit(kind::INTERRUPT, flags, at_ns, |header| InterruptRecord {
        header,
        since_ns,
        vector: which & 0x00ff_ffff,
        layer: (which >> 24) as u8,
        reserved: [0; 3],
    });
}
