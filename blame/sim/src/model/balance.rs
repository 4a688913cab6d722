//! Queued tasks change their queue: the balancer pulls, an affinity is set.

use super::journal::Stop;
use super::machine::{Machine, State, TaskId};
use crate::hook::What;
use crate::phenomenon::Phenomenon as P;

impl Machine {
    /// `cpu` pulls a task from another queue to its own.
    pub(crate) fn pull(&mut self, cpu: usize) {
        let here = cpu as u16;
        let fit =
            |task: &super::Task| task.state == State::Queued && !task.claimed && task.cpu != here;
        let picked = self.any_task(fit);
        let may = |id: &TaskId| !self.is_throttled(*id) && self.may_move(cpu, *id, cpu);
        if let Some(id) = picked.filter(may) {
            self.migrate(cpu, id, cpu);
            self.meet(P::BalancerMove);
        }
    }

    /// The task of `cpu` pins another one elsewhere.
    pub(crate) fn set_affinity(&mut self, cpu: usize) {
        let to = self.random.below(self.cpus.len() as u64) as usize;
        let fit = |task: &super::Task| {
            task.state == State::Queued && !task.claimed && usize::from(task.cpu) != to
        };
        if let Some(id) = self.any_task(fit).filter(|&id| self.may_move(cpu, id, to)) {
            self.migrate(cpu, id, to);
            self.meet(P::AffinityChangeInMidWait);
        }
    }

    /// One thread is not queued and moved, or moved twice, in a nanosecond: locks lie between. Moves
    /// that nobody sees and that lead back to where they began are beyond the probes.
    fn may_move(&self, cpu: usize, id: TaskId, to: usize) -> bool {
        let stops = self.tasks[id].wait.map_or(&[][..], |wait| &self.journal.waits[wait].stops);
        let told = stops.iter().rfind(|stop| stop.seen);
        let leads_back = !self.sees(cpu) && told.is_some_and(|stop| stop.cpu == to);
        !leads_back && stops.last().is_none_or(|stop| stop.from_ns != self.now_ns)
    }

    fn migrate(&mut self, cpu: usize, id: TaskId, to: usize) {
        let from = usize::from(self.tasks[id].cpu);
        let seen = self.call(cpu, What::Migrate { migrant: self.view(id), to: to as u16 });
        self.cpus[from].queue.retain(|&queued| queued != id);
        self.cpus[to].queue.push(id);
        let throttled = self.is_throttled(id);
        self.tasks[id].cpu = to as u16;
        self.look_at_quota(id);
        let now_ns = self.now_ns;
        let Some(wait) = self.tasks[id].wait else { return };
        if throttled {
            self.meet(P::MoveWhileThrottled);
        }
        let wait = &mut self.journal.waits[wait];
        wait.stops.push(Stop { from_ns: now_ns, cpu: to, seen, throttled });
        if !seen && wait.queued_seen {
            self.meet(P::MoveUnseen);
        }
        self.straddle(to);
        if !self.watched_on(from) {
            self.meet(P::MoveStrandsSlice);
        }
    }
}
