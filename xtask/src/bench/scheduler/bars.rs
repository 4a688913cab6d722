//! What the figures were promised to be, and whether they are.

use std::fmt;

use super::figures::{Round, ratio, spread};
use super::stage::{
    BURST, CALLS, CRATES, CRONX, FLOOD, JOB, LATENESS, MEMORY, SECONDS, SHOT, SHOTS, SPIN, SUBMIT,
    TIMERS, TOKIO, WAKE,
};
use crate::bench::statistics::Spread;

const MS: f64 = 1e6;
/// The paper's own figures of 10,000 timers: jobs a second, and MB.
const PAPER: (f64, f64) = (9_750.0, 89.0);
/// Where in a reading of lateness a figure stands: ours, then cyclictest's.
pub(super) const POPPED_P99: usize = 2;
pub(super) const STARTED_P99: usize = 6;
pub(super) const STARTED_P999: usize = 7;
pub(super) const CYCLICTEST_P99: usize = 10;

/// A promise.
pub(super) struct Bar {
    promise: String,
    /// Whether it holds, and what was found; nothing if nothing was measured.
    found: Option<(bool, String)>,
}

impl Bar {
    fn most(promise: impl Into<String>, most: f64, found: Option<Spread>) -> Self {
        let found = found.map(|found| (found.median <= most, found.to_string()));
        Self { promise: format!("{} at most {most}", promise.into()), found }
    }

    fn least(promise: impl Into<String>, least: f64, found: Option<Spread>) -> Self {
        let found = found.map(|found| (found.median >= least, format!("{found:.0}")));
        Self { promise: format!("{} at least {least}", promise.into()), found }
    }
}

pub(super) fn bars(rounds: &[Round]) -> Vec<Bar> {
    let parts = [lateness(rounds), at_work(rounds), memory(rounds), calls(rounds)];
    parts.into_iter().flatten().collect()
}

fn lateness(rounds: &[Round]) -> Vec<Bar> {
    let ms = |which| spread(rounds, LATENESS, (SHOTS, which)).map(|found| found / MS);
    let floor = |which| ratio(rounds, LATENESS, (SHOTS, which), (SHOTS, CYCLICTEST_P99));
    vec![
        Bar::most("one-shots, started, P99 ms", 1.0, ms(STARTED_P99)),
        Bar::most("one-shots, started, P99.9 ms", 5.0, ms(STARTED_P999)),
        Bar::most("one-shots, popped, P99 by cyclictest's beside it", 2.0, floor(POPPED_P99)),
        Bar::most("one-shots, started, P99 by cyclictest's beside it", 4.0, floor(STARTED_P99)),
    ]
}

fn at_work(rounds: &[Round]) -> Vec<Bar> {
    let burst = spread(rounds, BURST, (CRONX, 0)).map(|found| found / MS);
    let spawned = ratio(rounds, BURST, (CRONX, 0), (TOKIO, 0));
    let (rate, mb) = PAPER;
    // The bench has MiB.
    let resident = spread(rounds, SPIN, (CRONX, 1)).map(|found| found / (1e6 / f64::from(1 << 20)));
    let mut bars = vec![
        Bar::most("burst of 100000, the last starts, ms", 100.0, burst),
        Bar::most("burst of 100000, by as many bare spawns", 3.0, spawned),
        Bar::least("10000 timers, jobs a second", 10.0 * rate, spread(rounds, SPIN, (CRONX, 0))),
        Bar::most("10000 timers, resident MB", (mb / 3.0).floor(), resident),
        Bar::most("submit, no wake, P99 ns", 300.0, spread(rounds, SUBMIT, (FLOOD, 1))),
        Bar::most("submit, wake, P99 ns", 5_000.0, spread(rounds, SUBMIT, (WAKE, 1))),
    ];
    bars.extend(CRATES[1..].iter().map(|rival| {
        let found = ratio(rounds, SECONDS, (CRONX, 2), (rival, 2));
        Bar::most(format!("jobs due every second, P99 by that of {rival}"), 1.0, found)
    }));
    bars
}

fn memory(rounds: &[Round]) -> Vec<Bar> {
    let kinds = [(SHOT, 96.0), (JOB, 256.0)];
    let bars = kinds.into_iter().flat_map(|(kind, most)| {
        ["heap", "resident"].into_iter().enumerate().map(move |(which, what)| {
            let found = spread(rounds, MEMORY, (kind, which));
            Bar::most(format!("{kind} that waits, {what} bytes"), most, found)
        })
    });
    bars.collect()
}

/// Under the bar, and ahead of every rival.
fn calls(rounds: &[Round]) -> Vec<Bar> {
    let bars = CALLS.iter().flat_map(|&(stage, _, most)| {
        ["insert", "cancel"].into_iter().enumerate().flat_map(move |(which, call)| {
            let own = spread(rounds, stage, (CRONX, which));
            let own = Bar::most(format!("{stage}: {call}, ns"), most, own);
            let rivals = TIMERS[1..].iter().map(move |rival| {
                let found = ratio(rounds, stage, (CRONX, which), (rival, which));
                Bar::most(format!("{stage}: {call} by that of {rival}"), 1.0, found)
            });
            [own].into_iter().chain(rivals)
        })
    });
    bars.collect()
}

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, found) = match &self.found {
            Some((true, found)) => ("holds", found.as_str()),
            Some((false, found)) => ("**does not hold**", found.as_str()),
            None => ("open", "not measured"),
        };
        write!(f, "{word}: {}: {found}", self.promise)
    }
}

#[cfg(test)]
mod tests {
    use super::super::figures::tests::round;
    use super::super::stage::AT_REST;
    use super::*;

    fn line(rounds: &[Round], promise: &str) -> String {
        let lines: Vec<_> = bars(rounds).iter().map(ToString::to_string).collect();
        let found = lines.iter().find(|line| line.contains(promise));
        found.unwrap_or_else(|| panic!("{promise}: {lines:#?}")).clone()
    }

    #[test]
    fn a_bar_holds_by_the_median_of_the_rounds() {
        let shots = |p99: f64| {
            let numbers = [9.0, 1.0, 2e5, 3.0, 4.0, 5.0, p99, 7e6, 8.0, 1.0, 1e5, 2.0, 3.0];
            [round(LATENESS, 1, &[(SHOTS, &numbers)])]
        };
        let promise = "one-shots, started, P99 ms at most 1";
        assert_eq!(line(&shots(4e5), promise), format!("holds: {promise}: 0.40 [0.40, 0.40]"));
        assert!(line(&shots(2e6), promise).starts_with("**does not hold**: "));
        let floor = "popped, P99 by cyclictest's beside it at most 2";
        assert!(line(&shots(4e5), floor).ends_with(": 2.00 [2.00, 2.00]"));
    }

    #[test]
    fn ours_is_compared_with_every_rival() {
        let numbers: [f64; 2] = [20.0, 30.0];
        let rival: [f64; 2] = [40.0, 15.0];
        let rounds = [round(AT_REST, 1, &[(CRONX, &numbers), ("nexus", &rival)])];
        assert!(line(&rounds, "timers: insert by that of nexus").starts_with("holds: "));
        assert!(line(&rounds, "timers: cancel by that of nexus").starts_with("**does not hold**"));
        assert!(line(&rounds, "timers: insert by that of binary-heap").starts_with("open: "));
    }

    #[test]
    fn what_was_not_measured_is_open() {
        assert!(bars(&[]).iter().all(|bar| bar.to_string().starts_with("open: ")));
    }
}
