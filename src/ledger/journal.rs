//! `cronx ledger archive` and `replay`: the days of a journal, and its events.

use std::io::{IsTerminal, Write};
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
    let out = std::io::stdout().lock();
    let is_terminal = out.is_terminal();
    let shown = |line: String| if is_terminal { spelled(&line) } else { line };
    let mut out = std::io::BufWriter::new(out);
    if let Some(consumer) = &args.dead {
        place.dead(consumer, &wanted, |reason, line| {
            let reason = serde_json::to_string(reason)?;
            let letter = format!("{{\"reason\":{reason},\"event\":{line}}}");
            Ok(writeln!(out, "{}", shown(letter))?)
        })?;
    } else {
        place.replay(args.archive.as_deref(), &wanted, |line| {
            Ok(writeln!(out, "{}", shown(line.to_owned()))?)
        })?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn utc(instant: jiff::Timestamp) -> Result<Utc> {
    let instant = i64::try_from(instant.as_nanosecond());
    Ok(Utc(instant.context("an instant is between 1677 and 2262")?))
}

/// A line of JSON for a terminal: what would act on it, or hide or turn what follows, as JSON spells it. It
/// says the same.
fn spelled(line: &str) -> String {
    let mut spelled = String::with_capacity(line.len());
    for letter in line.chars() {
        let whole = letter.to_string();
        let is_plain = (' '..='~').contains(&letter)
            || Untrusted::from(whole.as_str()).terminal().to_string() == whole;
        if is_plain {
            spelled.push(letter);
        } else {
            let mut units = [0; 2];
            let units = letter.encode_utf16(&mut units).iter();
            spelled.extend(units.map(|unit| format!("\\u{unit:04x}")));
        }
    }
    spelled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_on_a_terminal_does_nothing_and_says_the_same() {
        let plain = r#"{"who":"Zoë \u001b]0;x","payload":["日本"]}"#;
        assert_eq!(spelled(plain), plain);
        let wild = "[\"\u{9b}2J\u{7f}\u{202e}a\u{2066}\u{61c}\u{200f}é\u{e0041}\"]";
        assert_eq!(spelled(wild), r#"["\u009b2J\u007f\u202ea\u2066\u061c\u200fé\udb40\udc41"]"#);
        let read = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
        assert_eq!(read(&spelled(wild)), read(wild));
    }
}
