//! Where records of any CPU may be missing: for evidence that any CPU could have told.

use crate::order::Hole;

/// Every hole of every CPU.
#[derive(Debug, Default)]
pub(crate) struct Losses(Vec<Hole>);

impl Losses {
    pub(crate) fn add(&mut self, holes: &[Hole]) {
        self.0.extend(holes);
    }

    fn overlapping(&self, from_ns: u64, to_ns: u64) -> impl Iterator<Item = &Hole> {
        self.0.iter().filter(move |hole| hole.before_ns > from_ns && hole.after_ns <= to_ns)
    }

    /// Whether a record of between the two may be missing.
    pub(crate) fn any_within(&self, from_ns: u64, to_ns: u64) -> bool {
        self.overlapping(from_ns, to_ns).next().is_some()
    }

    /// From when on one may be missing.
    pub(crate) fn first_within(&self, from_ns: u64, to_ns: u64) -> Option<u64> {
        self.overlapping(from_ns, to_ns).map(|hole| hole.after_ns.max(from_ns)).min()
    }

    /// Until when one may be missing.
    pub(crate) fn last_within(&self, from_ns: u64, to_ns: u64) -> Option<u64> {
        self.overlapping(from_ns, to_ns).map(|hole| hole.before_ns.min(to_ns)).max()
    }
}
