//! `cronx ledger archive` and `replay`: the days of a journal, and its events.

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, Result};
use cronx_daemon::journal::{Kept, Place, Policy, Wanted};
use cronx_recording::Untrusted;
use cronx_scheduler::Utc;
use serde_json::json;

use super::BROKEN;
use crate::cli::ledger::{Archive, Replay};

/// Status 1 if a day could not be kept as it should.
pub fn archive(args: &Archive) -> Result<ExitCode> {
    let place = Place::of_url(&args.journal.journal)?;
    let kept = if let Some(day) = &args.restore {
        vec![place.restore(&args.to, day)?]
    } else {
        let (hot, warm, patience) = (args.hot, args.warm, args.patience);
        place.archive(&args.to, &Policy { hot, warm, patience, ..Policy::default() })?
    };
    let mut out = std::io::stdout().lock();
    if args.json {
        let day =
            |Kept { day, what, said }: &Kept| json!({ "day": day, "what": what, "said": said });
        let days: Vec<_> = kept.iter().map(day).collect();
        writeln!(out, "{:#}", json!({ "schema": "cronx.ledger-archive/1", "days": days }))?;
    } else {
        for Kept { day, what, said } in &kept {
            writeln!(out, "{day}  {what:8}  {}", Untrusted::from(said.as_str()).terminal())?;
        }
        if kept.is_empty() {
            writeln!(out, "nothing is due")?;
        }
    }
    let failed = kept.iter().any(|kept| kept.what == "failed");
    Ok(if failed { ExitCode::from(BROKEN) } else { ExitCode::SUCCESS })
}

/// A line for each event, and for each dead letter.
pub fn replay(args: &Replay) -> Result<ExitCode> {
    let place = Place::of_url(&args.journal.journal)?;
    let wanted = Wanted {
        from: args.from.map_or(Ok(Utc::MIN), utc)?,
        until: args.until.map_or(Ok(Utc::MAX), utc)?,
        aggregate: args.aggregate.clone(),
    };
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    if let Some(consumer) = &args.dead {
        place.dead(consumer, &wanted, |reason, line| {
            let reason = serde_json::to_string(reason)?;
            Ok(writeln!(out, "{{\"reason\":{reason},\"event\":{line}}}")?)
        })?;
    } else {
        place.replay(args.archive.as_deref(), &wanted, |line| Ok(writeln!(out, "{line}")?))?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn utc(instant: jiff::Timestamp) -> Result<Utc> {
    let instant = i64::try_from(instant.as_nanosecond());
    Ok(Utc(instant.context("an instant is between 1677 and 2262")?))
}
