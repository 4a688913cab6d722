//! One task leaves a CPU, another takes it.

use super::journal::{Stop, Wait};
use super::machine::{Machine, State, Stops, TaskId};
use crate::hook::What;
use crate::phenomenon::Phenomenon as P;

/// How a task leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leaving {
    /// To sleep.
    Blocks,
    /// Preempted inside the kernel.
    Preempted,
    /// Preempted in user code, or it yielded.
    Yields,
    /// Its cgroup is out of quota.
    Throttled,
    /// For ever.
    Exits,
}

/// `TASK_INTERRUPTIBLE`, `TASK_DEAD` of include/linux/sched.h.
const SLEEPS: u32 = 1;
const DEAD: u32 = 0x80;

impl Machine {
    /// Whether anybody on the queue may run.
    pub(crate) fn has_next(&self, cpu: usize) -> bool {
        self.cpus[cpu].queue.iter().any(|&id| !self.is_throttled(id))
    }

    /// The task of `cpu` leaves; some task of its queue comes, or none.
    pub(crate) fn switch(&mut self, cpu: usize, leaving: Leaving) {
        let prev = self.cpus[cpu].running;
        self.stop_queues(cpu, prev);
        let next = self.next(cpu);
        if next == prev {
            return;
        }
        if leaving == Leaving::Throttled {
            self.tasks[prev].throttled = self.stops == Stops::Thread;
            self.meet(P::Throttled);
        }
        let state = match leaving {
            _ if self.is_idle_task(prev) => 0,
            Leaving::Blocks => SLEEPS,
            Leaving::Exits => DEAD,
            // It had said that it would sleep, and was preempted before it did.
            Leaving::Preempted => u32::from(self.random.one_in(4)) * SLEEPS,
            Leaving::Yields | Leaving::Throttled => 0,
        };
        let what = What::Switch {
            prev: self.view(prev),
            next: self.view(next),
            preempt: leaving == Leaving::Preempted && !self.is_idle_task(prev),
            prev_state: state,
        };
        let seen = self.call(cpu, what);
        self.watch_sight(cpu, seen);
        self.leave(cpu, prev, leaving, seen);
        self.come(cpu, next, seen);
        self.review_queue(cpu);
        self.note(cpu);
    }

    fn next(&mut self, cpu: usize) -> TaskId {
        let idle = cpu;
        let eligible = self.cpus[cpu].queue.iter().copied().filter(|&id| !self.is_throttled(id));
        let fit: Vec<_> = eligible.collect();
        if !self.idles(cpu) && self.random.one_in(12) {
            return idle;
        }
        self.random.pick(&fit).unwrap_or(idle)
    }

    /// From a switch that was seen to the next one everything between was: or it is in doubt.
    fn watch_sight(&mut self, cpu: usize, seen: bool) {
        let now_ns = self.now_ns;
        let state = &mut self.cpus[cpu];
        if !seen {
            state.unseen = true;
            if self.attached {
                self.meet(P::SwitchUnseen);
            }
            return;
        }
        let since_ns = std::mem::replace(&mut state.seen_switch_ns, now_ns);
        if std::mem::take(&mut state.unseen) || since_ns == 0 {
            self.journal.doubt(cpu, since_ns, now_ns);
        }
        (state.unended_hard, state.unended_soft) = (None, None);
        if let Some(since_ns) = state.doubt_since_ns.take() {
            self.journal.doubt(cpu, since_ns, now_ns);
        }
    }

    fn leave(&mut self, cpu: usize, prev: TaskId, leaving: Leaving, seen: bool) {
        let now_ns = self.now_ns;
        let task = &mut self.tasks[prev];
        self.journal.end(cpu, now_ns, task.priority, task.group);
        if self.is_idle_task(prev) {
            return;
        }
        if seen && !self.tasks[prev].noticed {
            self.drop_waking(prev);
        }
        self.tell_unclosed(prev, seen);
        let task = &mut self.tasks[prev];
        task.off_ns = now_ns;
        task.delayed = leaving == Leaving::Blocks && self.random.one_in(3);
        task.state = match leaving {
            Leaving::Blocks => State::Blocked,
            Leaving::Exits => State::Dead,
            Leaving::Preempted | Leaving::Yields | Leaving::Throttled => State::Queued,
        };
        if self.tasks[prev].state == State::Queued {
            self.cpus[cpu].queue.push(prev);
            self.open(prev, (now_ns, now_ns), seen);
        }
        match leaving {
            Leaving::Preempted => self.meet(P::Preemption),
            Leaving::Yields => self.meet(P::Yield),
            Leaving::Exits => self.meet(P::Exit),
            Leaving::Blocks | Leaving::Throttled => {}
        }
    }

    /// The probes drop a waking that may be that of a wake-up of which they saw no more.
    fn drop_waking(&mut self, id: TaskId) {
        if let Some((_, seen)) = &mut self.tasks[id].waking {
            *seen = false;
        }
    }

    /// Whether the probes could see it come to the queue.
    pub(crate) fn is_opening_seen(&self, id: TaskId) -> bool {
        self.tasks[id].wait.is_some_and(|wait| self.journal.waits[wait].queued_seen)
    }

    /// A watched thread leaves whose coming was not seen: what its wait came to is not known.
    fn tell_unclosed(&mut self, prev: TaskId, seen: bool) {
        let Some(wait) = self.tasks[prev].wait.take() else { return };
        let wait = &self.journal.waits[wait];
        if wait.queued_seen && !wait.close_seen && seen {
            self.journal.unclosed_ns.push(self.now_ns);
            self.meet(P::UnseenClose);
        }
    }

    fn come(&mut self, cpu: usize, next: TaskId, seen: bool) {
        self.cpus[cpu].running = next;
        self.journal.begin(cpu, next, self.now_ns);
        if self.is_idle_task(next) {
            let waited_for = self.watched_on(cpu);
            if waited_for {
                self.meet(P::IdleWhileQueued);
            }
            return;
        }
        self.cpus[cpu].queue.retain(|&id| id != next);
        self.tasks[next].state = State::Running;
        if seen {
            // A waker may still be at it, who found it queued.
            self.drop_waking(next);
        }
        self.tasks[next].noticed = seen || self.is_opening_seen(next);
        self.close(next, seen);
        self.meet_kind(next);
    }

    fn meet_kind(&mut self, next: TaskId) {
        let task = &self.tasks[next];
        let kinds = [
            (task.kernel, P::KernelThreadRan),
            ((0..100).contains(&task.priority), P::RealTimeTask),
            (task.priority < 0, P::DeadlineTask),
            (self.is_profiler(next), P::ProfilerRan),
        ];
        for (_, kind) in kinds.into_iter().filter(|(is, _)| *is) {
            self.meet(kind);
        }
    }

    /// Whether somebody watched is on this queue.
    pub(crate) fn watched_on(&self, cpu: usize) -> bool {
        self.cpus[cpu].queue.iter().any(|&id| self.tasks[id].watched)
    }

    /// A wait of a task that is on a queue begins.
    pub(crate) fn open(&mut self, id: TaskId, (open_ns, queued_ns): (u64, u64), seen: bool) {
        let task = &self.tasks[id];
        let cpu = usize::from(task.cpu);
        if !task.watched {
            return;
        }
        let wait = Wait {
            task: id,
            open_ns,
            queued_ns,
            close_ns: None,
            stops: vec![Stop { from_ns: queued_ns, cpu, seen: true, throttled: false }],
            throttled: self.is_throttled(id).then_some((open_ns, u64::MAX)).into_iter().collect(),
            queued_seen: seen,
            close_seen: false,
            waking_seen: true,
            group: task.group,
            walked: false,
            walked_throttled: false,
        };
        self.tasks[id].wait = Some(self.journal.waits.len());
        self.journal.waits.push(wait);
        self.straddle(cpu);
    }

    /// Somebody watched comes to a queue: what interrupts its CPU now began before.
    pub(crate) fn straddle(&mut self, cpu: usize) {
        let state = &mut self.cpus[cpu];
        for interrupt in [&mut state.hard, &mut state.soft].into_iter().flatten() {
            interrupt.straddles = true;
        }
    }

    fn close(&mut self, id: TaskId, seen: bool) {
        let (now_ns, group) = (self.now_ns, self.tasks[id].group);
        if self.tasks[id].watched && seen && !self.is_opening_seen(id) {
            self.journal.unopened_ns.push(now_ns);
            self.meet(P::Unopened);
        }
        let Some(wait) = self.tasks[id].wait else { return };
        let wait = &mut self.journal.waits[wait];
        (wait.close_ns, wait.close_seen) = (Some(now_ns), seen);
        if !wait.walked {
            wait.group = group;
        }
    }
}
