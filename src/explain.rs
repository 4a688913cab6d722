//! `cronx explain`: when a schedule is due, and which times are left out or moved.

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use cronx_scheduler::{CivilOutcome, Dst, Fold, Gap, Mapped, Spec, Utc};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::cli;

/// So far ahead a time is looked for that is not as the others.
const AHEAD_DAYS: i64 = 400;
/// So many times are looked at; a pattern of every second has as many in six days.
const LOOKED_AT: usize = 500_000;
/// So many of them are told.
const TOLD: usize = 4;

/// A schedule in its zone, from an instant on.
struct Explained {
    spec: Spec,
    zone: TimeZone,
    name: String,
    from: Utc,
    count: usize,
}

/// Prints what comes.
pub fn run(args: &cli::Explain) -> Result<ExitCode> {
    let explained = Explained::new(args)?;
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{:#}", explained.as_json())?;
    } else {
        write!(out, "{}", explained.as_text())?;
    }
    Ok(ExitCode::SUCCESS)
}

impl Explained {
    fn new(args: &cli::Explain) -> Result<Self> {
        let name = args.tz.clone().unwrap_or_else(|| "UTC".to_owned());
        let spec = Spec::parse(&args.spec.join(" "))?.in_zone(&name)?;
        let usual = spec.dst_policy();
        let gap = args.gap.unwrap_or(usual.gap);
        let fold = args.fold.unwrap_or(usual.fold);
        let zone = TimeZone::get(&name).with_context(|| format!("no time zone '{name}'"))?;
        let from = args.from.unwrap_or_else(Timestamp::now);
        let from = i64::try_from(from.as_nanosecond()).context("no clock shows --from")?;
        let spec = spec.dst(Dst { gap, fold });
        if spec.after(Utc(from)).is_none() {
            bail!("'{spec}' never fires after {}", Utc(from));
        }
        Ok(Self { spec, zone, name, from: Utc(from), count: usize::from(args.count) })
    }

    /// The instants that come, whatever they are made of.
    fn firings(&self) -> Vec<Utc> {
        let next = |utc: &Utc| self.spec.after(*utc);
        std::iter::successors(next(&self.from), next).take(self.count).collect()
    }

    /// The next times on the wall that do not come exactly once.
    fn exceptions(&self) -> Vec<Mapped> {
        let until = Utc(self.from.0.saturating_add(AHEAD_DAYS * 86_400_000_000_000));
        let near = |mapped: &Mapped| mapped.outcome.instants().all(|instant| instant <= until);
        let mapped = self.spec.mapped(self.from).take(LOOKED_AT).take_while(near);
        mapped.filter(|m| !matches!(m.outcome, CivilOutcome::Due(_))).take(TOLD).collect()
    }

    /// What a clock on the wall shows, with its distance from UTC.
    fn wall(&self, utc: Utc) -> String {
        match Timestamp::from_nanosecond(i128::from(utc.0)) {
            Ok(timestamp) => {
                let zoned = timestamp.to_zoned(self.zone.clone());
                format!("{} {}", zoned.datetime(), zoned.offset())
            }
            Err(_) => utc.to_string(),
        }
    }

    fn as_text(&self) -> String {
        let line = |utc: Utc| format!("{:32} {utc}\n", self.wall(utc));
        let firings: String = self.firings().into_iter().map(line).collect();
        format!(
            "{} in {}\n\n{firings}{}",
            self.spec.pattern(),
            self.name,
            self.exceptions_as_text()
        )
    }

    fn exceptions_as_text(&self) -> String {
        let Dst { gap, fold } = self.spec.dst_policy();
        let line = |m: Mapped| format!("{:32} {}\n", m.civil, self.why(m.outcome));
        let lines: String = self.exceptions().into_iter().map(line).collect();
        if lines.is_empty() {
            return lines;
        }
        let (gap, fold) = (word_of_gap(gap), word_of_fold(fold));
        format!("\nnot as the others (--gap {gap}, --fold {fold})\n{lines}")
    }

    fn why(&self, outcome: CivilOutcome) -> String {
        match outcome {
            CivilOutcome::Due(at) => format!("due at {at}"),
            CivilOutcome::Skipped => "skipped: the clock leaps over it".to_owned(),
            CivilOutcome::Shifted(at) => {
                format!("shifted to {}: the clock leaps over it", self.wall(at))
            }
            CivilOutcome::First(at) => format!("comes twice: due the first time, {at}"),
            CivilOutcome::Last(at) => format!("comes twice: due the second time, {at}"),
            CivilOutcome::Both(first, last) => {
                format!("comes twice: due both times, {first} and {last}")
            }
        }
    }

    fn as_json(&self) -> Value {
        let Dst { gap, fold } = self.spec.dst_policy();
        let text = |utc: Utc| Value::from(utc.to_string());
        let exception = |mapped: Mapped| {
            json!({
                "civil": mapped.civil,
                "outcome": word_of(mapped.outcome),
                "firings": mapped.outcome.instants().map(text).collect::<Vec<_>>(),
            })
        };
        json!({
            "schema": "cronx.explain/1",
            "spec": self.spec.pattern(),
            "zone": self.name,
            "gap": word_of_gap(gap),
            "fold": word_of_fold(fold),
            "firings": self.firings().into_iter().map(text).collect::<Vec<_>>(),
            "exceptions": self.exceptions().into_iter().map(exception).collect::<Vec<_>>(),
        })
    }
}

const fn word_of_gap(gap: Gap) -> &'static str {
    match gap {
        Gap::Skip => "skip",
        Gap::Shift => "shift",
    }
}

const fn word_of_fold(fold: Fold) -> &'static str {
    match fold {
        Fold::First => "first",
        Fold::Last => "last",
        Fold::Both => "both",
    }
}

const fn word_of(outcome: CivilOutcome) -> &'static str {
    match outcome {
        CivilOutcome::Due(_) => "due",
        CivilOutcome::Skipped => "skipped",
        CivilOutcome::Shifted(_) => "shifted",
        CivilOutcome::First(_) => "first",
        CivilOutcome::Last(_) => "last",
        CivilOutcome::Both(..) => "both",
    }
}

#[cfg(test)]
mod tests;
