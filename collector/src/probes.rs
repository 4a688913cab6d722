//! The programs: loaded, attached, settled, stopped.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd};

use aya::maps::{HashMap as BpfHashMap, Map, MapData};
use aya::programs::perf_event::{PerfEventConfig, PerfEventScope, SamplePolicy, SoftwareEvent};
use aya::programs::{BtfTracePoint, Iter, PerfEvent, Program, ProgramError};
use aya::{Btf, Ebpf, EbpfError, EbpfLoader};
use cronx_abi::{Record, TaskRecord, kind};
use cronx_recording::{CpuRecords, CpuTrailer};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use crate::Error;
use crate::kernel::Kernel;
use crate::rings::{self, CpuStates, Ring, deepest};

/// The compiled programs.
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

/// What the programs were built with.
pub const MANIFEST: &str = include_str!("../../probes-ebpf/prebuilt/MANIFEST");

/// Its name in a Capture's header.
pub const OBJECT_NAME: &str = "tp_btf";

/// Without these there is no wait to measure.
const NEEDED: [&str; 7] = [
    "sched_waking",
    "sched_wakeup",
    "sched_wakeup_new",
    "sched_migrate_task",
    "sched_process_fork",
    "task_rename",
    "sched_switch",
];

/// Entry and exit of an interrupt: both or neither.
const INTERRUPTS: [(&str, &str); 7] = [
    ("irq_handler_entry", "irq_handler_exit"),
    ("softirq_entry", "softirq_exit"),
    ("local_timer_entry", "local_timer_exit"),
    ("reschedule_entry", "reschedule_exit"),
    ("call_function_entry", "call_function_exit"),
    ("call_function_single_entry", "call_function_single_exit"),
    ("irq_work_entry", "irq_work_exit"),
];

/// How to record.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Bytes of each CPU's ring: a power of two, at least a page.
    pub ring_bytes: u32,
    /// Stack samples a second and CPU while somebody waits; 0 for none.
    pub sample_hz: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { ring_bytes: 8 << 20, sample_hz: 199 }
    }
}

/// The programs in the kernel. Nothing is pinned: whatever ends this process ends them too.
pub struct Probes {
    object: Ebpf,
    btf: Btf,
    states: CpuStates,
    pub(crate) rings: Vec<Ring>,
    /// Drained by the self-check; they are evidence like any other.
    early: Vec<CpuRecords>,
    cpus: Vec<u32>,
    open_waits: Option<File>,
    #[cfg(feature = "debug-log")]
    log: Option<aya_log::EbpfLogger<&'static dyn log::Log>>,
    hooks: Vec<String>,
    degraded: Vec<String>,
}

impl std::fmt::Debug for Probes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Probes").field("hooks", &self.hooks).finish_non_exhaustive()
    }
}

impl Probes {
    /// Loads the object for this kernel.
    pub fn load(kernel: &Kernel, settings: &Settings) -> Result<Self, Error> {
        let btf = Btf::from_sys_fs().map_err(|e| Error::Btf {
            path: crate::kernel::BTF_PATH.to_owned(),
            reason: deepest(&e),
        })?;
        let mut object = load_object(kernel, settings, &btf)?;
        let states = match object.map("CPUS") {
            Some(Map::Array(data)) => CpuStates::map(data.fd().as_fd(), kernel.possible_cpus)?,
            _ => return Err(not_ours("the map CPUS")),
        };
        let outer = object.map_mut("RINGS").ok_or_else(|| not_ours("the map RINGS"))?;
        let rings = rings::make(outer, &kernel.online_cpus, settings.ring_bytes)?;
        Ok(Self {
            btf,
            states,
            rings,
            early: Vec::new(),
            cpus: kernel.online_cpus.clone(),
            open_waits: None,
            #[cfg(feature = "debug-log")]
            log: aya_log::EbpfLogger::init(&mut object).ok(),
            hooks: Vec::new(),
            degraded: Vec::new(),
            object,
        })
    }

    /// Attaches every program; an interrupt's that this kernel has not is left out, loudly.
    pub fn attach(&mut self, settings: &Settings) -> Result<(), Error> {
        for (entry, exit) in INTERRUPTS {
            // The exit first: an entry without its exit would never be told.
            let attached = self.hook(exit).and_then(|()| self.hook(entry));
            if let Err(error) = attached {
                self.degraded.push(format!("{entry} is not observed: {}", deepest(&error)));
            }
        }
        for hook in NEEDED {
            self.hook(hook).map_err(|error| refused_program(hook, &error))?;
        }
        if settings.sample_hz > 0
            && let Err(error) = self.sample(settings.sample_hz)
        {
            self.degraded.push(format!("no stacks are sampled: {}", deepest(&error)));
        }
        Ok(())
    }

    fn hook(&mut self, name: &str) -> Result<(), ProgramError> {
        let program: &mut BtfTracePoint = program(&mut self.object, name)?;
        program.load(name, &self.btf)?;
        program.attach()?;
        self.hooks.push(name.to_owned());
        Ok(())
    }

    fn sample(&mut self, hz: u32) -> Result<(), ProgramError> {
        let program: &mut PerfEvent = program(&mut self.object, "sample")?;
        program.load()?;
        for &cpu in &self.cpus {
            program.attach(
                PerfEventConfig::Software(SoftwareEvent::CpuClock),
                PerfEventScope::AllProcessesOneCpu { cpu },
                SamplePolicy::Frequency(hz.into()),
                false,
            )?;
        }
        self.hooks.push("cpu-clock".to_owned());
        Ok(())
    }

    /// Marks the target processes, lets every CPU switch once so that its occupant is known, and
    /// checks that the probes see what we know to be true.
    pub fn settle(&mut self, targets: &[u32]) -> Result<(), Error> {
        self.set_targets(targets)?;
        // A thread that was forked while the first walk passed it by is caught by the second.
        for mut walk in self.walks("watch_tasks", 2)? {
            run(&mut walk)?;
        }
        self.open_waits = self.walks("tell_open_waits", 1)?.pop();
        self.visit_every_cpu()?;
        self.check_own_name()
    }

    fn set_targets(&mut self, targets: &[u32]) -> Result<(), Error> {
        let map = self.object.map_mut("TARGETS").ok_or_else(|| not_ours("the map TARGETS"))?;
        let refused = |error: aya::maps::MapError| Error::Refused {
            what: "the list of target processes".to_owned(),
            reason: deepest(&error),
            log: None,
        };
        let mut map: BpfHashMap<&mut MapData, u32, u32> = map.try_into().map_err(refused)?;
        targets.iter().try_for_each(|pid| map.insert(pid, 1, 0).map_err(refused))
    }

    /// Prepares walks over all tasks; reading one to its end runs it, once.
    fn walks(&mut self, name: &str, count: usize) -> Result<Vec<File>, Error> {
        let refused = |error: ProgramError| refused_program(name, &error);
        let program: &mut Iter = program(&mut self.object, name).map_err(refused)?;
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

    /// Runs on each CPU for a moment; each must then have its occupant.
    fn visit_every_cpu(&self) -> Result<(), Error> {
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
        // The move here was by a stopper thread and a switch to us; unless we were here already.
        std::thread::sleep(std::time::Duration::from_millis(1));
        let seen = self.states.read(cpu).map(|state| state.occupant).unwrap_or_default();
        let own = (nix::unistd::gettid().as_raw() as u32, std::process::id());
        if (seen.tid, seen.tgid) == own {
            return Ok(());
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
    fn check_own_name(&mut self) -> Result<(), Error> {
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

    /// Takes every record that is there. `take` gets the CPU and the record's bytes.
    pub(crate) fn drain_once(&mut self, mut take: impl FnMut(u32, &[u8])) {
        #[cfg(feature = "debug-log")]
        if let Some(log) = &mut self.log {
            log.flush();
        }
        for records in std::mem::take(&mut self.early) {
            records.iter().for_each(|record| take(records.cpu, record));
        }
        for ring in &mut self.rings {
            while let Some(record) = ring.buffer.next() {
                take(ring.cpu, &record);
            }
        }
    }

    /// The hooks that are attached.
    pub fn hooks(&self) -> &[String] {
        &self.hooks
    }

    /// What could not be had, one sentence each.
    pub fn degraded(&self) -> &[String] {
        &self.degraded
    }

    /// Makes the kernel tell the waits still open, then takes the programs off their hooks and
    /// gives every CPU's last state. What is left in the rings is still to be drained.
    pub fn stop(&mut self) -> Result<Vec<CpuTrailer>, Error> {
        if let Some(mut open_waits) = self.open_waits.take() {
            run(&mut open_waits)?;
        }
        for (_, program) in self.object.programs_mut() {
            // Unloading closes the links; a program that never loaded has none.
            let _ = match program {
                Program::BtfTracePoint(p) => p.unload(),
                Program::PerfEvent(p) => p.unload(),
                Program::Iter(p) => p.unload(),
                _ => Ok(()),
            };
        }
        let states = self.cpus.iter().filter_map(|&cpu| Some((cpu, self.states.read(cpu)?)));
        Ok(states.map(|(cpu, state)| CpuTrailer::from_state(cpu, &state)).collect())
    }

    /// Runs that the kernel skipped because the program was running already on that CPU, by hook;
    /// only hooks that have any. Ask before [`Probes::stop`].
    pub fn recursion_misses(&self) -> std::collections::BTreeMap<String, u64> {
        let programs = self.object.programs();
        programs
            .filter_map(|(name, program)| {
                let Program::BtfTracePoint(program) = program else { return None };
                let misses = recursion_misses(program.fd().ok()?.as_fd().as_raw_fd())?;
                (misses > 0).then(|| (name.to_owned(), misses))
            })
            .collect()
    }
}

fn load_object(kernel: &Kernel, settings: &Settings, btf: &Btf) -> Result<Ebpf, Error> {
    let wake_bytes = u64::from(settings.ring_bytes / 2);
    let profiler = std::process::id();
    let mut loader = EbpfLoader::new();
    loader.btf(Some(btf)).allow_unsupported_maps();
    for (global, offset) in &kernel.offsets {
        loader.override_global(global, offset, true);
    }
    loader.override_global("WAKE_BYTES", &wake_bytes, true);
    loader.override_global("PROFILER_TGID", &profiler, true);
    loader.map_max_entries("CPUS", kernel.possible_cpus);
    loader.map_max_entries("RINGS", kernel.possible_cpus);
    loader.load(OBJECT).map_err(|error| match &error {
        EbpfError::BtfError(_) => {
            Error::Btf { path: crate::kernel::BTF_PATH.to_owned(), reason: deepest(&error) }
        }
        _ => Error::Refused { what: "the probes' maps".into(), reason: deepest(&error), log: None },
    })
}

fn program<'a, P>(object: &'a mut Ebpf, name: &str) -> Result<&'a mut P, ProgramError>
where
    &'a mut P: TryFrom<&'a mut Program, Error = ProgramError>,
{
    object.program_mut(name).ok_or(ProgramError::NotLoaded)?.try_into()
}

fn refused_program(name: &str, error: &ProgramError) -> Error {
    let log = match error {
        ProgramError::LoadError { verifier_log, .. } => Some(verifier_log.to_string()),
        _ => None,
    };
    Error::Refused { what: format!("the program {name}"), reason: deepest(error), log }
}

fn not_ours(what: &str) -> Error {
    Error::NotSupported {
        feature: "this object",
        needs: format!("{what}; rebuild it with `cargo xtask ebpf`"),
    }
}

/// It writes nothing; reading is what makes the kernel walk.
fn run(walk: &mut File) -> Result<(), Error> {
    walk.read_to_end(&mut Vec::new()).map_err(Error::system("a walk over all tasks"))?;
    Ok(())
}

fn recursion_misses(fd: std::os::fd::RawFd) -> Option<u64> {
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
