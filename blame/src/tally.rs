//! Nanoseconds by owner, and from them the blame by class and by culprit.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use cronx_recording::{Class, ClassBlame, Culprit, CulpritBlame};

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
    owed: HashMap<(Class, Owner), u64>,
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

    pub(crate) fn unknown_ns(&self) -> u64 {
        let unknown = self.owed.iter().filter(|((class, _), _)| *class == Class::Unknown);
        unknown.fold(0, |sum, (_, owed)| sum.saturating_add(*owed))
    }

    /// Whom most is owed to; of equals the first class and owner.
    pub(crate) fn largest(&self) -> Option<((Class, Owner), u64)> {
        let owed = self.owed.iter().map(|(who, ns)| (*who, *ns));
        owed.max_by_key(|&(who, ns)| (ns, Reverse(who)))
    }

    /// Largest first.
    pub(crate) fn classes(&self) -> Vec<ClassBlame> {
        let mut by_class: BTreeMap<Class, u64> = BTreeMap::new();
        for ((class, _), waited_ns) in &self.owed {
            let owed = by_class.entry(*class).or_default();
            *owed = owed.saturating_add(*waited_ns);
        }
        let mut blame: Vec<_> = by_class
            .into_iter()
            .map(|(class, waited_ns)| ClassBlame { class, waited_ns })
            .collect();
        blame.sort_by_key(|b| std::cmp::Reverse(b.waited_ns));
        blame
    }

    /// Largest first; what does not fit is one row, under the class of its largest.
    pub(crate) fn culprits(&self, evidence: &Evidence) -> Vec<CulpritBlame> {
        let mut owed: Vec<_> = self.owed.iter().map(|(who, ns)| (Reverse(*ns), *who)).collect();
        owed.sort_unstable();
        let rest = owed.split_off(owed.len().min(ROWS));
        let row = |&(Reverse(waited_ns), (class, owner)): &(Reverse<u64>, (Class, Owner))| {
            CulpritBlame { class, culprit: evidence.culprit(owner), waited_ns }
        };
        let mut rows: Vec<_> = owed.iter().map(row).collect();
        if let Some(&(_, (class, _))) = rest.first() {
            let owed = rest.iter().map(|(Reverse(waited_ns), _)| waited_ns);
            let waited_ns = owed.fold(0, |sum: u64, owed| sum.saturating_add(*owed));
            let culprit = Culprit { name: OTHER.into(), ..Culprit::default() };
            rows.push(CulpritBlame { class, culprit, waited_ns });
        }
        rows
    }
}

#[cfg(test)]
mod tests;
