//! What programs announced of themselves, and what its time went to.

use serde::{Deserialize, Serialize};

use super::{Anomalies, ClassBlame, CulpritBlame, Quantiles, TileReport};
use crate::{Listened, Untrusted};

/// Firings and spans of the window. Both are explained by a walk that gives each nanosecond to one
/// part: a firing's from when it was due to when its code began, a span's from its begin to its end. A
/// firing that a breaker put off is late from when it was due first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spans {
    /// How they were listened to.
    pub listened: Listened,
    /// Records read; fewer than were submitted only if some were lost later.
    pub records: u64,
    /// The lateness of all firings that are explained. One that began early counts as 0.
    pub lateness: Quantiles,
    /// What the lateness of all firings went to.
    pub firings: Budget,
    /// The same of those beyond the objective; without one, of those that their scheduler called late.
    pub late: Budget,
    /// By job, the latest first; at most 256.
    pub jobs: Vec<Announced>,
    /// By the name of the span, most time first; at most 256.
    pub spans: Vec<Announced>,
    /// The latest firings, latest first.
    pub worst_firings: Vec<Explained>,
    /// The longest spans, longest first.
    pub worst_spans: Vec<Explained>,
    /// What breakers let not pass, by job, breaker, state and rule, most attempts first; at most 256.
    #[serde(default)]
    pub rejected: Vec<Rejected>,
    /// What could not be explained, by kind.
    pub flaws: Anomalies,
}

/// Where time is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// A breaker let it not pass, and it was put off: no code of anybody's had to run.
    Breaker,
    /// The shard slept, and its timer did not wake it yet.
    Timer,
    /// The shard was runnable, and waited for a CPU.
    ShardWaits,
    /// The shard ran.
    ShardRuns,
    /// The shard was stopped, or slept where it cannot be woken: a page, a disk.
    ShardBlocked,
    /// The firing was held: by its shard, for want of room or until its job's last run ended; or in
    /// the queue, until a worker was free and had been woken.
    Queue,
    /// The worker was runnable, and waited for a CPU.
    WorkerWaits,
    /// The worker ran.
    WorkerRuns,
    /// The worker was stopped; or it slept, after it had taken the firing.
    WorkerBlocked,
    /// The span's thread was runnable, and waited for a CPU.
    Waits,
    /// The span's thread ran.
    Runs,
    /// The span's thread slept or was stopped.
    Blocked,
    /// No evidence, or evidence against itself.
    Unknown,
}

impl Part {
    /// Whether it is waiting for a CPU, and so has somebody to blame.
    pub const fn is_wait(self) -> bool {
        matches!(self, Self::ShardWaits | Self::WorkerWaits | Self::Waits)
    }

    /// As our JSON spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Breaker => "breaker",
            Self::Timer => "timer",
            Self::ShardWaits => "shard_waits",
            Self::ShardRuns => "shard_runs",
            Self::ShardBlocked => "shard_blocked",
            Self::Queue => "queue",
            Self::WorkerWaits => "worker_waits",
            Self::WorkerRuns => "worker_runs",
            Self::WorkerBlocked => "worker_blocked",
            Self::Waits => "waits",
            Self::Runs => "runs",
            Self::Blocked => "blocked",
            Self::Unknown => "unknown",
        }
    }
}

/// What a set of firings or spans took, and what it went to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// How many.
    pub count: u64,
    /// Their time in all; `parts` sums to it.
    pub total_ns: u64,
    /// By part, largest first.
    pub parts: Vec<PartShare>,
    /// What their waits were for, by class, largest first.
    pub blame: Vec<ClassBlame>,
    /// The same by culprit.
    pub culprits: Vec<CulpritBlame>,
}

/// Nanoseconds of one part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartShare {
    /// Which.
    pub part: Part,
    /// How long.
    pub length_ns: u64,
}

/// All firings of one job, or all spans of one name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Announced {
    /// The job, or the span's name; at most [`cronx_abi::span::NAME_LEN`] bytes of it.
    pub name: Untrusted,
    /// The name of its process.
    pub process: Untrusted,
    /// Lateness, or length.
    pub quantiles: Quantiles,
    /// How many of them are beyond the objective, or were called late.
    pub late: u64,
    /// What they took.
    pub all: Budget,
    /// The same of those at or above their own P99; of the largest alone where there are too few.
    pub tail: Budget,
}

/// One firing or span, part by part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explained {
    /// The job, or the span's name.
    pub name: Untrusted,
    /// The name of its process.
    pub process: Untrusted,
    /// Its process.
    pub tgid: u32,
    /// The thread that ran it.
    pub tid: u32,
    /// The thread of its shard; 0 of a span.
    pub shard_tid: u32,
    /// The firing's number among its job's, or the span's id.
    pub number: u64,
    /// From the start of the window to when it was due, or began.
    pub at_ns: u64,
    /// Lateness, or length.
    pub total_ns: u64,
    /// From the code's begin to its end; `None` of a span, and of a firing whose end was not seen.
    pub ran_ns: Option<u64>,
    /// In the order of time; they sum to `total_ns`.
    pub parts: Vec<PartReport>,
}

/// A piece of one firing or span.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartReport {
    /// Which part.
    pub part: Part,
    /// From when it was due, or began, to the piece's start.
    pub from_ns: u64,
    /// Its length.
    pub length_ns: u64,
    /// What a wait was for, tile by tile, as far as it is in this piece; `from_ns` as above.
    pub tiles: Vec<TileReport>,
    /// Of [`Part::Breaker`], which that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breaker: Option<PutOff>,
}

/// Why a firing was put off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutOff {
    /// How often it was rejected.
    pub times: u64,
    /// By which breaker; here and below, the last time.
    pub breaker: Untrusted,
    /// What that was.
    pub state: Untrusted,
    /// By which rule.
    pub rule: Untrusted,
}

/// Attempts that a breaker let not pass for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    /// The job; at most [`cronx_abi::span::NAME_LEN`] bytes of it.
    pub name: Untrusted,
    /// The name of its process.
    pub process: Untrusted,
    /// The breaker, likewise.
    pub breaker: Untrusted,
    /// What it was, such as `open`.
    pub state: Untrusted,
    /// By which rule, such as `consecutive`.
    pub rule: Untrusted,
    /// How many.
    pub count: u64,
    /// Of these, such as put their firing off; the others were the end of theirs.
    pub put_off: u64,
    /// From the start of the window to the first of them.
    pub first_ns: u64,
    /// And to the last.
    pub last_ns: u64,
}
