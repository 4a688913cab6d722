//! The jobs that run, and how one set becomes another: by name, and only where they differ.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use cronx_scheduler::{
    Definition, Error, Job, JobStatus, Options, Run, Scheduler, SkipCounts, Status, Work,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::breakers::Breakers;
use crate::file::{Action, Jobs, Plan};
use crate::group::Groups;
use crate::log::Log;
use crate::metrics::Metrics;
use crate::trace::Traces;
use crate::watch::Watch;
use crate::{call, command};

/// A shard that has as many requests as it takes will soon have fewer.
const FULL: Duration = Duration::from_millis(1);

pub(crate) struct Set {
    /// Until it is drained.
    scheduler: RwLock<Option<Scheduler>>,
    jobs: Mutex<BTreeMap<Arc<str>, Running>>,
    watch: Arc<Watch>,
    groups: Arc<Groups>,
    log: Log,
    pub(crate) metrics: Arc<Metrics>,
    /// The first jobs go on where the store says; one that comes later is new.
    has_jobs: AtomicBool,
    pub(crate) breakers: Arc<Breakers>,
    pub(crate) traces: Arc<Traces>,
}

/// A job that is there.
struct Running {
    plan: Arc<Plan>,
    job: Job,
    seats: Option<Seats>,
    /// What had been left out before its plan last changed.
    skipped: SkipCounts,
}

/// Places for as many runs as may be at once. The scheduler counts runs; these outlive them, until
/// every process is gone, and they outlive a change of the plan.
#[derive(Clone)]
struct Seats {
    most: usize,
    free: Arc<Semaphore>,
}

/// A job as it stands.
pub(crate) struct View {
    pub(crate) name: Arc<str>,
    pub(crate) plan: Arc<Plan>,
    pub(crate) job: Job,
    pub(crate) status: JobStatus,
    pub(crate) skipped: SkipCounts,
    pub(crate) last: Option<Run>,
}

/// What a reload changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Jobs that are new.
    pub added: usize,
    /// Jobs that are not as they were.
    pub changed: usize,
    /// Jobs that are gone.
    pub removed: usize,
    /// Jobs that noticed nothing.
    pub kept: usize,
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { added, changed, removed, kept } = self;
        write!(f, "{added} added, {changed} changed, {removed} removed, {kept} as they were")
    }
}

impl Set {
    /// One without jobs. `options` have the store that remembers.
    pub(crate) fn start(
        mut options: Options,
        groups: Arc<Groups>,
        breakers: Arc<Breakers>,
        traces: Arc<Traces>,
        log: &Log,
    ) -> Result<Self, Error> {
        let metrics = Arc::new(Metrics::new());
        let inner = Arc::clone(&options.store);
        let watch = Arc::new(Watch::new(inner, &metrics, &breakers, &traces, log));
        options.store = Arc::<Watch>::clone(&watch);
        let scheduler = RwLock::new(Some(Scheduler::start(options)?));
        let jobs = Mutex::default();
        let (log, has_jobs) = (Arc::clone(log), AtomicBool::new(false));
        Ok(Self { scheduler, jobs, watch, groups, log, metrics, has_jobs, breakers, traces })
    }

    /// Makes it what the file says. An error is of a job that could not be added; the others are.
    pub(crate) fn become_as(&self, file: &Jobs) -> Result<Changes, Error> {
        let turnover = self.breakers.become_as(file)?;
        for breaker in &turnover.gone {
            self.metrics.forget_breaker(breaker);
        }
        let mut jobs = self.jobs();
        let mut changes = Changes::default();
        let gone: Vec<_> =
            jobs.keys().filter(|name| !file.plans.contains_key(*name)).cloned().collect();
        for name in gone {
            changes.removed += 1;
            self.remove(&mut jobs, &name);
        }
        let mut failed = None;
        for (name, plan) in &file.plans {
            let old = jobs.remove(name);
            let anew = plan.breakers(name).any(|breaker| turnover.new.contains(&breaker));
            let what = match &old {
                Some(old) if old.plan == *plan && !anew => &mut changes.kept,
                Some(_) => &mut changes.changed,
                None => &mut changes.added,
            };
            match self.turn(name, old, plan, anew) {
                Ok(running) => {
                    *what += 1;
                    jobs.insert(Arc::clone(name), running);
                }
                Err(error) => failed = Some(error),
            }
        }
        self.has_jobs.store(true, Ordering::Relaxed);
        let job = |name: &str| jobs.get(name).map(|running| running.job.clone());
        self.breakers.set_remedies(job);
        failed.map_or(Ok(changes), Err)
    }

    fn remove(&self, jobs: &mut BTreeMap<Arc<str>, Running>, name: &Arc<str>) {
        if let Some(running) = jobs.remove(name) {
            running.job.cancel();
            self.watch.leave(name);
        }
    }

    /// A job as its plan says, from what it was; `anew` if it is behind another breaker. Runs at work go on.
    fn turn(
        &self,
        name: &Arc<str>,
        old: Option<Running>,
        plan: &Arc<Plan>,
        anew: bool,
    ) -> Result<Running, Error> {
        let Some(old) = old else {
            let seats = plan.limit().map(Seats::new);
            let is_new = self.has_jobs.load(Ordering::Relaxed);
            return self.add(name, plan, seats, SkipCounts::default(), is_new);
        };
        if old.plan == *plan && !anew {
            return Ok(old);
        }
        let skipped = sum(&old.skipped, &old.job.status().skipped);
        old.job.cancel();
        let same = |most: &usize| old.seats.as_ref().filter(|seats| seats.most == *most).cloned();
        let seats = plan.limit().map(|most| same(&most).unwrap_or_else(|| Seats::new(most)));
        // What it has missed by another schedule, it has not missed.
        self.add(name, plan, seats, skipped, !old.plan.is_due_as(plan))
    }

    fn add(
        &self,
        name: &Arc<str>,
        plan: &Arc<Plan>,
        seats: Option<Seats>,
        skipped: SkipCounts,
        is_new: bool,
    ) -> Result<Running, Error> {
        loop {
            self.watch.expect(name, is_new);
            let options = Arc::clone(&plan.options);
            let definition =
                Definition { name: Arc::clone(name), spec: plan.spec.clone(), options };
            let scheduler = self.scheduler.read().unwrap_or_else(PoisonError::into_inner);
            let work = self.work(&plan.action, seats.as_ref());
            let work = work.behind(self.breakers.of(name, plan));
            match scheduler.as_ref().ok_or(Error::Closed)?.add(definition, work) {
                Ok(job) => return Ok(Running { plan: Arc::clone(plan), job, seats, skipped }),
                Err(Error::Full { .. }) => std::thread::sleep(FULL),
                Err(error) => return Err(error),
            }
        }
    }

    fn work(&self, action: &Action, seats: Option<&Seats>) -> Work {
        let seats = seats.cloned();
        match action {
            Action::Command(program) => {
                let program = Arc::clone(program);
                let (groups, log) = (Arc::clone(&self.groups), Arc::clone(&self.log));
                let traces = Arc::clone(&self.traces);
                Work::starting(move |context, start| {
                    let (program, seats) = (Arc::clone(&program), seats.clone());
                    let (groups, log) = (Arc::clone(&groups), Arc::clone(&log));
                    let parent = traces.parent_of(context.trace(), context.attempt());
                    async move {
                        let seat = Seats::take(seats).await;
                        command::run(program, (context, parent), start, groups, seat, log).await
                    }
                })
            }
            Action::Call(request) => {
                let (request, traces) = (Arc::clone(request), Arc::clone(&self.traces));
                Work::starting(move |context, start| {
                    let (request, seats) = (Arc::clone(&request), seats.clone());
                    let parent = traces.parent_of(context.trace(), context.attempt());
                    async move {
                        let _seat = Seats::take(seats).await;
                        start.now();
                        call::run(request, parent).await
                    }
                })
            }
        }
    }

    /// Every job as it stands, by name.
    pub(crate) fn views(&self) -> Vec<View> {
        let view = |(name, running): (&Arc<str>, &Running)| {
            let status = running.job.status();
            View {
                name: Arc::clone(name),
                plan: Arc::clone(&running.plan),
                job: running.job.clone(),
                skipped: sum(&running.skipped, &status.skipped),
                status,
                last: self.watch.last(name),
            }
        };
        self.jobs().iter().map(view).collect()
    }

    /// How the scheduler stands; `None` once it drains.
    pub(crate) fn scheduler(&self) -> Option<Status> {
        let scheduler = self.scheduler.read().unwrap_or_else(PoisonError::into_inner);
        scheduler.as_ref().map(Scheduler::status)
    }

    /// Starts nothing more, and waits for what runs; `false` if some of it still does.
    pub(crate) fn drain(&self, most: Duration) -> bool {
        let scheduler = self.scheduler.write().unwrap_or_else(PoisonError::into_inner).take();
        scheduler.is_none_or(|scheduler| scheduler.drain(most))
    }

    fn jobs(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Running>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seats {
    fn new(most: usize) -> Self {
        let most = most.min(Semaphore::MAX_PERMITS);
        Self { most, free: Arc::new(Semaphore::new(most)) }
    }

    /// A place of these, if there are any to be asked for.
    async fn take(seats: Option<Self>) -> Option<OwnedSemaphorePermit> {
        // They are never closed.
        seats?.free.acquire_owned().await.ok()
    }
}

fn sum(one: &SkipCounts, other: &SkipCounts) -> SkipCounts {
    SkipCounts {
        misfire: one.misfire + other.misfire,
        overlap: one.overlap + other.overlap,
        paused: one.paused + other.paused,
        forward: one.forward + other.forward,
        suspend: one.suspend + other.suspend,
    }
}
