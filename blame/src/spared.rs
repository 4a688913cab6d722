//! The waits that were counted in the kernel and have no record: how many, how long, and where.

use cronx_abi::bucket;
use cronx_recording::{Capture, Counted, MetricName, SparedWaits};

use crate::Options;
use crate::anomaly::Counts;

/// More than any machine counts, and few enough that sums of such counts stay numbers.
const IMPLAUSIBLE: u64 = 1 << 50;

/// What each CPU counted, as far as it can be.
#[derive(Debug)]
pub(crate) struct Spared<'a> {
    cpus: Vec<(u16, &'a cronx_recording::Spared)>,
    summary: Option<SparedWaits>,
}

impl<'a> Spared<'a> {
    pub(crate) const NONE: Self = Self { cpus: Vec::new(), summary: None };

    /// A filter asks for threads by name, and nobody knows whose these were: then there are none.
    pub(crate) fn new(capture: &'a Capture, options: &Options, anomalies: &mut Counts) -> Self {
        let floor_ns = capture.header.floor_ns;
        let cpus = capture.trailer.iter().flat_map(|trailer| &trailer.cpus);
        let spared = cpus.filter_map(|cpu| Some((u16::try_from(cpu.cpu).ok()?, &cpu.spared)));
        let mut cpus = Vec::new();
        for (cpu, spared) in spared.filter(|(_, spared)| has_any(spared)) {
            match refusal(spared, floor_ns) {
                Some(kind) => anomalies.count(kind),
                None => cpus.push((cpu, spared)),
            }
        }
        if floor_ns == 0 {
            return Self::NONE;
        }
        let sum = |of: fn(&Counted) -> u64| {
            cpus.iter().fold(0, |sum: u64, (_, s)| sum.saturating_add(of(&s.wake_to_run)))
        };
        let left_out = options.process.is_some() || options.thread.is_some();
        let (waits, waited_ns) = (sum(count), sum(|counted| counted.sum_ns));
        let summary = Some(SparedWaits { floor_ns, waits, waited_ns, left_out });
        Self { cpus: if left_out { Vec::new() } else { cpus }, summary }
    }

    /// What the Report says of them.
    pub(crate) fn summary(&self) -> Option<SparedWaits> {
        self.summary
    }

    /// The floor and how many lie below it, where they count.
    pub(crate) fn below(&self) -> Option<(u64, u64)> {
        let spared = self.summary.filter(|spared| !spared.left_out)?;
        Some((spared.floor_ns, spared.waits))
    }

    /// Those of a metric by CPU.
    pub(crate) fn of(&self, name: MetricName) -> impl Iterator<Item = (u16, &'a Counted)> {
        let of_metric = move |spared: &'a cronx_recording::Spared| match name {
            MetricName::WakeToRun => Some(&spared.wake_to_run),
            MetricName::Placement => Some(&spared.placement),
            MetricName::RunQueue => Some(&spared.run_queue),
            // What has no record has no tiles.
            MetricName::SelfCaused => None,
        };
        let counted = self.cpus.iter().filter_map(move |(cpu, s)| Some((*cpu, of_metric(s)?)));
        counted.filter(|(_, counted)| count(counted) > 0)
    }
}

fn parts(spared: &cronx_recording::Spared) -> [&Counted; 3] {
    [&spared.wake_to_run, &spared.placement, &spared.run_queue]
}

fn has_any(spared: &cronx_recording::Spared) -> bool {
    parts(spared).iter().any(|counted| **counted != Counted::default())
}

fn count(counted: &Counted) -> u64 {
    counted.counts.values().fold(0, |sum, n| sum.saturating_add(*n))
}

/// Why a CPU's counts cannot be what they say.
fn refusal(spared: &cronx_recording::Spared, floor_ns: u64) -> Option<&'static str> {
    let highest = |counted: &Counted| counted.counts.keys().next_back().copied();
    let any = |of: &dyn Fn(&Counted) -> bool| parts(spared).iter().any(|counted| of(counted));
    match floor_ns {
        0 => Some("spared_without_floor"),
        _ if any(&|c| highest(c).is_some_and(|b| b as usize >= bucket::COUNT)) => {
            Some("unknown_bucket")
        }
        _ if any(&|c| c.max_ns >= floor_ns) => Some("spared_above_floor"),
        _ if any(&|c| count(c) > IMPLAUSIBLE || !adds_up(c)) => Some("implausible_count"),
        _ => None,
    }
}

/// Whether the sum lies between the longest alone and as many as there are of it.
fn adds_up(counted: &Counted) -> bool {
    let most_ns = u128::from(count(counted)) * u128::from(counted.max_ns);
    counted.max_ns <= counted.sum_ns && u128::from(counted.sum_ns) <= most_ns
}

#[cfg(test)]
mod tests;
