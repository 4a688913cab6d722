//! The scheduler as its owner sees it.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;
use tokio::runtime::{Builder, Handle, Runtime};

use crate::clock::{Clock, SystemClock};
use crate::context::Context;
use crate::hash::{hash, mix};
use crate::intake::Intake;
use crate::job::{Core, Definition, Job, JobOptions, Phase};
use crate::policy::Back;
use crate::pool::{Parts, Pool, PoolStatus};
use crate::realtime::{self, Machine, RealTime, Wish};
use crate::request::Request;
use crate::shard::{Shard, View};
use crate::spec::Spec;
use crate::store::{Memory, Resumed, Store};
use crate::work::{Ending, Work, shot};
use crate::{Error, Mono, Utc};

/// How a scheduler is built. The defaults are for a machine whose cores others use too.
#[derive(Clone)]
pub struct Options {
    /// Wheels with a thread each, 1 to 64; a job stays on one. One for every two cores.
    pub shards: usize,
    /// Threads for jobs that are futures; 0 for one a core. Not asked if there is a `runtime`.
    pub workers: usize,
    /// Runs at work at once, of all jobs together.
    pub running: usize,
    /// Firings that wait for a worker; what is due beyond stays with its shard, and late.
    pub queue: usize,
    /// Requests that wait for a shard; what comes beyond is refused.
    pub intake: usize,
    /// What a step of priority is worth, in time that a firing has waited.
    pub aging: Duration,
    /// A firing that begins later than this after it was due is announced as late; see `cronx-spans`.
    pub objective: Duration,
    /// How long before an instant a shard wakes, to burn its core until then. For a core of its own.
    pub spin: Duration,
    /// What is wished for of the kernel.
    pub realtime: RealTime,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// What outlives the process.
    pub store: Arc<dyn Store>,
    /// Where futures run; `None` for threads of the scheduler's own. It must have timers.
    pub runtime: Option<Handle>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            shards: (cores() / 2).clamp(1, 64),
            workers: 0,
            running: 1024,
            queue: 16_384,
            intake: 4096,
            aging: Duration::from_millis(10),
            objective: Duration::from_millis(10),
            spin: Duration::ZERO,
            realtime: RealTime::default(),
            clock: Arc::new(SystemClock),
            store: Arc::new(Memory::default()),
            runtime: None,
        }
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// A scheduler at one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Each shard.
    pub shards: Vec<ShardStatus>,
    /// What the shards share.
    pub pool: PoolStatus,
    /// What was wished for the process.
    pub wishes: Vec<Wish>,
    /// What the machine does about real time.
    pub machine: Machine,
}

/// A shard at one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardStatus {
    /// Its thread, 0 before that has begun.
    pub tid: u32,
    /// Jobs that it has. A one-shot that has ended may be among them for a tenth of a second.
    pub jobs: usize,
    /// Their firings at the workers, and those that wait for another attempt.
    pub busy: usize,
    /// What was wished for its thread.
    pub wishes: Vec<Wish>,
}

/// Jobs, and what runs them. Dropping it stops it as [`drain`](Self::drain) does, without waiting for
/// runs.
pub struct Scheduler {
    options: Options,
    pool: Arc<Pool>,
    intakes: Vec<Arc<Intake>>,
    views: Vec<Arc<View>>,
    threads: Vec<JoinHandle<()>>,
    named: Mutex<HashSet<ByName>>,
    ids: AtomicU64,
    usual: Arc<JobOptions>,
    wishes: Vec<Wish>,
    runtime: Option<Runtime>,
}

impl Scheduler {
    /// Starts one that has no jobs.
    pub fn start(options: Options) -> Result<Self, Error> {
        let bounds = [("shards", options.shards, 64), ("running", options.running, 1 << 20)];
        for (what, value, most) in bounds {
            within(what, value, most)?;
        }
        within("queue", options.queue, 1 << 24)?;
        within("intake", options.intake, 1 << 24)?;
        let runtime = own_runtime(&options)?;
        let handle = match (&options.runtime, &runtime) {
            (Some(handle), _) => handle.clone(),
            (None, Some(runtime)) => runtime.handle().clone(),
            (None, None) => return Err(Error::Closed),
        };
        let pool = Pool::new(Parts {
            capacity: options.queue,
            most: options.running,
            aging: options.aging,
            objective: options.objective,
            clock: Arc::clone(&options.clock),
            store: Arc::clone(&options.store),
            handle,
        });
        let mut scheduler = Self {
            pool,
            intakes: Vec::new(),
            views: Vec::new(),
            threads: Vec::new(),
            named: Mutex::default(),
            ids: AtomicU64::new(1),
            usual: Arc::default(),
            wishes: realtime::process(&options.realtime),
            runtime,
            options,
        };
        scheduler.start_shards()?;
        Ok(scheduler)
    }

    fn start_shards(&mut self) -> Result<(), Error> {
        let options = &self.options;
        let seed = mix(options.clock.read().utc.0 as u64 ^ u64::from(std::process::id()) << 32);
        let mut shards = Vec::new();
        for number in 0..options.shards {
            let sleeper = options.clock.sleeper()?;
            // As many ends as there can be firings on their way, of a shard that keeps up.
            let ends = options.queue + options.running;
            let intake = Arc::new(Intake::new(options.intake, ends, sleeper.notifier()));
            let view = Arc::new(View::default());
            self.intakes.push(Arc::clone(&intake));
            self.views.push(Arc::clone(&view));
            shards.push(Shard {
                number,
                intake,
                view,
                pool: Arc::clone(&self.pool),
                clock: Arc::clone(&options.clock),
                sleeper,
                realtime: options.realtime.clone(),
                spin: options.spin,
                seed: mix(seed ^ number as u64),
            });
        }
        self.pool.serve(self.intakes.clone());
        for shard in shards {
            self.threads.push(shard.start()?);
        }
        Ok(())
    }

    /// A job of the usual treatment, named by its number: for a program that has few of them. The
    /// schedule is as [`Spec::parse`] reads it, in UTC.
    pub fn schedule<F, D>(&self, spec: &str, f: F) -> Result<Job, Error>
    where
        F: Fn(Context) -> D + Send + Sync + 'static,
        D: Future<Output: Ending> + Send + 'static,
    {
        let name = format!("job-{}", self.ids.load(Ordering::Relaxed)).into();
        let options = Arc::clone(&self.usual);
        self.add(Definition { name, spec: Spec::parse(spec)?, options }, Work::future(f))
    }

    /// A job. It goes on where the store says that it stopped, or else from now.
    pub fn add(&self, definition: Definition, work: Work) -> Result<Job, Error> {
        let Definition { name, spec, options } = definition;
        let now = self.options.clock.read().utc;
        let resumed = self.options.store.resume(&name, now).map_err(Error::Store)?;
        let Resumed { mut cursor, open } = resumed;
        if options.policy.back == Back::Repeat {
            // The clock was put back while nobody looked.
            cursor = cursor.min(now);
        }
        let is_never = spec.is_never();
        if open.is_empty() && spec.after(cursor.max(now)).is_none() && !is_never {
            return Err(Error::NeverFires { text: spec.to_string() });
        }
        let mut named = self.named();
        if named.len() == named.capacity() {
            // Before it grows: those that are over have no use for a name.
            named.retain(|ByName(core)| is_alive(core));
        }
        if named.get(&*name).is_some_and(|ByName(core)| is_alive(core)) {
            return Err(Error::Duplicate { name: name.to_string() });
        }
        // One that has a name is on the same shard after a restart.
        let home = self.home(hash(name.as_bytes()));
        let core = Core::named(self.id(), home, name, spec, options, work);
        core.set_cursor(cursor);
        if is_never {
            // It has no instants left, and is to be triggered all the same.
            core.turn(Phase::Active, Phase::Paused);
        }
        let job = self.job_of(Arc::new(core));
        job.1.ask(Request::Add { core: Arc::clone(&job.0), cursor, open: open.into() })?;
        named.replace(ByName(Arc::clone(&job.0)));
        drop(named);
        Ok(job)
    }

    /// Once, after this time awake: a machine that sleeps makes it later.
    pub fn after<F, D>(&self, delay: Duration, f: F) -> Result<Job, Error>
    where
        F: FnOnce(Context) -> D + Send + 'static,
        D: Future<Output: Ending> + Send + 'static,
    {
        let (mono, utc) = (self.options.clock.mono(), self.options.clock.utc());
        self.once(Some(mono + delay), utc + delay, f)
    }

    /// Once, when the clock on the wall shows it; at once, if that is past.
    pub fn at<F, D>(&self, time: SystemTime, f: F) -> Result<Job, Error>
    where
        F: FnOnce(Context) -> D + Send + 'static,
        D: Future<Output: Ending> + Send + 'static,
    {
        self.once(None, Utc::from(time), f)
    }

    fn once<F, D>(&self, due: Option<Mono>, nominal: Utc, f: F) -> Result<Job, Error>
    where
        F: FnOnce(Context) -> D + Send + 'static,
        D: Future<Output: Ending> + Send + 'static,
    {
        let id = self.id();
        let job = self.job_of(Arc::new(Core::once(id, self.home(id), due, nominal)));
        job.1.ask(Request::Once { core: Arc::clone(&job.0), shot: shot(f) })?;
        Ok(job)
    }

    fn id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }

    /// Which shard has it.
    fn home(&self, number: u64) -> u8 {
        (number % self.intakes.len() as u64) as u8
    }

    fn job_of(&self, core: Arc<Core>) -> Job {
        let intake = Arc::clone(&self.intakes[usize::from(core.home)]);
        Job(core, intake)
    }

    /// The job of this name, if it is alive.
    pub fn job(&self, name: &str) -> Option<Job> {
        let named = self.named();
        let ByName(core) = named.get(name).filter(|ByName(core)| is_alive(core))?;
        Some(self.job_of(Arc::clone(core)))
    }

    /// All jobs with a name that are alive, by name.
    pub fn jobs(&self) -> Vec<Job> {
        let alive = |ByName(core): &ByName| is_alive(core).then(|| self.job_of(Arc::clone(core)));
        let mut jobs: Vec<Job> = self.named().iter().filter_map(alive).collect();
        jobs.sort_by(|one, other| one.name().cmp(other.name()));
        jobs
    }

    /// Ends the job of this name; `false` if there is none that is alive.
    pub fn cancel(&self, name: &str) -> bool {
        let named = self.named().take(name);
        named.is_some_and(|ByName(core)| self.job_of(core).cancel())
    }

    /// How it stands, and what the kernel granted.
    pub fn status(&self) -> Status {
        let shard = |view: &Arc<View>| ShardStatus {
            tid: view.tid.get().copied().unwrap_or(0),
            jobs: view.jobs.load(Ordering::Relaxed),
            busy: view.busy.load(Ordering::Relaxed),
            wishes: view.wishes.get().cloned().unwrap_or_default(),
        };
        Status {
            shards: self.views.iter().map(shard).collect(),
            pool: self.pool.status(),
            wishes: self.wishes.clone(),
            machine: Machine::read(&self.options.realtime.cores),
        }
    }

    /// How late all runs started, nanoseconds, as a histogram of three digits.
    pub fn lateness_ns(&self) -> Histogram<u64> {
        self.pool.lateness_ns()
    }

    /// Stops: nothing new is taken and nothing more is due. Waits for what the workers have, up to this
    /// long; `true` if all of it ended. Runs that are left are dropped, if they are futures. Not to be
    /// called by a thread that runs futures.
    pub fn drain(mut self, most: Duration) -> bool {
        self.close();
        let until = std::time::Instant::now() + most;
        let threads = std::mem::take(&mut self.threads);
        // A shard's thread ends with its last run.
        let (tell, told) = std::sync::mpsc::channel();
        let waiter = std::thread::spawn(move || {
            for thread in threads {
                // A shard that panicked has ended too.
                let _ = thread.join();
            }
            // Nobody listens any more if it took too long.
            let _ = tell.send(());
        });
        let left = until.saturating_duration_since(std::time::Instant::now());
        let ended = told.recv_timeout(left).is_ok();
        if ended {
            let _ = waiter.join();
        }
        ended
    }

    fn close(&self) {
        self.intakes.iter().for_each(|intake| intake.close());
    }

    fn named(&self) -> MutexGuard<'_, HashSet<ByName>> {
        self.named.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        self.intakes.iter().for_each(|intake| intake.abandon());
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn is_alive(core: &Core) -> bool {
    matches!(core.phase(), Phase::Active | Phase::Paused)
}

/// A job that is found by its name.
struct ByName(Arc<Core>);

impl Borrow<str> for ByName {
    fn borrow(&self) -> &str {
        self.0.name()
    }
}

impl PartialEq for ByName {
    fn eq(&self, other: &Self) -> bool {
        self.0.name() == other.0.name()
    }
}

impl Eq for ByName {}

impl Hash for ByName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.name().hash(state);
    }
}

fn within(what: &'static str, value: usize, most: usize) -> Result<(), Error> {
    let bound = if most == 64 { "1 to 64" } else { "at least 1, and no more than fits" };
    if (1..=most).contains(&value) {
        return Ok(());
    }
    Err(Error::OutOfBounds { what, value: value as u64, bound })
}

fn own_runtime(options: &Options) -> Result<Option<Runtime>, Error> {
    if options.runtime.is_some() {
        return Ok(None);
    }
    let workers = if options.workers == 0 { cores() } else { options.workers };
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(workers).thread_name("cronx-worker").enable_time();
    // Code that blocks has a thread for each run that may be at work.
    builder.max_blocking_threads(options.running);
    builder.build().map(Some).map_err(Error::system("start the workers"))
}

#[cfg(test)]
mod tests;
