//! Queued tasks change their queue: the balancer pulls, an affinity is set.

use super::journal::Stop;
use super::machine::{Machine, State, TaskId};
use crate::hook::What;
use crate::phenomenon::Phenomenon as P;

impl Machine {
    /// `cpu` pulls a task from another queue to its own.
    pub(crate) fn pull(&mut self, cpu: usize) {
        if !self.may_move(cpu) {
            return;
        }
        let here = cpu as u16;
        let fit = |task: &super::Task| {
            task.state == State::Queued && !task.claimed && !task.throttled && task.cpu != here
        };
        if let Some(id) = self.any_task(fit).filter(|&id| !self.has_just_moved(id)) {
            self.migrate(cpu, id, cpu);
            self.meet(P::BalancerMove);
        }
    }

    /// The task of `cpu` pins another one elsewhere.
    pub(crate) fn set_affinity(&mut self, cpu: usize) {
        if !self.may_move(cpu) {
            return;
        }
        let to = self.random.below(self.cpus.len() as u64) as usize;
        let fit = |task: &super::Task| {
            task.state == State::Queued && !task.claimed && usize::from(task.cpu) != to
        };
        if let Some(id) = self.any_task(fit).filter(|&id| !self.has_just_moved(id)) {
            self.migrate(cpu, id, to);
            self.meet(P::AffinityChangeInMidWait);
        }
    }

    /// A move that nobody sees is beyond the probes: of two in a row they would make one.
    fn may_move(&self, cpu: usize) -> bool {
        !self.attached || self.sees(cpu)
    }

    /// One thread is not queued and moved, or moved twice, in a nanosecond: locks lie between.
    fn has_just_moved(&self, id: TaskId) -> bool {
        let stops = self.tasks[id].wait.map_or(&[][..], |wait| &self.journal.waits[wait].stops);
        stops.last().is_some_and(|stop| stop.from_ns == self.now_ns)
    }

    fn migrate(&mut self, cpu: usize, id: TaskId, to: usize) {
        let from = usize::from(self.tasks[id].cpu);
        self.call(cpu, What::Migrate { migrant: self.view(id), to: to as u16 });
        self.cpus[from].queue.retain(|&queued| queued != id);
        self.cpus[to].queue.push(id);
        self.tasks[id].cpu = to as u16;
        let now_ns = self.now_ns;
        let Some(wait) = self.tasks[id].wait else { return };
        let wait = &mut self.journal.waits[wait];
        wait.stops.push(Stop { from_ns: now_ns, cpu: to });
        self.straddle(to);
        if !self.watched_on(from) {
            self.meet(P::MoveStrandsSlice);
        }
    }
}
