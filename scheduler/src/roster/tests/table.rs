//! A desk for tests: runs begin at once and take a time that is set.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::super::{Desk, Roster};
use crate::clock::Reading;
use crate::job::{Core, JobOptions};
use crate::request::{Again, Done, Order, Request};
use crate::run::{Firing, Skipped};
use crate::spec::Spec;
use crate::work::{self, Work};
use crate::{Mono, Utc};

/// A one-shot of these tests: what it does is never asked.
fn shot(due: Option<Mono>, nominal: Utc, id: u64) -> Request {
    let core = Arc::new(Core::once(id, 0, due, nominal));
    Request::Once { core, shot: work::shot(|_| async {}) }
}

/// A job of these tests.
pub(super) fn recurring(spec: Spec, options: JobOptions) -> Arc<Core> {
    numbered(spec, &Arc::new(options), 1)
}

fn numbered(spec: Spec, options: &Arc<JobOptions>, id: u64) -> Arc<Core> {
    thread_local! {
        static NAME: Arc<str> = Arc::from("job");
    }
    let (name, work) = (NAME.with(Clone::clone), Work::blocking(|_| ()));
    Arc::new(Core::named(id, 0, name, spec, Arc::clone(options), work))
}

/// A run that was begun.
pub(super) struct Started {
    pub(super) id: u64,
    pub(super) at: Mono,
    pub(super) firing: Firing,
}

/// Runs at work.
struct Running {
    core: Arc<Core>,
    firing: Firing,
    number: u64,
    until: Mono,
    cancelled: bool,
}

/// The desk's side of a table.
pub(super) struct Runs {
    now: Mono,
    running: VecDeque<Running>,
    pub(super) capacity: usize,
    pub(super) takes: Duration,
    pub(super) fails: bool,
    /// When what failed may be tried again.
    pub(super) earliest: Mono,
    /// It is told of nothing that is left out.
    pub(super) deaf: bool,
    pub(super) started: Vec<Started>,
    /// What came to be ended, and not to be run.
    pub(super) cancelled: Vec<Firing>,
    pub(super) skipped: Vec<Skipped>,
}

impl Desk for Runs {
    fn submit(&mut self, order: Order) -> Result<(), Order> {
        if self.running.len() >= self.capacity {
            return Err(order);
        }
        let Order { core, firing, shot, cancelled } = order;
        assert_eq!(shot.is_some(), core.as_named().is_none());
        if cancelled {
            self.cancelled.push(firing.clone());
        } else {
            self.started.push(Started { id: core.id, at: self.now, firing: firing.clone() });
        }
        let takes = if cancelled { Duration::ZERO } else { self.takes };
        let (number, until) = (firing.number, self.now + takes);
        self.running.push_back(Running { core, firing, number, until, cancelled });
        Ok(())
    }

    fn skip(&mut self, skipped: Skipped) -> bool {
        if !self.deaf {
            self.skipped.push(skipped);
        }
        !self.deaf
    }
}

/// A roster, its clock, and its desk.
pub(super) struct Table {
    pub(super) roster: Roster,
    pub(super) now: Reading,
    runs: Runs,
}

impl std::ops::Deref for Table {
    type Target = Runs;

    fn deref(&self) -> &Runs {
        &self.runs
    }
}

impl std::ops::DerefMut for Table {
    fn deref_mut(&mut self) -> &mut Runs {
        &mut self.runs
    }
}

impl Table {
    /// Stands at this instant; runs take no time.
    pub(super) fn new(utc: Utc) -> Self {
        let now = Reading { mono: Mono(0), utc, boot_ns: 0 };
        let runs = Runs {
            now: now.mono,
            running: VecDeque::new(),
            capacity: usize::MAX,
            takes: Duration::ZERO,
            fails: false,
            earliest: Mono(0),
            deaf: false,
            started: Vec::new(),
            cancelled: Vec::new(),
            skipped: Vec::new(),
        };
        Self { roster: Roster::new(now, 7, 1), now, runs }
    }

    pub(super) fn add(&mut self, core: Arc<Core>) {
        let cursor = self.now.utc;
        self.ask(Request::Add { core, cursor, open: [].into() });
    }

    /// One of many.
    pub(super) fn add_shared(&mut self, spec: Spec, options: &Arc<JobOptions>, id: u64) {
        self.add(numbered(spec, options, id));
    }

    /// A one-shot: by the time that passes, or else by the clock on the wall.
    pub(super) fn add_shot(&mut self, due: Option<Mono>, nominal: Utc, id: u64) {
        self.ask(shot(due, nominal, id));
    }

    pub(super) fn ask(&mut self, request: Request) {
        self.roster.request(request, &mut self.runs);
    }

    /// Time passes, and nobody looks.
    pub(super) fn stall(&mut self, by: Duration) {
        self.now = self.now.later(by);
    }

    pub(super) fn step(&mut self, by_ns: i64) {
        self.now.utc = Utc(self.now.utc.0 + by_ns);
    }

    pub(super) fn suspend(&mut self, by: Duration) {
        let mono = self.now.mono;
        self.now = Reading { mono, ..self.now.later(by) };
    }

    /// Ends what has taken its time or was told to stop, and wakes the roster.
    pub(super) fn wake(&mut self) {
        self.runs.now = self.now.mono;
        let is_over = |run: &Running| run.until <= self.now.mono || run.core.stops(run.number);
        let over: Vec<usize> =
            (0..self.runs.running.len()).filter(|&n| is_over(&self.runs.running[n])).collect();
        for (removed, which) in over.into_iter().enumerate() {
            if let Some(Running { core, firing, cancelled, .. }) =
                self.runs.running.remove(which - removed)
            {
                let again = Again { firing, earliest: self.earliest };
                let again = (self.runs.fails && !cancelled).then(|| Box::new(again));
                self.roster.done(Done { core, again }, &mut self.runs);
            }
        }
        self.roster.wake(self.now, &mut self.runs);
    }

    /// From wake to wake, as a shard does, until this time has passed.
    pub(super) fn run_for(&mut self, time: Duration) {
        let until = self.now.mono + time;
        self.wake();
        loop {
            let end = self.runs.running.iter().map(|run| run.until).min();
            let next = self.roster.next_wake().into_iter().chain(end).min();
            let Some(next) = next.filter(|&next| next <= until) else { break };
            self.now = self.now.later(next.since(self.now.mono));
            self.wake();
        }
        self.now = self.now.later(until.since(self.now.mono));
        self.wake();
    }

    pub(super) fn run_until(&mut self, utc: Utc) {
        self.run_for(utc.since(self.now.utc));
    }
}
