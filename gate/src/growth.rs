//! Whose blame grew from one set of recordings to another.

use std::collections::BTreeMap;

use cronx_recording::{Class, Report, Untrusted};
use serde::Serialize;

/// One culprit before and after, in nanoseconds for each wait of the tail.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Growth {
    /// What kind of doing it is.
    pub class: Class,
    /// The culprit's name; empty for classes without culprits.
    pub name: Untrusted,
    /// The name of its process; empty if it is no task.
    pub process: Untrusted,
    /// Of the base.
    pub before_ns: f64,
    /// Of the candidate.
    pub after_ns: f64,
}

impl Growth {
    /// By how much; below nothing if it shrank.
    pub fn by_ns(&self) -> f64 {
        self.after_ns - self.before_ns
    }
}

type Key = (Class, Untrusted, Untrusted);

/// Every culprit of either side, the one that grew most first. The numbers of threads differ from
/// recording to recording, so culprits are the same by name.
pub fn by_culprit(base: &[&Report], candidate: &[&Report]) -> Vec<Growth> {
    let (mut before, mut after) = (tail(base), tail(candidate));
    let mut keys: Vec<_> = before.keys().chain(after.keys()).cloned().collect();
    keys.sort_unstable();
    keys.dedup();
    let growth = |key: Key| {
        let before_ns = before.remove(&key).unwrap_or_default();
        let after_ns = after.remove(&key).unwrap_or_default();
        let (class, name, process) = key;
        Growth { class, name, process, before_ns, after_ns }
    };
    let mut grown: Vec<_> = keys.into_iter().map(growth).collect();
    grown.sort_by(|a, b| b.by_ns().total_cmp(&a.by_ns()));
    grown
}

/// Nanoseconds for each wait of the tail, by culprit; of all waits where there are too few for a tail.
fn tail(reports: &[&Report]) -> BTreeMap<Key, f64> {
    let mut waits = 0;
    let mut owed: BTreeMap<Key, u64> = BTreeMap::new();
    for report in reports {
        let (more, culprits) = match &report.tail {
            Some(tail) => (tail.waits, &tail.culprits),
            None => (report.waits, &report.culprits),
        };
        waits += more;
        for blame in culprits {
            let key = (blame.class, blame.culprit.name.clone(), blame.culprit.process.clone());
            let sum = owed.entry(key).or_default();
            *sum = sum.saturating_add(blame.waited_ns);
        }
    }
    let waits = waits.max(1) as f64;
    owed.into_iter().map(|(key, ns)| (key, ns as f64 / waits)).collect()
}

#[cfg(test)]
mod tests;
