//! `cargo xtask bench gate`: how often the gate is right, on real recordings.
//!
//! Three kinds of trial: the same program on both sides, and one that waits half as much again, or a
//! fifth. What is injected is a neighbour that burns the load's CPU in bursts, and how much it came to
//! is what the load's own clock says: a trial whose injection did not come about counts for nothing.

mod kind;
mod load;
mod page;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::journal::{Journal, Subject};
use super::{results, shuffle};
use crate::{process, workspace};
use kind::{KINDS, Kind};

/// The host may take more than the gate's own limit allows: what is asked is what it makes of real
/// recordings, those of a noisy machine among them.
const MAX_STEAL: &str = "20%";

/// How many trials, and whether anew.
#[derive(Args)]
pub(crate) struct Trials {
    /// How many trials of each kind there shall be, of +20 % a sixth, those of earlier calls included.
    #[arg(long = "trials", value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    each: u32,
    /// Forget the trials of earlier calls.
    #[arg(long)]
    fresh: bool,
    /// What the order of the kinds is drawn from; drawn itself, if not given.
    #[arg(long)]
    seed: Option<u64>,
}

/// What came of one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Trial {
    kind: String,
    number: u32,
    /// The gate's exit status.
    status: i32,
    /// Why nothing was decided; empty otherwise.
    why: String,
    /// Pairs that counted.
    pairs: u64,
    /// Waits of the recording that had fewest.
    waits: u64,
    /// Candidate over base: by the probes, and by the load's own clock.
    ratio: f64,
    realised: f64,
    seconds: f64,
}

/// The programs, and where they leave what.
struct Stage {
    cronx: PathBuf,
    actor: PathBuf,
    results: PathBuf,
}

/// Plays as many trials as are missing, and leaves the table as a page.
pub(crate) fn run(asked: &Trials) -> Result<()> {
    let stage = Stage::set()?;
    let trials_at = stage.results.join("gate.jsonl");
    let subject = stage.subject()?;
    let mut journal = Journal::<Trial>::open(&trials_at, &subject, asked.seed, asked.fresh)?;
    println!("trials are kept in {}", trials_at.display());
    for number in 1..=asked.each {
        for at in shuffle::order(KINDS.len(), journal.seed, &format!("gate {number}")) {
            let kind = &KINDS[at];
            let is_it = |trial: &Trial| trial.kind == kind.name && trial.number == number;
            if !number.is_multiple_of(kind.every) || journal.rounds.iter().any(is_it) {
                continue;
            }
            let trial = stage.play(kind, number)?;
            println!("{number}/{} {}", asked.each, page::line(&trial));
            journal.push(trial)?;
        }
    }
    let page = page::render(&journal.rounds, &subject.kernel);
    let path = stage.results.join("gate.md");
    fs::write(&path, &page).with_context(|| format!("cannot write {}", path.display()))?;
    println!("\n{page}\nthis page is {}", path.display());
    Ok(())
}

impl Stage {
    fn set() -> Result<Self> {
        if !process::is_root() {
            bail!("probes are root's: run this as root");
        }
        process::run(workspace::cargo().args(["build", "--release", "--package=cronx"]))?;
        process::run(workspace::cargo().args(["build", "--package=cronx-actors"]))?;
        let target = workspace::target()?;
        Ok(Self {
            cronx: target.join("release/cronx"),
            actor: target.join("debug/cronx-actor"),
            results: results()?,
        })
    }

    /// Trials of this kernel, these programs and this load.
    fn subject(&self) -> Result<Subject> {
        Subject::of(&load::spoken(), &[&self.cronx, &self.actor])
    }

    fn play(&self, kind: &Kind, number: u32) -> Result<Trial> {
        let scratch = tempfile::tempdir_in(&self.results)?;
        let command = |burst_us, clock: &str| {
            load::command(&self.actor, burst_us, &scratch.path().join(clock))
        };
        let out = scratch.path().join("out");
        let mut gate = Command::new(&self.cronx);
        gate.args(["gate", "ab", "--quiet", "--max-steal", MAX_STEAL]);
        gate.args(["--base", &command(load::BURST_US, "base")]);
        gate.args(["--candidate", &command(kind.burst_us(), "candidate"), "-o"]).arg(&out);
        gate.env_remove("SUDO_UID").env_remove("SUDO_GID");
        gate.env_remove("GITHUB_ACTIONS").env_remove("GITHUB_STEP_SUMMARY");
        let start = Instant::now();
        let output = gate.output().context("cannot run cronx")?;
        let status = output.status.code().context("cronx was killed")?;
        if !matches!(status, 0 | 1 | 3) {
            bail!("`{}`: {}", process::show(&gate), String::from_utf8_lossy(&output.stderr));
        }
        let seconds = start.elapsed().as_secs_f64();
        let realised = load::realised(scratch.path())?;
        trial(&out, (kind, number), status, (realised, seconds))
    }
}

fn trial(
    out: &Path,
    (kind, number): (&Kind, u32),
    status: i32,
    (realised, seconds): (f64, f64),
) -> Result<Trial> {
    let verdict: Value = serde_json::from_slice(&fs::read(out.join("verdict.json"))?)?;
    let check = &verdict["checks"][0];
    let figures = &check["figures"]["comparison"];
    Ok(Trial {
        kind: kind.name.to_owned(),
        number,
        status,
        why: check["reasons"][0]["says"].as_str().unwrap_or_default().to_owned(),
        pairs: figures["recordings"].as_u64().unwrap_or_default(),
        waits: fewest_waits(out)?,
        // JSON has no NaN, and without a figure there is no ratio.
        ratio: figures["ratio"].as_f64().unwrap_or_default(),
        realised,
        seconds,
    })
}

fn fewest_waits(out: &Path) -> Result<u64> {
    let mut fewest = u64::MAX;
    for entry in fs::read_dir(out)? {
        let report = entry?.path().join("report.json");
        let Ok(bytes) = fs::read(report) else { continue };
        let report: Value = serde_json::from_slice(&bytes)?;
        fewest = fewest.min(report["waits"].as_u64().unwrap_or_default());
    }
    Ok(fewest)
}
