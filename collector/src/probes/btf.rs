//! The first object: BTF tracepoints, task storage, walks over all tasks.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd};

use aya::maps::{HashMap as BpfHashMap, MapData};
use aya::programs::{BtfTracePoint, Iter, Program, ProgramError};
use aya::{Btf, Ebpf, EbpfError};

use super::Settings;
use super::object::{self, Common, map, program, refused_map, refused_program};
use crate::Error;
use crate::kernel::{BTF_PATH, Kernel, Offsets};
use crate::rings::deepest;

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

/// Without these there is no wait to measure.
pub(super) const NEEDED: [&str; 7] = [
    "sched_waking",
    "sched_wakeup",
    "sched_wakeup_new",
    "sched_migrate_task",
    "sched_process_fork",
    "task_rename",
    "sched_switch",
];

/// What only this object has.
pub(super) struct Kind {
    btf: Btf,
    open_waits: Option<File>,
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
    // aya has no type for task storage, and needs none: user space never touches it.
    loader.btf(Some(&btf)).allow_unsupported_maps();
    let object = loader.load(OBJECT).map_err(|error| match &error {
        EbpfError::BtfError(_) => unusable(deepest(&error)),
        _ => Error::Refused { what: "the probes' maps".into(), reason: deepest(&error), log: None },
    })?;
    Ok((object, Kind { btf, open_waits: None }))
}

impl Kind {
    pub(super) fn hook(&self, object: &mut Ebpf, name: &str) -> Result<(), ProgramError> {
        let program: &mut BtfTracePoint = program(object, name)?;
        program.load(name, &self.btf)?;
        program.attach().map(drop)
    }

    /// Watches the threads of `targets`, and has the profiler's own name told.
    pub(super) fn watch(&mut self, object: &mut Ebpf, targets: &[u32]) -> Result<(), Error> {
        let refused = refused_map("the list of target processes");
        let mut list: BpfHashMap<&mut MapData, u32, u32> =
            map(object, "TARGETS")?.try_into().map_err(&refused)?;
        targets.iter().try_for_each(|pid| list.insert(pid, 1, 0).map_err(&refused))?;
        // A thread that was forked while the first walk passed it by is caught by the second.
        for mut walk in self.walks(object, "watch_tasks", 2)? {
            run(&mut walk)?;
        }
        self.open_waits = self.walks(object, "tell_open_waits", 1)?.pop();
        Ok(())
    }

    /// Has the waits told that are still open.
    pub(super) fn tell_open_waits(&mut self) -> Result<(), Error> {
        self.open_waits.take().map_or(Ok(()), |mut walk| run(&mut walk))
    }

    /// Prepares walks over all tasks; reading one to its end runs it, once.
    fn walks(&self, object: &mut Ebpf, name: &str, count: usize) -> Result<Vec<File>, Error> {
        let refused = |error: ProgramError| refused_program(name, &error);
        let program: &mut Iter = program(object, name).map_err(refused)?;
        program.load("task", &self.btf).map_err(refused)?;
        (0..count)
            .map(|_| {
                let link = program.attach().map_err(refused)?;
                let link = program.take_link(link).map_err(refused)?;
                link.into_file().map_err(|error| Error::Refused {
                    what: format!("the walk {name}"),
                    reason: deepest(&error),
                    log: None,
                })
            })
            .collect()
    }
}

/// It writes nothing; reading is what makes the kernel walk.
fn run(walk: &mut File) -> Result<(), Error> {
    walk.read_to_end(&mut Vec::new()).map_err(Error::system("a walk over all tasks"))?;
    Ok(())
}

/// Runs that the kernel skipped because the program was running already on that CPU, by hook.
pub(super) fn recursion_misses(object: &Ebpf) -> BTreeMap<String, u64> {
    object
        .programs()
        .filter_map(|(name, program)| {
            let Program::BtfTracePoint(program) = program else { return None };
            let misses = misses(program.fd().ok()?.as_fd().as_raw_fd())?;
            (misses > 0).then(|| (name.to_owned(), misses))
        })
        .collect()
}

fn misses(fd: std::os::fd::RawFd) -> Option<u64> {
    use aya_obj::generated::bpf_prog_info;
    const BPF_OBJ_GET_INFO_BY_FD: i32 = 15;
    #[repr(C)]
    struct InfoRequest {
        fd: u32,
        len: u32,
        info: u64,
    }
    // SAFETY: a struct of integers.
    let mut info: bpf_prog_info = unsafe { std::mem::zeroed() };
    let request = InfoRequest {
        fd: fd as u32,
        len: size_of::<bpf_prog_info>() as u32,
        info: (&raw mut info) as u64,
    };
    // SAFETY: the kernel writes at most `len` bytes of `info`, which outlives the call.
    let done = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            BPF_OBJ_GET_INFO_BY_FD,
            &raw const request,
            size_of::<InfoRequest>(),
        )
    };
    (done == 0).then_some(info.recursion_misses)
}
