//! Mirrors `switch.rs`: the context switch, where waits close, slices end, and preemptions open
//! waits.

use cronx_abi::{
    Slice, SliceRecord, UnopenedRecord, Wait, WaitRecord, Waker, flag, kind, off_state, opening,
    task_state,
};

use super::{Probes, interrupt, task, wakeup};
use crate::hook::TaskView;

impl Probes {
    /// `prev` leaves this CPU, `next` takes it; a `prev_state` of 0 is still runnable.
    pub(super) fn switch(&mut self, prev: &TaskView, next: &TaskView, prev_state: u32) {
        let now_ns = self.now_ns;
        interrupt::switched(self.cpu(), now_ns);
        let victim = next.key.tid != 0 && self.watched(next).is_some();
        let preempted = prev.key.tid != 0 && self.leave(prev, prev_state);
        self.tell(prev, next, victim);
        if preempted && prev_state == 0 {
            self.queue_again(prev);
        }
        let state = &mut self.cpu().state;
        state.occupant = next.key;
        state.since_ns = now_ns;
        state.occupant_told = 0;
        self.cpu().settle();
    }

    /// The outgoing task, if watched: it is off the CPU, whatever we believed of it.
    fn leave(&mut self, prev: &TaskView, prev_state: u32) -> bool {
        let now_ns = self.now_ns;
        let Some(known) = self.watched(prev) else { return false };
        if known.state == task_state::QUEUED {
            // It was switched in and nobody saw it.
            self.name(prev);
            self.close_unseen(prev);
        } else if known.state != task_state::RUNNING {
            // So was this one, and it came to the queue unseen: its waking may still be there.
            known.waking_ns = 0;
        }
        let known = self.remembered(prev);
        known.wait.off_ns = now_ns;
        known.wait.off_state = prev_state & off_state::ALL;
        known.state = task_state::BLOCKED;
        true
    }

    /// Tells the slice that ends if anybody waited beneath it, and the wait that ends with it.
    fn tell(&mut self, prev: &TaskView, next: &TaskView, victim: bool) {
        let state = self.cpu().state;
        let slice = Slice { since_ns: state.since_ns, task: prev.key };
        let flags = if task::same(state.occupant, prev.key) { 0 } else { flag::CONTRADICTS };
        if victim {
            let known = self.remembered(next);
            let before = std::mem::replace(&mut known.state, task_state::RUNNING);
            // Whatever woke it is used up, also if its wake-up was not seen.
            known.waking_ns = 0;
            if before == task_state::QUEUED {
                return self.close(prev, next, slice, flags);
            }
            self.cpu().state.impossible += u64::from(before == task_state::RUNNING);
            self.tell_unopened(next);
        }
        if self.cpu().is_wanted() {
            self.tell_slice(prev, slice, flags);
        }
    }

    /// The wait of the incoming task ends.
    fn close(&mut self, prev: &TaskView, next: &TaskView, slice: Slice, flags: u8) {
        let now_ns = self.now_ns;
        let wait = self.remembered(next).wait;
        let here = self.here;
        let counted = &mut self.cpus[usize::from(wait.cpu)];
        if usize::from(wait.cpu) != here {
            // It left that queue and nobody saw it: the slice that runs there would end unseen.
            counted.state.owed = 1;
        }
        counted.uncount();
        self.name(next);
        if prev.key.tid != 0 {
            self.name(prev);
        }
        self.cpu().emit(kind::WAIT, flags, now_ns, |header| WaitRecord { header, slice, wait });
    }

    fn tell_slice(&mut self, prev: &TaskView, slice: Slice, flags: u8) {
        let now_ns = self.now_ns;
        if prev.key.tid != 0 {
            self.name(prev);
        }
        self.cpu().emit(kind::SLICE, flags, now_ns, |header| SliceRecord { header, slice });
    }

    fn tell_unopened(&mut self, next: &TaskView) {
        let (now_ns, victim) = (self.now_ns, next.key);
        self.name(next);
        self.cpu().emit(kind::UNOPENED, 0, now_ns, |header| UnopenedRecord { header, victim });
    }

    /// The outgoing task is still runnable: preempted, throttled, or it yielded.
    fn queue_again(&mut self, prev: &TaskView) {
        let (now_ns, here) = (self.now_ns, self.here as u16);
        self.cpu().count(now_ns);
        let known = self.remembered(prev);
        known.wait = Wait {
            open_ns: now_ns,
            queued_ns: now_ns,
            victim: prev.key,
            waker: Waker::default(),
            first_cpu: here,
            cpu: here,
            moves: 0,
            opening: opening::PREEMPTED,
            flags: wakeup::throttled(prev),
            off_ns: now_ns,
            off_state: 0,
            reserved: 0,
        };
        known.state = task_state::QUEUED;
    }
}
