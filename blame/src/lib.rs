//! Capture to Report: every nanosecond of a wait gets an owner, or is called unknown.
//!
//! One module a stage, in the order of the data:
//!
//! ```text
//! decode    bytes -> one event
//! order     one CPU's records by sequence: duplicates, holes, inversions
//! losses    where records of any CPU may be missing
//! names     who a task was at an instant
//! cgroups   which lies above which
//! owners    what a tile can be owed to, as small numbers
//! evidence  all records -> a timeline for each CPU, the marks of each victim, the samples
//! timeline  one CPU's time as five lanes: doubt, steal, hard interrupts, softirqs, slices
//! waits     the marks of a victim -> its waits, by a state machine
//! steal     the sampling clock and the kernel's count -> what the hypervisor had
//! quota     until when a thread was throttled
//! class     an owner and a victim -> the kind of its doing
//! tile      one wait and the timelines -> tiles that sum to it
//! tally     nanoseconds by owner -> blame by class and culprit
//! spared    the waits that were counted and have no record
//! metric    the distributions, each a `distribution`
//! tail      the blame of the longest waits; `blocks` says how sure, `what_if` what else
//! blamed    every wait's tiles once: what is summed of them
//! chain     the waits of wakers, back to the root culprit; with each of the `worst`
//! spans     what programs announced of themselves: `life`, `walk`, `join`, `budget`
//! fold      the flamegraph; `cost` what the probes took; `report` puts all together
//! ```
//!
//! It is a pure function and total: bad evidence becomes an anomaly that is counted, never a panic
//! and never a made-up number. What it does not do: open a file, read a clock, print, or decide
//! whether a build is good.
//!
//! ```
//! use cronx_abi::{Header, Record, Slice, TaskKey, TaskRecord, Wait, WaitRecord, kind, opening};
//! use cronx_blame::{Options, analyse};
//! use cronx_recording::{Capture, Class, CpuRecords};
//!
//! let hog = TaskKey { start_ns: 1, tid: 7, tgid: 7 };
//! let victim = TaskKey { start_ns: 2, tid: 8, tgid: 8 };
//! let record = WaitRecord {
//!     header: Header { at_ns: 900, seq: 1, kind: kind::WAIT, ..Header::default() },
//!     slice: Slice { since_ns: 300, task: hog },
//!     wait: Wait { open_ns: 400, queued_ns: 400, victim, opening: opening::PREEMPTED, ..Wait::default() },
//! };
//! let name = |seq, task| TaskRecord {
//!     header: Header { seq, kind: kind::TASK, ..Header::default() },
//!     task,
//!     priority: 120,
//!     ..TaskRecord::default()
//! };
//! let mut records = CpuRecords::default();
//! records.push(record.as_bytes());
//! records.push(name(2, hog).as_bytes());
//! records.push(name(3, victim).as_bytes());
//!
//! let capture = Capture { records: vec![records], ..Capture::default() };
//! let report = analyse(&capture, &Options::default());
//! assert_eq!(report.waited_ns, 500);
//! assert_eq!(report.culprits[0].class, Class::Foreign);
//! assert_eq!(report.culprits[0].culprit.tid, 7);
//! ```

#![cfg_attr(
    test,
    allow(clippy::needless_raw_string_hashes, reason = "expect-test writes its strings so"),
    allow(clippy::unwrap_used, reason = "a test fails by panicking")
)]

mod anomaly;
mod blamed;
mod blocks;
mod cgroups;
mod chain;
mod class;
mod cost;
mod decode;
mod distribution;
mod evidence;
mod fold;
mod losses;
mod metric;
mod names;
mod order;
mod owners;
mod quota;
mod report;
mod spans;
mod spared;
mod stays;
mod steal;
mod tail;
mod tally;
mod throttle;
mod tile;
mod tiled;
mod timeline;
mod waits;
mod what_if;
mod worst;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod properties;

use cronx_recording::{Capture, Report};

pub use tiled::{TiledPiece, TiledWait, Who};

/// What to look at and against what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// A wait longer than this is a miss, nanoseconds; `None` for no objective.
    pub objective_ns: Option<u64>,
    /// Only the waits of threads of processes of exactly this name; culprits are always kept.
    pub process: Option<String>,
    /// Only the waits of threads of exactly this name; culprits are always kept.
    pub thread: Option<String>,
    /// How many of the longest waits to report one by one.
    pub worst: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { objective_ns: None, process: None, thread: None, worst: 32 }
    }
}

/// Says of every wait in `capture` what it was waiting for.
///
/// Total: any bytes give a Report, and what they contradict is counted in its `health`.
pub fn analyse(capture: &Capture, options: &Options) -> Report {
    report::assemble(capture, options)
}

/// The tiles of every wait in `capture`, closed or censored, by victim and time: what [`analyse`]
/// makes its sums of.
pub fn tiles(capture: &Capture, options: &Options) -> Vec<TiledWait> {
    tiled::tiles(capture, options)
}
