//! `cargo xtask bench`: measurements, each beside its rivals, in rounds that can be taken up again.
//!
//! A measurement is no test. It says what it found, and of each bar whether it holds; one that does
//! not is no failure, and the exit status is 0. It fails only if it could not measure.

mod blame;
mod breaker;
mod gate;
mod journal;
mod ledger;
mod probes;
mod scheduler;
mod shuffle;
mod spans;
mod statistics;
mod steal;

use std::fs;
use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::{process, workspace};

/// What is measured.
#[derive(Subcommand)]
pub(crate) enum Bench {
    /// What the probes cost, beside runqlat, runqslower, bpftrace and perf.
    Probes(Extent),
    /// What timers cost beside those of others, and how late a scheduler under load starts what is due.
    #[command(mut_arg("rounds", |rounds| rounds.default_value("5")))]
    Scheduler(scheduler::Campaign),
    /// What it costs a scheduler that its firings can be heard.
    Spans(Extent),
    /// What a durable firing costs, and whether it takes effect once although its process is killed.
    #[command(mut_arg("rounds", |rounds| rounds.default_value("7")))]
    Ledger(ledger::Campaign),
    /// What one permitted call of a breaker costs, beside failsafe, recloser and tower's.
    Breaker(Extent),
    /// How often the gate is right, on real recordings.
    Gate(gate::Trials),
    /// How fast a Capture becomes a Report, and in how much memory.
    Blame {
        /// Waits in the Capture.
        #[arg(long, default_value_t = 1_000_000)]
        waits: u64,
        /// How many rounds.
        #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..))]
        rounds: u32,
    },
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
        Bench::Spans(extent) => spans::run(extent),
        Bench::Scheduler(campaign) => scheduler::run(campaign),
        Bench::Ledger(campaign) => ledger::run(campaign),
        Bench::Breaker(extent) => breaker::run(extent),
        Bench::Gate(trials) => gate::run(trials),
        Bench::Blame { waits, rounds } => blame::run(*waits, *rounds),
    }
}

/// Where what was measured stays.
fn results() -> Result<PathBuf> {
    let results = workspace::target()?.join("bench");
    fs::create_dir_all(&results)?;
    Ok(results)
}

/// A heading and a table, as Markdown.
fn section(
    title: &str,
    columns: impl IntoIterator<Item = impl Into<String>>,
    rows: impl IntoIterator<Item = Vec<String>>,
) -> String {
    let columns: Vec<String> = columns.into_iter().map(Into::into).collect();
    let rule = vec!["---".to_owned(); columns.len()];
    let lines = [columns, rule].into_iter().chain(rows);
    let lines = lines.map(|cells| format!("| {} |\n", cells.join(" | ")));
    format!("## {title}\n\n{}", lines.collect::<String>())
}

/// The program of `bench/`, built; it has a target folder of its own.
fn tool() -> Result<PathBuf> {
    tool_with(&[])
}

/// The same, of other features.
fn tool_with(features: &[&str]) -> Result<PathBuf> {
    let results = results()?;
    let mut tool = workspace::cargo();
    tool.args(["build", "--release", "--locked", "--manifest-path=bench/Cargo.toml"]);
    process::run(tool.args(features).arg("--target-dir").arg(&results))?;
    Ok(results.join("release/cronx-bench"))
}
