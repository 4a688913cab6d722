//! The distributions: wake-to-run, placement and run-queue latency, over all waits and by axis.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use cronx_abi::opening;
use cronx_recording::{Keyed, Metric, MetricName, Untrusted};

use crate::distribution::Distribution;
use crate::evidence::Evidence;
use crate::names::Name;
use crate::spared::Spared;
use crate::tally::{OTHER, ROWS};
use crate::waits::Interval;

/// The three metrics, in the order of the Report.
pub(crate) fn metrics(closed: &[Interval], spared: &Spared, evidence: &Evidence) -> Vec<Metric> {
    [MetricName::WakeToRun, MetricName::Placement, MetricName::RunQueue]
        .map(|name| metric(name, closed, spared, evidence))
        .to_vec()
}

/// Who waited too briefly for a record is not known, but where.
fn metric(name: MetricName, closed: &[Interval], spared: &Spared, evidence: &Evidence) -> Metric {
    let mut all = Distribution::default();
    values(name, closed).for_each(|(_, value_ns)| all.record(value_ns));
    spared.of(name).for_each(|(_, counted)| all.merge(counted));
    let axis = |key: fn(&Interval) -> Key| by_axis(name, closed, key, &Spared::NONE, evidence);
    Metric {
        name,
        all: all.quantiles(),
        by_process: axis(|interval| Key::Name(interval.victim.process)),
        by_thread: axis(|interval| Key::Name(interval.victim.thread)),
        by_cgroup: axis(|interval| Key::Cgroup(interval.victim.cgroup)),
        by_cpu: by_axis(name, closed, |i| Key::Cpu(i.wait.cpu), spared, evidence),
    }
}

fn values(
    name: MetricName,
    closed: &[Interval],
) -> impl Iterator<Item = (&Interval, u64)> + use<'_> {
    closed.iter().filter_map(move |i| value_ns(name, i).map(|value_ns| (i, value_ns)))
}

/// Only a wake-up is placed; every wait was queued.
fn value_ns(name: MetricName, interval: &Interval) -> Option<u64> {
    let wait = &interval.wait;
    match name {
        MetricName::WakeToRun => Some(interval.length_ns()),
        MetricName::Placement => {
            (wait.opening == opening::WAKEUP).then(|| wait.queued_ns - wait.open_ns)
        }
        MetricName::RunQueue => Some(interval.close_ns - wait.queued_ns),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Key {
    Name(Name),
    Cgroup(u64),
    Cpu(u16),
}

impl Key {
    fn text(self, evidence: &Evidence) -> Untrusted {
        match self {
            Self::Name(name) => evidence.strings.text(name),
            Self::Cgroup(0) => "(unknown)".into(),
            Self::Cgroup(id) => evidence.classes.cgroups.path(id),
            Self::Cpu(cpu) => cpu.to_string().into(),
        }
    }
}

/// Sums first and histograms after: a histogram takes 100 KiB and a machine has a million names.
fn by_axis(
    name: MetricName,
    closed: &[Interval],
    key: fn(&Interval) -> Key,
    spared: &Spared,
    evidence: &Evidence,
) -> Vec<Keyed> {
    let counted = || spared.of(name).map(|(cpu, counted)| (Key::Cpu(cpu), counted));
    let recorded = values(name, closed).map(|(i, value_ns)| (key(i), value_ns));
    let keys = most_waited(recorded.chain(counted().map(|(key, c)| (key, c.sum_ns))));
    let kept: HashSet<Key> = keys.iter().copied().collect();
    let row = |key| Some(key).filter(|key| kept.contains(key));
    let mut distributions: HashMap<Option<Key>, Distribution> = HashMap::new();
    for (interval, value_ns) in values(name, closed) {
        distributions.entry(row(key(interval))).or_default().record(value_ns);
    }
    for (key, counted) in counted() {
        distributions.entry(row(key)).or_default().merge(counted);
    }
    let order = keys.into_iter().map(Some).chain([None]);
    let keyed = |key: Option<Key>| {
        let quantiles = distributions.get(&key)?.quantiles();
        let key = key.map_or_else(|| OTHER.into(), |key| key.text(evidence));
        Some(Keyed { key, quantiles })
    };
    order.filter_map(keyed).collect()
}

/// The keys that have a row of their own, most waited first.
fn most_waited(values: impl Iterator<Item = (Key, u64)>) -> Vec<Key> {
    let mut sums: HashMap<Key, u64> = HashMap::new();
    for (key, value_ns) in values {
        let sum = sums.entry(key).or_default();
        *sum = sum.saturating_add(value_ns);
    }
    let mut keys: Vec<_> = sums.into_iter().collect();
    keys.sort_unstable_by_key(|&(key, sum_ns)| (Reverse(sum_ns), key));
    keys.truncate(ROWS);
    keys.into_iter().map(|(key, _)| key).collect()
}

#[cfg(test)]
mod tests;
