//! Interrupts, hard and soft. Entry only stamps; exit tells, while somebody waits.

use cronx_abi::{CpuState, InterruptRecord, flag, kind, layer};

use crate::{cpu::Cpu, task::now};

/// Hard interrupts nest inside softirqs and neither nests in its own kind: one slot each is enough.
#[inline(always)]
fn slot(state: &mut CpuState, layer: u8) -> (&mut u32, &mut u64) {
    if layer == layer::SOFTIRQ {
        (&mut state.soft, &mut state.soft_since_ns)
    } else {
        (&mut state.hard, &mut state.hard_since_ns)
    }
}

/// A handler of `vector` begins.
#[inline(always)]
pub fn enter(cpu: &Cpu, layer: u8, vector: u32) -> Option<()> {
    let since = if cpu.is_watched() || cpu.state().owed != 0 { now() } else { 0 };
    let (running, since_ns) = slot(cpu.state(), layer);
    let unended = (*running, *since_ns);
    *running = u32::from(layer) << 24 | (vector & 0x00ff_ffff);
    *since_ns = since;
    if unended.0 != 0 && unended.1 != 0 && since != 0 {
        tell(cpu, flag::CONTRADICTS, unended.0, unended.1, since);
    }
    Some(())
}

/// It ends.
#[inline(always)]
pub fn exit(cpu: &Cpu, layer: u8, vector: u32) -> Option<()> {
    let (running, since_ns) = slot(cpu.state(), layer);
    let begun = core::mem::take(running) != 0;
    let since = core::mem::take(since_ns);
    let state = cpu.state();
    if since == 0 && !cpu.is_watched() && state.owed == 0 {
        return None;
    }
    let at_ns = now();
    let (since, flags) = match (begun, since) {
        // Nobody saw it begin (some tasks hide the tracepoints hit on top of them): it began after
        // whatever was seen last.
        (false, _) if state.seen_ns > state.gate_ns => (state.seen_ns, flag::CONTRADICTS),
        (false, _) => (state.gate_ns, flag::CONTRADICTS),
        // It began while nobody waited, and nothing was owed: it woke somebody, and its tail counts
        // from that opening.
        (true, 0) => (state.gate_ns, 0),
        (true, since) => (since, 0),
    };
    state.seen_ns = at_ns;
    if since == 0 {
        return None;
    }
    tell(cpu, flags, u32::from(layer) << 24 | (vector & 0x00ff_ffff), since, at_ns);
    Some(())
}

/// A switch inside a handler cannot be: the handler's end was not seen.
#[inline(always)]
pub fn switched(cpu: &Cpu, at_ns: u64) {
    let state = cpu.state();
    state.seen_ns = at_ns;
    for layer in [layer::IRQ, layer::SOFTIRQ] {
        let (running, since_ns) = slot(cpu.state(), layer);
        let unended = (core::mem::take(running), core::mem::take(since_ns));
        if unended.0 != 0 && unended.1 != 0 {
            tell(cpu, flag::CONTRADICTS, unended.0, unended.1, at_ns);
        }
    }
}

/// Kept out of line: three bodies end in it.
#[inline(never)]
fn tell(cpu: &Cpu, flags: u8, which: u32, since_ns: u64, at_ns: u64) {
    cpu.emit(kind::INTERRUPT, flags, at_ns, |record: &mut InterruptRecord| {
        record.since_ns = since_ns;
        record.vector = which & 0x00ff_ffff;
        record.layer = (which >> 24) as u8;
        record.reserved = [0; 3];
    });
}
