//! The breaker: what keeps a job from calling what is known to be down, and finds out when it is up.
//!
//! ```text
//!            a rule trips                   the wait is over, and somebody asks
//!  Closed ────────────────► Open ─────────────────────────────► HalfOpen
//!    ▲                       ▲   a probe fails, hangs, or the      │  │
//!    │                       └── probes cannot succeed any more ◄──┘  │
//!    └──────────────────────────── enough probes succeed ◄────────────┘
//! ```
//! **Closed.** Calls pass and are counted. Two rules can trip, and either is enough: so many failures in a
//! row, for jobs that seldom run; or a share of failures (or of slow calls) among those of a window, for
//! jobs that often do. A share is asked only of a minimum of calls: of none it is no number.
//!
//! **Open.** Calls are rejected until the wait is over. It doubles with every opening that no closing came
//! between, up to its longest.
//!
//! **HalfOpen.** A few calls pass, as probes. It begins with the call that is the first probe, so that it
//! is never idle. As many successes as wanted close it. One failure opens it again; so does a probe
//! that takes too long, and so do probes that are used up. It cannot hang: each probe has its deadline, and
//! so has the time in which there is always one out, however many follow each other. While none is out
//! no deadline runs: a job that runs once an hour may take three hours to succeed three times.
//!
//! **What counts.** Errors, panics and timeouts are failures. A call that was cancelled was not judged, and
//! gives its place among the probes back. A rejected call never was: a breaker that counted its own
//! rejections would hold itself open. A call of one state that ends in another counts for neither.
//! A slow call that succeeded is a failure or is counted by a share of its own, as the rules say;
//! as a probe it is then no success, and uses its place up.
//!
//! **Forced.** A person may hold it open or closed. Let go, it is closed and knows nothing.
//!
//! **Time.** The machine has no clock: each call says when it is. What a deadline decides is decided when
//! somebody next asks, tells or looks, and dated to the deadline: so a hung probe of yesterday has
//! waited since yesterday. Instants that come out of order are taken as the latest so far.
//!
//! `machine`, `window`, `adaptive` and `rules` are functions over plain data. `gate` is all that threads
//! share: a word to be read, and a lock for what changes something. `Breaker` adds a name, a witness to
//! whom each decision is told, and a remedy.

mod adaptive;
mod gate;
mod log;
mod machine;
mod record;
mod rules;
mod shared;
mod window;

pub use adaptive::{Adaptive, Feed};
pub use log::{Differs, Event, Record, replay, replay_rest};
pub use machine::{Ended, Forced, Machine, Permit, Rejected};
pub use record::{Rule, Snapshot, State, Turn};
pub use rules::{Limit, Probes, Rules, Share, Slow, SlowIs, Wait, Window};
pub use shared::{Breaker, Call, Standing, Witness};

/// What the gate stands on; loom's own in its tests.
mod sync {
    pub(super) use std::sync::atomic::{AtomicU64, Ordering};
    pub(super) use std::sync::{Mutex, MutexGuard};
}

#[cfg(test)]
mod modelled;
#[cfg(test)]
mod tests;
