//! How often blame is right: real causes are injected, actors log when they ran themselves, and what
//! the recording says is held against that, beside four rules of thumb on the same records.
//!
//! One module a stage, in the order of the data:
//!
//! ```text
//! cases     what is injected, how truth is had
//! stage     starts the actors, records the victim, stops, reads
//! log       an actor's file -> its threads and when they ran
//! truth     logs and a wait -> nanoseconds by actor
//! slices    raw records -> who ran when on each CPU
//! rules     raw records -> whom four rules of thumb would blame
//! score     blame and truth -> the figures
//! judge     one recording of a case -> its row
//! oracles   what the kernel itself counted
//! table     rows -> a table to read and target/score.json
//! ```
//!
//! It wants root, and a machine that is its own for the while. What it does not do: measure speed.
//! `cargo xtask score` builds all that it needs, and runs it.

mod cases;
mod judge;
mod log;
mod oracles;
mod rules;
mod score;
mod slices;
mod stage;
mod table;
mod truth;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;

use cases::{Case, Truth};
use judge::Row;
use stage::{Programs, Ticks};

/// Recordings of a case at the most.
const TRIES: u32 = 3;

/// Says how often blame is right.
#[derive(Parser)]
struct Arguments {
    /// Only what is quick, two seconds each.
    #[arg(long)]
    short: bool,
    /// The folder of the programs `cronx` and `cronx-actor`.
    #[arg(long)]
    programs: PathBuf,
    /// Where to write the figures, as JSON.
    #[arg(long)]
    output: PathBuf,
    /// Keep the recordings there.
    #[arg(long)]
    keep: Option<PathBuf>,
    /// The cases; all, if none is named.
    cases: Vec<String>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("score: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every bar holds.
fn run(arguments: &Arguments) -> Result<bool> {
    let cases = chosen(arguments)?;
    let programs = Programs {
        folder: arguments.programs.clone(),
        keep: arguments.keep.clone(),
        seconds: if arguments.short { 2 } else { 4 },
    };
    table::head();
    let mut rows = Vec::new();
    for case in cases {
        let row = steady(case, &programs);
        table::row(&row);
        rows.push(row);
    }
    table::tail(&rows);
    table::write(&rows, &arguments.output)?;
    Ok(rows.iter().all(|row| row.failures.is_empty()))
}

fn chosen(arguments: &Arguments) -> Result<Vec<&'static Case>> {
    if !arguments.cases.is_empty() {
        return arguments.cases.iter().map(|name| named(name)).collect();
    }
    Ok(cases::ALL.iter().filter(|case| case.short || !arguments.short).collect())
}

fn named(name: &str) -> Result<&'static Case> {
    let found = cases::ALL.iter().find(|case| case.name == name);
    found.with_context(|| {
        let names: Vec<_> = cases::ALL.iter().map(|case| case.name).collect();
        format!("there is no case {name:?}, only: {}", names.join(", "))
    })
}

/// Tries again where the machine was disturbed, by the host's steal or by somebody else's work. The
/// bounds stay what they are, and elsewhere the first failure is final. Only what needs an idle CPU
/// cannot be had where there is none.
fn steady(case: &Case, programs: &Programs) -> Row {
    let mut tried = Vec::new();
    loop {
        let before = Ticks::now();
        let mut row = attempt(case, programs);
        let disturbed = Ticks::now().disturbed_since(before);
        if let (false, Some(how)) = (row.failures.is_empty(), disturbed) {
            tried.push(format!("{how}: {}", said(&row)));
            if (tried.len() as u32) < TRIES {
                continue;
            }
            if matches!(case.truth, Truth::Idle(_)) {
                row = Row { skipped: Some(format!("no idle CPU, {}", tried[0])), ..Row::of(case) };
            }
        }
        row.notes.extend(tried.into_iter().map(|how| format!("a try was disturbed, {how}")));
        return row;
    }
}

/// What did not hold, and where.
fn said(row: &Row) -> String {
    let worst = row.notes.iter().filter(|note| note.starts_with(judge::WORST));
    row.failures.iter().chain(worst).cloned().collect::<Vec<_>>().join("; ")
}

fn attempt(case: &Case, programs: &Programs) -> Row {
    let judged = match stage::obstacle(case) {
        Some(reason) => return Row { skipped: Some(reason), ..Row::of(case) },
        None => stage::record(case, programs).and_then(|take| judge::judge(case, &take)),
    };
    judged.unwrap_or_else(|error| Row { failures: vec![format!("{error:#}")], ..Row::of(case) })
}
