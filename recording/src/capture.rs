//! What is in a Capture: the raw evidence of one recording. How it is laid out as a file is [`file`]'s.

mod file;

use std::collections::BTreeMap;

use cronx_abi::{CpuState, HookCount, SparedHistogram, SparedWaits, TaskKey, hook};
use serde::{Deserialize, Serialize};

use crate::Untrusted;

pub use file::CaptureWriter;

/// Everything one recording saw, before any analysis.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Capture {
    /// What was recorded, where and how.
    pub header: CaptureHeader,
    /// The raw abi records of each CPU, in the order they were written.
    pub records: Vec<CpuRecords>,
    /// What programs announced of themselves: [`cronx_abi::span::SpanRecord`]s, in no order. Their CPU
    /// is each record's own, and `cpu` is 0.
    pub spans: CpuRecords,
    /// Names of the sampled addresses.
    pub symbols: Symbols,
    /// How it ended; `None` in a torn file.
    pub trailer: Option<Trailer>,
    /// Where and how the file broke off, if it did.
    pub torn: Option<String>,
}

/// The records of one CPU.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CpuRecords {
    /// The CPU.
    pub cpu: u32,
    /// Its records: each a u32 length and then so many bytes, as [`CpuRecords::push`] lays them.
    pub bytes: Vec<u8>,
}

impl CpuRecords {
    /// The records of `cpu` among those of all, made if there are none yet.
    pub fn of(all: &mut Vec<Self>, cpu: u32) -> &mut Self {
        let at = all.iter().position(|records| records.cpu == cpu).unwrap_or_else(|| {
            all.push(Self { cpu, bytes: Vec::new() });
            all.len() - 1
        });
        &mut all[at]
    }

    /// Appends one record.
    pub fn push(&mut self, record: &[u8]) {
        self.bytes.extend_from_slice(&(record.len() as u32).to_le_bytes());
        self.bytes.extend_from_slice(record);
    }

    /// The records in order; stops where a length does not fit what is left.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.bytes.as_slice();
        std::iter::from_fn(move || {
            let (len, tail) = rest.split_first_chunk::<4>()?;
            let record = tail.get(..u32::from_le_bytes(*len) as usize)?;
            rest = &tail[record.len()..];
            Some(record)
        })
    }
}

/// The head of a Capture.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CaptureHeader {
    /// [`cronx_abi::ABI_VERSION`] of the records.
    pub abi_version: u32,
    /// The version of cronx that recorded.
    pub cronx_version: String,
    /// `uname -r`.
    pub kernel: Untrusted,
    /// `uname -m`.
    pub machine: String,
    /// CPUs that the kernel may ever have; CPU numbers are below it.
    pub possible_cpus: u32,
    /// CPUs that were up.
    pub online_cpus: u32,
    /// What else decides how long a thread waits there.
    #[serde(default)]
    pub host: Host,
    /// CLOCK_MONOTONIC at the start of the window: the release of the load.
    pub started_ns: u64,
    /// The same instant, nanoseconds since the Unix epoch, CLOCK_REALTIME.
    pub started_unix_ns: u64,
    /// Struct offsets the probes were given, by name, in bytes.
    pub offsets: BTreeMap<String, u64>,
    /// What was recorded.
    pub target: Target,
    /// The process that recorded.
    pub profiler_tgid: u32,
    /// Which object ran in the kernel: `tp_btf` or `legacy`.
    pub object: String,
    /// The hooks that were attached.
    pub hooks: Vec<String>,
    /// Stack samples a second and CPU while somebody waits; 0 for none.
    pub sample_hz: u32,
    /// Waits shorter than this, nanoseconds, were counted ([`CpuTrailer::spared`]) and have no record;
    /// 0 if every wait has one.
    #[serde(default)]
    pub floor_ns: u64,
    /// Names of device interrupt lines, by IRQ number.
    pub irq_names: BTreeMap<u32, Untrusted>,
    /// What could not be had, one sentence each.
    pub degraded: Vec<String>,
}

/// What of a machine decides how long a thread waits, besides its kernel and how many CPUs it has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// The first CPU's model, as the kernel calls it; empty if it does not.
    pub cpu: Untrusted,
    /// The first CPU's frequency governor; empty where none is to be seen.
    pub governor: Untrusted,
    /// The CPU time that the recorder's cgroup may have, and its load with it, thousandths of a CPU;
    /// `None` without a limit.
    pub quota_milli: Option<u64>,
}

/// What is recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// A command, started by us, and its descendants.
    Command {
        /// The command and its arguments.
        argv: Vec<Untrusted>,
    },
    /// Processes that ran already, and their descendants from then on.
    Processes {
        /// Their process ids.
        pids: Vec<u32>,
    },
    /// Threads of these names, for as long as they have them.
    Threads {
        /// The names.
        names: Vec<Untrusted>,
    },
    /// Threads in a cgroup or below it, for as long as they are there.
    Cgroup {
        /// Its folder.
        path: Untrusted,
    },
    /// Every thread of the machine, the kernel's own too.
    All,
}

impl Default for Target {
    fn default() -> Self {
        Self::Processes { pids: Vec::new() }
    }
}

/// Names of sampled addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Symbols {
    /// By kernel address.
    pub kernel: BTreeMap<u64, Frame>,
    /// By process, then address in it.
    pub user: BTreeMap<u32, BTreeMap<u64, Frame>>,
    /// Files that name symbols and were not read, because of who owns them or may write them.
    #[serde(default)]
    pub untrusted_files: u64,
}

impl Symbols {
    /// Adds what another table names.
    fn extend(&mut self, other: Self) {
        self.untrusted_files = self.untrusted_files.saturating_add(other.untrusted_files);
        self.kernel.extend(other.kernel);
        for (process, frames) in other.user {
            self.user.entry(process).or_default().extend(frames);
        }
    }
}

/// What stands at an address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// The function, demangled; `None` if nothing names it.
    pub function: Option<Untrusted>,
    /// The file it was mapped from; `None` for the kernel, and where unknown.
    pub module: Option<Untrusted>,
}

/// The end of a Capture.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trailer {
    /// CLOCK_MONOTONIC at the end of the window.
    pub stopped_ns: u64,
    /// Every CPU's last state.
    pub cpus: Vec<CpuTrailer>,
    /// Runs the kernel skipped because the program was running already, by hook.
    pub recursion_misses: BTreeMap<String, u64>,
    /// How the load ended; `None` for processes that were not ours.
    pub load: Option<LoadEnd>,
    /// CPU time of the profiler's own process during the window.
    pub profiler_cpu_ns: u64,
    /// What the probes' runs took, by program, while the kernel kept BPF statistics: a sample.
    #[serde(default)]
    pub programs: BTreeMap<String, Runs>,
    /// The cpu controller's cgroups by id, as far as they could be found: paths from its root, `/`.
    #[serde(default)]
    pub cgroups: BTreeMap<u64, Untrusted>,
    /// When the hypervisor had a CPU, as far as the kernel counts it.
    #[serde(default)]
    pub steal: Vec<Stolen>,
    /// How spans were listened to; `None` if they were not.
    #[serde(default)]
    pub spans: Option<Listened>,
}

/// How spans were listened to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listened {
    /// Probes that were passed.
    pub seen: u64,
    /// In processes that were not watched.
    pub filtered: u64,
    /// They became a record.
    pub submitted: u64,
    /// The ring was full.
    pub lost: u64,
    /// Executables and libraries that were looked at for probes.
    pub looked_at: u64,
    /// Those that have some.
    pub binaries: Vec<Probed>,
}

/// A binary that has probes of provider `cronx`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probed {
    /// Where it was found.
    pub path: Untrusted,
    /// Its probes that are listened to.
    pub probes: Vec<String>,
    /// Why not to the others, if there are others; a sentence.
    pub refused: Option<Untrusted>,
}

/// Runs of one program while the kernel kept statistics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runs {
    /// How many were timed.
    pub timed: u64,
    /// What they took, the timing itself (some 40 ns each) included.
    pub time_ns: u64,
}

/// Time that the hypervisor took from one CPU, by the kernel's own count (`/proc/stat`, steal).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stolen {
    /// The CPU.
    pub cpu: u32,
    /// It was taken after this instant, CLOCK_MONOTONIC,
    pub from_ns: u64,
    /// and before this one.
    pub to_ns: u64,
    /// How much, in the kernel's ticks of 10 ms.
    pub stolen_ns: u64,
}

/// One CPU at the end of the window.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuTrailer {
    /// The CPU.
    pub cpu: u32,
    /// Number of its last record, written or lost.
    pub last_seq: u64,
    /// Records lost at its ring.
    pub lost: u64,
    /// Events not handled for want of task storage.
    pub storage_failures: u64,
    /// Transitions of a task that cannot be.
    pub impossible: u64,
    /// Who ran at the end: `start_ns` of the key.
    pub occupant_start_ns: u64,
    /// Who ran at the end: the thread.
    pub occupant_tid: u32,
    /// Who ran at the end: the process.
    pub occupant_tgid: u32,
    /// When it was switched in; 0 if no switch was seen.
    pub since_ns: u64,
    /// From when on an interrupt was in progress at the end, or one whose end nobody saw, in time that
    /// anybody waited; 0 for none.
    #[serde(default)]
    pub interrupted_since_ns: u64,
    /// Its events by hook ([`cronx_abi::hook::NAMES`]).
    #[serde(default)]
    pub events: BTreeMap<String, Events>,
    /// Waits shorter than [`CaptureHeader::floor_ns`] that ended here.
    #[serde(default)]
    pub spared: Spared,
}

/// Waits that were counted in the kernel and have no record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spared {
    /// Opening to switch-in.
    pub wake_to_run: Counted,
    /// Waking to being queued, of woken threads.
    pub placement: Counted,
    /// Queued to switch-in.
    pub run_queue: Counted,
}

/// A distribution as the kernel side counts it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// How many, by [`cronx_abi::bucket::of`]; only buckets that have any.
    pub counts: BTreeMap<u32, u64>,
    /// Their sum, nanoseconds.
    pub sum_ns: u64,
    /// The longest, nanoseconds.
    pub max_ns: u64,
}

impl Spared {
    /// The Capture's view of what the kernel side counted.
    pub fn from_abi(waits: &SparedWaits) -> Self {
        Self {
            wake_to_run: Counted::from_abi(&waits.wake_to_run),
            placement: Counted::from_abi(&waits.placement),
            run_queue: Counted::from_abi(&waits.run_queue),
        }
    }
}

impl Counted {
    fn from_abi(histogram: &SparedHistogram) -> Self {
        let counts = (0..).zip(histogram.counts).filter(|(_, count)| *count > 0);
        Self { counts: counts.collect(), sum_ns: histogram.sum_ns, max_ns: histogram.max_ns }
    }
}

/// What became of one hook's events on one CPU.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Events {
    /// The hook was called.
    pub seen: u64,
    /// It changed what is remembered, or told a record.
    pub handled: u64,
    /// It concerned nobody who is watched.
    pub filtered: u64,
}

impl CpuTrailer {
    /// The trailer's view of a CPU's state.
    pub fn from_state(cpu: u32, state: &CpuState) -> Self {
        Self {
            cpu,
            last_seq: state.seq,
            lost: state.lost,
            storage_failures: state.storage_failures,
            impossible: state.impossible,
            occupant_start_ns: state.occupant.start_ns,
            occupant_tid: state.occupant.tid,
            occupant_tgid: state.occupant.tgid,
            since_ns: state.since_ns,
            interrupted_since_ns: interrupted_since_ns(state),
            events: hook::NAMES.iter().zip(&state.hooks).map(Events::named).collect(),
            spared: Spared::default(),
        }
    }

    /// Who ran at the end.
    pub fn occupant(&self) -> TaskKey {
        TaskKey {
            start_ns: self.occupant_start_ns,
            tid: self.occupant_tid,
            tgid: self.occupant_tgid,
        }
    }
}

/// One that began while nobody waited concerns who waits now from the opening of the gate on.
fn interrupted_since_ns(state: &CpuState) -> u64 {
    let slots = [(state.hard, state.hard_since_ns), (state.soft, state.soft_since_ns)];
    let running = slots.into_iter().filter(|(vector, _)| *vector != 0);
    let since = running.map(|(_, since_ns)| if since_ns == 0 { state.gate_ns } else { since_ns });
    since.filter(|&since_ns| since_ns != 0).min().unwrap_or(0)
}

impl Events {
    fn named((name, count): (&&str, &HookCount)) -> (String, Self) {
        let HookCount { seen, handled, filtered } = *count;
        ((*name).to_owned(), Self { seen, handled, filtered })
    }
}

/// How the load ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoadEnd {
    /// It exited with this status.
    Exited(i32),
    /// This signal killed it.
    Signaled(i32),
    /// It was still running when the window closed.
    Running,
}
