//! The Report: what a Capture says, as plain data and as versioned JSON.

mod spans;

use std::collections::BTreeMap;
use std::io::{Read, Write};

use serde::{Deserialize, Serialize};

use crate::capture::{Host, LoadEnd, Target};
use crate::{Error, Untrusted};

pub use spans::{
    Announced, Budget, Explained, Part, PartReport, PartShare, PutOff, Rejected, Spans,
};

/// Name and version of the JSON form. The number grows when a field changes its meaning or goes.
pub const SCHEMA: &str = "cronx.report/3";
const SCHEMA_NAME: &str = "cronx.report/";
const SCHEMA_VERSION: u32 = 3;

/// The analysis of one Capture. Durations are nanoseconds, instants CLOCK_MONOTONIC nanoseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: String,
    /// What was recorded.
    pub provenance: Provenance,
    /// A wait longer than this is a miss; `None` if no objective was given.
    pub objective_ns: Option<u64>,
    /// Closed waits of watched threads whose both ends are known.
    pub waits: u64,
    /// Their length in all; `blame` sums to it, and so do the folds.
    pub waited_ns: u64,
    /// How many of them were longer than the objective; `None` without one.
    pub misses: Option<u64>,
    /// Waits still open when the window closed: reported apart, since leaving them out flatters.
    pub censored: Censored,
    /// Waits of which an end is not known; they are in no figure above.
    pub boundary: Boundary,
    /// Waits too short for a record, if there was a floor. They are in the metrics over all and by
    /// CPU, and in the rank of the tail's threshold, and in no other figure.
    pub spared: Option<SparedWaits>,
    /// wake-to-run, placement, run-queue latency, self-caused: always these four, in this order.
    pub metrics: Vec<Metric>,
    /// `waited_ns` by class, largest first.
    pub blame: Vec<ClassBlame>,
    /// `waited_ns` by culprit, largest first; at most 256, the rest is one called `(other)`.
    pub culprits: Vec<CulpritBlame>,
    /// The waits at or above P99; `None` if there are too few waits to have a P99.
    pub tail: Option<Tail>,
    /// The longest waits one by one, longest first.
    pub worst: Vec<Miss>,
    /// Victim, class, culprit, culprit's stack, and the nanoseconds waited for it.
    pub folds: Vec<Fold>,
    /// What programs announced of themselves, explained; `None` if nobody listened.
    #[serde(default)]
    pub spans: Option<Spans>,
    /// How far all this can be trusted.
    pub health: Health,
}

/// Where a Report comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// The version of cronx that recorded.
    pub cronx_version: String,
    /// `uname -r`.
    pub kernel: Untrusted,
    /// `uname -m`.
    pub machine: String,
    /// CPUs that were up.
    pub online_cpus: u32,
    /// What else decides how long a thread waits there.
    pub host: Host,
    /// What was recorded.
    pub target: Target,
    /// The start of the window, nanoseconds since the Unix epoch, CLOCK_REALTIME.
    pub started_unix_ns: u64,
    /// Length of the window.
    pub duration_ns: u64,
    /// How the load ended; `None` if it was not ours, or the Capture is torn.
    pub load: Option<LoadEnd>,
}

/// Waits cut off by the end of the window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Censored {
    /// How many.
    pub count: u64,
    /// What they had waited so far.
    pub waited_ns: u64,
    /// The longest so far.
    pub max_ns: u64,
}

/// Waits with an end that nobody saw. Never counted as 0 ns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Boundary {
    /// Switched in without an opening: the wait's start is unknown.
    pub open_unknown: u64,
    /// Its switch-in was not seen: the wait's end is unknown.
    pub close_unknown: u64,
}

/// Waits that were counted in the kernel and have no record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SparedWaits {
    /// They were shorter than this.
    pub floor_ns: u64,
    /// How many.
    pub waits: u64,
    /// Their length in all.
    pub waited_ns: u64,
    /// Whether they are in no figure at all, since a filter cannot say whose they were.
    pub left_out: bool,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricName {
    /// Opening to switch-in: the whole wait.
    WakeToRun,
    /// Waking to being queued; of woken threads only.
    Placement,
    /// Queued (or preempted) to switch-in.
    RunQueue,
    /// Of the whole wait what is the load's own doing: the tiles of classes `self`, `load` and
    /// `throttled`.
    SelfCaused,
}

impl MetricName {
    /// As the field and our JSON spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::WakeToRun => "wake_to_run",
            Self::Placement => "placement",
            Self::RunQueue => "run_queue",
            Self::SelfCaused => "self_caused",
        }
    }
}

/// One metric over all waits, and over the waits of each process, thread name, cgroup and CPU.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// Which.
    pub name: MetricName,
    /// Over all.
    pub all: Quantiles,
    /// By process name, most waited first; at most 256, then `(other)`.
    pub by_process: Vec<Keyed>,
    /// By thread name, likewise.
    pub by_thread: Vec<Keyed>,
    /// By the path of the cgroup, likewise; `(unknown)` is one too.
    pub by_cgroup: Vec<Keyed>,
    /// By the CPU it ran on, likewise.
    pub by_cpu: Vec<Keyed>,
}

/// One value of an axis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Keyed {
    /// The process, thread name, cgroup, or CPU.
    pub key: Untrusted,
    /// Its figures.
    pub quantiles: Quantiles,
}

/// A distribution. A quantile that the count cannot carry is `None` (see
/// [`crate::histogram::CARRIES`]).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Quantiles {
    /// How many.
    pub count: u64,
    /// Their sum, exact.
    pub sum_ns: u64,
    /// Median.
    pub p50_ns: Option<u64>,
    /// 90 %.
    pub p90_ns: Option<u64>,
    /// 99 %.
    pub p99_ns: Option<u64>,
    /// 99.9 %.
    pub p999_ns: Option<u64>,
    /// The largest, exact; 0 if there is none.
    pub max_ns: u64,
    /// [`crate::histogram::encode`]d, three digits.
    pub histogram: String,
    /// The same of each block of the recording, by the end of the wait and in the order of time, to
    /// [`crate::histogram::BLOCK_DIGITS`]; an empty text for a block without any. No blocks where
    /// the count cannot carry a P99.
    pub blocks: Vec<String>,
}

/// Whose doing a tile is, in its kind. The order is that of precedence: of two that have evidence
/// for the same nanosecond the first has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// No evidence, lost evidence, or evidence against itself.
    Unknown,
    /// The hypervisor had the CPU: the sampling clock stood still, and the kernel counted it.
    Steal,
    /// A hard interrupt: a device line or a local vector.
    Irq,
    /// A softirq.
    Softirq,
    /// The victim's cgroup was out of quota.
    Throttled,
    /// A thread of cronx itself.
    Profiler,
    /// A task of a real-time or deadline priority.
    Rt,
    /// A kernel thread.
    Kernel,
    /// Another thread of the victim's process.
    #[serde(rename = "self")]
    Own,
    /// Another process of the recorded load.
    Load,
    /// A task outside the load, in the victim's own cgroup.
    Cgroup,
    /// Any other task: the noisy neighbour.
    Foreign,
    /// Between waking and being put on a queue, where the target was not idle.
    Placement,
    /// The idle task held the CPU when the victim came: leaving idle, the IPI included.
    IdleExit,
    /// The CPU went idle though the victim was queued there.
    Idle,
}

impl Class {
    /// All of them, in their order.
    pub const ALL: [Self; 15] = [
        Self::Unknown,
        Self::Steal,
        Self::Irq,
        Self::Softirq,
        Self::Throttled,
        Self::Profiler,
        Self::Rt,
        Self::Kernel,
        Self::Own,
        Self::Load,
        Self::Cgroup,
        Self::Foreign,
        Self::Placement,
        Self::IdleExit,
        Self::Idle,
    ];

    /// As our JSON spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Steal => "steal",
            Self::Irq => "irq",
            Self::Softirq => "softirq",
            Self::Throttled => "throttled",
            Self::Profiler => "profiler",
            Self::Rt => "rt",
            Self::Kernel => "kernel",
            Self::Own => "self",
            Self::Load => "load",
            Self::Cgroup => "cgroup",
            Self::Foreign => "foreign",
            Self::Placement => "placement",
            Self::IdleExit => "idle_exit",
            Self::Idle => "idle",
        }
    }

    /// Whether it is the load's own doing.
    pub const fn is_self_caused(self) -> bool {
        matches!(self, Self::Own | Self::Load | Self::Throttled)
    }

    /// Whether a task ran.
    pub const fn is_task(self) -> bool {
        matches!(
            self,
            Self::Profiler
                | Self::Rt
                | Self::Kernel
                | Self::Own
                | Self::Load
                | Self::Cgroup
                | Self::Foreign
        )
    }
}

/// Who or what ran while somebody waited.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Culprit {
    /// The thread's name; of an interrupt its line or vector; empty for classes without culprits.
    pub name: Untrusted,
    /// The name of the thread's process; empty if not a task.
    pub process: Untrusted,
    /// The thread; 0 if not a task.
    pub tid: u32,
    /// Its process; 0 if not a task.
    pub tgid: u32,
    /// The cgroup that shares out its CPU time, by its path; empty if not a task, or unknown.
    pub cgroup: Untrusted,
    /// The kernel's effective priority: -1 deadline, 0 to 99 real time, 100 to 139 the rest, nice 0
    /// being 120. `None` if not a task, or unknown.
    pub priority: Option<i32>,
}

/// Nanoseconds of waiting owed to a class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassBlame {
    /// The class.
    pub class: Class,
    /// How long.
    pub waited_ns: u64,
    /// How sure its share of the tail is; `None` of all waits, and where nobody can tell.
    pub interval: Option<ShareInterval>,
}

/// Where a share would lie in 95 of 100 recordings like this one: the bootstrap's percentiles over
/// blocks of 1/32 of the recording (at least 50 ms). Said only if 8 blocks hold waits of the tail.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ShareInterval {
    /// From 0 to 1.
    pub low: f64,
    /// From 0 to 1.
    pub high: f64,
}

/// The quantiles of wake-to-run with everything of one class or culprit taken out of each wait. A
/// first-order estimate: without it, the threads would also have run, and waited, at other times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WhatIf {
    /// What is taken out, or the class under which the culprit costs most.
    pub class: Class,
    /// Who is taken out; `None` for the whole class.
    pub culprit: Option<Culprit>,
    /// Median.
    pub p50_ns: Option<u64>,
    /// 90 %.
    pub p90_ns: Option<u64>,
    /// 99 %.
    pub p99_ns: Option<u64>,
    /// 99.9 %.
    pub p999_ns: Option<u64>,
}

/// Nanoseconds of waiting owed to a culprit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CulpritBlame {
    /// The class.
    pub class: Class,
    /// The culprit.
    pub culprit: Culprit,
    /// How long.
    pub waited_ns: u64,
    /// As [`ClassBlame::interval`]; `None` of `(other)` too.
    pub interval: Option<ShareInterval>,
}

/// The waits at or above P99 of wake-to-run, and above the objective if there is one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tail {
    /// A wait of at least this length is in the tail. Where P99 itself is too short for a record, the
    /// floor.
    pub threshold_ns: u64,
    /// How many waits.
    pub waits: u64,
    /// Their length in all; each list below sums to it.
    pub waited_ns: u64,
    /// By class, largest first.
    pub blame: Vec<ClassBlame>,
    /// By culprit, largest first; at most 256, then `(other)`.
    pub culprits: Vec<CulpritBlame>,
    /// How it would be without each class of it, then without each of its eight largest culprits.
    pub what_if: Vec<WhatIf>,
}

/// One long wait, tile by tile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Miss {
    /// The thread's name.
    pub thread: Untrusted,
    /// Its process's name.
    pub process: Untrusted,
    /// The thread.
    pub tid: u32,
    /// Its process.
    pub tgid: u32,
    /// From the start of the window to the opening.
    pub at_ns: u64,
    /// How long it waited.
    pub waited_ns: u64,
    /// The CPU it was switched in on.
    pub cpu: u32,
    /// What opened it: `wakeup`, `fork`, `preempted`.
    pub opening: String,
    /// Its cgroup, as [`Culprit::cgroup`].
    pub cgroup: Untrusted,
    /// Its priority, as [`Culprit::priority`].
    pub priority: Option<i32>,
    /// Who or what woke it, in words; empty if nobody did or nobody knows.
    pub waker: Untrusted,
    /// Why it was not woken earlier: its waker's own wait just before the waking, then that one's
    /// waker's, and so on, eight at most. Empty if the waker had none, or is an interrupt.
    pub chain: Vec<Link>,
    /// The tiles in order; they sum to `waited_ns`.
    pub tiles: Vec<TileReport>,
}

/// A wait of a waker, which ended before it woke whoever stands before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The waker's thread name.
    pub thread: Untrusted,
    /// Its process's name.
    pub process: Untrusted,
    /// The thread.
    pub tid: u32,
    /// Its process.
    pub tgid: u32,
    /// How long it had waited itself.
    pub waited_ns: u64,
    /// From its switch-in to the waking that it did, or to what came of it if that was later.
    pub ran_ns: u64,
    /// The class that it waited for most.
    pub class: Class,
    /// And the culprit.
    pub culprit: Culprit,
    /// How long it waited for that one.
    pub owed_ns: u64,
}

/// A piece of one wait with one class and, where known, one culprit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TileReport {
    /// From the wait's opening to the tile's start.
    pub from_ns: u64,
    /// Its length.
    pub length_ns: u64,
    /// Its class.
    pub class: Class,
    /// Who or what.
    pub culprit: Culprit,
    /// Where; `None` while the thread was on no queue.
    pub cpu: Option<u32>,
}

/// One stack of the blame flamegraph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fold {
    /// The victim's thread name.
    pub victim: Untrusted,
    /// The class.
    pub class: Class,
    /// The culprit's name; empty for classes without culprits.
    pub culprit: Untrusted,
    /// The culprit's stack, outermost first; empty where nothing was sampled.
    pub stack: Vec<Untrusted>,
    /// Nanoseconds the victims waited for it.
    pub waited_ns: u64,
}

/// How far a Report can be trusted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// Which object ran in the kernel: `tp_btf` or `legacy`.
    #[serde(default)]
    pub object: String,
    /// Events of all hooks that the kernel side saw.
    #[serde(default)]
    pub events: u64,
    /// Records read.
    pub records: u64,
    /// Records lost at a full ring, by the kernel's own count.
    pub lost: u64,
    /// Records missing by sequence number; differs from `lost` only if evidence was lost later.
    pub missing: u64,
    /// Runs the kernel skipped because the program was running already.
    pub recursion_misses: u64,
    /// Events not handled for want of task storage.
    pub storage_failures: u64,
    /// Evidence against itself, by kind.
    pub anomalies: Anomalies,
    /// Waits whose tiles do not sum to them. Always 0.
    pub unbalanced: u64,
    /// Nanoseconds of `waited_ns` in class unknown.
    pub unknown_ns: u64,
    /// Stack samples taken while somebody waited.
    pub samples: u64,
    /// What the hypervisor took from all CPUs during the window, by the kernel's own count.
    pub stolen_ns: u64,
    /// CPU time of the profiler's own process during the window.
    pub profiler_cpu_ns: u64,
    /// What the probes took in all: extrapolated from the runs that the kernel timed to the events
    /// that there were. `None` if it timed none.
    pub own_cost_ns: Option<u64>,
    /// Where and how the Capture broke off, if it did.
    pub torn: Option<String>,
    /// What could not be had, one sentence each.
    pub degraded: Vec<String>,
}

/// Evidence against itself: how many, by kind.
pub type Anomalies = BTreeMap<String, u64>;

impl Report {
    /// Writes the versioned JSON form.
    pub fn write(&self, mut out: impl Write) -> Result<(), Error> {
        serde_json::to_writer_pretty(&mut out, self).map_err(|e| Error::Io(e.into()))?;
        out.write_all(b"\n")?;
        Ok(())
    }

    /// Reads the JSON form; another schema is refused by its number.
    pub fn read(mut input: impl Read) -> Result<Self, Error> {
        let mut bytes = Vec::new();
        input.read_to_end(&mut bytes)?;
        if bytes.is_empty() {
            return Err(Error::Empty);
        }
        check_schema(&bytes)?;
        serde_json::from_slice(&bytes)
            .map_err(|e| Error::Damaged { part: "report", reason: e.to_string() })
    }
}

fn check_schema(bytes: &[u8]) -> Result<(), Error> {
    #[derive(Deserialize)]
    struct Schema {
        schema: String,
    }
    let foreign = Error::Foreign { expected: "cronx report" };
    let Ok(Schema { schema }) = serde_json::from_slice(bytes) else { return Err(foreign) };
    match schema.strip_prefix(SCHEMA_NAME).map(str::parse) {
        Some(Ok(SCHEMA_VERSION)) => Ok(()),
        Some(Ok(found)) if found > SCHEMA_VERSION => {
            Err(Error::Newer { found, newest: SCHEMA_VERSION })
        }
        Some(Ok(found)) => Err(Error::Older { found, newest: SCHEMA_VERSION }),
        _ => Err(foreign),
    }
}

#[cfg(test)]
mod tests;
