//! Cgroups with a quota: they run out of it, their members stop at the return to user code, and the
//! period timer gives them more.

use super::machine::{Machine, TaskId};
use crate::hook::What;
use crate::phenomenon::Phenomenon as P;

impl Machine {
    /// The group and those above it.
    fn ancestry(&self, group: usize) -> impl Iterator<Item = usize> + '_ {
        std::iter::successors(Some(group), |&group| self.groups[group].parent)
    }

    /// Whether a member may not run on.
    pub(crate) fn is_out_of_quota(&self, id: TaskId) -> bool {
        let task = &self.tasks[id];
        let fair = task.priority >= 100 && !task.kernel;
        fair && self.ancestry(task.group).any(|group| self.groups[group].out_of_quota)
    }

    /// Some group has used up its quota.
    pub(crate) fn exhaust(&mut self) {
        if let Some(group) = self.random.pick(&self.limited()) {
            self.groups[group].out_of_quota = true;
        }
    }

    /// A period timer expires on `cpu`.
    pub(crate) fn refill(&mut self, cpu: usize) {
        let Some(group) = self.random.pick(&self.limited()) else { return };
        let id = self.groups[group].id;
        if self.attached {
            // The timer's hook is none that a task hides: it was seen, or the quota is not.
            self.call_unhidden(cpu, What::Refill(id));
        }
        self.meet(P::Refill);
        if self.is_let_go_already(group) {
            self.meet(P::RefillAfterItLetGo);
        }
        self.journal.refills.push((self.now_ns, group));
        self.groups[group].out_of_quota = false;
        for id in self.throttled_in(group) {
            self.let_go(cpu, id, group);
        }
    }

    /// Whether some thread in the group that a refill has let go still waits.
    fn is_let_go_already(&self, group: usize) -> bool {
        self.living().any(|id| {
            let let_go = self.tasks[id].wait.is_some_and(|wait| {
                let wait = &self.journal.waits[wait];
                wait.close_ns.is_none() && (1..u64::MAX).contains(&wait.throttled_until_ns)
            });
            let_go && self.ancestry(self.tasks[id].group).any(|above| above == group)
        })
    }

    fn limited(&self) -> Vec<usize> {
        (0..self.groups.len()).filter(|&group| self.groups[group].has_quota).collect()
    }

    fn throttled_in(&self, group: usize) -> Vec<TaskId> {
        let within = |id: &TaskId| {
            self.tasks[*id].throttled && self.ancestry(self.tasks[*id].group).any(|g| g == group)
        };
        self.living().filter(within).collect()
    }

    fn let_go(&mut self, cpu: usize, id: TaskId, group: usize) {
        if self.is_out_of_quota(id) {
            return;
        }
        self.tasks[id].throttled = false;
        if group != self.tasks[id].group {
            self.meet(P::NestedQuota);
        }
        if usize::from(self.tasks[id].cpu) != cpu {
            self.meet(P::RefillOnOtherCpu);
        }
        if let Some(wait) = self.tasks[id].wait {
            self.journal.waits[wait].throttled_until_ns = self.now_ns;
        }
    }
}
