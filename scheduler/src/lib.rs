//! Jobs on time, and able to say why not.
//!
//! ```
//! use std::time::Duration;
//! use cronx_scheduler::{Options, Scheduler};
//!
//! let scheduler = Scheduler::start(Options::default())?;
//! let job = scheduler.schedule("*/5 * * * * *", |run| async move {
//!     println!("{} was due at {}", run.job(), run.nominal());
//! })?;
//! scheduler.after(Duration::from_millis(20), |_| async { println!("once") })?;
//! println!("{:?}, lateness in us: {:?}", job.status(), job.lateness_us().max());
//! assert!(job.cancel() && scheduler.drain(Duration::from_secs(5)));
//! # Ok::<(), cronx_scheduler::Error>(())
//! ```
//!
//! What each part is, from an instant to a run:
//!
//! ```text
//!  owner ─► spec      when: a set of instants of UTC
//!           policy    what becomes of one that cannot simply start
//!           intake ─► shard ──────────► pool ─────► run
//!                     roster, wheel     queue,      user code, and a record of
//!                     one thread each,  breakers    when each part of it was
//!                     an exact sleep    runners
//! ```
//! `wheel`, `spec`, `policy` and the roster are functions over integers: no clock, no thread. They are
//! tried under a fake clock, for years in seconds. `clock`, `shard` and `pool` are thin and do what these
//! say.
//!
//! **What is promised.** A firing starts at its instant or is accounted for: started late, waiting, or left
//! out for a reason that is counted. It starts at most once for each nominal instant while the process
//! lives; what a restart repeats is for a [`Store`] to say. Memory is bounded by the number of jobs and
//! the sizes in [`Options`], whatever comes due: what finds no room stays behind its job's cursor.
//!
//! **What it does not do.** It keeps nothing on disk, serves no port and reads no file. It does not say
//! why a firing was late: its records have the instants, and a profiler the rest.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test fails by panicking"))]

#[cfg(test)]
mod allocations;
pub mod breaker;
mod clock;
mod context;
mod error;
mod hash;
mod instant;
mod intake;
mod job;
mod policy;
mod pool;
mod realtime;
mod request;
mod retry;
mod roster;
mod run;
mod scheduler;
mod shard;
mod spec;
mod store;
pub mod wheel;
mod work;

pub use clock::{Clock, FakeClock, Notify, Reading, Sleeper, SystemClock};
pub use context::{Context, Start};
pub use error::Error;
pub use instant::{Mono, Utc};
pub use job::{Definition, Ended, Job, JobOptions, JobStatus, Phase, SkipCounts};
pub use policy::{Back, Leap, Misfire, Overlap, Policy, Why};
pub use pool::PoolStatus;
pub use realtime::{Answer as WishAnswer, Machine, RealTime, Wish};
pub use retry::Retry;
pub use run::{Firing, Name, Outcome, Rejection, Run, Skipped, TraceId};
pub use scheduler::{Options, Scheduler, ShardStatus, Status};
pub use spec::{Dst, Fold, Gap, Mapped, Outcome as CivilOutcome, Spec, parse_span};
pub use store::{Answer, Course, Memory, Open, Permit, Resumed, Store, StoreError};
pub use work::{Ending, Work};
