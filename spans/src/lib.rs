//! What a program says of itself to a profiler: macros around static probes (USDT), provider `cronx`.
//!
//! A span is a begin and an end that a program announces; a firing is a span with more to say. `cronx
//! record` listens to them, and says of each what its time went to. So can anything else that knows
//! USDT:
//!
//! ```text
//! # bpftrace -l 'usdt:/usr/bin/cronx:cronx:*'
//! # bpftrace -e 'usdt:/usr/bin/cronx:cronx:firing_started
//!       { @late_us[str(arg0, arg1)] = hist((arg9 - arg4) / 1000); }' -p "$(pidof cronx)"
//! ```
//!
//! While nobody listens a probe is one load and a branch not taken, and its arguments are not even
//! evaluated: each has a semaphore, which the kernel raises for whoever attaches. The macros' value
//! says whether anybody did.
//!
//! What it does not do: measure, decide, keep anything. Programs in C have `cronx_spans.h` beside this.
//!
//! # Arguments
//!
//! Each is an integer of 64 bits. A text is two: its address, and its length in bytes; it is UTF-8 and
//! has no NUL at its end. Instants are CLOCK_MONOTONIC nanoseconds, but for `nominal`, which is
//! nanoseconds since the Unix epoch (CLOCK_REALTIME). Threads are as `gettid` numbers them.
//!
//! | probe | arguments, from `arg0` |
//! |---|---|
//! | `firing_started`, `firing_late` | job (2), nominal, run, due, popped, enqueued, free, dequeued, started, shard, runner |
//! | `firing_rejected` | job (2), nominal, run, due, again, breaker (2), state (2), rule (2) |
//! | `firing_finished` | job (2), nominal, run, started, finished, failed |
//! | `span_begin` | name (2), id |
//! | `span_end` | id |
//!
//! Twelve arguments are all that USDT has, and the first three probes use them up. So the worker is not
//! among them: it is the thread in which the probe fires.
//!
//! ```
//! let listened = cronx_spans::span_begin!("request", 7);
//! let anybody_still = cronx_spans::span_end!(7);
//! assert!(!listened && !anybody_still, "nobody attaches to a test");
//! ```
#![no_std]

/// For the macros; no part of what this crate promises.
#[doc(hidden)]
pub use probe as __probe;

/// The address of a text, once its page is there: who listens may not wait for one.
#[doc(hidden)]
pub fn __touched(text: &str) -> *const u8 {
    if let Some(first) = text.as_bytes().first() {
        // SAFETY: a reference can be read.
        unsafe { core::ptr::read_volatile(first) };
    }
    text.as_ptr()
}

/// User code of a firing is about to begin, in this thread.
///
/// In the order of time: `due`, when it should have begun; `popped`, when its shard took it from its
/// wheel; `enqueued`, when the shard gave it to the workers; `dequeued`, when the thread `runner` took it
/// from there; `started`. `free` is when the runner turned to the queue after what it did before, and 0
/// if it was made for this firing. `run` counts the job's attempts. `shard` is the shard's thread.
///
/// ```
/// let job = "report";
/// let listened = cronx_spans::firing_started! {
///     job: job, nominal: 1_700_000_000_000_000_000_i64, run: 1, due: 100, popped: 110, enqueued: 120,
///     free: 0, dequeued: 130, started: 140, shard: 12, runner: 13,
/// };
/// assert!(!listened);
/// ```
#[macro_export]
macro_rules! firing_started {
    ($($field:ident: $value:expr),* $(,)?) => {
        $crate::__firing!(firing_started, $($field: $value),*)
    };
}

/// The same as [`firing_started`], fired after it, for firings that began later than their objective
/// alone: whoever listens to this one costs the punctual ones nothing.
#[macro_export]
macro_rules! firing_late {
    ($($field:ident: $value:expr),* $(,)?) => {
        $crate::__firing!(firing_late, $($field: $value),*)
    };
}

/// A breaker let a firing not pass, and no code of it runs: now, in this thread. `breaker` is its name, `state`
/// what it is, and `rule` by which rule. `again` is the instant before which the firing is not tried again,
/// and 0 if it is not; the others are as of [`firing_started`].
///
/// ```
/// let listened = cronx_spans::firing_rejected! {
///     job: "report", nominal: 1_700_000_000_000_000_000_i64, run: 4, due: 100, again: 0,
///     breaker: "ledger", state: "open", rule: "consecutive",
/// };
/// assert!(!listened);
/// ```
#[macro_export]
macro_rules! firing_rejected {
    (
        job: $job:expr, nominal: $nominal:expr, run: $run:expr, due: $due:expr, again: $again:expr,
        breaker: $breaker:expr, state: $state:expr, rule: $rule:expr $(,)?
    ) => {
        $crate::__probe::probe_lazy!(
            cronx,
            firing_rejected,
            $crate::__touched($job),
            ::core::primitive::str::len($job),
            $nominal,
            $run,
            $due,
            $again,
            $crate::__touched($breaker),
            ::core::primitive::str::len($breaker),
            $crate::__touched($state),
            ::core::primitive::str::len($state),
            $crate::__touched($rule),
            ::core::primitive::str::len($rule)
        )
    };
}

/// User code of a firing has ended; `failed` is 0 or 1. In any thread.
///
/// ```
/// let listened = cronx_spans::firing_finished! {
///     job: "report", nominal: 1_700_000_000_000_000_000_i64, run: 1, started: 140, finished: 900,
///     failed: 0,
/// };
/// assert!(!listened);
/// ```
#[macro_export]
macro_rules! firing_finished {
    (
        job: $job:expr, nominal: $nominal:expr, run: $run:expr, started: $started:expr,
        finished: $finished:expr, failed: $failed:expr $(,)?
    ) => {
        $crate::__probe::probe_lazy!(
            cronx,
            firing_finished,
            $crate::__touched($job),
            ::core::primitive::str::len($job),
            $nominal,
            $run,
            $started,
            $finished,
            $failed
        )
    };
}

/// A span begins in this thread. `id` is the program's own name for it until it ends: no two that are
/// open at once, of one process, may share one.
#[macro_export]
macro_rules! span_begin {
    ($name:expr, $id:expr) => {
        $crate::__probe::probe_lazy!(
            cronx,
            span_begin,
            $crate::__touched($name),
            ::core::primitive::str::len($name),
            $id
        )
    };
}

/// The span of this `id` ends. Only what began in the same thread can be explained.
#[macro_export]
macro_rules! span_end {
    ($id:expr) => {
        $crate::__probe::probe_lazy!(cronx, span_end, $id)
    };
}

/// For the macros; no part of what this crate promises.
#[doc(hidden)]
#[macro_export]
macro_rules! __firing {
    (
        $probe:ident, job: $job:expr, nominal: $nominal:expr, run: $run:expr, due: $due:expr,
        popped: $popped:expr, enqueued: $enqueued:expr, free: $free:expr, dequeued: $dequeued:expr,
        started: $started:expr, shard: $shard:expr, runner: $runner:expr
    ) => {
        $crate::__probe::probe_lazy!(
            cronx,
            $probe,
            $crate::__touched($job),
            ::core::primitive::str::len($job),
            $nominal,
            $run,
            $due,
            $popped,
            $enqueued,
            $free,
            $dequeued,
            $started,
            $shard,
            $runner
        )
    };
}
