//! Every wait to its tiles, and the tiles to all that is summed of them: the tail's first, since only
//! then it is known whom to take out in the what-ifs, and then everybody's.

use std::cmp::Reverse;

use cronx_recording::{Miss, Tail};
use rustc_hash::FxHashMap;

use crate::anomaly::Counts;
use crate::evidence::Evidence;
use crate::fold::Folds;
use crate::spared::Spared;
use crate::tail::{self, TailBlame};
use crate::tally::Tally;
use crate::tile::{Tile, Tiler};
use crate::waits::{Interval, Waits};
use crate::what_if::WhatIfs;
use crate::{Options, worst};

/// What the tiles of all waits say.
pub(crate) struct Blamed<'a> {
    pub(crate) all: Tally,
    pub(crate) tail: Option<Tail>,
    pub(crate) worst: Vec<Miss>,
    pub(crate) folds: Folds<'a>,
    /// What of each closed wait is the load's own doing, nanoseconds, by the number of the wait.
    pub(crate) self_caused: Vec<u64>,
    pub(crate) unbalanced: u64,
}

pub(crate) fn blame<'a>(
    evidence: &'a Evidence<'a>,
    waits: &Waits,
    spared: &Spared,
    options: &Options,
    anomalies: &mut Counts,
) -> Blamed<'a> {
    let tail = tail_of(evidence, waits, spared, options);
    let mut what_ifs = tail.as_ref().map(|tail| WhatIfs::new(&tail.tally, evidence));
    let longest = longest(&waits.closed, options.worst);
    let ranks: FxHashMap<u32, usize> = longest.iter().copied().zip(0..).collect();
    let (mut all, mut folds) = (Tally::default(), Folds::new(evidence));
    let mut misses = vec![None; longest.len()];
    let mut self_caused = vec![0; waits.closed.len()];
    let mut tiles = Vec::new();
    let mut cutter = Tiler::new(evidence, anomalies);
    for number in by_time(&waits.closed) {
        let interval = &waits.closed[number as usize];
        cutter.tile(interval, &mut tiles);
        all.add(&tiles);
        self_caused[number as usize] = self_caused_ns(&tiles);
        folds.add(interval.victim.thread, &tiles);
        if let Some(what_ifs) = &mut what_ifs {
            what_ifs.add(&tiles);
        }
        if let Some(&rank) = ranks.get(&number) {
            misses[rank] = Some(worst::miss(interval, &tiles, waits, evidence));
        }
    }
    // Censored waits are tiled for the balance alone: their sums would mix with no other.
    for interval in &waits.censored {
        cutter.tile(interval, &mut tiles);
    }
    let unbalanced = cutter.unbalanced;
    let what_if = what_ifs.map(|what_ifs| what_ifs.finish(spared, evidence)).unwrap_or_default();
    Blamed {
        all,
        tail: tail.map(|tail| tail.report(what_if, evidence)),
        worst: misses.into_iter().flatten().collect(),
        folds,
        self_caused,
        unbalanced,
    }
}

fn self_caused_ns(tiles: &[Tile]) -> u64 {
    let own = tiles.iter().filter(|tile| tile.class.is_self_caused());
    own.fold(0, |sum, tile| sum.saturating_add(tile.length_ns()))
}

/// The waits of the tail alone; what is odd about them is counted with all the others.
fn tail_of(
    evidence: &Evidence,
    waits: &Waits,
    spared: &Spared,
    options: &Options,
) -> Option<TailBlame> {
    let mut lengths: Vec<_> = waits.closed.iter().map(Interval::length_ns).collect();
    lengths.sort_unstable_by_key(|&length_ns| Reverse(length_ns));
    let threshold_ns = tail::threshold_ns(&lengths, spared.below(), options.objective_ns)?;
    let mut tail = TailBlame::new(threshold_ns, evidence);
    let mut counted_later = Counts::default();
    let mut cutter = Tiler::new(evidence, &mut counted_later);
    let mut tiles = Vec::new();
    for interval in waits.closed.iter().filter(|interval| interval.length_ns() >= threshold_ns) {
        cutter.tile(interval, &mut tiles);
        tail.add(interval, &tiles);
    }
    Some(tail)
}

/// The numbers of the waits in the order of their ends: neighbours then look at the same part of a
/// timeline, which is what makes a million of them fast.
fn by_time(closed: &[Interval]) -> Vec<u32> {
    let mut ends: Vec<_> = closed.iter().map(|interval| interval.close_ns).zip(0..).collect();
    ends.sort_unstable();
    ends.into_iter().map(|(_, number)| number).collect()
}

/// The numbers of the longest waits, longest first; of equally long ones the earlier comes first.
fn longest(closed: &[Interval], count: usize) -> Vec<u32> {
    let rank = |&number: &u32| {
        let interval = &closed[number as usize];
        let length = Reverse(interval.length_ns());
        (length, interval.wait.open_ns, interval.wait.victim, number)
    };
    let mut numbers: Vec<u32> = (0..closed.len() as u32).collect();
    if count < numbers.len() {
        numbers.select_nth_unstable_by_key(count, rank);
        numbers.truncate(count);
    }
    numbers.sort_unstable_by_key(rank);
    numbers
}
