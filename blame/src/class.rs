//! Whose doing a tile is in its kind, as far as it depends on who waited: the first that matches.

use cronx_abi::task_flag;
use cronx_recording::{Class, Target};

use crate::cgroups::Cgroups;
use crate::names::Named;
use crate::owners::{Entry, Kind};

/// What the recording was of, and the cgroups that its tasks were in.
#[derive(Debug)]
pub(crate) struct Classes<'a> {
    pub(crate) target: &'a Target,
    pub(crate) cgroups: Cgroups<'a>,
}

impl Classes<'_> {
    /// The class of what `entry` is to a victim.
    pub(crate) fn of(&self, entry: &Entry, victim: &Named) -> Class {
        match &entry.kind {
            Kind::Plain(class) => *class,
            Kind::Interrupt { layer: cronx_abi::layer::SOFTIRQ, .. } => Class::Softirq,
            Kind::Interrupt { .. } => Class::Irq,
            Kind::Task(task) => self.of_task(task, victim),
        }
    }

    /// A task that no record told of may be any of these.
    fn of_task(&self, task: &Named, victim: &Named) -> Class {
        let is = |flag| task.flags & flag != 0;
        match task {
            _ if !task.told => Class::Unknown,
            _ if is(task_flag::PROFILER) => Class::Profiler,
            _ if task.is_real_time() => Class::Rt,
            _ if is(task_flag::KERNEL) => Class::Kernel,
            _ if task.task.tgid == victim.task.tgid => Class::Own,
            // Where everybody is watched there is no load.
            _ if is(task_flag::WATCHED) && *self.target != Target::All => Class::Load,
            // It may be in the task's cgroup.
            _ if !victim.told => Class::Unknown,
            _ if self.cgroups.share(task.cgroup, victim.cgroup) => Class::Cgroup,
            _ => Class::Foreign,
        }
    }
}

#[cfg(test)]
mod tests;
