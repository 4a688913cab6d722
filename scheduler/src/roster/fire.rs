//! From a timer that is due to firings at the desk: one path for every policy.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Desk, Roster, Stalled};
use crate::job::{Core, Phase, When};
use crate::policy::overlap::{Admission, admit};
use crate::policy::{Overlap, Why, misfire};
use crate::request::Order;
use crate::run::{Firing, Skipped};
use crate::spec::Spec;
use crate::{Mono, Utc};

/// What became of a firing that met the runs of its job.
enum Met {
    /// It is at the desk, or waits.
    Decided,
    LeftOut,
    /// There was no room at the desk.
    NoRoom(Firing),
}

impl Roster {
    /// Sets the timer for what is due next.
    pub(super) fn arm(&mut self, slot: u32) {
        let Some(entry) = self.entries.get(slot) else { return };
        let core = Arc::clone(&entry.core);
        match core.when() {
            When::Spec(spec) => self.arm_for(slot, &core, spec.after(core.cursor())),
            When::At(utc) => self.arm_at(slot, &core, self.mono(utc)),
            When::After(due, _) => self.arm_at(slot, &core, due),
        }
    }

    /// For a schedule whose next instant this is; without one, it has ended.
    fn arm_for(&mut self, slot: u32, core: &Arc<Core>, next: Option<Utc>) {
        if let Some(next) = next {
            self.arm_at(slot, core, self.mono(next + core.jitter()));
        } else {
            core.turn(Phase::Active, Phase::Ended);
            self.remove_if_over(slot);
        }
    }

    fn arm_at(&mut self, slot: u32, core: &Core, due: Mono) {
        if self.closed || core.phase() != Phase::Active {
            return;
        }
        let key = self.wheel.insert(due.0, core.options().priority, slot);
        if let Some(entry) = self.entries.get(slot) {
            entry.timer = Some(key);
        }
    }

    pub(super) fn fire_unless_armed(&mut self, slot: u32, desk: &mut impl Desk) {
        let idle = self.entries.get(slot).is_some_and(|entry| {
            entry.timer.is_none() && !entry.stalled && entry.core.phase() == Phase::Active
        });
        if idle {
            self.fire(slot, desk);
        }
    }

    /// Hands over what is due of a job.
    pub(super) fn fire(&mut self, slot: u32, desk: &mut impl Desk) {
        let Some(entry) = self.entries.get(slot) else { return };
        let core = Arc::clone(&entry.core);
        if self.closed || core.phase() != Phase::Active {
            return self.remove_if_over(slot);
        }
        match core.when() {
            When::Spec(spec) => self.fire_all(slot, &core, spec, desk),
            When::At(utc) => self.fire_once(slot, &core, utc, self.mono(utc), desk),
            When::After(due, utc) => self.fire_once(slot, &core, utc, due, desk),
        }
    }

    /// Fires a one-shot before its time, which is its only firing then.
    pub(super) fn fire_early(
        &mut self,
        slot: u32,
        core: &Arc<Core>,
        nominal: Utc,
        desk: &mut impl Desk,
    ) {
        core.turn(Phase::Paused, Phase::Active);
        if core.phase() != Phase::Active {
            return;
        }
        if let Some(key) = self.entries.get(slot).and_then(|entry| entry.timer.take()) {
            self.wheel.cancel(key);
        }
        self.fire_once(slot, core, nominal, self.now.mono, desk);
    }

    fn fire_once(
        &mut self,
        slot: u32,
        core: &Arc<Core>,
        nominal: Utc,
        due: Mono,
        desk: &mut impl Desk,
    ) {
        let firing = self.firing(core, nominal, due);
        match self.start(core, firing, desk) {
            Ok(()) => _ = core.turn(Phase::Active, Phase::Ended),
            Err(_) => self.stall(slot),
        }
    }

    /// Everything after the cursor that is due: some is left out, the rest meets its job's runs.
    fn fire_all(&mut self, slot: u32, core: &Arc<Core>, spec: &Spec, desk: &mut impl Desk) {
        let now = self.utc_of(core);
        let mut next = self.left_out(slot, core, spec, desk);
        while let Some(nominal) = next.filter(|&next| next <= now) {
            let firing = self.firing(core, nominal, self.mono(nominal + core.jitter()));
            match self.meet(slot, firing, desk) {
                Met::Decided => {
                    core.set_cursor(nominal);
                    self.entries.tell(slot);
                }
                // What comes after it meets the same.
                Met::LeftOut => self.leave_out(slot, now, Why::Overlap, desk),
                Met::NoRoom(_) => return self.stall(slot),
            }
            next = spec.after(core.cursor());
        }
        self.arm_for(slot, core, next);
    }

    /// Leaves out the misfires that its policy does, and gives the first instant after them.
    fn left_out(
        &mut self,
        slot: u32,
        core: &Core,
        spec: &Spec,
        desk: &mut impl Desk,
    ) -> Option<Utc> {
        let policy = &core.options().policy;
        let now = self.utc_of(core);
        let cursor = core.cursor();
        let first = spec.after(cursor)?;
        if first >= now - policy.grace {
            return Some(first);
        }
        let through = misfire::left_out(policy, spec, cursor, now);
        self.leave_out(slot, through, Why::Misfire, desk);
        spec.after(through)
    }

    /// Moves the cursor, and says what it passed.
    pub(super) fn leave_out(&mut self, slot: u32, through: Utc, why: Why, desk: &mut impl Desk) {
        let Some(entry) = self.entries.get(slot) else { return };
        let core = Arc::clone(&entry.core);
        let When::Spec(spec) = core.when() else { return };
        let count = spec.count(core.cursor(), through, Skipped::COUNTED);
        // A cursor that passes nothing stays where the store knows it.
        if count == 0 {
            return;
        }
        count_skipped(&core, why, count);
        let after = self.entries.told(&core);
        let job = core.record_name().shared().map(Arc::clone).unwrap_or_default();
        if desk.skip(Skipped { job, after, through, count, why }) {
            self.entries.tell(slot);
        } else {
            self.entries.keep_untold(slot, after);
        }
        core.set_cursor(through);
    }

    /// Fires outside of the schedule.
    pub(super) fn fire_triggered(&mut self, slot: u32, firing: Firing, desk: &mut impl Desk) {
        match self.meet(slot, firing, desk) {
            Met::Decided => {}
            Met::LeftOut => {
                if let Some(entry) = self.entries.get(slot) {
                    count_skipped(&entry.core, Why::Overlap, 1);
                }
            }
            Met::NoRoom(firing) => {
                self.entries.wait(slot, firing, false);
                self.stall(slot);
            }
        }
    }

    /// A firing meets the runs of its job.
    fn meet(&mut self, slot: u32, firing: Firing, desk: &mut impl Desk) -> Met {
        let Some(entry) = self.entries.get(slot) else { return Met::LeftOut };
        let core = Arc::clone(&entry.core);
        match admit(&core.options().policy, core.busy(), core.waiting()) {
            Admission::Start => match self.start(&core, firing, desk) {
                Ok(()) => return Met::Decided,
                Err(firing) => return Met::NoRoom(firing),
            },
            Admission::Wait => self.entries.wait(slot, firing, false),
            Admission::Replace => {
                while let Some(firing) = self.entries.next(slot) {
                    count_skipped(&core, Why::Overlap, 1);
                    give_up(&firing, desk);
                }
                self.entries.wait(slot, firing, false);
                if let Some(live) = core.live() {
                    live.stop_all();
                }
                self.take_back(&core, desk);
            }
            Admission::LeaveOut => return Met::LeftOut,
        }
        Met::Decided
    }

    /// Starts firings that wait for runs of their own job, as far as these have ended.
    pub(super) fn start_waiting(&mut self, slot: u32, desk: &mut impl Desk) {
        while let Some(entry) = self.entries.get(slot) {
            let core = Arc::clone(&entry.core);
            let policy = &core.options().policy;
            let full = policy.overlap != Overlap::Allow && core.busy() >= policy.limit.max(1);
            if self.closed || full || core.phase().is_gone() {
                return;
            }
            let Some(firing) = self.entries.next(slot) else { return };
            if let Err(firing) = self.start(&core, firing, desk) {
                self.entries.wait(slot, firing, true);
                return self.stall(slot);
            }
        }
    }

    /// Puts a firing on the desk.
    fn start(
        &mut self,
        core: &Arc<Core>,
        mut firing: Firing,
        desk: &mut impl Desk,
    ) -> Result<(), Firing> {
        firing.number = core.number();
        // Counted before a worker can tell of its end.
        core.occupy();
        let slot = core.slot.load(Ordering::Relaxed);
        let shot = self.entries.get(slot).and_then(|entry| entry.shot.take());
        let Err(back) =
            desk.submit(Order { core: Arc::clone(core), firing, shot, cancelled: false })
        else {
            self.busy += 1;
            return Ok(());
        };
        core.release();
        if let Some(entry) = self.entries.get(slot) {
            entry.shot = back.shot;
        }
        Err(back.firing)
    }

    /// There was no room: it stays due, and its policy judges it again when there is.
    fn stall(&mut self, slot: u32) {
        if let Some(entry) = self.entries.get(slot).filter(|entry| !entry.stalled) {
            entry.stalled = true;
            self.stalled.push_back(Stalled::Job(slot));
        }
    }
}

/// A firing that waited is left out after all. Should the desk not take it, the store's cursor stays
/// before it until a restart.
fn give_up(firing: &Firing, desk: &mut impl Desk) {
    let Some(job) = firing.job.shared().filter(|_| firing.trigger.is_none()) else { return };
    let (job, after, through) = (Arc::clone(job), firing.after, firing.nominal);
    desk.skip(Skipped { job, after, through, count: 1, why: Why::Overlap });
}

fn count_skipped(core: &Core, why: Why, count: u64) {
    if let Some(live) = core.live() {
        live.count_skipped(why, count);
    }
}
