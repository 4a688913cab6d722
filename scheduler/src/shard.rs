//! One shard's thread: it reads the clock, lets the roster decide, and sleeps to the next exact instant.
//! It never runs user code, never waits for a lock, and has no tick.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::clock::{Clock, Sleeper};
use crate::intake::Intake;
use crate::pool::{Pool, tid};
use crate::realtime::{self, RealTime, Wish};
use crate::request::Order;
use crate::roster::{Desk, Roster};
use crate::run::Skipped;
use crate::{Error, Mono};

/// So many requests are taken before the time is looked at again: a flood delays no timer for long.
const BATCH: usize = 256;

/// What others see of a shard.
#[derive(Default)]
pub(crate) struct View {
    pub(crate) tid: OnceLock<u32>,
    pub(crate) wishes: OnceLock<Vec<Wish>>,
    pub(crate) jobs: AtomicUsize,
    pub(crate) busy: AtomicUsize,
}

/// A shard, as its thread has it.
pub(crate) struct Shard {
    pub(crate) number: usize,
    pub(crate) intake: Arc<Intake>,
    pub(crate) view: Arc<View>,
    pub(crate) pool: Arc<Pool>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) sleeper: Box<dyn Sleeper>,
    pub(crate) realtime: RealTime,
    pub(crate) spin: Duration,
    pub(crate) seed: u64,
}

/// The pool, as a roster sees it.
struct Counter(Arc<Pool>);

impl Desk for Counter {
    fn submit(&mut self, order: Order) -> Result<(), Order> {
        self.0.submit(order)
    }

    fn skip(&mut self, skipped: Skipped) -> bool {
        self.0.skip(skipped)
    }
}

impl Shard {
    /// Gives it its thread.
    pub(crate) fn start(self) -> Result<JoinHandle<()>, Error> {
        let name = format!("cronx-shard-{}", self.number);
        let spawned = thread::Builder::new().name(name).spawn(move || self.run());
        spawned.map_err(Error::system("start a shard's thread"))
    }

    fn run(mut self) {
        let tid = tid();
        let _ = self.view.wishes.set(realtime::thread(&self.realtime, self.number));
        let _ = self.view.tid.set(tid);
        let mut desk = Counter(Arc::clone(&self.pool));
        let mut roster = Roster::new(self.clock.read(), tid, self.seed);
        loop {
            let known = self.intake.news();
            // The time first: what is asked and told is of now.
            roster.wake(self.clock.read(), &mut desk);
            let left_over = self.take(&mut roster, &mut desk);
            if roster.is_stalled() {
                self.pool.hunger(self.number);
                // There may have been room before anybody knew that we want it.
                roster.wake(self.clock.read(), &mut desk);
            }
            self.view.jobs.store(roster.jobs(), Ordering::Relaxed);
            self.view.busy.store(roster.busy(), Ordering::Relaxed);
            if self.intake.is_closed() {
                roster.close();
                if roster.busy() == 0 || self.intake.is_abandoned() {
                    return;
                }
            }
            if !left_over {
                self.rest(roster.next_wake(), known);
            }
        }
    }

    /// Does what others ask and tell; says whether there is more of it.
    fn take(&self, roster: &mut Roster, desk: &mut Counter) -> bool {
        for _ in 0..BATCH {
            let done = self.intake.done();
            let request = self.intake.request();
            if done.is_none() && request.is_none() {
                return false;
            }
            if let Some(done) = done {
                roster.done(done, desk);
            }
            if let Some(request) = request {
                roster.request(request, desk);
            }
        }
        true
    }

    /// Sleeps until that instant or until there is something to do; the last of it awake, if so wished.
    fn rest(&mut self, until: Option<Mono>, known: usize) {
        let spin_ns = self.spin.as_nanos() as u64;
        let sleep_until = until.map(|until| Mono(until.0.saturating_sub(spin_ns)));
        let now = self.clock.mono();
        if sleep_until.is_none_or(|sleep_until| now < sleep_until) {
            if !self.intake.may_sleep(sleep_until, known) {
                return;
            }
            self.sleeper.sleep(sleep_until);
            self.intake.awake();
        }
        if spin_ns > 0 {
            self.spin(until);
        }
    }

    /// Burns the core up to the instant, if that is near.
    fn spin(&self, until: Option<Mono>) {
        let Some(until) = until else { return };
        let near = |now: Mono| now < until && until.since(now) <= self.spin;
        while near(self.clock.mono()) && self.intake.is_empty() {
            std::hint::spin_loop();
        }
    }
}
