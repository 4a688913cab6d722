//! What the kernel itself counted of the victims.

use std::collections::BTreeMap;

use cronx_abi::WaitRecord;

use crate::log::Thread;
use crate::slices::Slices;

/// Below this, what a wake-up preemption waits is next to nothing in the kernel's own account.
const FLOOR_NS: u64 = 30_000;

/// Waiting by our sum and by the kernel's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    pub ours_ns: u64,
    pub kernel_ns: u64,
}

/// The longer waits of the victims on their queues, against the growth of their run_delay.
pub fn run_delay(victims: &[&Thread], slices: &Slices) -> Account {
    let ends: BTreeMap<_, _> =
        victims.iter().map(|victim| (victim.tid, victim.counted_ns)).collect();
    let is_counted = |wait: &&WaitRecord| {
        ends.get(&wait.wait.victim.tid).is_some_and(|end_ns| wait.header.at_ns <= *end_ns)
    };
    let of_victims = slices.waits().filter(is_counted);
    let queued = of_victims.map(|wait| wait.header.at_ns - wait.wait.queued_ns);
    Account {
        ours_ns: queued.filter(|ns| *ns > FLOOR_NS).sum(),
        kernel_ns: victims.iter().map(|thread| thread.waited_ns).sum(),
    }
}

impl Account {
    /// Ours over the kernel's, in percent.
    pub fn excess(self) -> f64 {
        100.0 * (self.ours_ns as f64 / self.kernel_ns.max(1) as f64 - 1.0)
    }

    /// Whether our waits are no longer than the kernel has it, but for next to nothing.
    pub fn is_honest(self) -> bool {
        self.ours_ns <= self.kernel_ns + self.kernel_ns / 50 + 1_000_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_the_kernel_has_is_not_honest() {
        let account = |ours_ns, kernel_ns| Account { ours_ns, kernel_ns };
        assert!(account(101_000_000, 100_000_000).is_honest());
        assert!(account(900_000, 0).is_honest());
        assert!(!account(104_000_000, 100_000_000).is_honest());
        assert!((account(102, 100).excess() - 2.0).abs() < 1e-9);
    }
}
