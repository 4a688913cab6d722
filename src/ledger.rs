//! `cronx ledger`: what a daemon has written down.

mod journal;
mod saga;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use cronx_daemon::ledger::{Audit, Census, Count, Place, Written};
use cronx_recording::Untrusted;
use cronx_scheduler::Utc;
use serde_json::{Value, json};

use crate::cli;
use crate::cli::ledger::{Look, Where, Which};

/// The answer is no.
const BROKEN: u8 = 1;

/// Prints what was asked for.
pub fn run(args: &cli::ledger::Ledger) -> Result<ExitCode> {
    match &args.look {
        Look::Status(which) => status(&of(which)?.census()?, which.json)?,
        Look::Runs(runs) => {
            let place = of(&runs.which)?;
            list(&place.last(runs.count.into())?, runs.which.json)?;
        }
        Look::Verify(which) => return verified(&of(which)?.verify()?, which.json),
        Look::Saga(args) => return saga::saga(&of(&args.which)?, args),
        Look::Archive(args) => return journal::archive(args),
        Look::Replay(args) => return journal::replay(args),
    }
    Ok(ExitCode::SUCCESS)
}

/// Where it is: as it was said, or else where the ledger of those jobs is.
pub fn place(place: &Where, jobs: Option<&Path>) -> Result<Place> {
    match (&place.ledger, &place.state, jobs) {
        (Some(url), ..) => Place::of_url(url),
        (None, Some(folder), _) => Ok(Place::in_folder(folder)),
        (None, None, jobs) => Place::of_jobs(jobs.context("whose ledger? Name a file of jobs")?),
    }
}

fn of(which: &Which) -> Result<Place> {
    place(&which.place, which.jobs.as_deref())
}

fn count_json(count: &Count) -> Value {
    json!({ "in_flight": count.in_flight, "failed": count.failed, "done": count.done })
}

fn status(census: &Census, json: bool) -> Result<()> {
    let mut out = std::io::stdout().lock();
    if json {
        let job = |(name, (count, cursor)): (&String, &(Count, Option<Utc>))| {
            let cursor = cursor.map(|cursor| cursor.to_string());
            json!({ "name": name, "cursor": cursor, "firings": count_json(count) })
        };
        let jobs: Vec<_> = census.jobs.iter().map(job).collect();
        let others = count_json(&census.others);
        let all = json!({ "schema": "cronx.ledger-status/1", "jobs": jobs, "others": others,
            "torn": census.torn });
        return Ok(writeln!(out, "{all:#}")?);
    }
    writeln!(
        out,
        "{:>9} {:>9} {:>9}  {:30} job",
        "in flight", "failed", "done", "decided through"
    )?;
    for (name, (Count { in_flight, failed, done }, cursor)) in &census.jobs {
        let cursor = cursor.map_or_else(|| "-".to_owned(), |cursor| cursor.to_string());
        let name = Untrusted::from(name.as_str());
        let name = name.terminal();
        writeln!(out, "{in_flight:>9} {failed:>9} {done:>9}  {cursor:30} {name}")?;
    }
    if census.torn > 0 {
        writeln!(out, "{} rows cannot be read: cronx ledger verify says which", census.torn)?;
    }
    Ok(())
}

fn list(runs: &[Written], json: bool) -> Result<()> {
    let mut out = std::io::stdout().lock();
    if json {
        let run = |run: &Written| {
            json!({ "key": run.key, "state": run.state, "attempt": run.attempt,
                "since": run.since.to_string(), "said": run.said })
        };
        let runs: Vec<_> = runs.iter().map(run).collect();
        let all = json!({ "schema": "cronx.ledger-runs/1", "runs": runs });
        return Ok(writeln!(out, "{all:#}")?);
    }
    for Written { key, state, attempt, since, said } in runs {
        let said = Untrusted::from(said.as_str());
        let (since, said) = (since.to_string(), said.terminal());
        writeln!(out, "{since:30} {state:9} {attempt:>3}  {key}  {said}")?;
    }
    Ok(())
}

fn verified(audit: &Audit, json: bool) -> Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    let Audit { entries, courses, findings } = audit;
    if json {
        let all = json!({ "schema": "cronx.ledger-verify/1", "entries": entries,
            "courses": courses, "findings": findings });
        writeln!(out, "{all:#}")?;
    } else {
        for finding in findings {
            writeln!(out, "{}", Untrusted::from(finding.as_str()).terminal())?;
        }
        let found = findings.len();
        writeln!(out, "{entries} entries and {courses} cursors read, {found} findings")?;
    }
    Ok(if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(BROKEN) })
}
