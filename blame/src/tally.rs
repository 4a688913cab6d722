//! Nanoseconds by owner, and from them the blame by class and by culprit.

use std::collections::BTreeMap;

use cronx_recording::{Class, ClassBlame, Culprit, CulpritBlame};

use crate::names::Strings;
use crate::owners::{Owner, Owners};
use crate::tile::Tile;

/// Rows of a list before the rest becomes `(other)`.
pub(crate) const ROWS: usize = 256;

/// The name of the rest.
pub(crate) const OTHER: &str = "(other)";

/// What some waits were owed to.
#[derive(Debug)]
pub(crate) struct Tally {
    by_owner: Vec<u64>,
    pub(crate) waits: u64,
    pub(crate) waited_ns: u64,
}

impl Tally {
    pub(crate) fn new(owners: &Owners) -> Self {
        Self { by_owner: vec![0; owners.len()], waits: 0, waited_ns: 0 }
    }

    /// Adds the tiles of one wait.
    pub(crate) fn add(&mut self, tiles: &[Tile]) {
        self.waits += 1;
        for tile in tiles {
            let owed = &mut self.by_owner[tile.owner.index()];
            *owed = owed.saturating_add(tile.length_ns());
            self.waited_ns = self.waited_ns.saturating_add(tile.length_ns());
        }
    }

    pub(crate) fn unknown_ns(&self) -> u64 {
        self.by_owner[Owner::UNKNOWN.index()]
    }

    /// Largest first.
    pub(crate) fn classes(&self, owners: &Owners) -> Vec<ClassBlame> {
        let mut by_class: BTreeMap<Class, u64> = BTreeMap::new();
        for (owner, entry) in owners.iter() {
            let owed = by_class.entry(entry.class).or_default();
            *owed = owed.saturating_add(self.by_owner[owner.index()]);
        }
        let mut blame: Vec<_> = by_class
            .into_iter()
            .filter(|(_, waited_ns)| *waited_ns > 0)
            .map(|(class, waited_ns)| ClassBlame { class, waited_ns })
            .collect();
        blame.sort_by_key(|b| std::cmp::Reverse(b.waited_ns));
        blame
    }

    /// Largest first; what does not fit is one row, under the class of its largest.
    pub(crate) fn culprits(&self, owners: &Owners, strings: &Strings) -> Vec<CulpritBlame> {
        let mut owed: Vec<(u64, Owner)> = owners
            .iter()
            .map(|(owner, _)| (self.by_owner[owner.index()], owner))
            .filter(|(waited_ns, _)| *waited_ns > 0)
            .collect();
        owed.sort_unstable_by_key(|&(waited_ns, owner)| (std::cmp::Reverse(waited_ns), owner));
        let rest = owed.split_off(owed.len().min(ROWS));
        let row = |&(waited_ns, owner): &(u64, Owner)| CulpritBlame {
            class: owners.entry(owner).class,
            culprit: owners.culprit(owner, strings),
            waited_ns,
        };
        let mut rows: Vec<_> = owed.iter().map(row).collect();
        if let Some(&(_, largest)) = rest.first() {
            let class = owners.entry(largest).class;
            let waited_ns = rest.iter().fold(0, |sum: u64, (owed, _)| sum.saturating_add(*owed));
            rows.push(CulpritBlame { class, culprit: other(), waited_ns });
        }
        rows
    }
}

fn other() -> Culprit {
    Culprit { name: OTHER.into(), process: "".into(), tid: 0, tgid: 0 }
}

#[cfg(test)]
mod tests;
