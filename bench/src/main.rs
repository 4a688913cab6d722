//! What cronx is measured beside, and what it is measured with: the roles of `cargo xtask bench`.
//!
//! `empty` has programs that do nothing at the hooks of cronx, so that what a program costs can be
//! told from what it does; `stats` has the kernel time every program; `flood` makes softirqs,
//! and `yields` makes switches. `capture` makes evidence and `read` takes it in. `timers` are those of one
//! thread, ours and rivals', `scheduler` is ours at work, `ledger` writes down and `breaker` lets a call pass,
//! beside others. `plot` draws.
//! Each ends with whoever started it. What it does not do: compare.
//! That is for xtask.

mod allocated;
mod bpf;
mod breaker;
mod capture;
mod empty;
mod flood;
mod ledger;
mod plot;
mod race;
mod read;
mod scheduler;
mod stats;
mod timers;
mod yields;

use std::io::Read;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A role in a bench.
#[derive(Debug, Parser)]
#[command(name = "cronx-bench")]
struct Cli {
    #[command(subcommand)]
    role: Role,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Programs that do nothing, at the hooks of cronx, until stdin ends.
    Empty,
    /// The kernel times every program, until stdin ends.
    Stats,
    /// Datagrams to a socket of its own that nobody reads, on the loopback alone.
    Flood(flood::Flood),
    /// Threads that give their CPU to each other.
    Yields(yields::Yields),
    /// Makes a Capture of many waits.
    Capture(capture::Capture),
    /// Inserts and cancels timers among many.
    Timers(timers::Timers),
    /// Gives a scheduler a load, ours or another.
    Scheduler(scheduler::AtWork),
    /// Writes runs down, in our ledger or in others' queues.
    Ledger(ledger::Durable),
    /// Calls through a breaker that lets them pass, ours or another.
    Breaker(breaker::Permitted),
    /// Draws lateness against live timers.
    Plot(plot::Plot),
    /// Reads one: as little as any analysis must, or the whole of it.
    Read(read::Read),
}

/// What kept a role from being played.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("{what}: {source}")]
    System { what: String, source: std::io::Error },
    #[error("the kernel's types: {0}")]
    Types(#[from] aya_obj::btf::BtfError),
    #[error("the Capture: {0}")]
    Capture(#[from] cronx_recording::Error),
    #[error("the picture: {0}")]
    Plot(String),
    #[error("the scheduler: {0}")]
    Scheduler(String),
    #[error("the ledger: {0}")]
    Ledger(String),
    #[error("only {done} of {count} in {seconds} s; fewer can be asked for, or more time")]
    Slow { done: u64, count: u64, seconds: u64 },
}

impl From<cronx_scheduler::Error> for Error {
    fn from(error: cronx_scheduler::Error) -> Self {
        Self::Scheduler(error.to_string())
    }
}

impl Error {
    /// The last call failed, and `errno` says why.
    fn last(what: impl Into<String>) -> Self {
        Self::System { what: what.into(), source: std::io::Error::last_os_error() }
    }
}

fn main() -> ExitCode {
    // SAFETY: takes numbers only.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    let played = match Cli::parse().role {
        Role::Empty => empty::run(),
        Role::Stats => stats::run(),
        Role::Flood(flood) => flood.run(),
        Role::Yields(yields) => yields.run(),
        Role::Capture(capture) => capture.run(),
        Role::Timers(timers) => timers.run(),
        Role::Scheduler(at_work) => at_work.run(),
        Role::Ledger(durable) => durable.run(),
        Role::Breaker(permitted) => permitted.run(),
        Role::Plot(plot) => plot.run(),
        Role::Read(read) => read.run(),
    };
    match played {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cronx-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Says that it is ready, and stays so until whoever listens has heard enough.
fn stay(ready: &str) -> Result<(), Error> {
    println!("{ready}");
    let ended = std::io::stdin().read_to_end(&mut Vec::new());
    ended.map(drop).map_err(|source| Error::System { what: "reading stdin".to_owned(), source })
}
