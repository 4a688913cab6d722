//! Until when a thread was throttled: from the opening of its wait to a refill of its cgroup's quota,
//! or of one above it, within the wait. Which of several let it go, nobody knows.
//!
//! ```text
//! open            first refill             last refill        close
//!   |  throttled       |  unknown: it may have    |  queued       |
//!   |                  |  been throttled on       |  as any other |
//! ```
//! What was lost, and what another cgroup had that may be one above, may have been a refill too. A closed
//! wait without a certain refill is unknown as a whole: that it was throttled is certain, until when is
//! not. An open one was throttled to the end of the window, or to its first refill: whether any let it
//! go, nobody knows.

use std::collections::BTreeMap;

use cronx_abi::{RefillRecord, wait_flag};

use crate::anomaly::Counts;
use crate::evidence::Evidence;
use crate::names::Named;
use crate::waits::Interval;

/// The instants of every refill seen, by cgroup.
#[derive(Debug, Default)]
pub(crate) struct Refills(BTreeMap<u64, Vec<u64>>);

impl Refills {
    pub(crate) fn add(&mut self, record: &RefillRecord, anomalies: &mut Counts) {
        anomalies.add("refill_of_no_cgroup", u64::from(record.cgroup == 0));
        self.0.entry(record.cgroup).or_default().push(record.header.at_ns);
    }

    /// To be called once all is there: a timer expires on any CPU.
    pub(crate) fn sort(&mut self) {
        self.0.values_mut().for_each(|instants| instants.sort_unstable());
    }

    /// The first and the last one within the wait, of the cgroups that are its.
    fn within(&self, interval: &Interval, is_its: impl Fn(u64) -> bool) -> Option<(u64, u64)> {
        let (open_ns, close_ns) = (interval.wait.open_ns, interval.close_ns);
        let its = self.0.iter().filter(|(of, _)| is_its(**of));
        let within = its.filter_map(|(_, instants)| {
            let first = instants.partition_point(|&at_ns| at_ns < open_ns);
            let after = instants.partition_point(|&at_ns| at_ns <= close_ns);
            let instants = instants.get(first..after)?;
            Some((*instants.first()?, *instants.last()?))
        });
        within.reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)))
    }
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

/// How long `interval` was throttled.
pub(crate) fn throttle(
    interval: &Interval,
    evidence: &Evidence,
    anomalies: &mut Counts,
) -> Throttle {
    let (open_ns, close_ns) = (interval.wait.open_ns, interval.close_ns);
    let Evidence { refills, losses, .. } = evidence;
    if interval.wait.flags & wait_flag::THROTTLED == 0 {
        return Throttle { until_ns: open_ns, doubtful_until_ns: open_ns };
    }
    let told = interval.victim.told;
    anomalies.add("throttled_in_no_cgroup", u64::from(told && interval.victim.cgroup == 0));
    let its = |wanted| refills.within(interval, |of| of_victim(of, interval, evidence) == wanted);
    let (certain, perhaps) = (its(Some(true)), its(None));
    let lost = losses.first_within(open_ns, close_ns).zip(losses.last_within(open_ns, close_ns));
    match certain {
        Some(certain) => {
            let all = [Some(certain), perhaps, lost].into_iter().flatten();
            let (until_ns, last_ns) = all
                .reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)))
                .unwrap_or(certain);
            // Whether the last one let it go, only its switch-in would say.
            let doubtful_until_ns = if interval.censored { close_ns } else { last_ns };
            Throttle { until_ns, doubtful_until_ns }
        }
        None if interval.censored && told && perhaps.is_none() => Throttle {
            until_ns: lost.map_or(close_ns, |(first_ns, _)| first_ns),
            doubtful_until_ns: close_ns,
        },
        None => {
            anomalies.count("throttled_without_refill");
            Throttle { until_ns: open_ns, doubtful_until_ns: close_ns }
        }
    }
}

/// Whether a refill of `cgroup` lets the victim run. If the kernel could not name the victim's
/// cgroup, any does; of a thread that no record told of, and where a path is missing, nobody knows.
fn of_victim(cgroup: u64, interval: &Interval, evidence: &Evidence) -> Option<bool> {
    match interval.victim {
        Named { told: false, .. } => None,
        Named { cgroup: 0, .. } => Some(true),
        Named { cgroup: own, .. } => evidence.classes.cgroups.holds(cgroup, own),
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
