//! The second object, for kernels without task storage or BTF: classic tracepoints, a hash by
//! thread. What the first object has its walks for, user space does here through `/proc` and the
//! hash.

use aya::Ebpf;
use aya::maps::{HashMap as BpfHashMap, MapData};
use aya::programs::{ProgramError, TracePoint};
use cronx_abi::{
    Header, OpenWaitRecord, TaskKey, TaskState, UNKNOWN_PRIORITY, Wait, kind, task_state,
};

use super::Settings;
use super::object::{self, Common, map, program, refused_map};
use crate::Error;
use crate::kernel::{Kernel, Offsets};
use crate::rings::deepest;
use crate::targets::Thread;

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../probes-ebpf/prebuilt/legacy.bpf.o"
));

/// Without these there is no wait to measure. The order is that of the first object's.
pub(super) const NEEDED: [&str; 7] = [
    "sched_switch",
    "sched_migrate_task",
    "sched_wakeup_new",
    "sched_wakeup",
    "sched_waking",
    "task_newtask",
    "task_rename",
];

/// What a recording with this object has less of.
pub(super) const DEGRADED: &str = "classic tracepoints: an event inside another program's run is \
    not seen, threads are told apart by number alone, and neither quotas nor cgroups are known";

/// A thread that was there before its birth could be seen.
const UNSEEN_BIRTH: u64 = 1;

/// Makes the object's maps; its programs load when they are attached.
pub(super) fn load(kernel: &Kernel, offsets: &Offsets, settings: &Settings) -> Result<Ebpf, Error> {
    let common = Common::new(settings);
    object::loader(kernel, offsets, &common).load(OBJECT).map_err(|error| Error::Refused {
        what: "the probes' maps".into(),
        reason: deepest(&error),
        log: None,
    })
}

pub(super) fn hook(object: &mut Ebpf, name: &str) -> Result<(), ProgramError> {
    let program: &mut TracePoint = program(object, name)?;
    program.load()?;
    program.attach(category(name), name).map(drop)
}

/// The subsystem in which a tracepoint lies.
fn category(name: &str) -> &'static str {
    match name {
        "task_newtask" | "task_rename" => "task",
        _ if name.starts_with("sched_") => "sched",
        _ if name.starts_with("irq_handler_") || name.starts_with("softirq_") => "irq",
        _ => "irq_vectors",
    }
}

/// Watches these threads, and those no more.
pub(super) fn mark(object: &mut Ebpf, joined: &[Thread], left: &[Thread]) -> Result<(), Error> {
    let mut tasks = tasks(object)?;
    for &Thread { tid, tgid } in joined {
        let victim = TaskKey { start_ns: UNSEEN_BIRTH, tid, tgid };
        let wait = Wait { victim, ..Wait::default() };
        let priority = UNKNOWN_PRIORITY;
        let new = TaskState { wait, priority, ..TaskState::default() };
        // It may be there: born watched, or told by its name since others waited for it.
        let known = tasks.get(&tid, 0).unwrap_or(new);
        if known.watched == 0 {
            // A full table is counted by the kernel side, at the first event that finds no room.
            let _ = tasks.insert(tid, TaskState { watched: 1, ..known }, 0);
        }
    }
    for thread in left {
        // It may have gone by itself. Its count leaks if it waits: that costs records, not truth.
        let _ = tasks.remove(&thread.tid);
    }
    Ok(())
}

fn tasks(object: &mut Ebpf) -> Result<BpfHashMap<&mut MapData, u32, TaskState>, Error> {
    map(object, "TASKS")?.try_into().map_err(refused_map("the table of threads"))
}

/// The waits that are still open, read from the table once the programs are off their hooks.
pub(super) fn open_waits(object: &mut Ebpf, at_ns: u64) -> Result<Vec<OpenWaitRecord>, Error> {
    let tasks = tasks(object)?;
    // Only who is watched is ever queued.
    let waiting =
        tasks.iter().filter_map(Result::ok).filter(|(_, task)| task.state == task_state::QUEUED);
    let record = |task: TaskState| OpenWaitRecord {
        header: Header {
            at_ns,
            seq: 0,
            kind: kind::OPEN,
            flags: 0,
            cpu: task.wait.cpu,
            reserved: 0,
        },
        wait: task.wait,
    };
    Ok(waiting.map(|(_, task)| record(task)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hook_has_its_subsystem() {
        let categories: Vec<_> = NEEDED.iter().map(|name| category(name)).collect();
        assert_eq!(categories, ["sched", "sched", "sched", "sched", "sched", "task", "task"]);
        assert_eq!(category("softirq_exit"), "irq");
        assert_eq!(category("irq_work_entry"), "irq_vectors");
    }
}
