//! The jobs that run, and how one set becomes another: by name, and only where they differ.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use cronx_ledger::Shards;
use cronx_scheduler::{
    Definition, Error, Job, JobStatus, Options, Run, Scheduler, SkipCounts, Status, Work,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::breakers::Breakers;
use crate::file::{Action, Command, Deed, Jobs, Plan};
use crate::group::Groups;
use crate::log::{Event, Log};
use crate::metrics::Metrics;
use crate::sagas::Sagas;
use crate::trace::Traces;
use crate::watch::Watch;
use crate::{call, command};

/// A shard that has as many requests as it takes will soon have fewer.
const FULL: Duration = Duration::from_millis(1);

pub(crate) struct Set {
    /// Until it is drained.
    scheduler: RwLock<Option<Scheduler>>,
    jobs: Mutex<Here>,
    /// Where others have jobs too.
    shards: Option<Arc<Shards>>,
    watch: Arc<Watch>,
    groups: Arc<Groups>,
    log: Log,
    pub(crate) metrics: Arc<Metrics>,
    /// The first jobs go on where the store says; one that comes later is new.
    has_jobs: AtomicBool,
    pub(crate) breakers: Arc<Breakers>,
    pub(crate) traces: Arc<Traces>,
    /// Where the ledger has sagas.
    sagas: OnceLock<Arc<Sagas>>,
}

/// What the file says, and what of it is here.
#[derive(Default)]
struct Here {
    plans: BTreeMap<Arc<str>, Arc<Plan>>,
    running: BTreeMap<Arc<str>, Running>,
    /// Jobs that were left, as long as something of them may run and others must wait for it.
    leaving: BTreeMap<Arc<str>, Running>,
    /// The shards whose jobs are here.
    shards: BTreeSet<u32>,
}

/// A job that is there.
pub(crate) struct Running {
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
    /// One without jobs. `options` have the store that remembers; where that is for many, its jobs are those
    /// of the shards that are [gained](Self::gain).
    pub(crate) fn start(
        mut options: Options,
        shards: Option<Arc<Shards>>,
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
        Ok(Self {
            scheduler,
            jobs,
            shards,
            watch,
            groups,
            log,
            metrics,
            has_jobs,
            breakers,
            traces,
            sagas: OnceLock::new(),
        })
    }

    /// From here on jobs may be sagas.
    pub(crate) fn with_sagas(&self, sagas: Arc<Sagas>) {
        // Whoever said so first has said it.
        let _ = self.sagas.set(sagas);
    }

    /// Its sagas, if jobs may be any.
    pub(crate) fn sagas(&self) -> Option<&Arc<Sagas>> {
        self.sagas.get()
    }

    /// Makes it what the file says. An error is of a job that could not be added; the others are.
    pub(crate) fn become_as(&self, file: &Jobs) -> Result<Changes, Error> {
        let turnover = self.breakers.become_as(file)?;
        for breaker in &turnover.gone {
            self.metrics.forget_breaker(breaker);
        }
        let mut here = self.jobs();
        let mut changes = Changes::default();
        let plans = std::mem::take(&mut here.plans);
        let gone = plans.keys().filter(|name| !file.plans.contains_key(*name));
        let gone: Vec<Arc<str>> = gone.cloned().collect();
        for name in &gone {
            changes.removed += 1;
            self.remove(&mut here.running, name);
        }
        if let Some(sagas) = self.sagas() {
            sagas.become_as(file, &gone);
        }
        let mut failed = None;
        for (name, plan) in &file.plans {
            let anew = plan.breakers(name).any(|breaker| turnover.new.contains(&breaker));
            let what = match plans.get(name) {
                Some(old) if old == plan && !anew => &mut changes.kept,
                Some(_) => &mut changes.changed,
                None => &mut changes.added,
            };
            if self.is_here(&here, name) {
                let old = here.running.remove(name);
                match self.turn(name, old, plan, anew) {
                    Ok(running) => {
                        here.running.insert(Arc::clone(name), running);
                        *what += 1;
                    }
                    Err(error) => failed = Some(error),
                }
            } else {
                *what += 1;
            }
            // One that could not be added is wanted all the same: see `mend`.
            here.plans.insert(Arc::clone(name), Arc::clone(plan));
        }
        self.has_jobs.store(true, Ordering::Relaxed);
        self.set_remedies(&here);
        failed.map_or(Ok(changes), Err)
    }

    /// Whether a job is ours to run.
    fn is_here(&self, here: &Here, name: &str) -> bool {
        let shards = self.shards.as_ref();
        shards.is_none_or(|shards| here.shards.contains(&shards.shard_of(name)))
    }

    /// A breaker's remedy is a job that is here: where others have that job, nothing starts it from here.
    fn set_remedies(&self, here: &Here) {
        let job = |name: &str| here.running.get(name).map(|running| running.job.clone());
        self.breakers.set_remedies(job);
    }

    fn shard_of(&self, name: &str) -> Option<u32> {
        self.shards.as_ref().map(|shards| shards.shard_of(name))
    }

    /// A shard is ours: its jobs go on where the ledger says, with what is [left](Self::leave) of them here.
    /// Gives their number.
    pub(crate) fn gain(&self, shard: u32) -> usize {
        let mut here = self.jobs();
        here.shards.insert(shard);
        self.add_missing(&mut here)
    }

    /// Adds what could not be added when it should; gives how many could now.
    pub(crate) fn mend(&self) -> usize {
        self.add_missing(&mut self.jobs())
    }

    fn add_missing(&self, here: &mut Here) -> usize {
        let is_missing =
            |name: &Arc<str>| self.is_here(here, name) && !here.running.contains_key(name);
        let missing = here.plans.iter().filter(|(name, _)| is_missing(name));
        let missing: Vec<_> = missing.map(|(name, plan)| (name.clone(), plan.clone())).collect();
        let mut count = 0;
        for (name, plan) in &missing {
            let (seats, skipped) = match here.leaving.remove(name) {
                Some(old) => (old.seats_of(plan), sum(&old.skipped, &old.job.status().skipped)),
                None => (plan.limit().map(Seats::new), SkipCounts::default()),
            };
            match self.add(name, plan, seats, skipped, false) {
                Ok(running) => {
                    count += 1;
                    here.running.insert(Arc::clone(name), running);
                }
                Err(error) => (self.log)(&Event::Note(&format!("{name} is not added: {error}"))),
            }
        }
        if !missing.is_empty() {
            self.set_remedies(here);
        }
        count
    }

    /// A shard is not ours, or not to be: nothing of its jobs starts here any more, and what runs goes on.
    /// Gives their number.
    pub(crate) fn leave(&self, shard: u32) -> usize {
        let mut here = self.jobs();
        here.shards.remove(&shard);
        let left: BTreeMap<_, _> =
            here.running.extract_if(.., |name, _| self.shard_of(name) == Some(shard)).collect();
        for (name, running) in &left {
            running.job.leave();
            self.watch.pass_on(name);
        }
        self.set_remedies(&here);
        let count = left.len();
        here.leaving.extend(left);
        count
    }

    /// A shard is another's: what still runs of it here is of no more concern.
    pub(crate) fn forget(&self, shard: u32) {
        self.jobs().leaving.retain(|name, _| self.shard_of(name) != Some(shard));
    }

    /// Whether something of a shard runs here, left or not.
    pub(crate) fn is_busy(&self, shard: u32) -> bool {
        let here = self.jobs();
        let mut all = here.running.iter().chain(&here.leaving);
        all.any(|(name, running)| self.shard_of(name) == Some(shard) && running.is_busy())
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
            // Where others have jobs, one of them may have begun it; and whoever removed it has forgotten it.
            let is_new = self.shards.is_none() && self.has_jobs.load(Ordering::Relaxed);
            return self.add(name, plan, seats, SkipCounts::default(), is_new);
        };
        if old.plan == *plan && !anew {
            return Ok(old);
        }
        let skipped = sum(&old.skipped, &old.job.status().skipped);
        old.job.cancel();
        let seats = old.seats_of(plan);
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
        match action {
            Action::Deed(Deed::Command(program)) => self.command(program, seats.cloned()),
            Action::Deed(Deed::Call(request)) => {
                let (request, traces) = (Arc::clone(request), Arc::clone(&self.traces));
                let seats = seats.cloned();
                Work::starting(move |context, start| {
                    let (request, seats) = (Arc::clone(&request), seats.clone());
                    let parent = traces.parent_of(context.trace(), context.attempt());
                    async move {
                        let _seat = Seats::take(seats).await;
                        start.now();
                        call::run(request, ("traceparent", parent)).await.map_err(String::from)
                    }
                })
            }
            Action::Saga(_) => {
                let sagas = self.sagas().cloned();
                Work::starting(move |context, start| {
                    let sagas = sagas.clone();
                    async move {
                        start.now();
                        let sagas = sagas.ok_or("the ledger has no sagas")?;
                        sagas.fire(&context).await
                    }
                })
            }
        }
    }

    fn command(&self, program: &Arc<Command>, seats: Option<Seats>) -> Work {
        let program = Arc::clone(program);
        let (groups, log) = (Arc::clone(&self.groups), Arc::clone(&self.log));
        let traces = Arc::clone(&self.traces);
        Work::starting(move |context, start| {
            let (program, seats) = (Arc::clone(&program), seats.clone());
            let (groups, log) = (Arc::clone(&groups), Arc::clone(&log));
            let env = vec![
                ("CRONX_NOMINAL", context.nominal().to_string()),
                ("CRONX_ATTEMPT", context.attempt().to_string()),
                ("CRONX_FENCE", context.fence().to_string()),
                ("TRACEPARENT", traces.parent_of(context.trace(), context.attempt())),
            ];
            let told = command::Told { job: context.job().into(), env };
            async move {
                let seat = Seats::take(seats).await;
                let ran = command::run(program, told, || start.now(), groups, seat, log).await;
                ran.map_err(String::from)
            }
        })
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
        self.jobs().running.iter().map(view).collect()
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

    /// Over how many shards the jobs are spread, and which of those are here; nothing if no other daemon
    /// has any.
    pub(crate) fn shards(&self) -> Option<(u32, Vec<u32>)> {
        let count = self.shards.as_ref()?.count();
        Some((count, self.jobs().shards.iter().copied().collect()))
    }

    fn jobs(&self) -> MutexGuard<'_, Here> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    /// Whether some of it is at work, or waits for another attempt.
    pub(crate) fn is_busy(&self) -> bool {
        self.job.status().busy > 0
    }

    /// The places for a plan that it has now: those that there are, if they are as many.
    fn seats_of(&self, plan: &Plan) -> Option<Seats> {
        let same = |most: &usize| self.seats.as_ref().filter(|seats| seats.most == *most).cloned();
        plan.limit().map(|most| same(&most).unwrap_or_else(|| Seats::new(most)))
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
