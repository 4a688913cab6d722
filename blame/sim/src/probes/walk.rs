//! Mirrors `hooks/walk.rs`: the walks over all tasks, at the start and at the stop.

use cronx_abi::{OpenWaitRecord, kind, task_state};

use super::{Probes, task};
use crate::hook::TaskView;

impl Probes {
    /// Watches the threads of the target processes, and tells the profiler's own names.
    pub(super) fn watch_tasks(&mut self, tasks: &[TaskView], targets: &[u32]) {
        for task in tasks {
            if task.key.tgid == self.profiler_tgid {
                self.name(task);
            }
            if targets.contains(&task.key.tgid) {
                self.watch(task);
            }
        }
    }

    fn watch(&mut self, task: &TaskView) {
        let known = self.remembered(task);
        if known.watched == 0 {
            if task.on_cpu {
                known.state = task_state::RUNNING;
            }
            known.watched = 1;
        }
    }

    /// Tells every wait that is still open.
    pub(super) fn tell_open_waits(&mut self, tasks: &[TaskView]) {
        let now_ns = self.now_ns;
        for task in tasks {
            let Some(known) = self.watched(task).filter(|known| task::is_queued(known)) else {
                continue;
            };
            let wait = known.wait;
            self.name(task);
            self.cpu().emit(kind::OPEN, 0, now_ns, |header| OpenWaitRecord { header, wait });
        }
    }
}
