//! What the quantiles would be without one class or one culprit: its nanoseconds are taken out of
//! each wait, as if all else had been as it was. That is a first-order estimate, and named so.

use cronx_recording::{Class, WhatIf};

use crate::distribution::Distribution;
use crate::evidence::Evidence;
use crate::owners::{Kind, Owner};
use crate::spared::Spared;
use crate::tally::Tally;
use crate::tile::Tile;

/// Culprits that are taken out one at a time.
const CULPRITS: usize = 8;

/// What is taken out.
#[derive(Debug, Clone, Copy)]
enum Without {
    Class(Class),
    /// Whatever it is to each victim.
    Culprit(Class, Owner),
}

/// The distribution of all waits without each of some.
pub(crate) struct WhatIfs {
    without: Vec<(Without, Distribution)>,
}

impl WhatIfs {
    /// Each class of the tail, and its largest culprits.
    pub(crate) fn new(tail: &Tally, evidence: &Evidence) -> Self {
        let classes = tail.classes(|_| None).into_iter().map(|row| Without::Class(row.class));
        let mut culprits: Vec<(Class, Owner)> = Vec::new();
        for (_, (class, owner)) in tail.largest_first() {
            // Of nobody's, the class says it all.
            let somebodys = !matches!(evidence.owners.entry(owner).kind, Kind::Plain(_));
            if somebodys && culprits.iter().all(|(_, other)| *other != owner) {
                culprits.push((class, owner));
            }
        }
        culprits.truncate(CULPRITS);
        let culprits = culprits.into_iter().map(|(class, owner)| Without::Culprit(class, owner));
        let without = classes.chain(culprits).map(|what| (what, Distribution::default()));
        Self { without: without.collect() }
    }

    /// Adds the tiles of one wait.
    pub(crate) fn add(&mut self, tiles: &[Tile]) {
        for (without, distribution) in &mut self.without {
            let left = tiles.iter().filter(|tile| !without.takes(tile)).map(Tile::length_ns);
            distribution.record(left.sum());
        }
    }

    /// Waits too short for a record are left as they are.
    pub(crate) fn finish(mut self, spared: &Spared, evidence: &Evidence) -> Vec<WhatIf> {
        for (_, distribution) in &mut self.without {
            let counted = spared.of(cronx_recording::MetricName::WakeToRun);
            counted.for_each(|(_, counted)| distribution.merge(counted));
        }
        self.without.iter().map(|(what, left)| what.report(left, evidence)).collect()
    }
}

impl Without {
    fn takes(self, tile: &Tile) -> bool {
        match self {
            Self::Class(class) => tile.class == class,
            Self::Culprit(_, owner) => tile.owner == owner,
        }
    }

    fn report(self, left: &Distribution, evidence: &Evidence) -> WhatIf {
        let (class, culprit) = match self {
            Self::Class(class) => (class, None),
            Self::Culprit(class, owner) => (class, Some(evidence.culprit(owner))),
        };
        WhatIf {
            class,
            culprit,
            p50_ns: left.at(0.5),
            p90_ns: left.at(0.9),
            p99_ns: left.at(0.99),
            p999_ns: left.at(0.999),
        }
    }
}

#[cfg(test)]
mod tests;
