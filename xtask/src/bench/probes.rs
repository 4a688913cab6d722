//! `cargo xtask bench probes`: what the probes cost, beside their rivals.
//!
//! Each round runs a load once under each variant, in an order that is drawn, and only runs of one
//! round are compared with each other: the machine of a minute ago was another. Three tables come of
//! it: the load's own time, the time of the programs, and the records that were lost.

mod bars;
mod figures;
mod held;
mod kernel;
mod measure;
mod observer;
mod page;
mod series;
mod stage;
mod variants;
mod workload;

use std::fs;

use anyhow::{Context, Result};

use super::journal::{Journal, Subject};
use super::{Extent, shuffle};
use observer::Observer;
use series::{Kind, Round, SERIES, Series};
use stage::Stage;
use variants::{VARIANTS, Variant};

/// Variants that cannot be had here, and why.
type LeftOut = Vec<(&'static str, String)>;

/// Measures as many rounds as are missing, prints the tables, and leaves them as a page.
pub(crate) fn run(asked: &Extent) -> Result<()> {
    let stage = Stage::set()?;
    let subject = stage.subject(&series::spoken())?;
    let rounds_at = stage.results.join("probes.jsonl");
    let mut journal = Journal::open(&rounds_at, &subject, asked.seed, asked.fresh)?;
    println!("rounds are drawn from seed {}, and kept in {}", journal.seed, rounds_at.display());
    let (variants, left_out) = tried(&stage);
    play(&stage, &mut journal, &variants, asked.rounds)?;
    leave(&stage, &journal, &subject, &left_out)
}

/// Whoever can observe here, each tried on a load that is over at once.
fn tried(stage: &Stage) -> (Vec<&'static Variant>, LeftOut) {
    let (mut variants, mut left_out) = (Vec::new(), LeftOut::new());
    for variant in &VARIANTS {
        match measure::run(&workload::TRIAL, variant, stage) {
            Ok(_) => variants.push(variant),
            Err(error) => {
                println!("LEFT OUT: {}: {error:#}", variant.name);
                left_out.push((variant.name, format!("{error:#}")));
            }
        }
    }
    stage.hush();
    (variants, left_out)
}

fn play(
    stage: &Stage,
    journal: &mut Journal<Round>,
    variants: &[&'static Variant],
    rounds: u32,
) -> Result<()> {
    for number in 1..=rounds {
        for series in SERIES.iter().filter(|series| number <= series.rounds(rounds)) {
            if journal.rounds.iter().any(|round| round.is(series, number)) {
                continue;
            }
            let round = play_round(stage, series, variants, (number, journal.seed))?;
            println!("{number}/{} {}", series.rounds(rounds), round.line());
            journal.push(round)?;
        }
    }
    Ok(())
}

fn play_round(
    stage: &Stage,
    series: &Series,
    variants: &[&'static Variant],
    (number, seed): (u32, u64),
) -> Result<Round> {
    let variants: Vec<_> = variants.iter().filter(|variant| series.has(variant)).collect();
    let order = shuffle::order(variants.len(), seed, &format!("{} {number}", series.name));
    stage.clear()?;
    let stats = (series.kind == Kind::Programs).then(|| Observer::stats(stage)).transpose()?;
    let runs = order.into_iter().map(|at| measure::run(series.workload, variants[at], stage));
    let runs = runs.collect::<Result<_>>()?;
    stats.map(Observer::stop).transpose()?;
    Ok(Round { series: series.name.to_owned(), number, runs })
}

fn leave(
    stage: &Stage,
    journal: &Journal<Round>,
    subject: &Subject,
    left_out: &LeftOut,
) -> Result<()> {
    let page = page::render(&journal.rounds, &subject.kernel, journal.seed, left_out);
    let path = stage.results.join("probes.md");
    fs::write(&path, &page).with_context(|| format!("cannot write {}", path.display()))?;
    println!("\n{page}\nthis page is {}", path.display());
    Ok(())
}
