//! Pieces to sums, and to the words of a Report.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use cronx_recording::{Budget, Part, PartReport, PartShare};

use super::walk::Piece;
use crate::evidence::Evidence;
use crate::tally::Tally;
use crate::tile::{Tile, Tiler};
use crate::worst;

/// What some firings or spans took.
#[derive(Debug, Default)]
pub(super) struct Sum {
    count: u64,
    total_ns: u64,
    parts: BTreeMap<Part, u64>,
    waits: Tally,
}

impl Sum {
    pub(super) fn add(&mut self, pieces: &[Tiled]) {
        self.count += 1;
        for Tiled { piece, tiles } in pieces {
            let length_ns = piece.length_ns();
            self.total_ns = self.total_ns.saturating_add(length_ns);
            let part = self.parts.entry(piece.part).or_default();
            *part = part.saturating_add(length_ns);
            if !tiles.is_empty() {
                self.waits.add(tiles);
            }
        }
    }

    pub(super) fn finish(&self, evidence: &Evidence) -> Budget {
        let share = |(&part, &length_ns): (&Part, &u64)| PartShare { part, length_ns };
        let mut parts: Vec<_> = self.parts.iter().map(share).collect();
        parts.sort_by_key(|share| Reverse(share.length_ns));
        Budget {
            count: self.count,
            total_ns: self.total_ns,
            parts,
            blame: self.waits.classes(|_| None),
            culprits: self.waits.culprits(evidence, |_| None),
        }
    }
}

/// A piece, and what of its wait's tiles lies in it.
pub(super) struct Tiled<'a> {
    pub(super) piece: Piece<'a>,
    pub(super) tiles: Vec<Tile>,
}

/// Lays the tiles of its wait into each piece.
pub(super) fn tile<'a>(pieces: Vec<Piece<'a>>, tiler: &mut Tiler) -> Vec<Tiled<'a>> {
    let mut whole = Vec::new();
    let tiled = pieces.into_iter().map(|piece| {
        whole.clear();
        if let Some(interval) = piece.wait {
            tiler.tile(interval, &mut whole);
        }
        Tiled { piece, tiles: clipped(&whole, piece.from_ns, piece.to_ns) }
    });
    tiled.collect()
}

fn clipped(tiles: &[Tile], from_ns: u64, to_ns: u64) -> Vec<Tile> {
    let clip = |tile: &Tile| {
        let (from_ns, to_ns) = (tile.from_ns.max(from_ns), tile.to_ns.min(to_ns));
        (from_ns < to_ns).then_some(Tile { from_ns, to_ns, ..*tile })
    };
    tiles.iter().filter_map(clip).collect()
}

/// The pieces in words, counted from `zero_ns`.
pub(super) fn parts(pieces: &[Tiled], zero_ns: u64, evidence: &Evidence) -> Vec<PartReport> {
    let report = |Tiled { piece, tiles }: &Tiled| PartReport {
        part: piece.part,
        from_ns: piece.from_ns - zero_ns,
        length_ns: piece.length_ns(),
        tiles: tiles.iter().map(|tile| worst::tile_report(tile, zero_ns, evidence)).collect(),
        breaker: None,
    };
    pieces.iter().map(report).collect()
}
