//! Before any number is believed: do the probes see what we know to be true?

use cronx_abi::{Record, TaskKey, TaskRecord, kind};
use cronx_recording::CpuRecords;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use super::Probes;
use crate::Error;

/// How often the probes may be asked who runs on a CPU.
const LOOKS: u32 = 10;

impl Probes {
    /// Runs on each CPU for a moment; each must then have its occupant.
    pub(super) fn visit_every_cpu(&self) -> Result<(), Error> {
        let this = Pid::from_raw(0);
        let before = sched_getaffinity(this).map_err(Error::system("sched_getaffinity"))?;
        for &cpu in &self.cpus {
            let mut one = CpuSet::new();
            let visited = one.set(cpu as usize).and_then(|()| sched_setaffinity(this, &one));
            // A CPU forbidden to us (a cpuset) will be known at its first switch.
            if visited.is_ok() {
                self.check_occupant(cpu)?;
            }
        }
        sched_setaffinity(this, &before).map_err(Error::system("sched_setaffinity"))
    }

    fn check_occupant(&self, cpu: u32) -> Result<(), Error> {
        let own = (nix::unistd::gettid().as_raw() as u32, std::process::id());
        let mut seen = TaskKey::default();
        // One switch may go unseen; who sees other numbers than ours never sees us.
        for _ in 0..LOOKS {
            // The move here was by a stopper thread and a switch to us; unless we were here already.
            std::thread::sleep(std::time::Duration::from_millis(1));
            seen = self.states.read(cpu).map(|state| state.occupant).unwrap_or_default();
            // A classic tracepoint does not say whose thread the next task is.
            if seen.tid == own.0 && (seen.tgid == own.1 || seen.tgid == 0) {
                return Ok(());
            }
        }
        Err(Error::SelfCheck {
            what: format!(
                "on CPU {cpu} this thread is {}/{} and the probes say {}/{}; \
                 in a container, run cronx in the host's pid namespace",
                own.1, own.0, seen.tgid, seen.tid
            ),
        })
    }

    /// The walk told our own name: read it back.
    pub(super) fn check_own_name(&mut self) -> Result<(), Error> {
        let own = std::fs::read("/proc/self/comm").map_err(Error::system("/proc/self/comm"))?;
        let own = own.trim_ascii_end();
        let mut early: Vec<CpuRecords> = Vec::new();
        self.drain_once(|cpu, record| CpuRecords::of(&mut early, cpu).push(record));
        let seen = early
            .iter()
            .flat_map(CpuRecords::iter)
            .filter_map(TaskRecord::from_bytes)
            .find(|task| task.header.kind == kind::TASK && task.task.tid == std::process::id());
        self.early = early;
        let seen = seen.ok_or_else(|| Error::SelfCheck {
            what: "the walk over all tasks did not meet this process".to_owned(),
        })?;
        let name = seen.comm.split(|&b| b == 0).next().unwrap_or_default();
        if name == own && seen.task.start_ns != 0 {
            return Ok(());
        }
        Err(Error::SelfCheck {
            what: format!(
                "this process is called {:?} and the probes read {:?}",
                String::from_utf8_lossy(own),
                String::from_utf8_lossy(name)
            ),
        })
    }
}
