//! Interrupts: hard inside soft inside a task, some of which show only one end.

use cronx_abi::layer;

use super::machine::{Interrupt, Machine};
use crate::hook::What;
use crate::phenomenon::Phenomenon as P;

/// reschedule, call_function_single, irq_work and the local timer on x86.
const VECTORS: [u32; 4] = [0xfd, 0xfb, 0xf6, 0xec];
/// The interrupt by which another CPU has this one look at its inbox.
pub(crate) const CALL_FUNCTION_SINGLE: u32 = 0xfb;

impl Machine {
    /// A device or a vector interrupts.
    pub(crate) fn begin_hard(&mut self, cpu: usize) {
        let vector = self.random.pick(&VECTORS).unwrap_or(0xec);
        let device = 16 + self.random.below(3) as u32;
        let (layer, vector) =
            if self.random.one_in(3) { (layer::IRQ, device) } else { (layer::VECTOR, vector) };
        self.enter(cpu, layer, vector);
    }

    /// A softirq begins.
    pub(crate) fn begin_soft(&mut self, cpu: usize) {
        let vector = self.random.below(10) as u32;
        self.enter(cpu, layer::SOFTIRQ, vector);
    }

    pub(crate) fn enter(&mut self, cpu: usize, layer: u8, vector: u32) {
        let hidden = self.may_half_see(cpu) && !self.is_taken_for_unended(cpu, layer, vector);
        let seen = if hidden {
            self.meet(P::EntryOfInterruptUnseen);
            false
        } else {
            self.call(cpu, What::Enter { layer, vector })
        };
        if seen {
            *self.unended(cpu, layer) = None;
        }
        let since_ns = self.now_ns;
        let begun = Interrupt { layer, vector, since_ns, straddles: false, seen };
        let state = &mut self.cpus[cpu];
        if layer == layer::SOFTIRQ {
            state.soft = Some(begun);
        } else {
            let soft = state.soft;
            if soft.is_some() && state.running >= self.tasks_of_idle() {
                self.meet(P::HardInSoftInTask);
            }
            if soft.is_some_and(|soft| !soft.seen) {
                self.meet(P::HardInSoftOfEntryUnseen);
            }
            self.cpus[cpu].hard = Some(begun);
        }
        self.note(cpu);
    }

    fn tasks_of_idle(&self) -> usize {
        self.cpus.len()
    }

    fn may_half_see(&mut self, cpu: usize) -> bool {
        self.sees(cpu) && self.random.one_in(self.rarely)
    }

    /// Of two of the same vector that show one end each, the first its beginning and the next its end,
    /// anybody would make one: beyond the probes.
    fn is_taken_for_unended(&mut self, cpu: usize, layer: u8, vector: u32) -> bool {
        let unended = *self.unended(cpu, layer);
        if unended.is_some_and(|last| last != (layer, vector)) {
            self.meet(P::EndsOfTwoInterruptsUnseen);
        }
        unended == Some((layer, vector))
    }

    /// The last one, hard or soft, of which only the beginning was seen.
    fn unended(&mut self, cpu: usize, layer: u8) -> &mut Option<(u8, u32)> {
        let state = &mut self.cpus[cpu];
        if layer == layer::SOFTIRQ { &mut state.unended_soft } else { &mut state.unended_hard }
    }

    /// The innermost interrupt ends.
    pub(crate) fn end_interrupt(&mut self, cpu: usize) {
        let state = &mut self.cpus[cpu];
        let ended = match state.hard.take() {
            Some(hard) => Some(hard),
            None => state.soft.take(),
        };
        let Some(Interrupt { layer, vector, since_ns, straddles, seen }) = ended else { return };
        if straddles {
            self.meet(P::InterruptStraddlesGate);
        }
        let now_ns = self.now_ns;
        if seen && self.may_half_see(cpu) {
            self.end_unseen(cpu, (layer, vector), since_ns);
            if straddles {
                self.meet(P::ExitOfStraddlingInterruptUnseen);
            }
        } else {
            let told = self.call(cpu, What::Exit { layer, vector });
            if told {
                *self.unended(cpu, layer) = None;
            }
            if told && !seen {
                let slice_ns = self.cpus[cpu].seen_switch_ns;
                self.journal.doubt(cpu, slice_ns, now_ns);
            }
        }
        self.note(cpu);
    }

    /// From its beginning to the next switch nothing is certain.
    fn end_unseen(&mut self, cpu: usize, which: (u8, u32), since_ns: u64) {
        self.meet(P::ExitOfInterruptUnseen);
        *self.unended(cpu, which.0) = Some(which);
        let doubt_since_ns = &mut self.cpus[cpu].doubt_since_ns;
        *doubt_since_ns = Some(doubt_since_ns.map_or(since_ns, |earlier| earlier.min(since_ns)));
    }
}
