//! Which loads are run under which variants, how often, and what a round of that gave.

use serde::{Deserialize, Serialize};

use super::measure::Run;
use super::variants::{NOTHING, Variant, WATCHED};
use super::workload::{self, Workload};

/// Rounds of one load.
pub(super) struct Series {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) workload: &'static Workload,
}

/// What the rounds are for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The load's own time, under everybody.
    Time,
    /// The time of programs. The kernel counts it, which takes time of its own: never mixed with
    /// the above.
    Programs,
    /// More records than the other loads make.
    Loss,
}

pub(super) const PROGRAM_TIME: &str = "program time";

pub(super) const SERIES: [Series; 7] = [
    of(Kind::Time, &workload::PIPE),
    of(Kind::Time, &workload::HACKBENCH),
    of(Kind::Time, &workload::FLOOD),
    Series { name: PROGRAM_TIME, kind: Kind::Programs, workload: &workload::PIPE },
    of(Kind::Loss, &workload::CROWD),
    of(Kind::Loss, &workload::CROWDS),
    of(Kind::Loss, &workload::YIELDS),
];

const fn of(kind: Kind, workload: &'static Workload) -> Series {
    Series { name: workload.name, kind, workload }
}

impl Series {
    pub(super) fn has(&self, variant: &Variant) -> bool {
        match self.kind {
            Kind::Time => true,
            Kind::Programs => variant.has_programs(),
            Kind::Loss => [NOTHING, WATCHED].contains(&variant.name),
        }
    }

    /// What is not the load's own time varies less, and a third of the rounds is enough.
    pub(super) fn rounds(&self, asked: u32) -> u32 {
        if self.kind == Kind::Time { asked } else { asked.div_ceil(3) }
    }
}

/// The loads as they are started: rounds of other loads are other rounds.
pub(super) fn spoken() -> String {
    let words = SERIES.iter().map(|series| series.workload.words.join(" "));
    words.collect::<Vec<_>>().join("\n")
}

/// Each variant once, in the order in which they ran.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Round {
    pub(super) series: String,
    pub(super) number: u32,
    pub(super) runs: Vec<Run>,
}

impl Round {
    pub(super) fn is(&self, series: &Series, number: u32) -> bool {
        self.series == series.name && self.number == number
    }

    pub(super) fn of(&self, variant: &str) -> Option<&Run> {
        self.runs.iter().find(|run| run.variant == variant)
    }

    /// For who waits for the end of it.
    pub(super) fn line(&self) -> String {
        let run = |run: &Run| format!("{} {:.0} ms", run.variant, run.wall_ns as f64 / 1e6);
        let runs: Vec<_> = self.runs.iter().map(run).collect();
        format!("{}: {}", self.series, runs.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::probes::variants::VARIANTS;

    #[test]
    fn no_two_series_have_one_name() {
        for (at, series) in SERIES.iter().enumerate() {
            assert!(SERIES[..at].iter().all(|other| other.name != series.name), "{}", series.name);
        }
    }

    #[test]
    fn programs_are_timed_of_those_who_have_any() {
        let names = |kind| {
            let series = SERIES.iter().find(|series| series.kind == kind).unwrap();
            let variants = VARIANTS.iter().filter(|variant| series.has(variant));
            variants.map(|variant| variant.name).collect::<Vec<_>>()
        };
        assert_eq!(names(Kind::Time).len(), VARIANTS.len());
        assert!(!names(Kind::Programs).contains(&NOTHING));
        assert_eq!(names(Kind::Loss), [NOTHING, WATCHED]);
    }

    #[test]
    fn a_third_of_the_rounds_is_never_none() {
        assert_eq!(SERIES.each_ref().map(|series| series.rounds(1)), [1; 7]);
        assert_eq!(SERIES.each_ref().map(|series| series.rounds(15)), [15, 15, 15, 5, 5, 5, 5]);
    }
}
