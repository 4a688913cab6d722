//! Four rules of thumb, each as the tool that has it applies it, on the records of a wait.

use cronx_abi::{TaskKey, WaitRecord};
use serde::Serialize;

use crate::slices::Slices;

/// A rule and whom it blames for how long; nobody is the key of the idle task.
pub type Rule = fn(&WaitRecord, &Slices) -> Vec<(TaskKey, u64)>;

/// One figure for each rule.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct ByRule<T> {
    /// The whole wait to the task that ran when the victim was switched in (runqslower).
    pub ran_just_before: T,
    /// The whole wait to who was switched in when the victim was preempted, or to who ran when it was
    /// woken.
    pub last_preemptor: T,
    /// To each task what it ran meanwhile on the CPU on which the victim ran next; interrupts are not
    /// taken out, throttling and changes of the queue not known (schedviz).
    pub overlap_of_tasks: T,
    /// The names of whose waits are long: the victim's own (systing).
    pub victim_list: T,
}

/// All of them.
pub const RULES: ByRule<Rule> =
    ByRule { ran_just_before, last_preemptor, overlap_of_tasks, victim_list };

impl<T> ByRule<T> {
    pub fn map<U>(self, mut of: impl FnMut(T) -> U) -> ByRule<U> {
        ByRule {
            ran_just_before: of(self.ran_just_before),
            last_preemptor: of(self.last_preemptor),
            overlap_of_tasks: of(self.overlap_of_tasks),
            victim_list: of(self.victim_list),
        }
    }
}

fn length_ns(wait: &WaitRecord) -> u64 {
    wait.header.at_ns - wait.wait.open_ns
}

fn ran_just_before(wait: &WaitRecord, _: &Slices) -> Vec<(TaskKey, u64)> {
    vec![(wait.slice.task, length_ns(wait))]
}

fn last_preemptor(wait: &WaitRecord, slices: &Slices) -> Vec<(TaskKey, u64)> {
    // Where it was preempted its own slice ended then, and the next one's began.
    let (cpu, at_ns) = (wait.wait.first_cpu, wait.wait.queued_ns);
    let occupant = slices.within(cpu, at_ns, at_ns + 1).first();
    occupant.map(|slice| (slice.task, length_ns(wait))).into_iter().collect()
}

fn overlap_of_tasks(wait: &WaitRecord, slices: &Slices) -> Vec<(TaskKey, u64)> {
    let (from_ns, to_ns) = (wait.wait.open_ns, wait.header.at_ns);
    let ran = slices.within(wait.wait.cpu, from_ns, to_ns).iter();
    ran.map(|slice| (slice.task, slice.to_ns.min(to_ns) - slice.from_ns.max(from_ns))).collect()
}

fn victim_list(wait: &WaitRecord, _: &Slices) -> Vec<(TaskKey, u64)> {
    vec![(wait.wait.victim, length_ns(wait))]
}

#[cfg(test)]
mod tests;
