//! The state of the modelled machine, and how its hooks are called.

use cronx_abi::{COMM_LEN, TaskKey};

use super::journal::{Doing, Journal};
use crate::hook::{Hook, TaskView, What};
use crate::phenomenon::{Counts, Phenomenon};
use crate::random::Random;

/// Place of a task in [`Machine::tasks`]; the first are the idle tasks, one for each CPU.
pub(crate) type TaskId = usize;

/// Where a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// On the CPU that [`Task::cpu`] names.
    Running,
    /// On the queue of that CPU.
    Queued,
    /// Asleep.
    Blocked,
    /// Woken, and on no queue yet.
    Waking,
    /// Gone.
    Dead,
}

/// One thread.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "a task_struct is full of them")]
pub(crate) struct Task {
    pub(crate) key: TaskKey,
    pub(crate) comm: [u8; COMM_LEN],
    /// Its process's first thread.
    pub(crate) leader: TaskId,
    pub(crate) kernel: bool,
    pub(crate) priority: i32,
    pub(crate) policy: u32,
    /// Place in [`Machine::groups`].
    pub(crate) group: usize,
    pub(crate) state: State,
    pub(crate) cpu: u16,
    /// Stopped by itself for want of quota, until a refill.
    pub(crate) throttled: bool,
    /// It sleeps and has not been taken off its queue.
    pub(crate) delayed: bool,
    /// A waker holds it: nobody else wakes, moves or changes it.
    pub(crate) claimed: bool,
    /// Of the recorded load: its waits are asked for.
    pub(crate) watched: bool,
    /// While it is current, its CPU's tracepoints are not hit.
    pub(crate) hides: bool,
    /// While it runs: whether the probes saw it come to the queue, or to the CPU.
    pub(crate) noticed: bool,
    /// The first waking since the last switch-out, and whether the probes could see it.
    pub(crate) waking: Option<(u64, bool)>,
    pub(crate) off_ns: u64,
    /// Its wait in the journal, while one is open.
    pub(crate) wait: Option<usize>,
}

/// A cgroup of the cpu controller.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) id: u64,
    pub(crate) path: String,
    pub(crate) parent: Option<usize>,
    pub(crate) has_quota: bool,
    /// By CPU: it has used up what it had there.
    pub(crate) exhausted: Vec<bool>,
    /// By CPU: its queue is stopped.
    pub(crate) stopped: Vec<bool>,
}

/// What stops where a group is out of quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stops {
    /// Its queue of that CPU, once the one of it that runs there leaves.
    Queue,
    /// Each thread, at its return to user code: since 6.18.
    Thread,
}

/// An interrupt in progress.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Interrupt {
    pub(crate) layer: u8,
    pub(crate) vector: u32,
    pub(crate) since_ns: u64,
    /// Whether a watched thread came to this CPU's queue meanwhile.
    pub(crate) straddles: bool,
    pub(crate) seen: bool,
}

/// What a CPU must do next, with interrupts off.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Errand {
    /// Finish the wake-up that it began.
    Wake(TaskId),
    /// Put a woken task on the queue that was chosen.
    Enqueue(TaskId),
    /// Wake a forked task for the first time.
    FirstWake(TaskId),
    /// Switch its task out, which is off the queue already.
    Block,
}

/// One CPU.
#[derive(Debug, Clone)]
pub(crate) struct Cpu {
    pub(crate) running: TaskId,
    pub(crate) queue: Vec<TaskId>,
    pub(crate) hard: Option<Interrupt>,
    pub(crate) soft: Option<Interrupt>,
    pub(crate) errand: Option<Errand>,
    /// Tasks woken elsewhere and sent here to be queued.
    pub(crate) inbox: Vec<TaskId>,
    /// The hypervisor has it until then.
    pub(crate) stolen_until_ns: u64,
    /// The last thing that happened on it.
    pub(crate) last_ns: u64,
    pub(crate) next_sample_ns: u64,
    /// Since when the probes could know who runs; 0 if they never saw a switch.
    pub(crate) seen_switch_ns: u64,
    /// A switch since then was not seen.
    pub(crate) unseen: bool,
    /// The last interrupt of which no more than the beginning was seen since the last switch.
    pub(crate) unended_hard: Option<(u8, u32)>,
    /// The same of softirqs.
    pub(crate) unended_soft: Option<(u8, u32)>,
    /// Since when an interrupt may be going on whose end was not seen.
    pub(crate) doubt_since_ns: Option<u64>,
}

/// All of it.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) random: Random,
    pub(crate) now_ns: u64,
    pub(crate) cpus: Vec<Cpu>,
    pub(crate) tasks: Vec<Task>,
    pub(crate) groups: Vec<Group>,
    pub(crate) stops: Stops,
    pub(crate) journal: Journal,
    pub(crate) hooks: Vec<Hook>,
    pub(crate) attached: bool,
    pub(crate) counts: Counts,
    pub(crate) sample_period_ns: u64,
    /// Next number of a thread that was not there before.
    pub(crate) next_tid: u32,
    /// Something rare is met once in so many times.
    pub(crate) rarely: u64,
    pub(crate) profiler_tgid: u32,
}

impl Machine {
    pub(crate) fn is_idle_task(&self, task: TaskId) -> bool {
        task < self.cpus.len()
    }

    pub(crate) fn running(&self, cpu: usize) -> &Task {
        &self.tasks[self.cpus[cpu].running]
    }

    pub(crate) fn idles(&self, cpu: usize) -> bool {
        self.is_idle_task(self.cpus[cpu].running)
    }

    pub(crate) fn meet(&mut self, phenomenon: Phenomenon) {
        self.counts.count(phenomenon);
    }

    /// Whether a hook that is hit now on this CPU is called.
    pub(crate) fn sees(&self, cpu: usize) -> bool {
        self.attached && !self.running(cpu).hides
    }

    /// Calls a hook on `cpu`, in the context of its task; false if nobody hears it.
    pub(crate) fn call(&mut self, cpu: usize, what: What) -> bool {
        let seen = self.sees(cpu);
        if seen {
            self.call_unhidden(cpu, what);
        }
        seen
    }

    /// Calls a hook that no task hides.
    pub(crate) fn call_unhidden(&mut self, cpu: usize, what: What) {
        let current = self.view(self.cpus[cpu].running);
        self.hooks.push(Hook { at_ns: self.now_ns, cpu: cpu as u16, current, what });
    }

    /// What a hook finds in the `task_struct`.
    pub(crate) fn view(&self, id: TaskId) -> TaskView {
        let task = &self.tasks[id];
        TaskView {
            address: id,
            key: task.key,
            comm: task.comm,
            process: self.tasks[task.leader].comm,
            kernel: task.kernel,
            priority: task.priority,
            policy: task.policy,
            cgroup: self.groups[task.group].id,
            cpu: task.cpu,
            on_cpu: task.state == State::Running,
            on_rq: task.delayed || self.is_on_queue(id),
            sched_delayed: task.delayed,
            throttled: self.is_throttled(id),
        }
    }

    /// Also while it runs, and no more once it is about to block.
    fn is_on_queue(&self, id: TaskId) -> bool {
        match self.tasks[id].state {
            State::Running => !self.is_leaving(id),
            State::Queued => true,
            State::Blocked | State::Waking | State::Dead => false,
        }
    }

    pub(crate) fn living(&self) -> impl Iterator<Item = TaskId> + '_ {
        (self.cpus.len()..self.tasks.len()).filter(|&id| self.tasks[id].state != State::Dead)
    }

    /// One of the tasks that are as `wanted`.
    pub(crate) fn any_task(&mut self, wanted: impl Fn(&Task) -> bool) -> Option<TaskId> {
        let fit: Vec<_> = self.living().filter(|&id| wanted(&self.tasks[id])).collect();
        self.random.pick(&fit)
    }

    /// Writes down what `cpu` does from now on.
    pub(crate) fn note(&mut self, cpu: usize) {
        let state = &self.cpus[cpu];
        let doing = match (state.hard, state.soft) {
            (Some(hard), _) => Doing::Interrupt(hard.layer, hard.vector),
            (None, Some(soft)) => Doing::Interrupt(soft.layer, soft.vector),
            (None, None) => Doing::Task,
        };
        let stolen = state.stolen_until_ns > self.now_ns;
        self.journal.note(cpu, self.now_ns, doing, stolen);
    }
}
