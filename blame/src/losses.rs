//! Where records of any CPU may be missing: for evidence that any CPU could have told.

use crate::order::Hole;

/// The holes of all CPUs, in order once they are [settled](Losses::settle), and none touching another.
#[derive(Debug, Default)]
pub(crate) struct Losses(Vec<Hole>);

impl Losses {
    pub(crate) fn add(&mut self, holes: &[Hole]) {
        self.0.extend(holes);
    }

    /// To be called once all are there, and before anything is asked.
    pub(crate) fn settle(&mut self) {
        self.0.sort_unstable_by_key(|hole| (hole.after_ns, hole.before_ns));
        self.0.dedup_by(|next, last| {
            let touches = next.after_ns <= last.before_ns;
            if touches {
                last.before_ns = last.before_ns.max(next.before_ns);
            }
            touches
        });
    }

    fn overlapping(&self, from_ns: u64, to_ns: u64) -> &[Hole] {
        let first = self.0.partition_point(|hole| hole.before_ns <= from_ns);
        let after = self.0.partition_point(|hole| hole.after_ns <= to_ns);
        self.0.get(first..after).unwrap_or_default()
    }

    /// Whether a record of between the two may be missing.
    pub(crate) fn any_within(&self, from_ns: u64, to_ns: u64) -> bool {
        !self.overlapping(from_ns, to_ns).is_empty()
    }

    /// From when on one may be missing.
    pub(crate) fn first_within(&self, from_ns: u64, to_ns: u64) -> Option<u64> {
        self.overlapping(from_ns, to_ns).first().map(|hole| hole.after_ns.max(from_ns))
    }

    /// Until when one may be missing.
    pub(crate) fn last_within(&self, from_ns: u64, to_ns: u64) -> Option<u64> {
        self.overlapping(from_ns, to_ns).last().map(|hole| hole.before_ns.min(to_ns))
    }
}
