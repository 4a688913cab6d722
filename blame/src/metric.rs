//! The distributions: wake-to-run, placement, run-queue latency and the part of a wait that the load
//! caused itself, over all waits and by axis.

use std::cmp::Reverse;

use cronx_abi::opening;
use cronx_recording::{Keyed, Metric, MetricName, Untrusted};
use rustc_hash::FxHashMap;

use crate::blocks::Ruler;
use crate::distribution::Distribution;
use crate::evidence::Evidence;
use crate::names::Name;
use crate::spared::Spared;
use crate::tally::{OTHER, ROWS};
use crate::waits::Interval;

/// The four metrics, in the order of the Report.
pub(crate) fn metrics(
    closed: &[Interval],
    self_caused: &[u64],
    spared: &Spared,
    evidence: &Evidence,
) -> Vec<Metric> {
    let axes = Axes {
        process: Axis::new(closed, |interval| Key::Name(interval.victim.process)),
        thread: Axis::new(closed, |interval| Key::Name(interval.victim.thread)),
        cgroup: Axis::new(closed, |interval| Key::Cgroup(interval.victim.cgroup)),
        cpu: Axis::new(closed, |interval| Key::Cpu(interval.wait.cpu)).with(spared),
    };
    let ruler = Ruler::new(evidence.started_ns, evidence.stopped_ns);
    let blocks: Vec<_> = closed.iter().map(|interval| ruler.at(interval.close_ns) as u8).collect();
    let of = |name| Values { name, closed, self_caused, blocks: &blocks };
    [MetricName::WakeToRun, MetricName::Placement, MetricName::RunQueue, MetricName::SelfCaused]
        .map(|name| metric(&of(name), &axes, spared, evidence))
        .to_vec()
}

/// One metric of every closed wait.
struct Values<'a> {
    name: MetricName,
    closed: &'a [Interval],
    /// By the number of the wait, as the block is.
    self_caused: &'a [u64],
    blocks: &'a [u8],
}

impl<'a> Values<'a> {
    /// Each value with the number of its wait.
    fn iter(&self) -> impl Iterator<Item = (usize, u64)> + use<'a, '_> {
        let values = (0..self.closed.len()).map(|wait| (wait, self.of(wait)));
        values.filter_map(|(wait, value_ns)| Some((wait, value_ns?)))
    }

    /// Only a wake-up is placed; every wait was queued.
    fn of(&self, number: usize) -> Option<u64> {
        let interval = &self.closed[number];
        let wait = &interval.wait;
        match self.name {
            MetricName::WakeToRun => Some(interval.length_ns()),
            MetricName::Placement => {
                (wait.opening == opening::WAKEUP).then(|| wait.queued_ns - wait.open_ns)
            }
            MetricName::RunQueue => Some(interval.close_ns - wait.queued_ns),
            MetricName::SelfCaused => Some(self.self_caused[number]),
        }
    }

    fn record(&self, into: &mut Distribution, (wait, value_ns): (usize, u64)) {
        into.record_in(self.blocks[wait].into(), value_ns);
    }
}

struct Axes {
    process: Axis,
    thread: Axis,
    cgroup: Axis,
    cpu: Axis,
}

/// Who waited too briefly for a record is not known, but where.
fn metric(values: &Values, axes: &Axes, spared: &Spared, evidence: &Evidence) -> Metric {
    let mut all = Distribution::default();
    values.iter().for_each(|value| values.record(&mut all, value));
    spared.of(values.name).for_each(|(_, counted)| all.merge(counted));
    let rows = |axis: &Axis, spared| axis.rows(values, spared, evidence);
    Metric {
        name: values.name,
        all: all.quantiles(),
        by_process: rows(&axes.process, &Spared::NONE),
        by_thread: rows(&axes.thread, &Spared::NONE),
        by_cgroup: rows(&axes.cgroup, &Spared::NONE),
        by_cpu: rows(&axes.cpu, spared),
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

/// The keys of one axis, and which of them each wait has: the same for all metrics.
#[derive(Default)]
struct Axis {
    keys: Vec<Key>,
    numbers: FxHashMap<Key, u32>,
    /// By the number of the wait.
    of: Vec<u32>,
}

impl Axis {
    fn new(closed: &[Interval], key: fn(&Interval) -> Key) -> Self {
        let mut axis = Self::default();
        axis.of = closed.iter().map(|interval| axis.number(key(interval))).collect();
        axis
    }

    /// The CPUs too on which waits were only counted.
    fn with(mut self, spared: &Spared) -> Self {
        for (cpu, _) in spared.of(MetricName::WakeToRun) {
            self.number(Key::Cpu(cpu));
        }
        self
    }

    fn number(&mut self, key: Key) -> u32 {
        let keys = &mut self.keys;
        *self.numbers.entry(key).or_insert_with(|| {
            keys.push(key);
            keys.len() as u32 - 1
        })
    }

    /// Sums first and histograms after: a histogram takes 100 KiB and a machine has a million names.
    fn rows(&self, values: &Values, spared: &Spared, evidence: &Evidence) -> Vec<Keyed> {
        let counted = || spared.of(values.name).map(|(cpu, c)| (self.numbers[&Key::Cpu(cpu)], c));
        let recorded = values.iter().map(|(wait, value_ns)| (self.of[wait], value_ns));
        let ranked = self.most_waited(recorded.chain(counted().map(|(key, c)| (key, c.sum_ns))));
        let rest = ranked.len().min(ROWS);
        let mut row_of = vec![rest; self.keys.len()];
        for (row, &key) in ranked.iter().enumerate().take(ROWS) {
            row_of[key as usize] = row;
        }
        let mut rows: Vec<Option<Distribution>> = (0..=rest).map(|_| None).collect();
        for (wait, value_ns) in values.iter() {
            let row = rows[row_of[self.of[wait] as usize]].get_or_insert_default();
            values.record(row, (wait, value_ns));
        }
        for (key, counted) in counted() {
            rows[row_of[key as usize]].get_or_insert_default().merge(counted);
        }
        let text = |row: usize| match ranked.get(row) {
            Some(&key) if row < ROWS => self.keys[key as usize].text(evidence),
            _ => OTHER.into(),
        };
        let keyed = |(row, found): (usize, &Option<Distribution>)| {
            Some(Keyed { key: text(row), quantiles: found.as_ref()?.quantiles() })
        };
        rows.iter().enumerate().filter_map(keyed).collect()
    }

    /// The keys that have any value, most waited first.
    fn most_waited(&self, values: impl Iterator<Item = (u32, u64)>) -> Vec<u32> {
        let mut sums = vec![None::<u64>; self.keys.len()];
        for (key, value_ns) in values {
            let sum = sums[key as usize].get_or_insert(0);
            *sum = sum.saturating_add(value_ns);
        }
        let present = (0..).zip(&sums).filter_map(|(key, sum)| Some((key, (*sum)?)));
        let mut ranked: Vec<(u32, u64)> = present.collect();
        ranked.sort_unstable_by_key(|&(key, sum_ns)| (Reverse(sum_ns), self.keys[key as usize]));
        ranked.into_iter().map(|(key, _)| key).collect()
    }
}

#[cfg(test)]
mod tests;
