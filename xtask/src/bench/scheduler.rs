//! `cargo xtask bench scheduler`: timers beside rivals', and the scheduler at work beside others.
//!
//! Every reading is a process of its own. A round plays all who do the same once, in an order that is
//! drawn, and only readings of one round are compared with each other. Lateness counts from the instant
//! at which something was due, whatever held up whoever measures.

mod bars;
mod cyclictest;
mod figures;
mod page;
mod stage;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::Args;

use super::journal::{Journal, Subject};
use super::{Extent, shuffle, steal};
use crate::apt::{self, Need};
use crate::process;
use figures::{Reading, Round};
use stage::{Player, Program, Size, Stage};

const NEEDS: [Need; 2] = [
    Need { program: "cyclictest", package: "rt-tests" },
    Need { program: "taskset", package: "util-linux" },
];

/// How much of it.
#[derive(Args)]
pub(crate) struct Campaign {
    #[command(flatten)]
    extent: Extent,
    /// No more live timers than this.
    #[arg(long, default_value_t = 10_000_000)]
    most: u64,
    /// For how long lateness is measured, each time.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
}

/// Plays as many rounds as are missing, prints the tables, and leaves them as a page, a table of numbers
/// and a picture.
pub(super) fn run(campaign: &Campaign) -> Result<()> {
    apt::provide(&NEEDS)?;
    let tool = super::tool()?;
    let stages = stage::stages(Size { most: campaign.most, seconds: campaign.seconds });
    let subject = subject(&tool, &stages)?;
    let rounds_at = super::results()?.join("scheduler.jsonl");
    let Extent { rounds, fresh, seed } = campaign.extent;
    let mut journal = Journal::<Round>::open(&rounds_at, &subject, seed, fresh)?;
    println!("rounds are drawn from seed {}, and kept in {}", journal.seed, rounds_at.display());
    for number in 1..=rounds {
        for stage in stages.iter().filter(|stage| number <= stage.rounds(rounds)) {
            if !journal.rounds.iter().any(|round| round.is(stage, number)) {
                let round = play(&tool, stage, number, journal.seed)?;
                println!("{number}/{} {}", stage.rounds(rounds), round.line());
                journal.push(round)?;
            }
        }
    }
    leave(&tool, &journal, &subject)
}

/// Rounds of this kernel, this build, and what its programs are asked.
fn subject(tool: &Path, stages: &[Stage]) -> Result<Subject> {
    let spoken: Vec<_> =
        stages.iter().flat_map(|stage| &stage.players).map(Player::spoken).collect();
    Subject::of(&spoken.join("\n"), &[tool])
}

fn play(tool: &Path, stage: &Stage, number: u32, seed: u64) -> Result<Round> {
    let order = shuffle::order(stage.players.len(), seed, &format!("{} {number}", stage.name));
    let readings = order.into_iter().map(|at| read(tool, &stage.players[at]));
    Ok(Round { stage: stage.name.clone(), number, readings: readings.collect::<Result<_>>()? })
}

fn read(tool: &Path, player: &Player) -> Result<Reading> {
    let (stolen_before, began) = (steal::stolen_ticks()?, Instant::now());
    let numbers = match player.program {
        Program::Tool => ask(tool, player)?,
        Program::ToolBesideCyclictest { seconds } => ask_beside(tool, player, seconds)?,
        Program::Cyclictest { seconds } => cyclictest::end(cyclictest::start(seconds)?)?.into(),
    };
    let wall_ns = began.elapsed().as_nanos() as u64;
    let stolen_ticks = steal::stolen_ticks()? - stolen_before;
    Ok(Reading { who: player.who.to_owned(), numbers, wall_ns, stolen_ticks })
}

fn ask(tool: &Path, player: &Player) -> Result<Vec<f64>> {
    let mut command = match player.cpu {
        Some(cpu) => {
            let mut command = Command::new("taskset");
            command.args(["-c", cpu]).arg(tool);
            command
        }
        None => Command::new(tool),
    };
    let said = process::output(command.args(&player.words))?;
    parse(&said, player)
}

/// With cyclictest from when it says that it measures.
fn ask_beside(tool: &Path, player: &Player, seconds: u64) -> Result<Vec<f64>> {
    let mut command = Command::new(tool);
    let mut child = command.args(&player.words).stdout(Stdio::piped()).spawn()?;
    let mut output = BufReader::new(child.stdout.take().context("a child with no output")?);
    let mut said = String::new();
    output.read_line(&mut said)?;
    let floor = cyclictest::end(cyclictest::start(seconds)?);
    said.clear();
    output.read_to_string(&mut said)?;
    let status = child.wait()?;
    ensure!(status.success(), "`{}` failed: {status}", process::show(&command));
    Ok(parse(&said, player)?.into_iter().chain(floor?).collect())
}

fn parse(said: &str, player: &Player) -> Result<Vec<f64>> {
    let numbers: Vec<f64> = said.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    ensure!(numbers.len() == player.numbers, "{} says {said:?}", player.spoken());
    Ok(numbers)
}

fn leave(tool: &Path, journal: &Journal<Round>, subject: &Subject) -> Result<()> {
    let results = super::results()?;
    let [page, csv, svg] = ["md", "csv", "svg"].map(|ext| results.join(format!("scheduler.{ext}")));
    let write = |path: &Path, text: &str| {
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    let text = page::render(&journal.rounds, &subject.kernel, journal.seed);
    write(&page, &text)?;
    write(&csv, &page::curves(&journal.rounds))?;
    process::run(Command::new(tool).arg("plot").args([&csv, &svg]))?;
    println!("\n{text}");
    println!("this page is {}, its curves {} and {}", page.display(), csv.display(), svg.display());
    Ok(())
}
