//! `cargo xtask bench spans`: what it costs a scheduler that its firings can be heard.
//!
//! The same load five times in each round, in an order that is drawn: with the probes left out of the
//! build; with them, and nobody who listens; and recorded by `cronx record`, which listens to nothing, to
//! misses, or to all. Compared are neighbours of that row, within a round.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::journal::{Journal, Subject};
use super::statistics::Spread;
use super::{Extent, shuffle, steal};
use crate::{process, workspace};

/// No more than so many times as late, and no fewer firings than by this.
const BAR: f64 = 1.05;

/// Who is measured: a name for the page, whether it has the probes, and what is listened to.
struct Arm {
    name: &'static str,
    probes: bool,
    heard: Option<&'static str>,
}

const ARMS: [Arm; 5] = [
    Arm { name: "left out", probes: false, heard: None },
    Arm { name: "nobody listens", probes: true, heard: None },
    Arm { name: "recorded without spans", probes: true, heard: Some("none") },
    Arm { name: "misses heard", probes: true, heard: Some("late") },
    Arm { name: "all heard", probes: true, heard: Some("all") },
];

/// Which arm is compared with which, and whether a bar is on it.
const PAIRS: [(usize, usize, bool); 3] = [(1, 0, true), (3, 2, true), (4, 2, false)];

/// As many firings as can be. All of them are as late as that takes, and those beyond the objective are to
/// be few: each miss that is told of makes the next ones later.
const SPIN: [&str; 9] = [
    "scheduler",
    "--load",
    "spin",
    "--count",
    "10000",
    "--seconds",
    "3",
    "--which=cronx",
    "--objective-ms=100",
];
/// 9,000 a second.
const HOLD: [&str; 8] =
    ["scheduler", "--load", "hold", "--count", "10000", "--seconds", "5", "--which=cronx"];

/// What one arm did in one round.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Reading {
    arm: usize,
    firings_per_s: f64,
    /// Of a million of them.
    misses: f64,
    p99_ns: f64,
    stolen_ticks: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Round(Vec<Reading>);

impl Round {
    fn of(&self, arm: usize) -> Option<&Reading> {
        self.0.iter().find(|reading| reading.arm == arm)
    }
}

/// The programs that take part.
struct Stage {
    with: PathBuf,
    without: PathBuf,
    cronx: PathBuf,
    recordings: PathBuf,
}

/// Plays as many rounds as are missing, and leaves a page.
pub(super) fn run(extent: &Extent) -> Result<()> {
    let stage = build()?;
    let path = super::results()?.join("spans.jsonl");
    let subject = subject(&stage)?;
    let mut journal = Journal::<Round>::open(&path, &subject, extent.seed, extent.fresh)?;
    println!("rounds are drawn from seed {}, and kept in {}", journal.seed, path.display());
    for number in journal.rounds.len()..extent.rounds as usize {
        let order = shuffle::order(ARMS.len(), journal.seed, &format!("spans {number}"));
        let readings = order.into_iter().map(|arm| stage.read(arm)).collect::<Result<_>>()?;
        println!("{}/{} {readings:?}", number + 1, extent.rounds);
        journal.push(Round(readings))?;
    }
    let text = page(&journal.rounds, &subject.kernel, journal.seed);
    let page = super::results()?.join("spans.md");
    fs::write(&page, &text).with_context(|| format!("cannot write {}", page.display()))?;
    println!("\n{text}\nthis page is {}", page.display());
    Ok(())
}

/// Both builds of the load are of one folder, so the first is put aside.
fn build() -> Result<Stage> {
    process::run(workspace::cargo().args(["build", "--release", "--package=cronx"]))?;
    let results = super::results()?;
    let without = results.join("cronx-bench-without-spans");
    let tool = super::tool_with(&["--no-default-features"])?;
    fs::copy(&tool, &without).with_context(|| format!("cannot copy {}", tool.display()))?;
    Ok(Stage {
        with: super::tool()?,
        without,
        cronx: workspace::target()?.join("release/cronx"),
        recordings: results.join("spans-recording"),
    })
}

fn subject(stage: &Stage) -> Result<Subject> {
    let asked = [&SPIN[..], &HOLD].concat().join(" ");
    Subject::of(&asked, &[&stage.with, &stage.without, &stage.cronx])
}

impl Stage {
    fn read(&self, arm: usize) -> Result<Reading> {
        let before = steal::stolen_ticks()?;
        let spun = self.ask(arm, &SPIN)?;
        let held = self.ask(arm, &HOLD)?;
        let ([firings_per_s, _, misses], [_, _, p99_ns, ..]) = (&spun[..], &held[..]) else {
            bail!("the load says {spun:?} and {held:?}");
        };
        let stolen_ticks = steal::stolen_ticks()? - before;
        let (firings_per_s, misses, p99_ns) = (*firings_per_s, *misses, *p99_ns);
        Ok(Reading { arm, firings_per_s, misses, p99_ns, stolen_ticks })
    }

    /// The numbers that the load says.
    fn ask(&self, arm: usize, words: &[&str]) -> Result<Vec<f64>> {
        let Arm { probes, heard, .. } = &ARMS[arm];
        let tool: &Path = if *probes { &self.with } else { &self.without };
        let mut command = match heard {
            None => Command::new(tool),
            Some(heard) => {
                let mut command = Command::new(&self.cronx);
                command.args(["record", "--quiet", "--force", "--spans", heard, "-o"]);
                command.arg(&self.recordings).arg("--").arg(tool);
                command
            }
        };
        let said = process::output(command.args(words))?;
        let numbers: Result<Vec<f64>, _> = said.split_whitespace().map(str::parse).collect();
        numbers.with_context(|| format!("`{}` says {said:?}", process::show(&command)))
    }
}

fn page(rounds: &[Round], kernel: &str, seed: u64) -> String {
    let mut text = format!(
        "# What it costs that firings can be heard\n\nLinux {kernel}, {} rounds in an order drawn \
         from seed {seed}. Medians, and quartiles in\nbrackets. Firings a second: 10,000 timers, \
         each due again 10 ms after it fired; more than 100 ms late is a\nmiss. P99: of the lateness \
         of 9,000 firings a second, with an objective of 10 ms.\n\n\
         |  | firings a second, thousands | misses of a million | P99, us | steal, ms a round |\n\
         | --- | --- | --- | --- | --- |\n",
        rounds.len()
    );
    for (arm, Arm { name, .. }) in ARMS.iter().enumerate() {
        let of = |figure: fn(&Reading) -> f64| {
            spread(rounds.iter().filter_map(|r| Some(figure(r.of(arm)?))))
        };
        let cells = [
            of(|reading| reading.firings_per_s / 1e3),
            of(|reading| reading.misses),
            of(|reading| reading.p99_ns / 1e3),
            of(|reading| reading.stolen_ticks as f64 * 10.0),
        ];
        text.extend(["| ", name, " | ", &cells.join(" | "), " |\n"]);
    }
    text += "\n## Compared within a round\n\n";
    for (arm, other, barred) in PAIRS {
        text += &compared(rounds, arm, other, barred);
    }
    text
}

fn compared(rounds: &[Round], arm: usize, other: usize, barred: bool) -> String {
    let ratio = |figure: fn(&Reading, &Reading) -> f64| {
        Spread::of(rounds.iter().filter_map(|round| Some(figure(round.of(arm)?, round.of(other)?))))
    };
    let slower = ratio(|one, other| other.firings_per_s / one.firings_per_s);
    let later = ratio(|one, other| one.p99_ns / other.p99_ns);
    let (Some(slower), Some(later)) = (slower, later) else { return String::new() };
    let verdict = match barred {
        false => "without a bar",
        true if slower.median <= BAR && later.median <= BAR => "holds",
        true => "**does not hold**",
    };
    let (name, other) = (ARMS[arm].name, ARMS[other].name);
    format!("- {verdict}: {name}, by {other}: slower {slower}, later {later}; bar {BAR}\n")
}

fn spread(figures: impl Iterator<Item = f64>) -> String {
    Spread::of(figures).map_or_else(|| "-".to_owned(), |spread| format!("{spread:.1}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(firings: [f64; 5], p99: [f64; 5]) -> Round {
        let reading = |arm: usize| Reading {
            arm,
            firings_per_s: firings[arm],
            misses: 0.0,
            p99_ns: p99[arm],
            stolen_ticks: 0,
        };
        Round((0..5).map(reading).collect())
    }

    #[test]
    fn a_bar_is_on_both_figures() {
        let even = round([100.0; 5], [50.0; 5]);
        assert!(compared(&[even], 1, 0, true).starts_with("- holds: nobody listens, by left out"));
        let slower = round([100.0, 90.0, 1.0, 1.0, 1.0], [50.0; 5]);
        assert!(compared(&[slower], 1, 0, true).starts_with("- **does not hold**"));
        let later = round([100.0; 5], [50.0, 50.0, 50.0, 53.0, 50.0]);
        assert!(compared(&[later], 3, 2, true).starts_with("- **does not hold**"));
    }

    #[test]
    fn every_arm_has_a_row() {
        let text = page(&[round([2e3; 5], [1e3; 5])], "6.18", 7);
        assert!(ARMS.iter().all(|arm| {
            text.contains(&format!("| {} | 2.0 [2.0, 2.0] | 0.0 [0.0, 0.0] | 1.0 ", arm.name))
        }));
    }
}
