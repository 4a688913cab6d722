//! A job as its owner sees it, and as the engine's threads share it.

mod live;

use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Duration;

use hdrhistogram::Histogram;
use live::Live;

use crate::breaker::Breaker;
use crate::hash::{hash, share};
use crate::intake::Intake;
use crate::policy::Policy;
use crate::request::Request;
use crate::retry::Retry;
use crate::run::{Name, Outcome};
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

impl JobOptions {
    /// That of a job of which nothing else is said.
    pub const USUAL_PRIORITY: u8 = 128;
}

impl Default for JobOptions {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            priority: Self::USUAL_PRIORITY,
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
    /// It is to go on elsewhere: see [`Job::leave`].
    Left,
}

impl Phase {
    /// Whether nothing of it is to start here any more, not even another attempt.
    pub(crate) fn is_gone(self) -> bool {
        matches!(self, Self::Cancelled | Self::Left)
    }
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
    pub rejected: u64,
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
#[derive(Clone, Copy)]
pub(crate) enum When<'a> {
    Spec(&'a Spec),
    /// Once, by the clock on the wall.
    At(Utc),
    /// Once, by the time that passes; what it is named by.
    After(Mono, Utc),
}

/// What the owner, the shard and the workers share of a job. The shard is never made to wait for it:
/// all that it touches is atomic.
pub(crate) struct Core {
    pub(crate) id: u64,
    /// Where the shard has it; its own business.
    pub(crate) slot: AtomicU32,
    /// The number of the shard that has it.
    pub(crate) home: u8,
    phase: AtomicU8,
    /// What there is of a one-shot's firing: see below.
    shot: AtomicU8,
    pub(crate) kind: Kind,
}

/// What it is. There may be millions of the first, which are small.
pub(crate) enum Kind {
    Once(Once),
    Named(Box<Named>),
}

/// A job with one firing, and the usual treatment. Its code goes with it.
pub(crate) struct Once {
    nominal: Utc,
    /// By the time that passes; nothing by the clock on the wall.
    due: Option<Mono>,
}

const _: () = assert!(size_of::<Core>() == 40);

/// A job with a name and a schedule.
pub(crate) struct Named {
    name: Arc<str>,
    spec: Spec,
    options: Arc<JobOptions>,
    pub(crate) work: Work,
    /// The last nominal instant that was decided; the shard's business.
    cursor: AtomicI64,
    live: OnceLock<Box<Live>>,
}

/// The firing of a one-shot is not at the desk, or it is. It has ended so: the outcome's number, and this.
const NOT_YET: u8 = 0;
const AT_DESK: u8 = 1;
const ENDED: u8 = 2;

/// How a one-shot is treated.
static USUAL: LazyLock<JobOptions> = LazyLock::new(JobOptions::default);

impl Core {
    /// A job that is due once.
    pub(crate) fn once(id: u64, home: u8, due: Option<Mono>, nominal: Utc) -> Self {
        Self::new(id, home, Kind::Once(Once { nominal, due }))
    }

    /// A job that is due at times.
    pub(crate) fn named(
        id: u64,
        home: u8,
        name: Arc<str>,
        spec: Spec,
        options: Arc<JobOptions>,
        work: Work,
    ) -> Self {
        let (cursor, live) = (AtomicI64::new(i64::MIN), OnceLock::new());
        let named = Named { name, spec, options, work, cursor, live };
        Self::new(id, home, Kind::Named(Box::new(named)))
    }

    fn new(id: u64, home: u8, kind: Kind) -> Self {
        Self {
            id,
            slot: AtomicU32::new(u32::MAX),
            home,
            phase: AtomicU8::new(Phase::Active as u8),
            shot: AtomicU8::new(NOT_YET),
            kind,
        }
    }

    /// All but a one-shot.
    pub(crate) fn as_named(&self) -> Option<&Named> {
        match &self.kind {
            Kind::Named(named) => Some(named),
            Kind::Once(_) => None,
        }
    }

    /// What has to let it pass, each time.
    pub(crate) fn breakers(&self) -> &[Arc<Breaker>] {
        self.as_named().map_or(&[], |named| named.work.breakers())
    }

    pub(crate) fn name(&self) -> &str {
        self.as_named().map_or("", |named| &named.name)
    }

    /// As the record of a firing has it.
    pub(crate) fn record_name(&self) -> Name {
        self.as_named().map_or_else(Name::default, |named| Arc::clone(&named.name).into())
    }

    pub(crate) fn options(&self) -> &JobOptions {
        self.as_named().map_or(&USUAL, |named| &named.options)
    }

    pub(crate) fn when(&self) -> When<'_> {
        match &self.kind {
            Kind::Named(named) => When::Spec(&named.spec),
            Kind::Once(Once { nominal, due: Some(due), .. }) => When::After(*due, *nominal),
            Kind::Once(Once { nominal, due: None, .. }) => When::At(*nominal),
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Active,
            1 => Phase::Paused,
            2 => Phase::Ended,
            3 => Phase::Cancelled,
            _ => Phase::Left,
        }
    }

    /// Goes from one phase to another, if it is in that one.
    pub(crate) fn turn(&self, from: Phase, to: Phase) -> bool {
        let (from, to) = (from as u8, to as u8);
        self.phase.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Its constant share of the jitter.
    pub(crate) fn jitter(&self) -> Duration {
        let most = self.options().jitter.as_nanos() as u64;
        if most == 0 {
            return Duration::ZERO;
        }
        Duration::from_nanos(share(hash(self.name().as_bytes()), most))
    }

    /// The next nominal instant, as long as it is active.
    fn next(&self) -> Option<Utc> {
        if self.phase() != Phase::Active {
            return None;
        }
        match &self.kind {
            Kind::Named(named) => named.spec.after(self.cursor()),
            Kind::Once(once) => Some(once.nominal),
        }
    }

    /// All up to here is decided.
    pub(crate) fn cursor(&self) -> Utc {
        Utc(self.as_named().map_or(i64::MIN, |named| named.cursor.load(Ordering::Relaxed)))
    }

    pub(crate) fn set_cursor(&self, cursor: Utc) {
        if let Some(named) = self.as_named() {
            named.cursor.store(cursor.0, Ordering::Relaxed);
        }
    }

    /// Firings at the desk.
    pub(crate) fn busy(&self) -> u32 {
        match &self.kind {
            Kind::Named(_) => self.has_lived().map_or(0, |live| live.busy.load(Ordering::Relaxed)),
            Kind::Once(_) => u32::from(self.shot.load(Ordering::Relaxed) == AT_DESK),
        }
    }

    /// Firings that wait for those.
    pub(crate) fn waiting(&self) -> u32 {
        self.has_lived().map_or(0, |live| live.waiting.load(Ordering::Relaxed))
    }

    /// One more is at the desk.
    pub(crate) fn occupy(&self) {
        match self.live() {
            Some(live) => _ = live.busy.fetch_add(1, Ordering::Relaxed),
            None => self.shot.store(AT_DESK, Ordering::Relaxed),
        }
    }

    /// One less.
    pub(crate) fn release(&self) {
        if let Some(live) = self.live() {
            live.busy.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        // Unless it has ended: then that is what it is.
        let (from, to) = (AT_DESK, NOT_YET);
        let _ = self.shot.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// What has happened of it, from now on; nothing of a one-shot, to which little can.
    pub(crate) fn live(&self) -> Option<&Live> {
        Some(self.as_named()?.live.get_or_init(Box::default))
    }

    fn has_lived(&self) -> Option<&Live> {
        self.as_named()?.live.get().map(Box::as_ref)
    }

    /// The number of a run that is handed over.
    pub(crate) fn number(&self) -> u64 {
        self.live().map_or(0, Live::number)
    }

    /// Whether a run of that number has been told to stop.
    pub(crate) fn stops(&self, number: u64) -> bool {
        self.has_lived().is_some_and(|live| live.stops(number))
    }

    pub(crate) fn count_ended(&self, outcome: &Outcome) {
        match self.live() {
            Some(live) => live.count_ended(outcome),
            None => self.shot.store(ENDED + live::number(outcome), Ordering::Relaxed),
        }
    }

    pub(crate) fn skipped(&self) -> SkipCounts {
        self.has_lived().map(Live::skipped).unwrap_or_default()
    }

    fn ended(&self) -> Ended {
        if self.as_named().is_some() {
            return self.has_lived().map(Live::ended).unwrap_or_default();
        }
        let shot = self.shot.load(Ordering::Relaxed);
        Ended::of(std::array::from_fn(|number| u64::from(shot == ENDED + number as u8)))
    }
}

/// A job. Its clones are the same job, and dropping them all does not end it.
#[derive(Clone)]
pub struct Job(pub(crate) Arc<Core>, pub(crate) Arc<Intake>);

impl Job {
    /// A number that no other job of this scheduler has.
    pub fn id(&self) -> u64 {
        self.0.id
    }

    /// Its name; empty for a one-shot.
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// Ends it: nothing of it starts any more, but for what the workers have already. `true` for
    /// the first call that finds it alive.
    pub fn cancel(&self) -> bool {
        let alive = [Phase::Active, Phase::Paused];
        let did = alive.iter().any(|&phase| self.0.turn(phase, Phase::Cancelled));
        if did {
            // A full intake loses nothing: a timer of what is cancelled starts nothing.
            let _ = self.1.ask(Request::Look(Arc::clone(&self.0)));
        }
        did
    }

    /// Ends it here, since it goes on elsewhere: for the store, a run that fails may be tried again, and
    /// other attempts are left to whoever [resumes](crate::Store::resume) it. `true` for the first call that
    /// finds it alive.
    pub fn leave(&self) -> bool {
        let here = [Phase::Active, Phase::Paused, Phase::Ended];
        let did = here.iter().any(|&phase| self.0.turn(phase, Phase::Left));
        if did {
            // As above.
            let _ = self.1.ask(Request::Look(Arc::clone(&self.0)));
        }
        did
    }

    /// Lets it start nothing until [`resume`](Self::resume). What is due meanwhile is left out.
    pub fn pause(&self) -> Result<(), Error> {
        self.0.turn(Phase::Active, Phase::Paused);
        self.1.ask(Request::Look(Arc::clone(&self.0)))
    }

    /// Goes on with what is due from now.
    pub fn resume(&self) -> Result<(), Error> {
        self.1.ask(Request::Resume(Arc::clone(&self.0)))
    }

    /// Fires now, beside its schedule and even while it is paused; a run at work is met as
    /// [`Overlap`](crate::Overlap) says. A one-shot has no other firing then.
    pub fn trigger_now(&self) -> Result<(), Error> {
        self.1.ask(Request::Trigger(Arc::clone(&self.0)))
    }

    /// What it is doing. Each figure is true; together they may be of instants that differ a little.
    pub fn status(&self) -> JobStatus {
        JobStatus {
            phase: self.0.phase(),
            next: self.0.next(),
            busy: u64::from(self.0.busy()),
            waiting: u64::from(self.0.waiting()),
            ended: self.0.ended(),
            skipped: self.0.skipped(),
        }
    }

    /// Its next nominal instants after this one: what the schedule says, whatever comes between.
    pub fn next_firings(&self, after: Utc, count: usize) -> Vec<Utc> {
        match self.0.when() {
            When::Spec(spec) => {
                let next = |&utc: &Utc| spec.after(utc);
                std::iter::successors(spec.after(after), next).take(count).collect()
            }
            When::At(utc) | When::After(_, utc) => {
                Some(utc).into_iter().filter(|&utc| utc > after).take(count).collect()
            }
        }
    }

    /// How late its runs started, microseconds, as a histogram of two digits; empty for a one-shot.
    pub fn lateness_us(&self) -> Histogram<u32> {
        self.0.has_lived().map_or_else(live::empty, Live::lateness_us)
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("id", &self.0.id)
            .field("name", &self.0.name())
            .finish_non_exhaustive()
    }
}
