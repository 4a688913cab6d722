//! Evidence against itself, counted by kind. The kinds are stable names: people grep for them.

use std::collections::BTreeMap;

use cronx_recording::Anomalies;

/// How many of each kind.
#[derive(Debug, Default)]
pub(crate) struct Counts(BTreeMap<&'static str, u64>);

impl Counts {
    pub(crate) fn count(&mut self, kind: &'static str) {
        self.add(kind, 1);
    }

    /// Adding 0 leaves no trace: a kind stands in the Report only if it happened.
    pub(crate) fn add(&mut self, kind: &'static str, n: u64) {
        if n > 0 {
            let total = self.0.entry(kind).or_default();
            *total = total.saturating_add(n);
        }
    }

    pub(crate) fn into_report(self) -> Anomalies {
        self.0.into_iter().map(|(kind, n)| (kind.to_owned(), n)).collect()
    }
}
