//! `cargo xtask bench breaker`: what one permitted call costs, beside `failsafe`, `recloser` and
//! `tower-resilience-circuitbreaker`.
//!
//! Every reading is a process of its own. A round plays all of them once, in an order that is drawn, and only
//! readings of one round are compared with each other.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::journal::{Journal, Subject};
use super::statistics::Spread;
use super::{Extent, shuffle, steal};
use crate::process;

/// Who plays, as the tool knows them, and as people do.
const PLAYERS: [(&str, &str); 6] = [
    (OURS, "cronx"),
    ("cronx-timed", "cronx, with two readings of the clock"),
    ("cronx-adaptive", "cronx, with a threshold that learns"),
    ("failsafe", "failsafe 1.3.0"),
    ("recloser", "recloser 1.4.0"),
    (TOWER, "tower-resilience-circuitbreaker 0.14.0"),
];
const OURS: &str = "cronx";
const TOWER: &str = "tower";
const THREADS: [u32; 2] = [1, 2];
/// At most so much of the cheapest rival.
const BAR: f64 = 1.5;

/// All of one round.
#[derive(Serialize, Deserialize)]
struct Round {
    readings: Vec<Reading>,
    stolen_ticks: u64,
}

#[derive(Serialize, Deserialize)]
struct Reading {
    who: String,
    threads: u32,
    ns: f64,
}

/// Plays as many rounds as are missing, and leaves a page.
pub(super) fn run(extent: &Extent) -> Result<()> {
    let tool = super::tool()?;
    let results = super::results()?;
    let path = results.join("breaker.jsonl");
    let mut journal = Journal::<Round>::open(&path, &subject(&tool)?, extent.seed, extent.fresh)?;
    println!("rounds are drawn from seed {}, and kept in {}", journal.seed, path.display());
    while journal.rounds.len() < extent.rounds as usize {
        let number = journal.rounds.len() + 1;
        let round = play(&tool, journal.seed, number)?;
        println!("{number}/{}: {}", extent.rounds, line(&round));
        journal.push(round)?;
    }
    let page = page(&journal.rounds);
    fs::write(results.join("breaker.md"), &page).context("cannot write the page")?;
    println!("\n{page}");
    Ok(())
}

/// Rounds of this kernel and this build.
fn subject(tool: &Path) -> Result<Subject> {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned();
    let bytes = fs::read(tool).with_context(|| format!("cannot read {}", tool.display()))?;
    Ok(Subject { kernel, programs: format!("{:x}", Sha256::digest(bytes)) })
}

fn play(tool: &Path, seed: u64, number: usize) -> Result<Round> {
    let before = steal::stolen_ticks()?;
    let order = shuffle::order(PLAYERS.len() * THREADS.len(), seed, &format!("breaker {number}"));
    let readings = order.into_iter().map(|at| {
        let (who, threads) = (PLAYERS[at / THREADS.len()].0, THREADS[at % THREADS.len()]);
        read(tool, who, threads)
    });
    let readings = readings.collect::<Result<_>>()?;
    Ok(Round { readings, stolen_ticks: steal::stolen_ticks()? - before })
}

fn read(tool: &Path, who: &str, threads: u32) -> Result<Reading> {
    let mut command = Command::new(tool);
    command.args(["breaker", "--which", who, "--threads", &threads.to_string()]);
    let said = process::output(&mut command)?;
    let ns = said.trim().parse().with_context(|| format!("{who} says {said:?}"))?;
    Ok(Reading { who: who.to_owned(), threads, ns })
}

fn line(round: &Round) -> String {
    let of = |reading: &Reading| format!("{}x{} {:.1}", reading.who, reading.threads, reading.ns);
    round.readings.iter().map(of).collect::<Vec<_>>().join(", ")
}

/// The figures of one of them, over the rounds.
fn spread(rounds: &[Round], who: &str, threads: u32) -> Option<Spread> {
    let all = rounds.iter().flat_map(|round| &round.readings);
    let its = all.filter(|reading| reading.who == who && reading.threads == threads);
    Spread::of(its.map(|reading| reading.ns))
}

fn page(rounds: &[Round]) -> String {
    let rows = PLAYERS.iter().map(|(who, name)| {
        let cell = |&threads: &u32| {
            spread(rounds, who, threads).map_or_else(String::new, |spread| format!("{spread:.1}"))
        };
        std::iter::once((*name).to_owned()).chain(THREADS.iter().map(cell)).collect()
    });
    let columns = ["", "1 thread", "2 threads"];
    let title = "One permitted call, ns: median [quartiles]";
    let table = super::section(title, columns, rows);
    let stolen: u64 = rounds.iter().map(|round| round.stolen_ticks).sum();
    let bars: String = THREADS.iter().flat_map(|&threads| bars(rounds, threads)).collect();
    format!("{table}\n{bars}\n{} rounds; the host kept {stolen} ticks.\n", rounds.len())
}

/// What is to hold, and whether it does: by each round's own ratio.
fn bars(rounds: &[Round], threads: u32) -> Vec<String> {
    let of = |round: &Round, who: &str| {
        let its = |reading: &&Reading| reading.who == who && reading.threads == threads;
        round.readings.iter().find(its).map(|reading| reading.ns)
    };
    let rival = |round: &Round| {
        let rivals = PLAYERS.iter().filter(|(who, _)| !who.starts_with(OURS));
        rivals.filter_map(|(who, _)| of(round, who)).min_by(f64::total_cmp)
    };
    let cheapest = Spread::of(rounds.iter().filter_map(|r| Some(of(r, OURS)? / rival(r)?)));
    let tower = Spread::of(rounds.iter().filter_map(|r| Some(of(r, OURS)? / of(r, TOWER)?)));
    let threads = if threads == 1 { "1 thread" } else { "2 threads" };
    let say = |what: &str, most: f64, ratio: Option<Spread>| {
        let ratio = ratio?;
        let holds = if ratio.median <= most { "holds" } else { "does not hold" };
        Some(format!("- {threads}: {ratio:.2} of {what}, at most {most}: {holds}\n"))
    };
    let all = [say("the cheapest rival", BAR, cheapest), say("tower's", 1.0, tower)];
    all.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(figures: &[(&str, f64)]) -> Round {
        let both = figures.iter().flat_map(|&(who, ns)| THREADS.map(|threads| (who, threads, ns)));
        let reading =
            |(who, threads, ns): (&str, u32, f64)| Reading { who: who.to_owned(), threads, ns };
        Round { readings: both.map(reading).collect(), stolen_ticks: 2 }
    }

    #[test]
    fn bars_are_of_each_rounds_own_ratio() {
        let rounds = [
            round(&[("cronx", 3.0), ("recloser", 2.0), ("failsafe", 9.0), ("tower", 300.0)]),
            round(&[("cronx", 30.0), ("recloser", 25.0), ("failsafe", 20.0), ("tower", 20.0)]),
            round(&[("cronx", 1.0), ("recloser", 2.0), ("failsafe", 9.0), ("tower", 100.0)]),
        ];
        let page = page(&rounds);
        assert!(page.contains("| cronx | 3.0 [2.0, 16.5] |"), "{page}");
        assert!(
            page.contains(
                "- 1 thread: 1.50 [1.00, 1.50] of the cheapest rival, at most 1.5: holds"
            ),
            "{page}"
        );
        assert!(
            page.contains("- 2 threads: 0.01 [0.01, 0.76] of tower's, at most 1: holds"),
            "{page}"
        );
        assert!(page.contains("3 rounds; the host kept 6 ticks."), "{page}");
    }
}
