//! The records that the probes would write: their rules, over calls of their hooks.
//!
//! The files mirror those of `probes-ebpf/src`, name by name and rule by rule, so that the two can be
//! read side by side. It never sees the model, only what a hook sees.

mod cpu;
mod interrupt;
mod sample;
mod switch;
mod task;
mod wakeup;
mod walk;

use std::collections::BTreeMap;

use cronx_abi::{RefillRecord, hook, kind, layer};
use cronx_recording::{CpuRecords, CpuTrailer};

use crate::hook::{Hook, What};
use cpu::Cpu;
use task::Storage;

/// The kernel side: every CPU's state, what is remembered of each task, and what was written.
#[derive(Debug)]
pub(crate) struct Probes {
    cpus: Vec<Cpu>,
    tasks: BTreeMap<usize, Storage>,
    profiler_tgid: u32,
    /// The CPU, task and instant of the hook that is running.
    here: usize,
    now_ns: u64,
}

/// What they left.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) records: Vec<CpuRecords>,
    pub(crate) cpus: Vec<CpuTrailer>,
}

/// Runs the probes over `hooks`.
pub(crate) fn record(hooks: &[Hook], cpus: u16, profiler_tgid: u32) -> Told {
    let mut probes = Probes {
        cpus: (0..cpus).map(Cpu::new).collect(),
        tasks: BTreeMap::new(),
        profiler_tgid,
        here: 0,
        now_ns: 0,
    };
    for hook in hooks {
        probes.call(hook);
    }
    let trailer = |cpu: &Cpu| CpuTrailer::from_state(cpu.number.into(), &cpu.state);
    let trailers = probes.cpus.iter().map(trailer).collect();
    Told { records: probes.cpus.into_iter().map(|cpu| cpu.ring).collect(), cpus: trailers }
}

impl Probes {
    /// Counts the event as seen, and then as handled or, if it concerned nobody, as filtered.
    fn call(&mut self, hook: &Hook) {
        self.here = hook.cpu.into();
        self.now_ns = hook.at_ns;
        let done = self.run(hook);
        let Some(number) = number(&hook.what) else { return };
        let count = &mut self.cpu().state.hooks[number];
        count.seen += 1;
        count.handled += u64::from(done.is_some());
        count.filtered += u64::from(done.is_none());
    }

    fn run(&mut self, hook: &Hook) -> Option<()> {
        match &hook.what {
            What::Waking(wakee) => self.waking(wakee, &hook.current)?,
            What::Wakeup(wakee) => self.woken(wakee)?,
            What::WakeupNew(wakee) => self.first_queued(wakee, &hook.current)?,
            What::Migrate { migrant, to } => self.moved(migrant, *to)?,
            What::Switch { prev, next, preempt, prev_state } => {
                self.switch(prev, next, if *preempt { 0 } else { *prev_state });
            }
            What::Fork { parent, child } => self.forked(parent, child)?,
            What::Rename(task) => self.renamed(task)?,
            What::Enter { layer, vector } => self.enter(*layer, *vector),
            What::Exit { layer, vector } => self.exit(*layer, *vector)?,
            What::Sample => self.sample(&hook.current)?,
            What::Refill { cgroup, queues } => self.refill(*cgroup, queues),
            What::WatchTasks { tasks, targets } => self.watch_tasks(tasks, targets),
            What::TellOpenWaits(tasks) => self.tell_open_waits(tasks),
        }
        Some(())
    }

    /// The CPU that runs the hook.
    fn cpu(&mut self) -> &mut Cpu {
        &mut self.cpus[self.here]
    }

    fn refill(&mut self, cgroup: u64, queues: &[u16]) {
        let now_ns = self.now_ns;
        for &queue in queues {
            if self.cpus[usize::from(queue)].is_watched() {
                let reserved = [0; 3];
                let refill = |header| RefillRecord { header, cgroup, queue, reserved };
                self.cpu().emit(kind::REFILL, 0, now_ns, refill);
            }
        }
    }
}

/// Its place among the hooks that are counted.
fn number(what: &What) -> Option<usize> {
    let soft = |layer: &u8| *layer == layer::SOFTIRQ;
    Some(match what {
        What::Waking(_) => hook::WAKING,
        What::Wakeup(_) => hook::WAKEUP,
        What::WakeupNew(_) => hook::WAKEUP_NEW,
        What::Migrate { .. } => hook::MIGRATE,
        What::Switch { .. } => hook::SWITCH,
        What::Fork { .. } => hook::FORK,
        What::Rename(_) => hook::RENAME,
        What::Enter { layer, .. } if soft(layer) => hook::SOFT_ENTRY,
        What::Enter { .. } => hook::HARD_ENTRY,
        What::Exit { layer, .. } if soft(layer) => hook::SOFT_EXIT,
        What::Exit { .. } => hook::HARD_EXIT,
        What::Sample => hook::SAMPLE,
        What::Refill { .. } | What::WatchTasks { .. } | What::TellOpenWaits(_) => return None,
    })
}
