//! Mirrors `hooks/walk.rs`: the walks over all tasks, at the start and at the stop.

use cronx_abi::{OpenWaitRecord, Wait, kind, task_state, wait_flag};

use super::{Probes, task::Storage};
use crate::hook::TaskView;

impl Probes {
    /// Watches the threads of the target processes, and tells the profiler's own names.
    pub(super) fn watch_tasks(&mut self, tasks: &[TaskView], targets: &[u32]) {
        for task in tasks {
            if task.key.tgid == self.profiler_tgid {
                self.name(task);
            }
            if targets.contains(&task.key.tgid) {
                self.begin(task);
            }
        }
    }

    /// Tells every wait that is still open.
    pub(super) fn tell_open_waits(&mut self, tasks: &[TaskView]) {
        let now_ns = self.now_ns;
        for task in tasks {
            let waits = |known: &&mut Storage| known.state == task_state::QUEUED;
            let Some(known) = self.watched(task).filter(waits) else { continue };
            // Where the kernel has it: if that is not where it was counted, a move was not seen.
            let still = if task.throttled { wait_flag::THROTTLED_AT_STOP } else { 0 };
            let wait = Wait { cpu: task.cpu, flags: known.wait.flags | still, ..known.wait };
            self.name(task);
            // One that runs was switched in and nobody saw it.
            let told = if task.on_cpu { kind::UNSEEN_CLOSE } else { kind::OPEN };
            self.cpu().emit(told, 0, now_ns, |header| OpenWaitRecord { header, wait });
        }
    }
}
