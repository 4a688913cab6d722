//! A job as its owner sees it, and as the engine's threads share it.

mod live;

use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hdrhistogram::Histogram;
use live::Live;

use crate::hash::{hash, share};
use crate::intake::Intake;
use crate::policy::Policy;
use crate::request::Request;
use crate::retry::Retry;
use crate::spec::Spec;
use crate::work::Work;
use crate::{Error, Mono, Utc};

/// How a job is to be treated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobOptions {
    /// What becomes of firings that cannot simply start.
    pub policy: Policy,
    /// Lower is first. A worker that is free takes the firing that has waited longest, and each step of
    /// priority counts as [`Options::aging`](crate::Options::aging) of waiting: so nothing starves.
    pub priority: u8,
    /// Firings are this much later at most, each job by its own constant share, so that what is due
    /// together does not start together.
    pub jitter: Duration,
    /// An attempt that takes longer has failed; `None` for as long as it likes.
    pub timeout: Option<Duration>,
    /// Whether and when a failed firing is tried again.
    pub retry: Retry,
}

impl Default for JobOptions {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            priority: 128,
            jitter: Duration::ZERO,
            timeout: None,
            retry: Retry::NEVER,
        }
    }
}

/// What a job is, before it is one.
#[derive(Debug, Clone)]
pub struct Definition {
    /// Its name, unique in the scheduler and, for a store, for ever.
    pub name: Arc<str>,
    /// When it is due.
    pub spec: Spec,
    /// How it is to be treated.
    pub options: Arc<JobOptions>,
}

/// What a job is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// It is due at times.
    Active,
    /// It is not, until it is resumed.
    Paused,
    /// It has no instants left.
    Ended,
    /// It was cancelled.
    Cancelled,
}

/// A job at one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobStatus {
    /// What it is doing.
    pub phase: Phase,
    /// The next nominal instant that is planned.
    pub next: Option<Utc>,
    /// Firings that were given to the workers and have not ended, retries that wait included.
    pub busy: u64,
    /// Firings that wait for runs of their own job.
    pub waiting: u64,
    /// Runs that ended, by outcome.
    pub ended: Ended,
    /// Firings that were left out, by reason.
    pub skipped: SkipCounts,
}

/// Runs that ended, attempts each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the outcome of its name")]
pub struct Ended {
    pub succeeded: u64,
    pub failed: u64,
    pub timed_out: u64,
    pub panicked: u64,
    pub cancelled: u64,
    pub refused: u64,
}

/// Firings that were left out; of a long row at once, at most [`Skipped::COUNTED`](crate::Skipped) count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the reason of its name")]
pub struct SkipCounts {
    pub misfire: u64,
    pub overlap: u64,
    pub paused: u64,
    pub forward: u64,
    pub suspend: u64,
}

/// When a job is due.
pub(crate) enum When {
    Spec(Spec),
    /// Once, by the clock on the wall.
    At(Utc),
    /// Once, by the time that passes; what it is named by.
    After(Mono, Utc),
}

/// What the owner, the shard and the workers share of a job. The shard is never made to wait for it:
/// all that it touches is atomic.
pub(crate) struct Core {
    pub(crate) id: u64,
    pub(crate) name: Arc<str>,
    pub(crate) when: When,
    pub(crate) options: Arc<JobOptions>,
    pub(crate) work: Work,
    pub(crate) intake: Arc<Intake>,
    /// Where the shard has it; its own business.
    pub(crate) slot: AtomicU32,
    phase: AtomicU8,
    next: AtomicI64,
    pub(crate) busy: AtomicU32,
    pub(crate) waiting: AtomicU32,
    live: OnceLock<Box<Live>>,
}

/// There is no next instant.
const NO_NEXT: i64 = i64::MIN;

impl Core {
    pub(crate) fn new(
        id: u64,
        name: Arc<str>,
        when: When,
        options: Arc<JobOptions>,
        work: Work,
        intake: Arc<Intake>,
    ) -> Self {
        Self {
            id,
            name,
            when,
            options,
            work,
            intake,
            slot: AtomicU32::new(u32::MAX),
            phase: AtomicU8::new(Phase::Active as u8),
            next: AtomicI64::new(NO_NEXT),
            busy: AtomicU32::new(0),
            waiting: AtomicU32::new(0),
            live: OnceLock::new(),
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Active,
            1 => Phase::Paused,
            2 => Phase::Ended,
            _ => Phase::Cancelled,
        }
    }

    /// Goes from one phase to another, if it is in that one.
    pub(crate) fn turn(&self, from: Phase, to: Phase) -> bool {
        let (from, to) = (from as u8, to as u8);
        self.phase.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Its constant share of the jitter.
    pub(crate) fn jitter(&self) -> Duration {
        let most = self.options.jitter.as_nanos() as u64;
        if most == 0 {
            return Duration::ZERO;
        }
        Duration::from_nanos(share(hash(self.name.as_bytes()), most))
    }

    pub(crate) fn plan(&self, next: Option<Utc>) {
        self.next.store(next.map_or(NO_NEXT, |utc| utc.0), Ordering::Relaxed);
    }

    pub(crate) fn is_once(&self) -> bool {
        !matches!(self.when, When::Spec(_))
    }

    /// What has happened of it, from now on.
    pub(crate) fn live(&self) -> &Live {
        self.live.get_or_init(Box::default)
    }

    /// Whether a run of that number has been told to stop.
    pub(crate) fn stops(&self, number: u64) -> bool {
        self.live.get().is_some_and(|live| live.stops(number))
    }
}

/// A job. Its clones are the same job, and dropping them all does not end it.
#[derive(Clone)]
pub struct Job(pub(crate) Arc<Core>);

impl Job {
    /// A number that no other job of this scheduler has.
    pub fn id(&self) -> u64 {
        self.0.id
    }

    /// Its name; empty for a one-shot.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Ends it: nothing of it starts any more, but for what the workers have already. `true` for
    /// the first call that finds it alive.
    pub fn cancel(&self) -> bool {
        let alive = [Phase::Active, Phase::Paused];
        let did = alive.iter().any(|&phase| self.0.turn(phase, Phase::Cancelled));
        if did {
            // A full intake loses nothing: a timer of what is cancelled starts nothing.
            let _ = self.0.intake.ask(Request::Look(Arc::clone(&self.0)));
        }
        did
    }

    /// Lets it start nothing until [`resume`](Self::resume). What is due meanwhile is left out.
    pub fn pause(&self) -> Result<(), Error> {
        self.0.turn(Phase::Active, Phase::Paused);
        self.0.intake.ask(Request::Look(Arc::clone(&self.0)))
    }

    /// Goes on with what is due from now.
    pub fn resume(&self) -> Result<(), Error> {
        self.0.intake.ask(Request::Resume(Arc::clone(&self.0)))
    }

    /// Fires now, beside its schedule and even while it is paused; a run at work is met as
    /// [`Overlap`](crate::Overlap) says.
    pub fn trigger_now(&self) -> Result<(), Error> {
        self.0.intake.ask(Request::Trigger(Arc::clone(&self.0)))
    }

    /// What it is doing. Each figure is true; together they may be of instants that differ a little.
    pub fn status(&self) -> JobStatus {
        let next = self.0.next.load(Ordering::Relaxed);
        let phase = self.0.phase();
        let live = self.0.live.get();
        JobStatus {
            phase,
            next: (next != NO_NEXT && phase == Phase::Active).then_some(Utc(next)),
            busy: u64::from(self.0.busy.load(Ordering::Relaxed)),
            waiting: u64::from(self.0.waiting.load(Ordering::Relaxed)),
            ended: live.map(|live| live.ended()).unwrap_or_default(),
            skipped: live.map(|live| live.skipped()).unwrap_or_default(),
        }
    }

    /// Its next nominal instants after this one: what the schedule says, whatever comes between.
    pub fn next_firings(&self, after: Utc, count: usize) -> Vec<Utc> {
        match &self.0.when {
            When::Spec(spec) => {
                let next = |&utc: &Utc| spec.after(utc);
                std::iter::successors(spec.after(after), next).take(count).collect()
            }
            When::At(utc) | When::After(_, utc) => {
                Some(*utc).into_iter().filter(|&utc| utc > after).take(count).collect()
            }
        }
    }

    /// How late its runs started, microseconds, as a histogram of two digits; empty for a one-shot.
    pub fn lateness_us(&self) -> Histogram<u32> {
        self.0.live().lateness_us()
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("id", &self.0.id).field("name", &self.0.name).finish()
    }
}
