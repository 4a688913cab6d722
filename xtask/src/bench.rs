//! `cargo xtask bench`: measurements, each beside its rivals, in rounds that can be taken up again.
//!
//! A measurement is no test. It says what it found, and of each bar whether it holds; one that does
//! not is no failure, and the exit status is 0. It fails only if it could not measure.

mod journal;
mod probes;
mod shuffle;
mod statistics;

use anyhow::Result;
use clap::{Args, Subcommand};

/// What is measured.
#[derive(Subcommand)]
pub(crate) enum Bench {
    /// What the probes cost, beside runqlat, runqslower, bpftrace and perf.
    Probes(Extent),
}

/// How much of it, and whether anew.
#[derive(Args)]
pub(crate) struct Extent {
    /// How many rounds there shall be, those of earlier calls included.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Forget the rounds of earlier calls.
    #[arg(long)]
    fresh: bool,
    /// What the order in each round is drawn from; drawn itself, if not given.
    #[arg(long)]
    seed: Option<u64>,
}

pub(crate) fn run(bench: &Bench) -> Result<()> {
    match bench {
        Bench::Probes(extent) => probes::run(extent),
    }
}
