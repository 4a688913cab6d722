//! Mirrors `task.rs`, `task/btf.rs` and `hooks/btf.rs`: what the kernel shows of a task and what is
//! remembered of it, and the telling of names. Targets are marked, and stay so.

use cronx_abi::{OpenWaitRecord, TaskKey, TaskRecord, TaskState, kind, task_flag, task_state};

use super::Probes;
use crate::hook::TaskView;

/// What task storage holds.
pub(super) type Storage = TaskState;

/// Whether two keys are of one task.
pub(super) fn same(a: TaskKey, b: TaskKey) -> bool {
    a == b
}

impl Probes {
    /// What is remembered of `task` if it is watched.
    pub(super) fn watched(&mut self, task: &TaskView) -> Option<&mut Storage> {
        self.tasks.get_mut(&task.address).filter(|known| known.watched != 0)
    }

    /// What is remembered of `task`, from now on.
    pub(super) fn remembered(&mut self, task: &TaskView) -> &mut Storage {
        self.tasks.entry(task.address).or_default()
    }

    /// Begins to watch a task, wherever it is.
    pub(super) fn begin(&mut self, task: &TaskView) {
        let known = self.remembered(task);
        if known.watched != 0 {
            return;
        }
        known.waking_ns = 0;
        known.wait.off_ns = 0;
        known.state = match (task.on_cpu, is_queued(task)) {
            (true, _) => task_state::RUNNING,
            (_, true) => task_state::QUEUED_UNSEEN,
            _ => 0,
        };
        known.watched = 1;
    }

    /// The wait that is open has ended, and nobody saw when.
    pub(super) fn close_unseen(&mut self, task: &TaskView) {
        let now_ns = self.now_ns;
        let known = self.remembered(task);
        known.state = task_state::BLOCKED;
        let wait = known.wait;
        let counted = &mut self.cpus[usize::from(wait.cpu)];
        // If it was told as open at the stop, the slice that runs now concerns it.
        counted.state.owed = 1;
        counted.uncount();
        self.cpu().emit(kind::UNSEEN_CLOSE, 0, now_ns, |header| OpenWaitRecord { header, wait });
    }

    /// Tells the name of a task before the first evidence that needs it, and again when it changed,
    /// or its priority or cgroup did.
    pub(super) fn name(&mut self, task: &TaskView) {
        let known = self.remembered(task);
        let told =
            known.named != 0 && (known.priority, known.group) == (task.priority, task.cgroup);
        if told {
            return;
        }
        (known.named, known.priority, known.group) = (1, task.priority, task.cgroup);
        let watched = known.watched != 0;
        self.tell_name(task, watched);
    }

    fn tell_name(&mut self, task: &TaskView, watched: bool) {
        let profiler = task.key.tgid == self.profiler_tgid;
        let bits = [
            (task.kernel, task_flag::KERNEL),
            (watched, task_flag::WATCHED),
            (profiler, task_flag::PROFILER),
        ];
        let flags = bits.iter().filter(|(set, _)| *set).fold(0, |all, (_, bit)| all | bit);
        let now_ns = self.now_ns;
        self.cpu().emit(kind::TASK, 0, now_ns, |header| TaskRecord {
            header,
            task: task.key,
            comm: task.comm,
            process: task.process,
            cgroup: task.cgroup,
            flags,
            priority: task.priority,
            policy: task.policy,
            reserved: 0,
        });
    }

    /// A child of a watched thread is watched.
    pub(super) fn forked(&mut self, parent: &TaskView, child: &TaskView) -> Option<()> {
        self.watched(parent)?;
        self.remembered(child).watched = 1;
        Some(())
    }

    /// A new name is told at once.
    pub(super) fn renamed(&mut self, task: &TaskView) -> Option<()> {
        let known = self.tasks.get_mut(&task.address)?;
        (known.named, known.priority, known.group) = (1, task.priority, task.cgroup);
        let watched = known.watched != 0;
        self.tell_name(task, watched);
        Some(())
    }
}

/// Whether the task is on a CPU: what the kernel says outranks our own RUNNING.
pub(super) fn runs(task: &TaskView) -> bool {
    task.on_cpu
}

/// Whether the task sleeps: it is on no CPU, and on no queue but to be taken off it.
pub(super) fn sleeps(task: &TaskView) -> bool {
    !task.on_cpu && !is_on_queue(task)
}

/// Whether the task waits for a CPU.
pub(super) fn is_queued(task: &TaskView) -> bool {
    !task.on_cpu && is_on_queue(task)
}

fn is_on_queue(task: &TaskView) -> bool {
    task.on_rq && !task.sched_delayed
}
