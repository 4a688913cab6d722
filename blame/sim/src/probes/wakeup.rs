//! Mirrors `wakeup.rs`: wake-ups and moves between queues.

use cronx_abi::{MoveRecord, Wait, Waker, flag, kind, opening, task_state, wait_flag};

use super::{Probes, task};
use crate::hook::TaskView;

impl Probes {
    /// `wakee` is about to be woken by whoever runs here.
    pub(super) fn waking(&mut self, wakee: &TaskView, current: &TaskView) -> Option<()> {
        let now_ns = self.now_ns;
        if self.watched(wakee)?.state == task_state::QUEUED && task::sleeps(wakee) {
            // It ran and went to sleep since, and nobody saw it: the wait is not that long.
            self.name(wakee);
            self.close_unseen(wakee);
        }
        let known = self.watched(wakee)?;
        let told = known.state == task_state::RUNNING || known.state == task_state::QUEUED;
        if !told && task::is_queued(wakee) {
            // Nobody saw when it was put there, and this wake-up changes nothing.
            known.state = task_state::QUEUED_UNSEEN;
            return None;
        }
        if known.waking_ns != 0 && known.waking_ns >= known.wait.off_ns {
            return None;
        }
        known.waking_ns = now_ns;
        let waker = self.waker(current);
        self.watched(wakee)?.waker = waker;
        Some(())
    }

    fn waker(&mut self, current: &TaskView) -> Waker {
        let state = &self.cpu().state;
        let interrupt = if state.hard == 0 { state.soft } else { state.hard };
        if interrupt == 0 && current.key.tid != 0 && state.occupant_told == 0 {
            self.name(current);
            self.cpu().state.occupant_told = 1;
        }
        Waker { task: current.key, interrupt, reserved: 0 }
    }

    /// `wakee` is on the queue of its own CPU.
    pub(super) fn woken(&mut self, wakee: &TaskView) -> Option<()> {
        self.queued(wakee, opening::WAKEUP)
    }

    /// A thread is on a queue for the first time: of a worker that no fork told, who wakes it first
    /// says whose it is.
    pub(super) fn first_queued(&mut self, wakee: &TaskView, current: &TaskView) -> Option<()> {
        if !self.tasks.contains_key(&wakee.address) && self.watched(current).is_some() {
            self.remembered(wakee).watched = 1;
        }
        self.queued(wakee, opening::FORK)
    }

    fn queued(&mut self, wakee: &TaskView, opening: u8) -> Option<()> {
        let now_ns = self.now_ns;
        let woken = opening == opening::WAKEUP;
        let known = self.watched(wakee)?;
        let waits = [task_state::QUEUED, task_state::QUEUED_UNSEEN].contains(&known.state);
        if woken && (task::runs(wakee) || waits) {
            known.waking_ns = 0;
            return None;
        }
        known.wait = Wait {
            open_ns: if woken { open_ns(known, now_ns) } else { now_ns },
            queued_ns: now_ns,
            victim: wakee.key,
            waker: if woken && known.waking_ns != 0 { known.waker } else { Waker::default() },
            first_cpu: wakee.cpu,
            cpu: wakee.cpu,
            moves: 0,
            opening,
            flags: throttled(wakee),
            ..known.wait
        };
        known.waking_ns = 0;
        known.state = task_state::QUEUED;
        self.cpus.get_mut(usize::from(wakee.cpu))?.count(now_ns);
        Some(())
    }

    /// `migrant` joins the queue of the CPU `to`.
    pub(super) fn moved(&mut self, migrant: &TaskView, to: u16) -> Option<()> {
        let now_ns = self.now_ns;
        let known = self.watched(migrant).filter(|known| known.state == task_state::QUEUED)?;
        let victim = known.wait.victim;
        // Where it was counted; if that is not where it comes from, a move was not seen.
        let counted = usize::from(known.wait.cpu);
        known.wait.cpu = to;
        known.wait.moves = known.wait.moves.saturating_add(1);
        // The slice that runs on the queue left behind would end unseen.
        self.cpus[counted].state.owed = 1;
        self.cpus[usize::from(to)].count(now_ns);
        self.cpus[counted].uncount();
        // The kernel changes the task's CPU after this.
        let from = migrant.cpu;
        let flags = if migrant.throttled { flag::THROTTLED } else { 0 };
        self.cpu().emit(kind::MOVE, flags, now_ns, |header| MoveRecord {
            header,
            victim,
            from,
            to,
            reserved: 0,
        });
        Some(())
    }
}

/// The wait's flag for a task that its cgroup's quota keeps from running.
pub(super) fn throttled(task: &TaskView) -> u8 {
    if task.throttled { wait_flag::THROTTLED } else { 0 }
}

/// A wait begins with the waking, or with the switch-out if that came after it.
fn open_ns(known: &task::Storage, queued_ns: u64) -> u64 {
    if known.waking_ns == 0 { queued_ns } else { known.waking_ns.max(known.wait.off_ns) }
}
