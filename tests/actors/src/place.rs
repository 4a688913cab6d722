//! Where and how an actor runs, before it begins.

use std::fs;
use std::path::PathBuf;

/// Its cgroup, policy and nice value; its threads inherit them.
#[derive(Debug, clap::Args)]
pub struct Place {
    /// The folder of the cgroup to join.
    #[arg(long)]
    cgroup: Option<PathBuf>,
    /// A real-time priority, first in first out.
    #[arg(long, conflicts_with_all = ["idle", "nice"])]
    fifo: Option<i32>,
    /// The policy of who runs if nobody else wants to.
    #[arg(long, conflicts_with = "nice")]
    idle: bool,
    /// The nice value.
    #[arg(long, allow_hyphen_values = true)]
    nice: Option<i32>,
}

impl Place {
    pub fn take(&self) {
        if let Some(cgroup) = &self.cgroup {
            let joined = fs::write(cgroup.join("cgroup.procs"), std::process::id().to_string());
            joined.expect("a cgroup that takes us");
        }
        if let Some(priority) = self.fifo {
            policy(libc::SCHED_FIFO, priority);
        }
        if self.idle {
            policy(libc::SCHED_IDLE, 0);
        }
        if let Some(nice) = self.nice {
            // SAFETY: takes numbers only.
            unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) };
        }
    }
}

/// Gives the calling thread a policy.
pub fn policy(policy: i32, priority: i32) {
    // SAFETY: all fields are numbers.
    let mut parameters: libc::sched_param = unsafe { std::mem::zeroed() };
    parameters.sched_priority = priority;
    // SAFETY: reads the parameters only.
    let done = unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) };
    assert_eq!(done, 0, "this policy is root's to give, and a cgroup's that has real time");
}
