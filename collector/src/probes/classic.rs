//! The second object, for kernels without task storage or BTF: classic tracepoints, a hash by
//! thread. What the first object has its walks for, user space does here through `/proc` and the
//! hash.

use std::fs;

use aya::Ebpf;
use aya::maps::{HashMap as BpfHashMap, MapData};
use aya::programs::{ProgramError, TracePoint};
use cronx_abi::{Header, OpenWaitRecord, TaskKey, TaskState, Wait, kind, task_state};

use super::Settings;
use super::object::{self, Common, map, program, refused_map};
use crate::Error;
use crate::kernel::{Kernel, Offsets};
use crate::rings::deepest;

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../probes-ebpf/prebuilt/legacy.bpf.o"
));

/// Without these there is no wait to measure.
pub(super) const NEEDED: [&str; 7] = [
    "sched_waking",
    "sched_wakeup",
    "sched_wakeup_new",
    "sched_migrate_task",
    "task_newtask",
    "task_rename",
    "sched_switch",
];

/// What a recording with this object has less of.
pub(super) const DEGRADED: &str = "classic tracepoints: an event inside another program's run is \
    not seen, and threads are told apart by number alone";

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

/// Watches the threads of `targets`. One born meanwhile is found by the second look.
pub(super) fn watch(object: &mut Ebpf, targets: &[u32]) -> Result<(), Error> {
    const BPF_NOEXIST: u64 = 1;
    let mut tasks = tasks(object)?;
    for &tgid in targets.iter().chain(targets) {
        for tid in threads(tgid)? {
            let victim = TaskKey { start_ns: UNSEEN_BIRTH, tid, tgid };
            let wait = Wait { victim, ..Wait::default() };
            let state = TaskState { watched: 1, wait, ..TaskState::default() };
            // It may be there: born watched, or found by the first look.
            let _ = tasks.insert(tid, state, BPF_NOEXIST);
        }
    }
    Ok(())
}

fn tasks(object: &mut Ebpf) -> Result<BpfHashMap<&mut MapData, u32, TaskState>, Error> {
    map(object, "TASKS")?.try_into().map_err(refused_map("the table of threads"))
}

fn threads(tgid: u32) -> Result<Vec<u32>, Error> {
    let folder = fs::read_dir(format!("/proc/{tgid}/task"))
        .map_err(|_| Error::NoSuchProcess { pid: tgid })?;
    Ok(folder.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect())
}

/// The waits that are still open, read from the table once the programs are off their hooks.
pub(super) fn open_waits(object: &mut Ebpf, at_ns: u64) -> Result<Vec<OpenWaitRecord>, Error> {
    let tasks = tasks(object)?;
    let waiting = tasks
        .iter()
        .filter_map(Result::ok)
        .filter(|(_, task)| task.watched != 0 && task.state == task_state::QUEUED);
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
        assert_eq!(categories, ["sched", "sched", "sched", "sched", "task", "task", "sched"]);
        assert_eq!(category("softirq_exit"), "irq");
        assert_eq!(category("irq_work_entry"), "irq_vectors");
    }
}
