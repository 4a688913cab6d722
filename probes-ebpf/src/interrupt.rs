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

/// An interrupt by its layer and vector, as in `Waker::interrupt`.
#[inline(always)]
fn named(layer: u8, vector: u32) -> u32 {
    u32::from(layer) << 24 | (vector & 0x00ff_ffff)
}

/// Whether anybody wants to know what this CPU does.
#[inline(always)]
fn is_wanted(cpu: &Cpu) -> bool {
    cpu.is_watched() || cpu.state().owed != 0
}

/// A handler of `vector` begins.
#[inline(always)]
pub fn enter(cpu: &Cpu, layer: u8, vector: u32) -> Option<()> {
    let at_ns = if is_wanted(cpu) { now() } else { 0 };
    end_unseen(cpu, layer, at_ns);
    let (running, since_ns) = slot(cpu.state(), layer);
    *running = named(layer, vector);
    *since_ns = at_ns;
    Some(())
}

/// The handler that is believed to run has ended, and nobody saw when. One that began while nobody
/// waited concerns whoever waits now from the opening of the gate on.
#[inline(always)]
fn end_unseen(cpu: &Cpu, layer: u8, at_ns: u64) {
    let (running, since_ns) = slot(cpu.state(), layer);
    let (running, since_ns) = (core::mem::take(running), core::mem::take(since_ns));
    if running == 0 || at_ns == 0 {
        return;
    }
    let since_ns = if since_ns != 0 { since_ns } else { cpu.state().gate_ns };
    if since_ns != 0 {
        tell(cpu, flag::CONTRADICTS, running, since_ns, at_ns);
    }
}

/// It ends.
#[inline(always)]
pub fn exit(cpu: &Cpu, layer: u8, vector: u32) -> Option<()> {
    let ended = named(layer, vector);
    let (running, since_ns) = slot(cpu.state(), layer);
    let (begun, since) = (core::mem::take(running), core::mem::take(since_ns));
    let state = cpu.state();
    if since == 0 && !is_wanted(cpu) {
        return None;
    }
    let at_ns = now();
    let seen_ns = if layer == layer::SOFTIRQ { state.soft_seen_ns } else { state.seen_ns };
    let (since, flags) = match (begun, since) {
        // It began while nobody waited, and nothing was owed: it woke somebody, and its tail counts
        // from that opening.
        (begun, 0) if begun == ended => (state.gate_ns, 0),
        (begun, since) if begun == ended => (since, 0),
        // Nobody saw it begin (some tasks hide the tracepoints hit on top of them): it began after
        // whatever was seen last.
        (0, 0) if seen_ns > state.gate_ns => (seen_ns, flag::CONTRADICTS),
        // Another's end was hidden too, so that whatever was seen last may lie inside this one.
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

/// A switch inside a handler cannot be: the handler's end was not seen.
#[inline(always)]
pub fn switched(cpu: &Cpu, at_ns: u64) {
    let state = cpu.state();
    state.seen_ns = at_ns;
    state.soft_seen_ns = at_ns;
    if state.hard | state.soft != 0 {
        let wanted = is_wanted(cpu) || state.hard_since_ns | state.soft_since_ns != 0;
        let at_ns = if wanted { at_ns } else { 0 };
        end_unseen(cpu, layer::IRQ, at_ns);
        end_unseen(cpu, layer::SOFTIRQ, at_ns);
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
