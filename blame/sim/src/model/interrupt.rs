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
        let hidden = self.may_half_see(cpu);
        let seen = if hidden {
            self.cpus[cpu].half_seen = true;
            self.meet(P::EntryOfInterruptUnseen);
            false
        } else {
            self.call(cpu, What::Enter { layer, vector })
        };
        let since_ns = self.now_ns;
        let begun = Interrupt { layer, vector, since_ns, straddles: false, seen };
        let state = &mut self.cpus[cpu];
        if layer == layer::SOFTIRQ {
            state.soft = Some(begun);
        } else {
            if state.soft.is_some() && state.running >= self.tasks_of_idle() {
                self.meet(P::HardInSoftInTask);
            }
            self.cpus[cpu].hard = Some(begun);
        }
        self.note(cpu);
    }

    fn tasks_of_idle(&self) -> usize {
        self.cpus.len()
    }

    /// Of two that show one end each, one after the other, the probes could make one: beyond them.
    fn may_half_see(&mut self, cpu: usize) -> bool {
        self.sees(cpu) && !self.cpus[cpu].half_seen && self.random.one_in(self.rarely)
    }

    /// A softirq whose beginning was not seen. The probes have it begin where a hard interrupt inside
    /// it ended: that is beyond them.
    pub(crate) fn begins_unseen(&self, cpu: usize) -> bool {
        self.cpus[cpu].soft.is_some_and(|soft| !soft.seen)
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
        // Where somebody came meanwhile, an end unseen is beyond the probes.
        if seen && !straddles && self.may_half_see(cpu) {
            self.cpus[cpu].half_seen = true;
            self.meet(P::ExitOfInterruptUnseen);
            // From its beginning to the next switch nothing is certain.
            self.cpus[cpu].doubt_since_ns = Some(since_ns);
        } else {
            let told = self.call(cpu, What::Exit { layer, vector });
            if told && !seen {
                let slice_ns = self.cpus[cpu].seen_switch_ns;
                self.journal.doubt(cpu, slice_ns, now_ns);
            }
        }
        self.note(cpu);
    }
}
