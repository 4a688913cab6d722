//! Mirrors `task.rs` and `hooks/btf.rs`: what is remembered of a task, and the telling of names.

use cronx_abi::{TaskKey, TaskRecord, TaskState, kind, task_flag, task_state};

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

    /// Tells who a task is before the first evidence that needs it, once until it changes.
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

    /// A new name: the next evidence tells it.
    pub(super) fn renamed(&mut self, task: &TaskView) -> Option<()> {
        self.tasks.get_mut(&task.address)?.named = 0;
        Some(())
    }
}

/// Whether the task is on a CPU: what the kernel says outranks our own RUNNING.
pub(super) fn runs(task: &TaskView) -> bool {
    task.on_cpu
}

/// Whether it waits, as far as we know.
pub(super) fn is_queued(known: &Storage) -> bool {
    known.state == task_state::QUEUED
}
