//! What the records tell of quotas: when a cgroup that had used up its own got more, and where.

use std::collections::BTreeMap;

use cronx_abi::RefillRecord;
use cronx_recording::CaptureHeader;

use crate::anomaly::Counts;

/// What stops where a cgroup is out of quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stops {
    /// Its whole queue of that CPU, as soon as the one of its threads that runs there is switched out.
    Queue,
    /// Each thread by itself, when it returns to user code; one that waits may still be switched in.
    /// Since kernel 6.18.
    Thread,
}

/// The refills seen, and how this kernel throttles.
#[derive(Debug, Default)]
pub(crate) struct Quota {
    /// `None` if no refill could be seen: nobody had a quota, or the kernel does not show it.
    pub(crate) stops: Option<Stops>,
    /// Instants, by the CPU of the queue that was out of quota till then, and cgroup.
    refills: BTreeMap<(u16, u64), Vec<u64>>,
}

/// The hook that sees refills, and the field that only kernels have that stop threads by themselves.
const HOOK: &str = "hrtimer_expire_entry";
const FIELD: &str = "TASK_THROTTLED";

impl Quota {
    pub(crate) fn new(header: &CaptureHeader) -> Self {
        let sees_refills = header.hooks.iter().any(|hook| hook == HOOK);
        let stops = if header.offsets.contains_key(FIELD) { Stops::Thread } else { Stops::Queue };
        Self { stops: sees_refills.then_some(stops), refills: BTreeMap::new() }
    }

    pub(crate) fn add(&mut self, record: &RefillRecord, anomalies: &mut Counts) {
        anomalies.add("refill_of_no_cgroup", u64::from(record.cgroup == 0));
        self.refills.entry((record.queue, record.cgroup)).or_default().push(record.header.at_ns);
    }

    /// To be called once all is there: a timer expires on any CPU.
    pub(crate) fn sort(&mut self) {
        for instants in self.refills.values_mut() {
            instants.sort_unstable();
            instants.dedup();
        }
    }

    /// By cgroup, the refills of the queue of `cpu` from one instant to another, both included.
    pub(crate) fn refills(
        &self,
        cpu: u16,
        from_ns: u64,
        to_ns: u64,
    ) -> impl Iterator<Item = (u64, &[u64])> {
        let of_queue = self.refills.range((cpu, 0)..=(cpu, u64::MAX));
        of_queue.filter_map(move |((_, cgroup), instants)| {
            let first = instants.partition_point(|&at_ns| at_ns < from_ns);
            let after = instants.partition_point(|&at_ns| at_ns <= to_ns);
            Some((*cgroup, instants.get(first..after).filter(|within| !within.is_empty())?))
        })
    }
}
