//! Nanoseconds by owner, and from them the blame by class and by culprit.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use cronx_recording::{Class, ClassBlame, Culprit, CulpritBlame, ShareInterval};
use rustc_hash::FxHashMap;

use crate::evidence::Evidence;
use crate::owners::Owner;
use crate::tile::Tile;

/// Rows of a list before the rest becomes `(other)`.
pub(crate) const ROWS: usize = 256;

/// The name of the rest.
pub(crate) const OTHER: &str = "(other)";

/// What some waits were owed to.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    owed: FxHashMap<(Class, Owner), u64>,
    pub(crate) waits: u64,
    pub(crate) waited_ns: u64,
}

impl Tally {
    /// Adds the tiles of one wait.
    pub(crate) fn add(&mut self, tiles: &[Tile]) {
        self.waits += 1;
        for tile in tiles {
            let owed = self.owed.entry((tile.class, tile.owner)).or_default();
            *owed = owed.saturating_add(tile.length_ns());
            self.waited_ns = self.waited_ns.saturating_add(tile.length_ns());
        }
    }

    pub(crate) fn owed_to(&self, who: (Class, Owner)) -> u64 {
        self.owed.get(&who).copied().unwrap_or_default()
    }

    pub(crate) fn owed_to_class(&self, class: Class) -> u64 {
        let of_class = self.owed.iter().filter(|((of, _), _)| *of == class);
        of_class.fold(0, |sum, (_, owed)| sum.saturating_add(*owed))
    }

    /// Of equals the first class and owner comes first.
    pub(crate) fn largest_first(&self) -> Vec<(u64, (Class, Owner))> {
        let mut owed: Vec<_> = self.owed.iter().map(|(who, ns)| (*ns, *who)).collect();
        owed.sort_unstable_by_key(|&(ns, who)| (Reverse(ns), who));
        owed
    }

    /// Largest first.
    pub(crate) fn classes(
        &self,
        interval: impl Fn(Class) -> Option<ShareInterval>,
    ) -> Vec<ClassBlame> {
        let classes: BTreeSet<_> = self.owed.keys().map(|(class, _)| *class).collect();
        let row = |class| ClassBlame {
            class,
            waited_ns: self.owed_to_class(class),
            interval: interval(class),
        };
        let mut blame: Vec<_> = classes.into_iter().map(row).collect();
        blame.sort_by_key(|row| Reverse(row.waited_ns));
        blame
    }

    /// Largest first; what does not fit is one row, under the class of its largest.
    pub(crate) fn culprits(
        &self,
        evidence: &Evidence,
        interval: impl Fn((Class, Owner)) -> Option<ShareInterval>,
    ) -> Vec<CulpritBlame> {
        let mut owed = self.largest_first();
        let rest = owed.split_off(owed.len().min(ROWS));
        let row = |&(waited_ns, who): &(u64, (Class, Owner))| {
            let (class, culprit) = (who.0, evidence.culprit(who.1));
            CulpritBlame { class, culprit, waited_ns, interval: interval(who) }
        };
        let mut rows: Vec<_> = owed.iter().map(row).collect();
        if let Some(&(_, (class, _))) = rest.first() {
            let waited_ns = rest.iter().fold(0, |sum: u64, (owed, _)| sum.saturating_add(*owed));
            let culprit = Culprit { name: OTHER.into(), ..Culprit::default() };
            rows.push(CulpritBlame { class, culprit, waited_ns, interval: None });
        }
        rows
    }
}

#[cfg(test)]
mod tests;
