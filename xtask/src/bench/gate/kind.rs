//! What a trial injects, and what the gate is to say.

use super::Trial;
use super::load::BURST_US;

/// How far the realised ratio may be off what was injected.
const OFF: f64 = 0.05;

/// With fewer trials that count, no bar is held or broken.
pub(super) const FEWEST: usize = 59;

/// A kind of trial.
pub(super) struct Kind {
    pub(super) name: &'static str,
    /// The candidate's bursts over the base's.
    pub(super) ratio: f64,
    /// Played in every round, or in every so many.
    pub(super) every: u32,
    /// The status that is right, and how many of the trials may have another; `None` where it is only
    /// reported.
    pub(super) bar: Option<Bar>,
}

/// What must hold.
pub(super) enum Bar {
    /// None has this status.
    Never(i32),
    /// All but one have it.
    AllButOne(i32),
}

pub(super) const KINDS: [Kind; 3] = [
    Kind { name: "the same", ratio: 1.0, every: 1, bar: Some(Bar::Never(1)) },
    Kind { name: "+20 %", ratio: 1.2, every: 6, bar: None },
    Kind { name: "+50 %", ratio: 1.5, every: 1, bar: Some(Bar::AllButOne(1)) },
];

impl Kind {
    pub(super) fn burst_us(&self) -> u32 {
        (f64::from(BURST_US) * self.ratio) as u32
    }

    /// Whether what was injected came about.
    pub(super) fn is_realised(&self, trial: &Trial) -> bool {
        (trial.realised / self.ratio - 1.0).abs() <= OFF
    }
}

impl Bar {
    pub(super) fn spoken(&self) -> &'static str {
        match self {
            Self::Never(_) => "none fails",
            Self::AllButOne(_) => "all but one fail",
        }
    }

    pub(super) fn holds(&self, trials: &[&Trial]) -> bool {
        let with = |status| trials.iter().filter(|trial| trial.status == status).count();
        match self {
            Self::Never(status) => with(*status) == 0,
            Self::AllButOne(status) => with(*status) + 1 >= trials.len(),
        }
    }
}
