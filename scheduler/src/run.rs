//! What is written down of each run.

use std::fmt;
use std::num::NonZeroU64;
use std::ops::Deref;
use std::sync::Arc;

use crate::breaker::{Record, Rejected};
use crate::hash::mix;
use crate::policy::Why;
use crate::retry::Retry;
use crate::{Mono, Utc};

/// The number of a trace, as W3C Trace Context has it; never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId(pub u128);

impl TraceId {
    /// The number of the firing's span within it, and of that of its attempt, from 1: the same for
    /// everybody who asks, so that nobody has to keep it. Never 0.
    ///
    /// ```
    /// use cronx_scheduler::TraceId;
    ///
    /// let trace = TraceId(7);
    /// assert_ne!(trace.span(None), trace.span(Some(1)));
    /// assert_eq!(trace.span(Some(1)), trace.span(Some(1)));
    /// ```
    pub fn span(self, attempt: Option<u32>) -> u64 {
        let half = mix(self.0 as u64 ^ (self.0 >> 64) as u64);
        mix(half ^ u64::from(attempt.unwrap_or(0))).max(1)
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// A job's name. That of a one-shot is empty, and costs nothing to copy.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Name(Option<Arc<str>>);

impl Name {
    /// As it can be shared; nothing of a one-shot.
    pub fn shared(&self) -> Option<&Arc<str>> {
        self.0.as_ref()
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }
}

impl From<Arc<str>> for Name {
    fn from(name: Arc<str>) -> Self {
        Self(Some(name))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// As it should.
    Succeeded,
    /// It says that it failed, and why.
    Failed(String),
    /// It took longer than it may.
    TimedOut,
    /// It panicked, with this message. Nobody else noticed.
    Panicked(String),
    /// It was told to stop, and did.
    Cancelled,
    /// The store knows that another has done it, or is doing it.
    Refused,
    /// A breaker let it not pass: it never began, and counts as no failure. That is its end, unless its job
    /// says otherwise: see [`Retry::rejected`].
    Rejected(Rejection),
}

/// Which breaker let a firing not pass, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Its name.
    pub breaker: Arc<str>,
    /// What it said.
    pub said: Rejected,
}

impl fmt::Display for Rejection {
    /// Such as `the breaker 'ledger' is open (consecutive)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rejected { state, rule, .. } = self.said;
        write!(f, "the breaker '{}' is {} ({})", self.breaker, state.word(), rule.word())
    }
}

impl Outcome {
    /// Whether a job that allows for it tries again.
    pub(crate) fn is_tried_again(&self, retry: &Retry) -> bool {
        self.is_failure() || matches!(self, Self::Rejected(_)) && retry.rejected
    }

    /// Whether it counts as a failure: of code that ran, and not because it was told to stop.
    pub fn is_failure(&self) -> bool {
        matches!(self, Self::Failed(_) | Self::TimedOut | Self::Panicked(_))
    }
}

/// One due instant of a job, on its way to be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firing {
    /// The job's name.
    pub job: Name,
    /// What the firing is named by.
    pub nominal: Utc,
    /// From 1.
    pub attempt: u32,
    /// Counts the job's attempts since it was added.
    pub number: u64,
    /// All instants of its job after this one and through its own are decided by its start: those in
    /// between were left out.
    pub after: Utc,
    /// The number of the request that asked for it, if no schedule did.
    pub trigger: Option<NonZeroU64>,
    /// When it should start: the nominal instant and the job's jitter, or the retry's.
    pub due: Mono,
    /// When the shard took it from its wheel.
    pub popped: Mono,
    /// The shard's thread.
    pub shard_tid: u32,
    /// Of this firing: all its attempts have the same.
    pub trace: TraceId,
}

/// One attempt to execute a firing, ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// What was executed.
    pub firing: Firing,
    /// When it was given to the workers.
    pub enqueued: Mono,
    /// When a worker took it.
    pub dequeued: Mono,
    /// When its code began; as `finished` if it never did.
    pub started: Mono,
    /// When it ended.
    pub finished: Mono,
    /// The worker's thread when it began; 0 if it never did.
    pub worker_tid: u32,
    /// How it ended.
    pub outcome: Outcome,
    /// What breakers decided when it asked and when it ended, in that order.
    pub decisions: Vec<Record>,
    /// What the store granted it by; 0 if it did not, or has no such number.
    pub fence: u64,
    /// Whether another attempt follows.
    pub again: bool,
}

impl Run {
    /// `started - due`, nanoseconds.
    pub fn lateness_ns(&self) -> i64 {
        self.started.0 as i64 - self.firing.due.0 as i64
    }

    /// Another attempt is of no use before.
    pub(crate) fn earliest(&self) -> Mono {
        match &self.outcome {
            Outcome::Rejected(rejection) => rejection.said.until.unwrap_or(self.finished),
            _ => self.finished,
        }
    }
}

/// Firings that were left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// The job's name.
    pub job: Arc<str>,
    /// All after this nominal instant,
    pub after: Utc,
    /// and through this one is decided.
    pub through: Utc,
    /// How many; beyond [`Skipped::COUNTED`] there were more.
    pub count: u64,
    /// The reason.
    pub why: Why,
}

impl Skipped {
    /// Counting stops here: a year of seconds is not counted by a thread that others wait for.
    pub const COUNTED: u64 = 1000;
}
