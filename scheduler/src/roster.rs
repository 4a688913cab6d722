//! What one shard knows and decides: its jobs, their timers, and what becomes of each firing.
//!
//! It has no thread and no clock. It is told of requests, of ends, and of the time; it hands firings to
//! a [`Desk`] and says when it wants to be woken. Under a fake clock a day is a loop.
//!
//! A job's *cursor* is the last nominal instant that was decided. Firings are not queued up here: what
//! cannot be handed over stays behind the cursor, which is as much memory for a year as for a second.

mod entry;
mod fire;

use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use entry::Entries;

use crate::clock::Reading;
use crate::hash::mix;
use crate::job::{Core, Phase, When};
use crate::policy::Why;
use crate::policy::change::Change;
use crate::request::{Again, Done, Order, Request};
use crate::run::{Firing, Skipped, TraceId};
use crate::store::Open;
use crate::wheel::{Due, Wheel};
use crate::work::Shot;
use crate::{Mono, Utc};

/// Where firings go.
pub(crate) trait Desk {
    /// Takes a firing, or gives it back if there is no room.
    #[expect(
        clippy::result_large_err,
        reason = "it goes back as it came, where no room is made for it"
    )]
    fn submit(&mut self, order: Order) -> Result<(), Order>;

    /// Is told of what was left out; `false` if it could not be.
    fn skip(&mut self, skipped: Skipped) -> bool;
}

/// The jobs of one shard.
pub(crate) struct Roster {
    now: Reading,
    /// UTC at instant 0 of the monotonic clock, nanoseconds.
    origin_ns: i64,
    wheel: Wheel,
    entries: Entries,
    /// Firings that failed and wait for their next attempt, by tag.
    retries: Vec<Option<(Arc<Core>, Firing)>>,
    free_retries: Vec<u32>,
    /// What found no room at the desk, first come first served.
    stalled: VecDeque<Stalled>,
    /// A buffer for the wheel.
    due: Vec<Due>,
    shard_tid: u32,
    /// What the next trace is drawn from.
    draw: u64,
    closed: bool,
    /// Firings at the desk, retries that wait included.
    busy: usize,
}

/// What wants to be handed over as soon as there is room.
enum Stalled {
    /// A job that has firings due.
    Job(u32),
    /// A firing that is due again.
    Retry(Arc<Core>, Firing),
}

/// So many of those that are due are put in order before the first of them is handed over.
const BATCH: usize = 256;

/// A tag with this bit is of a retry, any other of a job.
const RETRY: u32 = 1 << 31;

impl Roster {
    /// Without jobs, at this time. `seed` makes traces differ from those of others.
    pub(crate) fn new(now: Reading, shard_tid: u32, seed: u64) -> Self {
        Self {
            now,
            origin_ns: now.utc.0.saturating_sub_unsigned(now.mono.0),
            wheel: Wheel::new(now.mono.0),
            entries: Entries::default(),
            retries: Vec::new(),
            free_retries: Vec::new(),
            stalled: VecDeque::new(),
            due: Vec::new(),
            shard_tid,
            draw: seed,
            closed: false,
            busy: 0,
        }
    }

    /// Does as an owner asks.
    pub(crate) fn request(&mut self, request: Request, desk: &mut impl Desk) {
        match request {
            Request::Add { core, cursor, open } => {
                core.set_cursor(cursor);
                self.add(Arc::clone(&core), None);
                self.take_up(&core, &open);
            }
            Request::Once { core, shot } => self.add(core, Some(shot)),
            Request::Look(core) => self.look(&core, desk),
            Request::Resume(core) => self.resume(&core, desk),
            Request::Trigger(core) => self.trigger(&core, desk),
        }
    }

    /// Time has passed: hands over what is due.
    pub(crate) fn wake(&mut self, now: Reading, desk: &mut impl Desk) {
        let last = std::mem::replace(&mut self.now, now);
        if let Some(change) = Change::between(&last, &now) {
            self.changed(change, desk);
        }
        self.unstall(desk);
        let mut due = std::mem::take(&mut self.due);
        let mut more = true;
        while more {
            more = self.wheel.advance_by(BATCH, now.mono.0, &mut due);
            due.drain(..).for_each(|timer| self.pop(timer, desk));
        }
        self.due = due;
    }

    /// When to wake next.
    pub(crate) fn next_wake(&self) -> Option<Mono> {
        self.wheel.next_due().map(Mono)
    }

    /// An attempt has ended: it may be tried again, and others may have waited for it.
    pub(crate) fn done(&mut self, done: Done, desk: &mut impl Desk) {
        let Done { core, again } = done;
        if !again.is_some_and(|again| self.try_again(&core, *again, desk)) {
            self.ended(&core, desk);
        }
        self.unstall(desk);
    }

    /// A firing is off the desk for good.
    fn ended(&mut self, core: &Arc<Core>, desk: &mut impl Desk) {
        self.busy -= 1;
        core.release();
        let slot = core.slot.load(Ordering::Relaxed);
        self.start_waiting(slot, desk);
        self.remove_if_over(slot);
    }

    /// Starts nothing from now on; what is at the desk goes on to its end.
    pub(crate) fn close(&mut self) {
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        self.stalled.clear();
        self.wheel = Wheel::new(self.now.mono.0);
        // Retries were counted as being at the desk, and will not get there.
        for (core, _) in self.retries.drain(..).flatten() {
            self.busy -= 1;
            core.release();
        }
    }

    /// Firings at the desk.
    pub(crate) fn busy(&self) -> usize {
        self.busy
    }

    /// Jobs that it has.
    pub(crate) fn jobs(&self) -> usize {
        self.entries.len()
    }

    /// Whether something waits for room at the desk.
    pub(crate) fn is_stalled(&self) -> bool {
        !self.stalled.is_empty()
    }

    fn add(&mut self, core: Arc<Core>, shot: Option<Shot>) {
        if self.closed {
            return;
        }
        let slot = self.entries.insert(core, shot);
        self.arm(slot);
    }

    /// Firings that another process began and did not finish are tried again at once: it was not their
    /// failure, so no limit of attempts counts.
    fn take_up(&mut self, core: &Arc<Core>, open: &[Open]) {
        if self.closed {
            return;
        }
        for &Open { nominal, trigger, attempt } in open {
            let firing = self.firing(core, nominal, self.now.mono);
            let attempt = attempt.saturating_add(1);
            // Nothing is decided by it any more.
            let firing = Firing { after: nominal, trigger, attempt, ..firing };
            core.occupy();
            self.busy += 1;
            self.put_off(core, firing);
        }
    }

    /// Its phase is another: what is no longer active has no timer.
    fn look(&mut self, core: &Arc<Core>, desk: &mut impl Desk) {
        if core.phase() == Phase::Cancelled {
            self.take_back(core, desk);
        }
        let slot = core.slot.load(Ordering::Relaxed);
        let Some(entry) = self.entries.of(core) else { return };
        let timer = if core.phase() == Phase::Active { None } else { entry.timer.take() };
        if let Some(key) = timer {
            self.wheel.cancel(key);
        }
        if core.phase() == Phase::Left {
            self.drop_retries(core);
        }
        self.remove_if_over(slot);
    }

    /// Its other attempts are not made here.
    fn drop_retries(&mut self, core: &Arc<Core>) {
        for retry in &mut self.retries {
            // Its place is free when its timer has found nothing there.
            if retry.take_if(|(of, _)| Arc::ptr_eq(of, core)).is_some() {
                self.busy -= 1;
                core.release();
            }
        }
    }

    fn resume(&mut self, core: &Arc<Core>, desk: &mut impl Desk) {
        if !core.turn(Phase::Paused, Phase::Active) {
            return;
        }
        let now = self.utc_of(core);
        if self.entries.of(core).is_some() {
            let slot = core.slot.load(Ordering::Relaxed);
            self.leave_out(slot, now, Why::Paused, desk);
            self.arm(slot);
        }
    }

    fn trigger(&mut self, core: &Arc<Core>, desk: &mut impl Desk) {
        if self.closed || core.phase().is_gone() || self.entries.of(core).is_none() {
            return;
        }
        let slot = core.slot.load(Ordering::Relaxed);
        let (nominal, due) = (self.utc(), self.now.mono);
        if core.as_named().is_none() {
            return self.fire_early(slot, core, nominal, desk);
        }
        let firing = self.firing(core, nominal, due);
        let trigger = NonZeroU64::new(firing.trace.0 as u64).or(Some(NonZeroU64::MIN));
        let firing = Firing { trigger, ..firing };
        self.fire_triggered(slot, firing, desk);
    }

    /// A timer's time has come.
    fn pop(&mut self, timer: Due, desk: &mut impl Desk) {
        if timer.tag & RETRY == 0 {
            if let Some(entry) = self.entries.get(timer.tag) {
                entry.timer = None;
                self.fire(timer.tag, desk);
            }
            return;
        }
        let index = timer.tag & !RETRY;
        self.free_retries.push(index);
        if let Some((core, firing)) = self.retries[index as usize].take() {
            let firing = Firing { popped: self.now.mono, ..firing };
            self.hand_over_again(core, firing, desk);
        }
    }

    fn hand_over_again(&mut self, core: Arc<Core>, mut firing: Firing, desk: &mut impl Desk) {
        if core.phase() == Phase::Left {
            return self.ended(&core, desk);
        }
        let cancelled = core.phase() == Phase::Cancelled || core.stops(firing.number);
        if !cancelled {
            firing.number = core.number();
        }
        let order = Order { core, firing, shot: None, cancelled };
        if let Err(Order { core, firing, .. }) = desk.submit(order) {
            self.stalled.push_back(Stalled::Retry(core, firing));
        }
    }

    /// What waits for another attempt has been told to stop: it is handed over, to be ended as that.
    fn take_back(&mut self, core: &Arc<Core>, desk: &mut impl Desk) {
        if core.busy() == 0 {
            return;
        }
        for index in 0..self.retries.len() {
            let theirs = |(whose, _): &mut (Arc<Core>, Firing)| Arc::ptr_eq(whose, core);
            // Its place is free when its timer is.
            if let Some((core, firing)) = self.retries[index].take_if(theirs) {
                let firing = Firing { popped: self.now.mono, ..firing };
                self.hand_over_again(core, firing, desk);
            }
        }
    }

    /// Gives it another attempt later, if its job allows one; if that was cancelled meanwhile, the attempt
    /// is ended at once.
    fn try_again(&mut self, core: &Arc<Core>, again: Again, desk: &mut impl Desk) -> bool {
        let Again { firing, earliest } = again;
        if self.closed || core.phase() == Phase::Left {
            return false;
        }
        let random = firing.trace.0 as u64 ^ u64::from(firing.attempt);
        let Some(delay) = core.options().retry.delay(firing.attempt, random) else { return false };
        let (attempt, due) =
            (firing.attempt.saturating_add(1), self.now.mono.max(earliest) + delay);
        let firing = Firing { attempt, due, ..firing };
        if core.phase() == Phase::Cancelled || core.stops(firing.number) {
            let firing = Firing { popped: self.now.mono, ..firing };
            self.hand_over_again(Arc::clone(core), firing, desk);
        } else {
            self.put_off(core, firing);
        }
        true
    }

    /// Hands it over when it is due.
    fn put_off(&mut self, core: &Arc<Core>, firing: Firing) {
        let due = firing.due;
        let index = self.free_retries.pop().unwrap_or_else(|| {
            self.retries.push(None);
            self.retries.len() as u32 - 1
        });
        self.retries[index as usize] = Some((Arc::clone(core), firing));
        self.wheel.insert(due.0, core.options().priority, index | RETRY);
    }

    /// Hands over what had found no room, as far as there is some now.
    fn unstall(&mut self, desk: &mut impl Desk) {
        for _ in 0..self.stalled.len() {
            let before = self.stalled.len();
            match self.stalled.pop_front() {
                Some(Stalled::Retry(core, firing)) => self.hand_over_again(core, firing, desk),
                Some(Stalled::Job(slot)) => {
                    if let Some(entry) = self.entries.get(slot) {
                        entry.stalled = false;
                        self.start_waiting(slot, desk);
                        self.fire_unless_armed(slot, desk);
                    }
                }
                None => return,
            }
            if self.stalled.len() >= before {
                return;
            }
        }
    }

    /// The clock was stepped, or the machine has slept: every instant of UTC is at another of the
    /// monotonic clock.
    fn changed(&mut self, change: Change, desk: &mut impl Desk) {
        self.origin_ns = self.now.utc.0.saturating_sub_unsigned(self.now.mono.0);
        for slot in self.entries.slots() {
            let Some(entry) = self.entries.get(slot) else { continue };
            if matches!(entry.core.when(), When::After(..)) {
                continue;
            }
            if let Some(key) = entry.timer.take() {
                self.wheel.cancel(key);
            }
            let core = Arc::clone(&entry.core);
            let now = self.utc_of(&core);
            let (cursor, why) = change.cursor(&core.options().policy, core.cursor(), now);
            match why {
                Some(why) if matches!(core.when(), When::Spec(_)) => {
                    self.leave_out(slot, cursor, why, desk);
                }
                _ => core.set_cursor(cursor),
            }
            self.arm(slot);
        }
    }

    /// What UTC is, by the monotonic clock: a timer that is due has its instant behind it.
    fn utc(&self) -> Utc {
        Utc(self.origin_ns.saturating_add_unsigned(self.now.mono.0))
    }

    /// What UTC is for a job: it lives a little later than others, by its jitter.
    fn utc_of(&self, core: &Core) -> Utc {
        self.utc() - core.jitter()
    }

    fn mono(&self, utc: Utc) -> Mono {
        Mono(utc.0.saturating_sub(self.origin_ns).max(0) as u64)
    }

    fn trace(&mut self) -> TraceId {
        self.draw = self.draw.wrapping_add(1);
        let high = mix(self.draw);
        TraceId((u128::from(high) << 64 | u128::from(mix(high ^ self.draw))).max(1))
    }

    fn firing(&mut self, core: &Core, nominal: Utc, due: Mono) -> Firing {
        Firing {
            job: core.record_name(),
            nominal,
            attempt: 1,
            number: 0,
            after: self.entries.told(core),
            trigger: None,
            due,
            popped: self.now.mono,
            shard_tid: self.shard_tid,
            trace: self.trace(),
        }
    }

    /// What is over and has nothing at the desk is forgotten.
    fn remove_if_over(&mut self, slot: u32) {
        let over = self.entries.get(slot).is_some_and(|entry| {
            let phase = entry.core.phase();
            let ended = phase == Phase::Ended || phase.is_gone();
            ended && entry.core.busy() == 0 && entry.may_go()
        });
        if !over {
            return;
        }
        if let Some(key) = self.entries.get(slot).and_then(|entry| entry.timer.take()) {
            self.wheel.cancel(key);
        }
        self.entries.remove(slot);
    }
}

#[cfg(test)]
mod tests;
