//! The trials as a table, and of each bar whether it holds.

use std::fmt::Write as _;

use super::kind::{FEWEST, KINDS, Kind};
use super::{MAX_STEAL, Trial};
use crate::bench::statistics::Spread;

/// A trial as it comes in.
pub(super) fn line(trial: &Trial) -> String {
    let Trial { kind, status, pairs, waits, ratio, realised, seconds, why, .. } = trial;
    let word = match status {
        0 => "pass",
        1 => "regression",
        _ => "inconclusive",
    };
    let why = if why.is_empty() { String::new() } else { format!(": {why}") };
    format!(
        "{kind}: {word} after {pairs} pairs, x{ratio:.3} by the probes, x{realised:.3} by the load, \
         {waits} waits at least, {seconds:.0} s{why}"
    )
}

pub(super) fn render(trials: &[Trial], kernel: &str) -> String {
    let mut page = format!(
        "# How often the gate is right\n\nLinux {kernel}. Each trial is one `cronx gate ab --max-steal {MAX_STEAL}`; \
         what was injected is checked by the load's own clock, and a trial where it did not come about is not \
         counted.\n\n| change | trials | fail | pass | inconclusive | fail, 95 % | pairs | ratio by the \
         probes | by the load | not counted | bar |\n|---|---|---|---|---|---|---|---|---|---|---|\n"
    );
    for kind in &KINDS {
        page.push_str(&row(kind, trials));
    }
    page
}

fn row(kind: &Kind, all: &[Trial]) -> String {
    let of_kind: Vec<_> = all.iter().filter(|trial| trial.kind == kind.name).collect();
    let counted: Vec<_> = of_kind.iter().copied().filter(|t| kind.is_realised(t)).collect();
    let with = |status| counted.iter().filter(|trial| trial.status == status).count();
    let (low, high) = wilson(with(1), counted.len());
    let spread = |of: fn(&Trial) -> f64| {
        let spread = Spread::of(counted.iter().map(|trial| of(trial)));
        spread.map_or_else(|| "-".to_owned(), |spread| format!("{spread:.3}"))
    };
    let mut row = format!(
        "| {} | {} | {} | {} | {} | {:.1} to {:.1} % | ",
        kind.name,
        counted.len(),
        with(1),
        with(0),
        with(3),
        low * 100.0,
        high * 100.0
    );
    let pairs = Spread::of(counted.iter().map(|trial| trial.pairs as f64));
    let pairs = pairs.map_or_else(|| "-".to_owned(), |pairs| format!("{pairs:.0}"));
    let bar = kind.bar.as_ref().map_or_else(
        || "reported".to_owned(),
        |bar| {
            let holds = match bar.holds(&counted) {
                _ if counted.len() < FEWEST => "too few trials",
                true => "holds",
                false => "does not hold",
            };
            format!("{}: {holds}", bar.spoken())
        },
    );
    let _ = writeln!(
        row,
        "{pairs} | {} | {} | {} | {bar} |",
        spread(|trial| trial.ratio),
        spread(|trial| trial.realised),
        of_kind.len() - counted.len()
    );
    row
}

/// Where a share lies with 95 % (Wilson, 1927).
fn wilson(hits: usize, trials: usize) -> (f64, f64) {
    if trials == 0 {
        return (0.0, 1.0);
    }
    let (n, z2) = (trials as f64, 1.959_964_f64.powi(2));
    let share = hits as f64 / n;
    let middle = (share + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let reach = (share * (1.0 - share) * z2 / n + z2 * z2 / (4.0 * n * n)).sqrt() / (1.0 + z2 / n);
    ((middle - reach).max(0.0), (middle + reach).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(kind: &str, status: i32, realised: f64) -> Trial {
        Trial {
            kind: kind.to_owned(),
            number: 1,
            status,
            why: String::new(),
            pairs: 6,
            waits: 20_000,
            ratio: realised,
            realised,
            seconds: 30.0,
        }
    }

    #[track_caller]
    fn check(trials: &[Trial], kind: usize, expected: &str) {
        assert_eq!(row(&KINDS[kind], trials).trim_end(), expected);
    }

    #[test]
    fn a_trial_whose_injection_did_not_come_about_is_not_counted() {
        let trials = [trial("+50 %", 1, 1.5), trial("+50 %", 1, 1.49), trial("+50 %", 0, 1.1)];
        check(
            &trials,
            2,
            "| +50 % | 2 | 2 | 0 | 0 | 34.2 to 100.0 % | 6 [6, 6] | 1.495 [1.492, 1.498] | 1.495 \
             [1.492, 1.498] | 1 | all but one fail: too few trials |",
        );
    }

    #[test]
    fn one_false_failure_breaks_the_bar() {
        let mut trials = vec![trial("the same", 0, 1.0); 59];
        check(
            &trials,
            0,
            "| the same | 59 | 0 | 59 | 0 | 0.0 to 6.1 % | 6 [6, 6] | 1.000 [1.000, 1.000] | 1.000 \
             [1.000, 1.000] | 0 | none fails: holds |",
        );
        trials.push(trial("the same", 1, 1.0));
        assert!(row(&KINDS[0], &trials).ends_with("none fails: does not hold |\n"));
    }

    #[test]
    fn without_trials_nothing_is_claimed() {
        assert!(render(&[], "6.18").contains("| +20 % | 0 | 0 | 0 | 0 | 0.0 to 100.0 % | - |"));
    }
}
