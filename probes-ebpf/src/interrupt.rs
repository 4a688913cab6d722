//! Interrupts, hard and soft. Entry only stamps; exit tells, while somebody waits.

use cronx_abi::{CpuState, InterruptRecord, kind, layer};

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
pub fn enter(layer: u8, vector: u32) -> Option<()> {
    let cpu = Cpu::here()?;
    let since = if cpu.is_watched() { now() } else { 0 };
    let (running, since_ns) = slot(cpu.state(), layer);
    *running = u32::from(layer) << 24 | (vector & 0x00ff_ffff);
    *since_ns = since;
    Some(())
}

/// It ends.
#[inline(always)]
pub fn exit(layer: u8, vector: u32) -> Option<()> {
    let cpu = Cpu::here()?;
    let (running, since_ns) = slot(cpu.state(), layer);
    *running = 0;
    let since = core::mem::take(since_ns);
    if since == 0 && !cpu.is_watched() && cpu.state().owed == 0 {
        return None;
    }
    // It began while nobody waited and woke somebody: its tail counts from the opening.
    let since = if since == 0 { cpu.state().gate_ns } else { since };
    if since == 0 {
        return None;
    }
    cpu.emit(kind::INTERRUPT, 0, now(), |record: &mut InterruptRecord| {
        record.since_ns = since;
        record.vector = vector;
        record.layer = layer;
        record.reserved = [0; 3];
    });
    Some(())
}
