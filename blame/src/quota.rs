//! Until when a thread was throttled: from the opening of its wait to the last refill of its
//! cgroup's quota, or of one above it, within the wait.
//!
//! ```text
//! open            last refill              last loss          close
//!   |  throttled       |  unknown: it may have    |  queued       |
//!   |                  |  been throttled on       |  as any other |
//! ```
//! A closed wait without a refill is unknown as a whole: that it was throttled is certain, until
//! when is not. An open one was throttled to the end of the window.

use std::collections::BTreeMap;

use cronx_abi::{RefillRecord, wait_flag};

use crate::anomaly::Counts;
use crate::cgroups::Cgroups;
use crate::order::Hole;
use crate::waits::Interval;

/// Every refill seen, and where others may have been lost.
#[derive(Debug, Default)]
pub(crate) struct Quota {
    /// Instants by cgroup, of any CPU.
    refills: BTreeMap<u64, Vec<u64>>,
    /// A timer expires on any CPU, so what any of them lost may have been a refill.
    lost: Vec<Hole>,
}

/// The part of a wait before it could run: `[open, until_ns)` throttled, `[until_ns,
/// doubtful_until_ns)` perhaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Throttle {
    pub(crate) until_ns: u64,
    pub(crate) doubtful_until_ns: u64,
}

/// What a thread on a queue is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Throttled,
    /// Throttled or waiting: nobody knows.
    Doubtful,
    Waiting,
}

impl Quota {
    pub(crate) fn refill(&mut self, record: &RefillRecord, anomalies: &mut Counts) {
        anomalies.add("refill_of_no_cgroup", u64::from(record.cgroup == 0));
        self.refills.entry(record.cgroup).or_default().push(record.header.at_ns);
    }

    pub(crate) fn lost(&mut self, holes: &[Hole]) {
        self.lost.extend(holes);
    }

    /// To be called once all is there.
    pub(crate) fn sort(&mut self) {
        self.refills.values_mut().for_each(|instants| instants.sort_unstable());
    }

    /// How long `interval` was throttled.
    pub(crate) fn throttle(
        &self,
        interval: &Interval,
        cgroups: &Cgroups,
        anomalies: &mut Counts,
    ) -> Throttle {
        let (open_ns, close_ns) = (interval.wait.open_ns, interval.close_ns);
        if interval.wait.flags & wait_flag::THROTTLED == 0 {
            return Throttle { until_ns: open_ns, doubtful_until_ns: open_ns };
        }
        if interval.victim.told && interval.victim.cgroup == 0 {
            anomalies.count("throttled_in_no_cgroup");
        }
        match self.last_refill(interval, cgroups) {
            Some(at_ns) => Throttle {
                until_ns: at_ns,
                doubtful_until_ns: self.last_loss(at_ns, close_ns).unwrap_or(at_ns),
            },
            None if interval.censored && interval.victim.told => Throttle {
                until_ns: self.first_loss(open_ns, close_ns).unwrap_or(close_ns),
                doubtful_until_ns: close_ns,
            },
            None => {
                anomalies.count("throttled_without_refill");
                Throttle { until_ns: open_ns, doubtful_until_ns: close_ns }
            }
        }
    }

    /// A cgroup that the kernel could not name takes any refill; a thread that no record told of
    /// takes none, since it had one.
    fn last_refill(&self, interval: &Interval, cgroups: &Cgroups) -> Option<u64> {
        let (open_ns, close_ns) = (interval.wait.open_ns, interval.close_ns);
        let victim = &interval.victim;
        let is_its =
            |of: u64| victim.told && (victim.cgroup == 0 || cgroups.holds(of, victim.cgroup));
        let within =
            self.refills.iter().filter(|(of, _)| is_its(**of)).filter_map(|(_, instants)| {
                let before = instants.partition_point(|&at_ns| at_ns <= close_ns);
                instants[..before].last().copied().filter(|&at_ns| at_ns >= open_ns)
            });
        within.max()
    }

    /// Until when a refill may have been lost that came after `at_ns`.
    fn last_loss(&self, at_ns: u64, close_ns: u64) -> Option<u64> {
        let within = self.lost.iter().filter(|h| h.before_ns > at_ns && h.after_ns <= close_ns);
        within.map(|hole| hole.before_ns.min(close_ns)).max()
    }

    /// From when on a refill may have been lost.
    fn first_loss(&self, open_ns: u64, close_ns: u64) -> Option<u64> {
        let within = self.lost.iter().filter(|h| h.before_ns >= open_ns && h.after_ns < close_ns);
        within.map(|hole| hole.after_ns.max(open_ns)).min()
    }
}

impl Throttle {
    /// `[from_ns, to_ns)` by phase, in order; parts may be empty.
    pub(crate) fn parts(self, from_ns: u64, to_ns: u64) -> [(Phase, u64, u64); 3] {
        let throttled_ns = self.until_ns.clamp(from_ns, to_ns);
        let doubtful_ns = self.doubtful_until_ns.clamp(throttled_ns, to_ns);
        [
            (Phase::Throttled, from_ns, throttled_ns),
            (Phase::Doubtful, throttled_ns, doubtful_ns),
            (Phase::Waiting, doubtful_ns, to_ns),
        ]
    }

    /// Whether a wait that begins at `from_ns` does so out of doubt.
    pub(crate) fn leaves_doubt_at(self, from_ns: u64) -> bool {
        self.until_ns < self.doubtful_until_ns && self.doubtful_until_ns == from_ns
    }
}

#[cfg(test)]
mod tests;
