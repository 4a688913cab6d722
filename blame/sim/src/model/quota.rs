//! Cgroups with a quota: who runs uses it up, then their queues or their threads stop, and a timer
//! gives them more.

use super::machine::{Group, Machine, State, Stops, TaskId};
use crate::hook::What;
use crate::phenomenon::Phenomenon as P;

impl Machine {
    /// The group and those above it.
    fn ancestry(&self, group: usize) -> impl Iterator<Item = usize> + '_ {
        std::iter::successors(Some(group), |&group| self.groups[group].parent)
    }

    /// Whether what it runs counts.
    fn is_limited(&self, id: TaskId) -> bool {
        let task = &self.tasks[id];
        task.priority >= 100 && !task.kernel
    }

    /// Whether some group of its has used up what it had on its CPU.
    pub(crate) fn is_out_of_quota(&self, id: TaskId) -> bool {
        let cpu = usize::from(self.tasks[id].cpu);
        let mut groups = self.ancestry(self.tasks[id].group);
        self.is_limited(id) && groups.any(|group| self.groups[group].exhausted[cpu])
    }

    /// Whether it may not be switched in.
    pub(crate) fn is_throttled(&self, id: TaskId) -> bool {
        let task = &self.tasks[id];
        let stopped = |group: usize| self.groups[group].stopped[usize::from(task.cpu)];
        match self.stops {
            Stops::Thread => task.throttled,
            Stops::Queue => self.is_limited(id) && self.ancestry(task.group).any(stopped),
        }
    }

    /// Whoever runs on `cpu` uses up what one of his groups had there.
    pub(crate) fn exhaust(&mut self, cpu: usize) {
        let running = self.cpus[cpu].running;
        let groups = self.ancestry(self.tasks[running].group);
        let limited: Vec<_> = groups.filter(|&group| self.groups[group].has_quota).collect();
        if let Some(group) = self.random.pick(&limited).filter(|_| self.is_limited(running)) {
            self.groups[group].exhausted[cpu] = true;
        }
    }

    /// `prev` is about to leave `cpu`.
    pub(crate) fn stop_queues(&mut self, cpu: usize, prev: TaskId) {
        if self.stops == Stops::Thread || !self.is_limited(prev) {
            return;
        }
        for group in self.ancestry(self.tasks[prev].group).collect::<Vec<_>>() {
            let group = &mut self.groups[group];
            group.stopped[cpu] |= group.exhausted[cpu];
        }
    }

    /// It came to the queue of its CPU. A group that has nobody else there is looked at at once, and
    /// a thread that was stopped elsewhere may be free here.
    pub(crate) fn look_at_quota(&mut self, id: TaskId) {
        let cpu = usize::from(self.tasks[id].cpu);
        match self.stops {
            Stops::Thread => self.tasks[id].throttled &= self.is_out_of_quota(id),
            Stops::Queue if self.is_limited(id) => {
                for group in self.ancestry(self.tasks[id].group).collect::<Vec<_>>() {
                    if self.groups[group].exhausted[cpu] && self.is_alone(id, group) {
                        self.groups[group].stopped[cpu] = true;
                        self.meet(P::QueueStoppedByNewcomer);
                    }
                }
            }
            Stops::Queue => {}
        }
        self.review(id);
    }

    fn is_alone(&self, id: TaskId, group: usize) -> bool {
        let cpu = self.tasks[id].cpu;
        self.living().filter(|&other| other != id).all(|other| {
            let task = &self.tasks[other];
            let is_here = task.cpu == cpu && matches!(task.state, State::Running | State::Queued);
            !(is_here && self.is_limited(other) && self.ancestry(task.group).any(|g| g == group))
        })
    }

    /// A timer of some group's quota expires on `cpu`.
    pub(crate) fn refill(&mut self, cpu: usize) {
        let limited = (0..self.groups.len()).filter(|&group| self.groups[group].has_quota);
        let limited: Vec<_> = limited.collect();
        let Some(group) = self.random.pick(&limited) else { return };
        let Group { id, exhausted, stopped, .. } = &self.groups[group];
        let out = if self.stops == Stops::Thread { exhausted } else { stopped };
        let queues: Vec<_> = (0..self.cpus.len()).filter(|&queue| out[queue]).collect();
        if self.attached {
            let told = queues.iter().map(|&queue| queue as u16).collect();
            // The timer's hook is none that a task hides: it was seen, or the quota is not.
            self.call_unhidden(cpu, What::Refill { cgroup: *id, queues: told });
        }
        self.meet(P::Refill);
        if self.is_let_go_already(group) {
            self.meet(P::RefillAfterItLetGo);
        }
        for queue in 0..self.cpus.len() {
            let told = queues.contains(&queue);
            if told {
                self.journal.refills.push((self.now_ns, group, queue));
            }
            if told && self.random.one_in(5) {
                self.meet(P::RefillThatDidNotReach);
                continue;
            }
            let group = &mut self.groups[group];
            (group.exhausted[queue], group.stopped[queue]) = (false, false);
        }
        self.let_go(cpu, group);
    }

    /// Whether some thread in the group that a refill has let go still waits.
    fn is_let_go_already(&self, group: usize) -> bool {
        self.living().any(|id| {
            let let_go = self.open_wait(id).is_some_and(|wait| {
                let last = self.journal.waits[wait].throttled.last();
                last.is_some_and(|&(_, until_ns)| until_ns != u64::MAX)
            });
            let_go && self.ancestry(self.tasks[id].group).any(|above| above == group)
        })
    }

    fn let_go(&mut self, cpu: usize, group: usize) {
        for id in self.living().collect::<Vec<_>>() {
            let was = self.open_wait(id).is_some_and(|wait| self.journal.waits[wait].is_stopped());
            self.tasks[id].throttled &= self.is_out_of_quota(id);
            self.review(id);
            if !was || self.is_throttled(id) {
                continue;
            }
            if group != self.tasks[id].group {
                self.meet(P::NestedQuota);
            }
            if usize::from(self.tasks[id].cpu) != cpu {
                self.meet(P::RefillOnOtherCpu);
            }
        }
    }

    fn open_wait(&self, id: TaskId) -> Option<usize> {
        self.tasks[id].wait.filter(|&wait| self.journal.waits[wait].close_ns.is_none())
    }

    /// Writes down whether it is throttled from now on, if it waits.
    pub(crate) fn review(&mut self, id: TaskId) {
        let Some(wait) = self.open_wait(id) else { return };
        let (now_ns, throttled) = (self.now_ns, self.is_throttled(id));
        let wait = &mut self.journal.waits[wait];
        match (wait.is_stopped(), throttled) {
            (false, true) => wait.throttled.push((now_ns, u64::MAX)),
            (true, false) => wait.throttled.last_mut().into_iter().for_each(|last| last.1 = now_ns),
            _ => return,
        }
        if throttled {
            self.meet(P::ThrottledInMidWait);
        }
    }

    /// The same for all that wait on a queue.
    pub(crate) fn review_queue(&mut self, cpu: usize) {
        for id in self.cpus[cpu].queue.clone() {
            self.review(id);
        }
    }
}
