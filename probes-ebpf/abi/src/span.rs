//! What programs announce of themselves, as the C program `usdt/` writes it: records of a ring of their
//! own, with no number and no order but their instants.

use crate::Record;

/// Bytes of a name or job that are kept; what is longer is cut there.
pub const NAME_LEN: usize = 64;

/// Bytes of a state or rule that are kept.
pub const WORD_LEN: usize = 24;

/// Arguments in a [`SpanRecord`].
pub const ARGS: usize = 10;

/// What [`SpanRecord::kind`] holds, and what its `args` are then. Those that are not named are 0.
pub mod kind {
    /// User code of a firing is about to begin: [`super::firing`]. The name is the job's.
    pub const FIRING_STARTED: u8 = 1;
    /// User code of a firing has ended: nominal, run, started, finished, failed. The name is the job's.
    pub const FIRING_FINISHED: u8 = 2;
    /// As FIRING_STARTED, of a firing beyond its objective.
    pub const FIRING_LATE: u8 = 3;
    /// A span begins: its id.
    pub const SPAN_BEGIN: u8 = 4;
    /// A span ends: its id. It has no name.
    pub const SPAN_END: u8 = 5;
    /// A breaker let a firing not pass: [`super::rejected`], in a [`super::RejectedRecord`]. The name is the
    /// job's.
    pub const FIRING_REJECTED: u8 = 6;
}

/// Places of a started firing's arguments in [`SpanRecord::args`]. All instants but `NOMINAL` are
/// CLOCK_MONOTONIC, nanoseconds.
pub mod firing {
    /// The instant that names the firing, nanoseconds since the Unix epoch.
    pub const NOMINAL: usize = 0;
    /// Counts the job's attempts.
    pub const RUN: usize = 1;
    /// When it should have begun.
    pub const DUE: usize = 2;
    /// When its shard took it from its wheel.
    pub const POPPED: usize = 3;
    /// When the shard gave it to the workers.
    pub const ENQUEUED: usize = 4;
    /// When the runner turned to the queue after what it did before; 0 if it was made for this.
    pub const FREE: usize = 5;
    /// When the runner took it.
    pub const DEQUEUED: usize = 6;
    /// When its code began.
    pub const STARTED: usize = 7;
    /// The shard's thread, as the program numbers it.
    pub const SHARD: usize = 8;
    /// The runner's thread, likewise.
    pub const RUNNER: usize = 9;
}

/// Places of a rejected firing's arguments in [`SpanRecord::args`]; the first three are as in [`firing`].
pub mod rejected {
    /// The instant that names the firing, nanoseconds since the Unix epoch.
    pub const NOMINAL: usize = 0;
    /// Counts the job's attempts.
    pub const RUN: usize = 1;
    /// When it should have begun.
    pub const DUE: usize = 2;
    /// Its next attempt is not before; 0 if there is none.
    pub const AGAIN: usize = 3;
}

/// Bits of [`SpanRecord::flags`].
pub mod flag {
    /// The name could not be read: its page was not there, or is not the program's.
    pub const UNREADABLE: u8 = 1;
    /// Nor could what a [`super::RejectedRecord`] has behind it.
    pub const UNREADABLE_WHY: u8 = 2;
}

/// One probe that was passed. What a program says of itself is its own word: only when, and in which
/// thread, is the kernel's.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanRecord {
    /// When, CLOCK_MONOTONIC.
    pub at_ns: u64,
    /// The thread, as the root pid namespace numbers it.
    pub tid: u32,
    /// Its process, likewise.
    pub tgid: u32,
    /// The CPU.
    pub cpu: u32,
    /// One of [`kind`].
    pub kind: u8,
    /// Bits of [`flag`].
    pub flags: u8,
    /// Bytes filled in `name`.
    pub name_len: u16,
    /// By [`kind`].
    pub args: [u64; ARGS],
    /// What follows the filled bytes is 0.
    pub name: [u8; NAME_LEN],
}

/// A firing that did not pass its breaker, and why.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RejectedRecord {
    /// Of kind [`kind::FIRING_REJECTED`].
    pub span: SpanRecord,
    /// Bytes filled in `breaker`.
    pub breaker_len: u16,
    /// Bytes filled in `state`.
    pub state_len: u16,
    /// Bytes filled in `rule`.
    pub rule_len: u16,
    /// 0.
    pub reserved: u16,
    /// Its name. What follows the filled bytes is 0, here and below.
    pub breaker: [u8; NAME_LEN],
    /// What it is.
    pub state: [u8; WORD_LEN],
    /// By which rule.
    pub rule: [u8; WORD_LEN],
}

/// What became of the probes that were passed on one CPU: `seen = filtered + submitted + lost`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpanCounts {
    /// All of them.
    pub seen: u64,
    /// Of processes that are not watched.
    pub filtered: u64,
    /// They became a record.
    pub submitted: u64,
    /// The ring was full.
    pub lost: u64,
}

/// What the C program is given before it is loaded: its global `SETTINGS`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpanSettings {
    /// Where [`crate::TaskState::watched`] lies, bytes.
    pub watched_at: u32,
    /// 1 if every process is watched.
    pub all: u32,
    /// 1 if what is remembered of tasks lies in a hash by thread, and in no task storage.
    pub by_tid: u32,
}

const _: () = assert!(size_of::<SpanRecord>() == 168);
const _: () = assert!(size_of::<RejectedRecord>() == 288);
const _: () = assert!(size_of::<SpanCounts>() == 32);
const _: () = assert!(size_of::<SpanSettings>() == 12);
// SAFETY: repr(C) integers, and the sizes above are the sums of the fields.
unsafe impl Record for SpanRecord {}
// SAFETY: as above.
unsafe impl Record for RejectedRecord {}
// SAFETY: as above.
unsafe impl Record for SpanCounts {}
// SAFETY: as above.
unsafe impl Record for SpanSettings {}
