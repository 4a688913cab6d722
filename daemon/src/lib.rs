//! A file of jobs, run on time: `jobs.toml` -> the scheduler, for commands and HTTP calls.
//!
//! ```
//! use cronx_daemon::Jobs;
//!
//! let jobs = Jobs::parse("[job.hello]\nschedule = '@every 5s'\ncommand = ['echo', 'hello']\n")?;
//! assert_eq!(jobs.plans.len(), 1);
//!
//! let refusal = Jobs::parse("[job.hello]\nschedule = 'often'\ncommand = ['echo']\n").unwrap_err();
//! assert_eq!(
//!     refusal.to_string(),
//!     "line 2, [job.hello] schedule: 'often': a pattern has 5, 6 or 7 fields, and this has 1",
//! );
//! # Ok::<(), cronx_daemon::Refusal>(())
//! ```
//!
//! ```text
//!  jobs.toml ─► file ─► set ─────► scheduler ─► command, call
//!               whole   what is    on time      group: a run's processes
//!               or not  new, gone        └────► watch ─► metrics, status ─► serve
//!                       ▲                          └───► ledger: what outlives the daemon
//!                       └─ shards: which jobs are here ◄───┘
//! ```
//! [`run`] goes on until SIGTERM or SIGINT: then nothing new starts, and what runs has a time to end. At
//! SIGHUP the file is read again; one that is refused changes nothing.
//!
//! Daemons whose ledger is on one server share its jobs, if all have the same file: a job is in a shard, and a
//! daemon has the jobs of the shards that it has leased. A shard moves to another daemon when nothing of it
//! runs, when its daemon ends, or when that was not heard of for its lease; there its jobs go on where the
//! ledger says. A run that outlives that is begun again there, by a larger fence.
//!
//! Firings that are done, and sagas that are over, are let go of after as long as the file says.
//!
//! A job may be a saga: its steps are in the ledger, and any daemon with the same file goes on with them.
//!
//! **What it does not do.** It prints nothing: what there is to tell is an [`Event`], for a [`Log`]. It
//! decides nothing about time: that is the scheduler's. It runs no shell that the file does not name.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test fails by panicking"))]

mod breakers;
mod call;
mod command;
mod daemon;
mod decisions;
mod failure;
mod feed;
mod file;
mod group;
pub mod journal;
pub mod ledger;
mod log;
mod metrics;
mod notify;
mod retention;
mod sagas;
mod serve;
mod set;
mod shards;
mod status;
mod trace;
mod watch;

pub use daemon::{Start, run};
pub use decisions::{Replayed, decision_log, replayed};
pub use file::{Action, BreakerPlan, FeedPlan, Jobs, Plan, Refusal, Settings};
pub use log::{Event, Log};
