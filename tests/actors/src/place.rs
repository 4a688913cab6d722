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

/// Asks for slices of this length for the calling thread; an older kernel gives what it gives everybody.
pub fn slice(slice_ns: u64, nice: i32) {
    /// The first version of the kernel's `sched_attr`.
    #[repr(C)]
    #[derive(Default)]
    struct Attributes {
        size: u32,
        policy: u32,
        flags: u64,
        nice: i32,
        priority: u32,
        runtime_ns: u64,
        deadline_ns: u64,
        period_ns: u64,
    }
    let attributes = Attributes {
        size: size_of::<Attributes>() as u32,
        policy: libc::SCHED_OTHER as u32,
        nice,
        runtime_ns: slice_ns,
        ..Attributes::default()
    };
    // SAFETY: the kernel reads as many bytes as the size says.
    unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
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
