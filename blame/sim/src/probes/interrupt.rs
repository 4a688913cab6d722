//! Mirrors `interrupt.rs`: entry only stamps; exit tells, while somebody waits.

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

fn which(layer: u8, vector: u32) -> u32 {
    u32::from(layer) << 24 | (vector & 0x00ff_ffff)
}

impl Probes {
    /// A handler of `vector` begins.
    pub(super) fn enter(&mut self, layer: u8, vector: u32) {
        let now_ns = self.now_ns;
        let cpu = self.cpu();
        let since = if cpu.is_wanted() { now_ns } else { 0 };
        let (running, since_ns) = slot(&mut cpu.state, layer);
        let unended = (*running, *since_ns);
        *running = which(layer, vector);
        *since_ns = since;
        if unended.0 != 0 && unended.1 != 0 && since != 0 {
            tell(cpu, flag::CONTRADICTS, unended.0, unended.1, since);
        }
    }

    /// It ends.
    pub(super) fn exit(&mut self, layer: u8, vector: u32) -> Option<()> {
        let at_ns = self.now_ns;
        let cpu = self.cpu();
        let (running, since_ns) = slot(&mut cpu.state, layer);
        let begun = std::mem::take(running) != 0;
        let since = std::mem::take(since_ns);
        if since == 0 && !cpu.is_wanted() {
            return None;
        }
        let (since, flags) = match (begun, since) {
            (false, _) if cpu.state.seen_ns > cpu.state.gate_ns => {
                (cpu.state.seen_ns, flag::CONTRADICTS)
            }
            (false, _) => (cpu.state.gate_ns, flag::CONTRADICTS),
            (true, 0) => (cpu.state.gate_ns, 0),
            (true, since) => (since, 0),
        };
        cpu.state.seen_ns = at_ns;
        if since == 0 {
            return None;
        }
        tell(cpu, flags, which(layer, vector), since, at_ns);
        Some(())
    }
}

/// A switch inside a handler cannot be: the handler's end was not seen.
pub(super) fn switched(cpu: &mut Cpu, at_ns: u64) {
    cpu.state.seen_ns = at_ns;
    for layer in [layer::IRQ, layer::SOFTIRQ] {
        let (running, since_ns) = slot(&mut cpu.state, layer);
        let unended = (std::mem::take(running), std::mem::take(since_ns));
        if unended.0 != 0 && unended.1 != 0 {
            tell(cpu, flag::CONTRADICTS, unended.0, unended.1, at_ns);
        }
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
