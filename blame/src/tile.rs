//! One wait and the timelines to tiles: disjoint, in order, and summing to the wait exactly.

use std::collections::BTreeMap;

use cronx_abi::opening;

use crate::anomaly::Counts;
use crate::owners::{Owner, Owners};
use crate::timeline::Timeline;
use crate::waits::{Interval, Mark, What};

/// A piece of a wait, `[from_ns, to_ns)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tile {
    pub(crate) from_ns: u64,
    pub(crate) to_ns: u64,
    pub(crate) owner: Owner,
    /// `None` while the thread was on no queue, or on one that is not known.
    pub(crate) cpu: Option<u16>,
}

impl Tile {
    pub(crate) fn length_ns(&self) -> u64 {
        self.to_ns - self.from_ns
    }
}

/// Cuts waits into tiles, one after the other.
pub(crate) struct Tiler<'a> {
    pub(crate) timelines: &'a BTreeMap<u16, Timeline>,
    pub(crate) owners: &'a Owners,
    pub(crate) marks: &'a [Mark],
    pub(crate) anomalies: &'a mut Counts,
    /// Waits whose tiles did not sum to them: always 0.
    pub(crate) unbalanced: u64,
}

impl Tiler<'_> {
    /// Replaces what is in `tiles` by the tiles of `interval`.
    pub(crate) fn tile(&mut self, interval: &Interval, tiles: &mut Vec<Tile>) {
        tiles.clear();
        self.placement(interval, tiles);
        let moves = &self.marks[interval.moves.clone()];
        if connects(interval, moves) {
            self.queued(interval, moves, tiles);
        } else {
            self.anomalies.count("moves_missing");
            lay(tiles, tile(interval.wait.queued_ns, interval.close_ns, Owner::UNKNOWN));
        }
        self.unbalanced += u64::from(!balances(interval, tiles));
    }

    /// From the opening to the queue: only a wake-up takes time for it.
    fn placement(&mut self, interval: &Interval, tiles: &mut Vec<Tile>) {
        let wait = &interval.wait;
        let mut owner = Owner::PLACEMENT;
        if wait.opening != opening::WAKEUP && wait.open_ns < wait.queued_ns {
            self.anomalies.count("queued_late");
            owner = Owner::UNKNOWN;
        }
        lay(tiles, tile(wait.open_ns, wait.queued_ns, owner));
    }

    /// From queue to queue, along each queue's CPU.
    fn queued(&mut self, interval: &Interval, moves: &[Mark], tiles: &mut Vec<Tile>) {
        let mut cpu = interval.wait.first_cpu;
        let mut from_ns = interval.wait.queued_ns;
        for mark in moves {
            let What::Move { to, .. } = mark.what else { continue };
            let until_ns = mark.at_ns.min(interval.close_ns);
            self.along(interval, cpu, (from_ns, until_ns), tiles);
            (cpu, from_ns) = (to, until_ns);
        }
        self.along(interval, cpu, (from_ns, interval.close_ns), tiles);
    }

    fn along(&mut self, interval: &Interval, cpu: u16, span_ns: (u64, u64), tiles: &mut Vec<Tile>) {
        let (from_ns, to_ns) = span_ns;
        let Some(timeline) = self.timelines.get(&cpu) else {
            return lay(tiles, Tile { cpu: Some(cpu), ..tile(from_ns, to_ns, Owner::UNKNOWN) });
        };
        timeline.cut(from_ns, to_ns, |piece| {
            let mut owner = piece.owner;
            if self.owners.entry(owner).task == interval.wait.victim {
                // Nobody waits for a CPU while running on it: one of the two records lies.
                self.anomalies.count("victim_ran");
                owner = Owner::UNKNOWN;
            }
            lay(tiles, Tile { cpu: Some(cpu), ..tile(piece.from_ns, piece.to_ns, owner) });
        });
    }
}

fn tile(from_ns: u64, to_ns: u64, owner: Owner) -> Tile {
    Tile { from_ns, to_ns, owner, cpu: None }
}

/// Whether the moves are as many as the kernel counted and lead from the first queue to the last.
fn connects(interval: &Interval, moves: &[Mark]) -> bool {
    let mut at = interval.wait.first_cpu;
    for mark in moves {
        match mark.what {
            What::Move { from, to } if from == at => at = to,
            _ => return false,
        }
    }
    moves.len() == usize::from(interval.wait.moves) && at == interval.wait.cpu
}

/// Appends a tile; it becomes part of the last one if nothing parts them.
fn lay(tiles: &mut Vec<Tile>, tile: Tile) {
    if tile.from_ns >= tile.to_ns {
        return;
    }
    match tiles.last_mut() {
        Some(last)
            if (last.owner, last.cpu, last.to_ns) == (tile.owner, tile.cpu, tile.from_ns) =>
        {
            last.to_ns = tile.to_ns;
        }
        _ => tiles.push(tile),
    }
}

fn balances(interval: &Interval, tiles: &[Tile]) -> bool {
    let mut at_ns = interval.wait.open_ns;
    for tile in tiles {
        if tile.from_ns != at_ns {
            return false;
        }
        at_ns = tile.to_ns;
    }
    at_ns == interval.close_ns
}

#[cfg(test)]
mod tests;
