//! Interrupts, hard and soft. Entry only stamps; exit tells, while somebody waits.

use aya_ebpf::{helpers::bpf_ktime_get_ns, macros::btf_tracepoint, programs::BtfTracePointContext};
use cronx_abi::{CpuState, InterruptRecord, kind, layer};

use crate::cpu::Cpu;

fn now() -> u64 {
    // SAFETY: the helper has no precondition.
    unsafe { bpf_ktime_get_ns() }
}

/// Hard interrupts nest inside softirqs and neither nests in its own kind: one slot each is enough.
#[inline(always)]
fn slot(state: &mut CpuState, layer: u8) -> (&mut u32, &mut u64) {
    if layer == layer::SOFTIRQ {
        (&mut state.soft, &mut state.soft_since_ns)
    } else {
        (&mut state.hard, &mut state.hard_since_ns)
    }
}

#[inline(always)]
fn enter(layer: u8, vector: u32) -> Option<()> {
    let cpu = Cpu::here()?;
    let since = if cpu.is_watched() { now() } else { 0 };
    let (running, since_ns) = slot(cpu.state(), layer);
    *running = u32::from(layer) << 24 | (vector & 0x00ff_ffff);
    *since_ns = since;
    Some(())
}

#[inline(always)]
fn exit(layer: u8, vector: u32) -> Option<()> {
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

macro_rules! pairs {
    ($($layer:ident: $enter:ident, $exit:ident;)*) => {$(
        #[doc = concat!("`", stringify!($enter), "`.")]
        #[btf_tracepoint]
        pub fn $enter(ctx: BtfTracePointContext) -> Option<()> {
            enter(layer::$layer, ctx.arg(0))
        }
        #[doc = concat!("`", stringify!($exit), "`.")]
        #[btf_tracepoint]
        pub fn $exit(ctx: BtfTracePointContext) -> Option<()> {
            exit(layer::$layer, ctx.arg(0))
        }
    )*};
}

// The local vectors have tracepoints of their own: `irq_handler_*` does not see them, and the tail
// of the local timer is most of a typical wait.
pairs! {
    IRQ: irq_handler_entry, irq_handler_exit;
    SOFTIRQ: softirq_entry, softirq_exit;
    VECTOR: local_timer_entry, local_timer_exit;
    VECTOR: reschedule_entry, reschedule_exit;
    VECTOR: call_function_entry, call_function_exit;
    VECTOR: call_function_single_entry, call_function_single_exit;
    VECTOR: irq_work_entry, irq_work_exit;
}
