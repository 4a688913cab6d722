//! The tail: the waits at or above P99 and, if there is one, above the objective; what they were owed
//! to, and how sure that is.

use cronx_recording::histogram::carries;
use cronx_recording::{Tail, WhatIf};

use crate::blocks::Blocks;
use crate::evidence::Evidence;
use crate::tally::Tally;
use crate::tile::Tile;
use crate::waits::Interval;

/// What is at or above a threshold.
#[derive(Debug)]
pub(crate) struct TailBlame {
    threshold_ns: u64,
    pub(crate) tally: Tally,
    blocks: Blocks,
}

impl TailBlame {
    pub(crate) fn new(threshold_ns: u64, evidence: &Evidence) -> Self {
        let blocks = Blocks::new(evidence.started_ns, evidence.stopped_ns);
        Self { threshold_ns, tally: Tally::default(), blocks }
    }

    /// Adds the tiles of one wait.
    pub(crate) fn add(&mut self, interval: &Interval, tiles: &[Tile]) {
        self.tally.add(tiles);
        self.blocks.at(interval.close_ns).add(tiles);
    }

    pub(crate) fn report(&self, what_if: Vec<WhatIf>, evidence: &Evidence) -> Tail {
        let bootstrap = self.blocks.bootstrap();
        let bootstrap = bootstrap.as_ref();
        Tail {
            threshold_ns: self.threshold_ns,
            waits: self.tally.waits,
            waited_ns: self.tally.waited_ns,
            blame: self.tally.classes(|class| {
                bootstrap.map(|bootstrap| bootstrap.share(|block| block.owed_to_class(class)))
            }),
            culprits: self.tally.culprits(evidence, |who| {
                bootstrap.map(|bootstrap| bootstrap.share(|block| block.owed_to(who)))
            }),
            what_if,
        }
    }
}

/// The length from which on a wait is in the tail, nanoseconds; `None` for fewer waits than a P99
/// needs. `longest_first` are the lengths of all waits with a record; `below` is a floor, and how
/// many waits lie below it.
///
/// P99 is exact here, by nearest rank (the smallest length that 99 % of the waits do not exceed),
/// where the histogram's is rounded to three digits. Where it has no record, the floor stands for
/// it. A wait longer than the objective is one of at least a nanosecond more.
pub(crate) fn threshold_ns(
    longest_first: &[u64],
    below: Option<(u64, u64)>,
    objective_ns: Option<u64>,
) -> Option<u64> {
    let (floor_ns, spared) = below.unwrap_or_default();
    let count = spared.saturating_add(longest_first.len() as u64);
    if !carries(count, 0.99) {
        return None;
    }
    // As many waits are longer as are not among the 99 %, these rounded up.
    let longer = count / 100;
    let p99_ns = longest_first.get(longer as usize).copied().unwrap_or(floor_ns);
    Some(objective_ns.map_or(p99_ns, |objective| p99_ns.max(objective.saturating_add(1))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(count: u64) -> Vec<u64> {
        (1..=count).rev().collect()
    }

    #[test]
    fn nearest_rank() {
        assert_eq!(threshold_ns(&lengths(1_000), None, None), Some(990));
        assert_eq!(threshold_ns(&lengths(368), None, None), Some(365));
    }

    #[test]
    fn too_few_waits_have_no_tail() {
        assert_eq!(threshold_ns(&lengths(367), None, None), None);
        assert_eq!(threshold_ns(&[], None, Some(1)), None);
    }

    #[test]
    fn the_objective_raises_it_and_never_lowers_it() {
        assert_eq!(threshold_ns(&lengths(1_000), None, Some(995)), Some(996));
        assert_eq!(threshold_ns(&lengths(1_000), None, Some(10)), Some(990));
        assert_eq!(threshold_ns(&lengths(1_000), None, Some(u64::MAX)), Some(u64::MAX));
    }

    #[test]
    fn waits_below_a_floor_have_their_rank() {
        // Of 2,000 waits 20 are longer than P99.
        assert_eq!(threshold_ns(&lengths(1_000), Some((1, 1_000)), None), Some(980));
        assert_eq!(threshold_ns(&lengths(3), Some((1, 365)), None), Some(1));
        assert_eq!(threshold_ns(&lengths(3), Some((1, 364)), None), None);
        assert_eq!(threshold_ns(&lengths(9), Some((1, u64::MAX)), Some(5)), Some(6));
    }
}
