//! From rounds to figures. Readings of one round are compared with each other, and with no others.

use serde::{Deserialize, Serialize};

use super::stage::Stage;
use crate::bench::statistics::Spread;

/// What one process said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Reading {
    pub(super) who: String,
    pub(super) numbers: Vec<f64>,
    pub(super) wall_ns: u64,
    /// Hundredths of a second, of all CPUs.
    pub(super) stolen_ticks: u64,
}

/// Each who plays a stage, once, in the order in which they did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Round {
    pub(super) stage: String,
    pub(super) number: u32,
    pub(super) readings: Vec<Reading>,
}

impl Round {
    pub(super) fn is(&self, stage: &Stage, number: u32) -> bool {
        self.stage == stage.name && self.number == number
    }

    fn number_of(&self, who: &str, which: usize) -> Option<f64> {
        let reading = self.readings.iter().find(|reading| reading.who == who)?;
        reading.numbers.get(which).copied()
    }

    /// For who waits for the end of it.
    pub(super) fn line(&self) -> String {
        let reading = |reading: &Reading| {
            let numbers: Vec<_> = reading.numbers.iter().map(ToString::to_string).collect();
            format!(
                "{} {} (steal {} ms)",
                reading.who,
                numbers.join(" "),
                reading.stolen_ticks * 10
            )
        };
        let readings: Vec<_> = self.readings.iter().map(reading).collect();
        format!("{}: {}", self.stage, readings.join("; "))
    }
}

fn of<'a>(rounds: &'a [Round], stage: &str) -> impl Iterator<Item = &'a Round> {
    rounds.iter().filter(move |round| round.stage == stage)
}

/// One number of one who plays.
pub(super) fn spread(rounds: &[Round], stage: &str, (who, which): (&str, usize)) -> Option<Spread> {
    Spread::of(of(rounds, stage).filter_map(|round| round.number_of(who, which)))
}

/// One number by another of the same round.
pub(super) fn ratio(
    rounds: &[Round],
    stage: &str,
    (who, which): (&str, usize),
    (to, that): (&str, usize),
) -> Option<Spread> {
    let ratio =
        |round: &Round| Some(round.number_of(who, which)? / round.number_of(to, that)?.max(1e-9));
    Spread::of(of(rounds, stage).filter_map(ratio))
}

/// The host's share of all CPUs' time, percent: in the middle, and in the worst reading of these rounds.
pub(super) fn stolen<'a>(
    rounds: impl Iterator<Item = &'a Round>,
    cpus: usize,
) -> Option<(f64, f64)> {
    let share = |reading: &Reading| {
        reading.stolen_ticks as f64 * 1e9 / (reading.wall_ns.max(1) as f64 * cpus as f64)
    };
    let shares: Vec<f64> = rounds.flat_map(|round| &round.readings).map(share).collect();
    let worst = shares.iter().copied().fold(0.0, f64::max);
    Some((Spread::of(shares)?.median, worst))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn round(stage: &str, number: u32, readings: &[(&str, &[f64])]) -> Round {
        let reading = |&(who, numbers): &(&str, &[f64])| Reading {
            who: who.to_owned(),
            numbers: numbers.to_vec(),
            wall_ns: 1_000_000_000,
            stolen_ticks: u64::from(number),
        };
        let readings = readings.iter().map(reading).collect();
        Round { stage: stage.to_owned(), number, readings }
    }

    #[test]
    fn a_ratio_is_of_one_round() {
        let rounds = [
            round("a", 1, &[("x", &[1.0, 10.0]), ("y", &[2.0])]),
            round("a", 2, &[("y", &[1.0]), ("x", &[3.0, 9.0])]),
            round("a", 3, &[("x", &[900.0, 0.0])]),
            round("b", 1, &[("x", &[7.0]), ("y", &[1.0])]),
        ];
        let ratio = ratio(&rounds, "a", ("x", 0), ("y", 0)).unwrap();
        assert_eq!(ratio.to_string(), "1.75 [1.12, 2.38]");
        assert_eq!(spread(&rounds, "a", ("x", 1)).unwrap().to_string(), "9.00 [4.50, 9.50]");
        assert_eq!(spread(&rounds, "a", ("x", 2)), None);
    }

    #[test]
    fn steal_is_a_share_of_all_cpus() {
        let rounds = [1, 2, 9].map(|number| round("a", number, &[("x", &[1.0])]));
        assert_eq!(stolen(rounds.iter(), 2), Some((1.0, 4.5)));
        assert_eq!(stolen([].iter(), 2), None);
    }
}
