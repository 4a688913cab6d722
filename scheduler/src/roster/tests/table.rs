//! A desk for tests: runs begin at once and take a time that is set.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::super::{Desk, Roster};
use crate::clock::{Notify, Reading};
use crate::intake::Intake;
use crate::job::{Core, JobOptions, When};
use crate::request::{Done, Request};
use crate::run::{Firing, Skipped};
use crate::spec::Spec;
use crate::work::Work;
use crate::{Mono, Utc};

struct Nobody;

impl Notify for Nobody {
    fn notify(&self) {}
}

/// A job of these tests: what it does is never asked.
pub(super) fn job(when: When, options: JobOptions) -> Arc<Core> {
    numbered(when, &Arc::new(options), 1)
}

fn numbered(when: When, options: &Arc<JobOptions>, id: u64) -> Arc<Core> {
    thread_local! {
        static SHARED: (Arc<Intake>, Arc<str>) =
            (Arc::new(Intake::new(1, 1, Arc::new(Nobody))), Arc::from("job"));
    }
    let (intake, name) = SHARED.with(Clone::clone);
    let work = Work::blocking(|_| ());
    Arc::new(Core::new(id, name, when, Arc::clone(options), work, intake))
}

pub(super) fn recurring(spec: Spec, options: JobOptions) -> Arc<Core> {
    job(When::Spec(spec), options)
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
}

/// The desk's side of a table.
pub(super) struct Runs {
    now: Mono,
    running: VecDeque<Running>,
    pub(super) capacity: usize,
    pub(super) takes: Duration,
    pub(super) fails: bool,
    pub(super) started: Vec<Started>,
    pub(super) skipped: Vec<Skipped>,
}

impl Desk for Runs {
    fn submit(&mut self, core: &Arc<Core>, firing: Firing) -> Result<(), Firing> {
        if self.running.len() >= self.capacity {
            return Err(firing);
        }
        self.started.push(Started { id: core.id, at: self.now, firing: firing.clone() });
        let (number, until) = (firing.number, self.now + self.takes);
        self.running.push_back(Running { core: Arc::clone(core), firing, number, until });
        Ok(())
    }

    fn skip(&mut self, skipped: Skipped) {
        self.skipped.push(skipped);
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
            started: Vec::new(),
            skipped: Vec::new(),
        };
        Self { roster: Roster::new(now, 7, 1), now, runs }
    }

    pub(super) fn add(&mut self, core: Arc<Core>) {
        let cursor = self.now.utc;
        self.ask(Request::Add { core, cursor });
    }

    /// One of many.
    pub(super) fn add_shared(&mut self, when: When, options: &Arc<JobOptions>, id: u64) {
        self.add(numbered(when, options, id));
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
            if let Some(Running { core, firing, .. }) = self.runs.running.remove(which - removed) {
                let failed = self.runs.fails;
                self.roster.done(Done { core, firing, failed }, &mut self.runs);
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
