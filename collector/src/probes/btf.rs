//! The first object: BTF tracepoints, task storage, walks over all tasks.

use std::fs::File;
use std::io::Read;

use aya::maps::{HashMap as BpfHashMap, MapData};
use aya::programs::{BtfTracePoint, Iter, ProgramError};
use aya::{Btf, Ebpf, EbpfError};
use cronx_abi::target;

use super::Settings;
use super::object::{self, Common, map, program, refused_map, refused_program};
use crate::Error;
use crate::cgroups;
use crate::kernel::{self, BTF_PATH, Kernel, Offsets};
use crate::rings::deepest;
use crate::targets::Thread;

#[cfg(not(feature = "debug-log"))]
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../probes-ebpf/prebuilt/probes.bpf.o"
));
#[cfg(feature = "debug-log")]
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../probes-ebpf/target/debug-log.bpf.o"
));

/// Without these there is no wait to measure. In the order in which they are attached: who is
/// switched in before his wake-up could be seen is of unknown beginning, but who is woken before his
/// switch-in could be seen would wait for ever.
pub(super) const NEEDED: [&str; 7] = [
    "sched_switch",
    "sched_migrate_task",
    "sched_wakeup_new",
    "sched_wakeup",
    "sched_waking",
    "sched_process_fork",
    "task_rename",
];

/// What only this object has.
pub(super) struct Kind {
    btf: Btf,
    open_waits: Option<File>,
    /// Some cgroup has a quota.
    sees_refills: bool,
}

/// Makes the object's maps; its programs load when they are attached.
pub(super) fn load(
    kernel: &Kernel,
    offsets: &Offsets,
    settings: &Settings,
) -> Result<(Ebpf, Kind), Error> {
    let unusable = |reason| Error::Btf { path: BTF_PATH.to_owned(), reason };
    let btf = Btf::from_sys_fs().map_err(|e| unusable(deepest(&e)))?;
    let common = Common::new(settings);
    let mut loader = object::loader(kernel, offsets, &common);
    let timers = quota_timers();
    for (global, address) in timers.iter().flatten() {
        loader.override_global(global, address, true);
    }
    loader.override_global("POSSIBLE_CPUS", &kernel.possible_cpus, true);
    // aya has no type for task storage, and needs none: user space never touches it.
    loader.btf(Some(&btf)).allow_unsupported_maps();
    let object = loader.load(OBJECT).map_err(|error| match &error {
        EbpfError::BtfError(_) => unusable(deepest(&error)),
        _ => Error::Refused { what: "the probes' maps".into(), reason: deepest(&error), log: None },
    })?;
    Ok((object, Kind { btf, open_waits: None, sees_refills: timers.is_some() }))
}

/// Where the kernel refills quotas, by the probes' global, if any cgroup has one.
fn quota_timers() -> Option<[(&'static str, u64); 2]> {
    let timers =
        [("PERIOD_TIMER", "sched_cfs_period_timer"), ("SLACK_TIMER", "sched_cfs_slack_timer")];
    // Hidden addresses are 0, and no timer's function is there: then no refill is seen.
    let address = |function| kernel::symbol(function).unwrap_or(0);
    cgroups::any_has_quota().then(|| timers.map(|(global, function)| (global, address(function))))
}

impl Kind {
    pub(super) fn hook(&self, object: &mut Ebpf, name: &str) -> Result<(), ProgramError> {
        let program: &mut BtfTracePoint = program(object, name)?;
        program.load(name, &self.btf)?;
        program.attach().map(drop)
    }

    /// Watches these threads, and those no more; has the profiler's own name told, and by name
    /// whoever is named.
    pub(super) fn mark(
        &self,
        object: &mut Ebpf,
        joined: &[Thread],
        left: &[Thread],
    ) -> Result<(), Error> {
        let refused = refused_map("the list of threads");
        let asked = || {
            let joined = joined.iter().map(|thread| (thread.tid, target::WATCH));
            joined.chain(left.iter().map(|thread| (thread.tid, target::LEAVE)))
        };
        let mut list = targets(object)?;
        asked().try_for_each(|(tid, what)| list.insert(tid, what, 0)).map_err(&refused)?;
        run(&mut self.walk(object, "watch_tasks")?)?;
        let mut list = targets(object)?;
        asked().try_for_each(|(tid, _)| list.remove(&tid)).map_err(&refused)
    }

    /// Prepares for the end, when the kernel may not be asked any more.
    pub(super) fn prepare(&mut self, object: &mut Ebpf) -> Result<(), Error> {
        self.open_waits = Some(self.walk(object, "tell_open_waits")?);
        Ok(())
    }

    /// Hooks that are worth their cost here alone.
    pub(super) fn wanted(&self) -> &'static [&'static str] {
        if self.sees_refills { &["hrtimer_expire_entry"] } else { &[] }
    }

    /// Has the waits told that are still open.
    pub(super) fn tell_open_waits(&mut self) -> Result<(), Error> {
        self.open_waits.take().map_or(Ok(()), |mut walk| run(&mut walk))
    }

    /// A walk over all tasks; reading it to its end runs it, once.
    fn walk(&self, object: &mut Ebpf, name: &str) -> Result<File, Error> {
        let refused = |error: ProgramError| refused_program(name, &error);
        let program: &mut Iter = program(object, name).map_err(refused)?;
        if program.fd().is_err() {
            program.load("task", &self.btf).map_err(refused)?;
        }
        let link = program.attach().map_err(refused)?;
        let link = program.take_link(link).map_err(refused)?;
        link.into_file().map_err(|error| Error::Refused {
            what: format!("the walk {name}"),
            reason: deepest(&error),
            log: None,
        })
    }
}

fn targets(object: &mut Ebpf) -> Result<BpfHashMap<&mut MapData, u32, u32>, Error> {
    map(object, "TARGETS")?.try_into().map_err(refused_map("the list of threads"))
}

/// It writes nothing; reading is what makes the kernel walk.
fn run(walk: &mut File) -> Result<(), Error> {
    walk.read_to_end(&mut Vec::new()).map_err(Error::system("a walk over all tasks"))?;
    Ok(())
}
