//! Wake-ups: of sleepers, and of those that need none; on the waker's CPU and on the target's.

use super::machine::{Errand, Machine, State, TaskId};
use crate::hook::What;
use crate::phenomenon::Phenomenon as P;

impl Machine {
    /// Whoever runs on `cpu` begins to wake some task. The rest follows with interrupts off.
    pub(crate) fn begin_wake(&mut self, cpu: usize) {
        let wakeable = |task: &super::Task| {
            !task.claimed && !matches!(task.state, State::Waking | State::Dead)
        };
        // Sleepers first: what runs is seldom woken.
        let sleeps = |task: &super::Task| wakeable(task) && task.state == State::Blocked;
        let wakee = match self.random.below(4) {
            0 => self.any_task(wakeable),
            _ => self.any_task(sleeps),
        };
        let Some(wakee) = wakee else { return };
        let seen = self.call(cpu, What::Waking(self.view(wakee)));
        let in_interrupt = self.cpus[cpu].hard.is_some() || self.cpus[cpu].soft.is_some();
        self.meet(if in_interrupt { P::WakeFromInterrupt } else { P::WakeFromTask });
        // Of one that is queued it means nothing, unless it runs and sleeps before the waker goes on.
        let seen = seen && !self.is_queued_unseen(wakee);
        let (now_ns, task) = (self.now_ns, &mut self.tasks[wakee]);
        task.claimed = true;
        if task.waking.is_none_or(|(at_ns, _)| at_ns < task.off_ns) {
            task.waking = Some((now_ns, seen));
        }
        self.cpus[cpu].errand = Some(Errand::Wake(wakee));
    }

    /// The waker goes on: what the wakee needs depends on where it is by now.
    pub(crate) fn go_on_waking(&mut self, cpu: usize, wakee: TaskId) {
        let task = &self.tasks[wakee];
        let sleeps_soon = self.is_leaving(wakee);
        match task.state {
            // It is off the queue and still on its CPU: the waker spins.
            State::Running if sleeps_soon => return,
            State::Running | State::Queued => self.wake_for_nothing(cpu, wakee),
            State::Blocked => return self.choose_queue(cpu, wakee),
            State::Waking | State::Dead => {}
        }
        self.tasks[wakee].claimed = false;
        self.cpus[cpu].errand = None;
    }

    /// On a queue, and nobody saw it come there.
    fn is_queued_unseen(&self, id: TaskId) -> bool {
        let task = &self.tasks[id];
        let queued = task.watched && task.state == State::Queued;
        self.attached && queued && !self.is_opening_seen(id)
    }

    pub(crate) fn is_leaving(&self, id: TaskId) -> bool {
        let on = &self.cpus[usize::from(self.tasks[id].cpu)];
        on.running == id && matches!(on.errand, Some(Errand::Block))
    }

    /// It runs or is queued already.
    fn wake_for_nothing(&mut self, cpu: usize, wakee: TaskId) {
        let queued = self.tasks[wakee].state == State::Queued;
        self.meet(if queued { P::QueuedTaskWoken } else { P::RunningTaskWoken });
        if self.is_queued_unseen(wakee) {
            self.meet(P::TaskQueuedUnseenWoken);
        }
        self.call(cpu, What::Wakeup(self.view(wakee)));
        self.tasks[wakee].waking = None;
    }

    fn choose_queue(&mut self, cpu: usize, wakee: TaskId) {
        let task = &mut self.tasks[wakee];
        task.state = State::Waking;
        task.delayed = false;
        if task.waking.is_some_and(|(at_ns, _)| at_ns < task.off_ns) {
            self.meet(P::WakingBeforeSwitchOut);
        }
        let target = self.random.below(self.cpus.len() as u64) as u16;
        if target != self.tasks[wakee].cpu {
            self.call(cpu, What::Migrate { migrant: self.view(wakee), to: target });
            self.tasks[wakee].cpu = target;
            self.meet(P::BlockedTaskMoved);
        }
        let remote = usize::from(target) != cpu && self.random.one_in(2);
        if remote {
            self.cpus[usize::from(target)].inbox.push(wakee);
        }
        self.cpus[cpu].errand = if remote { None } else { Some(Errand::Enqueue(wakee)) };
    }

    /// The wakee comes to its queue; `cpu` is the one that puts it there.
    pub(crate) fn enqueue(&mut self, cpu: usize, wakee: TaskId) {
        let task = &mut self.tasks[wakee];
        task.state = State::Queued;
        task.claimed = false;
        let target = usize::from(task.cpu);
        self.cpus[target].queue.push(wakee);
        self.look_at_quota(wakee);
        let seen = self.call(cpu, What::Wakeup(self.view(wakee)));
        let (waking_ns, waking_seen) =
            self.tasks[wakee].waking.take().unwrap_or((self.now_ns, false));
        let open_ns = waking_ns.max(self.tasks[wakee].off_ns);
        self.open(wakee, (open_ns, self.now_ns), seen);
        if let Some(wait) = self.tasks[wakee].wait {
            self.journal.waits[wait].waking_seen = waking_seen;
            if seen && !waking_seen {
                self.meet(P::WakingUnseen);
            }
            if waking_seen && !seen {
                self.meet(P::WakeupUnseen);
            }
        }
    }

    /// A forked task comes to a queue.
    pub(crate) fn first_wake(&mut self, cpu: usize, child: TaskId) {
        // Of a child whose fork nobody saw, who wakes it first says whose it is.
        self.tasks[child].watched |= self.sees(cpu) && self.running(cpu).watched;
        self.tasks[child].state = State::Queued;
        let target = usize::from(self.tasks[child].cpu);
        self.cpus[target].queue.push(child);
        self.look_at_quota(child);
        let seen = self.call(cpu, What::WakeupNew(self.view(child)));
        self.open(child, (self.now_ns, self.now_ns), seen);
    }

    /// What was sent to `cpu` is put on its queue.
    pub(crate) fn empty_inbox(&mut self, cpu: usize) {
        for wakee in std::mem::take(&mut self.cpus[cpu].inbox) {
            self.enqueue(cpu, wakee);
        }
    }
}
