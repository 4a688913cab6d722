//! What the figures were promised to be, and whether they are.

use std::fmt;

use super::figures::{self, Figure};
use super::series::{Kind, Round, SERIES};
use super::variants::{MISS, NOTHING, RUNQLAT, WATCHED};

/// By runqlat's time in the same round: this one is hard.
const TO_RUNQLAT: f64 = 1.0;
const WATCHED_AIM: f64 = 1.20;
const MISS_MOST: f64 = 1.08;
/// Program time by runqlat's.
const WATCHED_PROGRAMS: f64 = 0.8;
const MISS_PROGRAMS: f64 = 0.3;
/// A second and core, with nothing lost.
const RATE: f64 = 500_000.0;

/// A promise.
pub(super) struct Bar {
    promise: String,
    verdict: Verdict,
}

enum Verdict {
    Holds(String),
    HoldsNot(String),
    /// Too little was measured to say.
    Open(String),
}

pub(super) fn bars(rounds: &[Round]) -> Vec<Bar> {
    let loads = || SERIES.iter().filter(|series| series.kind == Kind::Time);
    let to_runqlat =
        loads().map(|load| time(rounds, load.name, (WATCHED, RUNQLAT), "hard", TO_RUNQLAT));
    let watched =
        loads().map(|load| time(rounds, load.name, (WATCHED, NOTHING), "aim", WATCHED_AIM));
    let miss = loads().map(|load| time(rounds, load.name, (MISS, NOTHING), "bar", MISS_MOST));
    let programs =
        [(WATCHED, WATCHED_PROGRAMS), (MISS, MISS_PROGRAMS)].map(|bar| programs(rounds, bar));
    to_runqlat.chain(watched).chain(miss).chain(programs).chain([loss(rounds)]).collect()
}

fn time(rounds: &[Round], load: &str, pair: (&str, &str), kind: &str, most: f64) -> Bar {
    let (variant, to) = pair;
    let promise = format!("{load}: {variant} / {to} at most {most:.2} ({kind})");
    let ratio = figures::ratio(rounds, load, pair, Figure::Wall);
    Bar { promise, verdict: at_most(most, ratio.map(|ratio| (ratio.median, ratio.to_string()))) }
}

fn programs(rounds: &[Round], (variant, most): (&str, f64)) -> Bar {
    let promise = format!("program time: {variant} / {RUNQLAT} at most {most:.2}");
    let ratio = figures::programs(rounds, variant).and_then(|programs| programs.net_to_runqlat);
    Bar { promise, verdict: at_most(most, ratio.map(|ratio| (ratio.median, ratio.to_string()))) }
}

fn at_most(most: f64, found: Option<(f64, String)>) -> Verdict {
    match found {
        Some((median, shown)) if median <= most => Verdict::Holds(shown),
        Some((_, shown)) => Verdict::HoldsNot(shown),
        None => Verdict::Open("not measured".to_owned()),
    }
}

/// Of the load that makes the most records. No loss at a rate that was not reached proves nothing.
fn loss(rounds: &[Round]) -> Bar {
    let promise = format!("no record is lost at {RATE} a second and core");
    let losses = SERIES.iter().filter_map(|series| {
        let loss = figures::loss(rounds, series)?;
        Some((loss.rate.median, series.name, loss.lost))
    });
    let verdict = match losses.max_by(|a, b| a.0.total_cmp(&b.0)) {
        None => Verdict::Open("not measured".to_owned()),
        Some((rate, name, lost)) => {
            let shown = format!("{name}: {lost} lost at {rate:.0} a second and core");
            match lost {
                0 if rate >= RATE => Verdict::Holds(shown),
                0 => Verdict::Open(format!("{shown}; no more were made here")),
                _ => Verdict::HoldsNot(shown),
            }
        }
    };
    Bar { promise, verdict }
}

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, found) = match &self.verdict {
            Verdict::Holds(found) => ("holds", found),
            Verdict::HoldsNot(found) => ("**does not hold**", found),
            Verdict::Open(found) => ("open", found),
        };
        write!(f, "{word}: {}: {found}", self.promise)
    }
}

#[cfg(test)]
mod tests {
    use super::super::figures::tests::{round, run};
    use super::super::measure::{Records, Run};
    use super::super::workload::{CROWD, PIPE};
    use super::*;

    #[test]
    fn a_bar_holds_by_the_median_of_the_rounds() {
        let bar = |watched| {
            let runs = vec![run(NOTHING, 100), run(WATCHED, watched), run(RUNQLAT, 125)];
            let rounds = [round(PIPE.name, 1, runs)];
            bars(&rounds)[0].to_string()
        };
        let promise = "sched pipe: cronx, watched / runqlat at most 1.00 (hard)";
        assert_eq!(bar(125), format!("holds: {promise}: 1.00 [1.00, 1.00]"));
        assert_eq!(bar(150), format!("**does not hold**: {promise}: 1.20 [1.20, 1.20]"));
    }

    #[test]
    fn what_was_not_measured_is_open() {
        let all: Vec<_> = bars(&[]).iter().map(ToString::to_string).collect();
        assert_eq!(all.len(), 12);
        assert!(all.iter().all(|bar| bar.starts_with("open: ")), "{all:#?}");
    }

    #[test]
    fn no_loss_is_proved_only_at_the_rate() {
        let bar = |read, lost| {
            let records = Some(Records { read, lost });
            let runs = vec![Run { records, ..run(WATCHED, 1_000) }];
            loss(&[round(CROWD.name, 1, runs)]).to_string()
        };
        assert!(bar(600_000, 0).starts_with("holds: "));
        assert!(bar(400_000, 0).ends_with("no more were made here"));
        assert!(bar(600_000, 1).starts_with("**does not hold**: "));
    }
}
