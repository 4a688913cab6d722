//! Who a task was at an instant, and strings as small numbers.
//!
//! Where a TASK record was lost, what the one before it said is still believed: the probes tell a
//! task again until they could. So a lost record may leave a task under an old name or class for a
//! while; whose time it was, every slice says itself.

use cronx_abi::{TaskKey, TaskRecord, UNKNOWN_PRIORITY};
use cronx_recording::Untrusted;
use rustc_hash::FxHashMap;

use crate::anomaly::Counts;

/// A string of this Capture. Nameless tasks are named by their number, which takes no memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Name {
    Text(u32),
    Tid(u32),
}

impl Name {
    /// The empty string, which every table holds first.
    pub(crate) const EMPTY: Self = Self::Text(0);
}

/// Every string once.
#[derive(Debug)]
pub(crate) struct Strings {
    texts: Vec<Untrusted>,
    index: FxHashMap<Untrusted, u32>,
}

impl Default for Strings {
    fn default() -> Self {
        let mut strings = Self { texts: Vec::new(), index: FxHashMap::default() };
        strings.intern(Untrusted::default());
        strings
    }
}

impl Strings {
    pub(crate) fn intern(&mut self, text: Untrusted) -> Name {
        if let Some(&number) = self.index.get(&text) {
            return Name::Text(number);
        }
        let number = self.texts.len() as u32;
        self.texts.push(text.clone());
        self.index.insert(text, number);
        Name::Text(number)
    }

    pub(crate) fn text(&self, name: Name) -> Untrusted {
        match name {
            Name::Text(number) => self.texts.get(number as usize).cloned().unwrap_or_default(),
            Name::Tid(tid) => format!("tid {tid}").into(),
        }
    }

    /// Whether `name` is exactly `wanted`; no wish is granted by every name.
    pub(crate) fn is(&self, name: Name, wanted: Option<&str>) -> bool {
        wanted.is_none_or(|wanted| self.text(name).raw() == wanted)
    }
}

/// What one task was from an instant on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Named {
    pub(crate) task: TaskKey,
    pub(crate) at_ns: u64,
    /// The thread's name.
    pub(crate) thread: Name,
    /// The name of its process.
    pub(crate) process: Name,
    /// As [`TaskRecord::cgroup`].
    pub(crate) cgroup: u64,
    /// As [`TaskRecord::priority`].
    pub(crate) priority: i32,
    /// As [`TaskRecord::flags`].
    pub(crate) flags: u32,
    /// Whether any record told of it: if not, all but the numbers is unknown.
    pub(crate) told: bool,
}

impl Named {
    fn nobody(task: TaskKey, at_ns: u64) -> Self {
        Self {
            task,
            at_ns,
            thread: Name::Tid(task.tid),
            process: Name::Tid(task.tgid),
            cgroup: 0,
            priority: UNKNOWN_PRIORITY,
            flags: 0,
            told: false,
        }
    }

    /// Whether its class is a real-time one, or deadline; not if the kernel did not show it.
    pub(crate) fn is_real_time(&self) -> bool {
        /// Priorities below it are real-time ones, and below 0 deadline ones.
        const NOT_REAL_TIME: i32 = 100;
        self.known_priority().is_some_and(|priority| priority < NOT_REAL_TIME)
    }

    /// `None` if the kernel did not show it.
    pub(crate) fn known_priority(&self) -> Option<i32> {
        Some(self.priority).filter(|&priority| priority != UNKNOWN_PRIORITY)
    }
}

/// Every TASK record, by task and then by time.
#[derive(Debug, Default)]
pub(crate) struct Names(Vec<Named>);

impl Names {
    pub(crate) fn new(
        records: impl Iterator<Item = TaskRecord>,
        strings: &mut Strings,
        anomalies: &mut Counts,
    ) -> Self {
        let mut named: Vec<_> = records.map(|record| name(&record, strings)).collect();
        named.sort_unstable();
        named.dedup();
        let of_one_instant =
            |pair: &&[Named]| (pair[0].task, pair[0].at_ns) == (pair[1].task, pair[1].at_ns);
        let conflicts = named.windows(2).filter(of_one_instant).count();
        anomalies.add("conflicting_task", conflicts as u64);
        Self(named)
    }

    /// What held at `at_ns`: the latest record until then. The first record also holds for what came
    /// before it, since it may have been written a moment late.
    pub(crate) fn of(&self, task: TaskKey, at_ns: u64) -> Named {
        let after = self.0.partition_point(|n| (n.task, n.at_ns) <= (task, at_ns));
        let before = after.checked_sub(1).map(|i| self.0[i]).filter(|n| n.task == task);
        let first = self.0.get(after).copied().filter(|n| n.task == task);
        before.or(first).unwrap_or_else(|| Named::nobody(task, at_ns))
    }
}

fn name(record: &TaskRecord, strings: &mut Strings) -> Named {
    Named {
        task: record.task,
        at_ns: record.header.at_ns,
        thread: strings.intern(Untrusted::from_kernel(&record.comm)),
        process: strings.intern(Untrusted::from_kernel(&record.process)),
        cgroup: record.cgroup,
        priority: record.priority,
        flags: record.flags,
        told: true,
    }
}

#[cfg(test)]
mod tests;
