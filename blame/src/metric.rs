//! The distributions: wake-to-run, placement and run-queue latency, over all waits and by axis.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use cronx_abi::opening;
use cronx_recording::histogram::{empty, encode, quantile};
use cronx_recording::{Keyed, Metric, MetricName, Quantiles, Untrusted};
use hdrhistogram::Histogram;

use crate::names::{Name, Strings};
use crate::tally::{OTHER, ROWS};
use crate::waits::Interval;

/// The three metrics, in the order of the Report.
pub(crate) fn metrics(closed: &[Interval], strings: &Strings) -> Vec<Metric> {
    [MetricName::WakeToRun, MetricName::Placement, MetricName::RunQueue]
        .map(|name| metric(name, closed, strings))
        .to_vec()
}

fn metric(name: MetricName, closed: &[Interval], strings: &Strings) -> Metric {
    let mut all = Distribution::new();
    values(name, closed).for_each(|(_, value_ns)| all.record(value_ns));
    let axis = |key: fn(&Interval) -> Key| by_axis(name, closed, key, strings);
    Metric {
        name,
        all: all.quantiles(),
        by_process: axis(|interval| Key::Name(interval.victim.process)),
        by_thread: axis(|interval| Key::Name(interval.victim.thread)),
        by_cpu: axis(|interval| Key::Cpu(interval.wait.cpu)),
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
    Cpu(u16),
}

impl Key {
    fn text(self, strings: &Strings) -> Untrusted {
        match self {
            Self::Name(name) => strings.text(name),
            Self::Cpu(cpu) => cpu.to_string().into(),
        }
    }
}

/// Sums first and histograms after: a histogram takes 100 KiB and a machine has a million names.
fn by_axis(
    name: MetricName,
    closed: &[Interval],
    key: fn(&Interval) -> Key,
    strings: &Strings,
) -> Vec<Keyed> {
    let keys = most_waited(values(name, closed).map(|(i, value_ns)| (key(i), value_ns)));
    let kept: HashSet<Key> = keys.iter().copied().collect();
    let mut distributions: HashMap<Option<Key>, Distribution> = HashMap::new();
    for (interval, value_ns) in values(name, closed) {
        let key = Some(key(interval)).filter(|key| kept.contains(key));
        distributions.entry(key).or_insert_with(Distribution::new).record(value_ns);
    }
    let order = keys.into_iter().map(Some).chain([None]);
    let keyed = |key: Option<Key>| {
        let quantiles = distributions.get(&key)?.quantiles();
        let key = key.map_or_else(|| OTHER.into(), |key| key.text(strings));
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

/// A histogram, and beside it what it would round.
struct Distribution {
    histogram: Histogram<u64>,
    sum_ns: u64,
    max_ns: u64,
}

impl Distribution {
    fn new() -> Self {
        Self { histogram: empty(), sum_ns: 0, max_ns: 0 }
    }

    fn record(&mut self, value_ns: u64) {
        self.histogram.record(value_ns).expect("it grows, and no wait is longer than 2^50 ns");
        self.sum_ns = self.sum_ns.saturating_add(value_ns);
        self.max_ns = self.max_ns.max(value_ns);
    }

    fn quantiles(&self) -> Quantiles {
        let at = |q| quantile(&self.histogram, q);
        Quantiles {
            count: self.histogram.len(),
            sum_ns: self.sum_ns,
            p50_ns: at(0.5),
            p90_ns: at(0.9),
            p99_ns: at(0.99),
            p999_ns: at(0.999),
            max_ns: self.max_ns,
            histogram: encode(&self.histogram),
        }
    }
}

#[cfg(test)]
mod tests;
