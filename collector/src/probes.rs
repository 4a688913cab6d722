//! The programs: loaded, attached, settled, stopped.
//!
//! Which of the two objects runs is decided by what the kernel takes, never by its version: the
//! first is tried whole, and if the kernel refuses any of it, the second.

mod btf;
mod check;
mod classic;
mod object;

use std::collections::{BTreeMap, BTreeSet};
#[cfg(feature = "usdt")]
use std::os::fd::BorrowedFd;
use std::os::fd::{AsFd, AsRawFd};

use aya::Ebpf;
use aya::maps::Map;
use aya::programs::{Program, ProgramError};
use cronx_abi::{CpuState, OpenWaitRecord, Record, SparedWaits};
use cronx_recording::{CpuRecords, CpuTrailer, Runs, Spared};

use crate::Error;
use crate::clock::now_ns;
use crate::kernel::{self, Kernel, Offsets};
use crate::rings::{self, PerCpu, Ring, deepest};
use crate::stats;
use crate::targets::{Targets, Thread};
use object::{map, refused_program};

/// What the programs were built with.
pub const MANIFEST: &str = include_str!("../../probes-ebpf/prebuilt/MANIFEST");

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

/// Which object runs in the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Object {
    /// BTF tracepoints and task storage.
    TpBtf,
    /// Classic tracepoints and a hash.
    Legacy,
}

impl Object {
    /// Its name in a Capture and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TpBtf => "tp_btf",
            Self::Legacy => "legacy",
        }
    }
}

/// How to record.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Bytes of each CPU's ring: a power of two, at least a page.
    pub ring_bytes: u32,
    /// Stack samples a second and CPU while somebody waits; 0 for none.
    pub sample_hz: u32,
    /// This object and no other; `None` for the best that the kernel takes.
    pub object: Option<Object>,
    /// Whose waits.
    pub targets: Targets,
    /// The process that is ours too ([`stats::Keeper`]).
    pub keeper: Option<u32>,
    /// Waits shorter than this are counted and not recorded, nanoseconds; 0 for none.
    pub floor_ns: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ring_bytes: 8 << 20,
            sample_hz: 199,
            object: None,
            targets: Targets::Processes(Vec::new()),
            keeper: None,
            floor_ns: 0,
        }
    }
}

enum Kind {
    TpBtf(btf::Kind),
    Legacy,
}

/// The programs in the kernel. Nothing is pinned: whatever ends this process ends them too.
pub struct Probes {
    object: Ebpf,
    kind: Kind,
    targets: Targets,
    /// Who of them was marked.
    marked: BTreeSet<Thread>,
    states: PerCpu<CpuState>,
    /// Where short waits are counted; `None` if every wait is recorded.
    spared: Option<PerCpu<SparedWaits>>,
    pub(crate) rings: Vec<Ring>,
    /// Records that are not in a ring, or not any more; they are evidence like any other.
    early: Vec<CpuRecords>,
    cpus: Vec<u32>,
    #[cfg(feature = "debug-log")]
    log: Option<aya_log::EbpfLogger<&'static dyn log::Log>>,
    offsets: Offsets,
    hooks: Vec<String>,
    degraded: Vec<String>,
}

impl std::fmt::Debug for Probes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Probes").field("hooks", &self.hooks).finish_non_exhaustive()
    }
}

impl Probes {
    /// Loads the object that fits and attaches all of it.
    pub fn attach(kernel: &Kernel, settings: &Settings) -> Result<Self, Error> {
        match settings.object {
            Some(object) => Self::attach_object(object, kernel, settings),
            None => Self::attach_best(kernel, settings),
        }
    }

    fn attach_best(kernel: &Kernel, settings: &Settings) -> Result<Self, Error> {
        let refused = match Self::attach_object(Object::TpBtf, kernel, settings) {
            Ok(probes) => return Ok(probes),
            Err(refused) => refused,
        };
        match Self::attach_object(Object::Legacy, kernel, settings) {
            Ok(mut probes) => {
                probes.degraded.insert(0, format!("the legacy object runs, since {refused}"));
                Ok(probes)
            }
            // What mends the first object is worth more than what mends the second.
            Err(_) => Err(refused),
        }
    }

    fn attach_object(object: Object, kernel: &Kernel, settings: &Settings) -> Result<Self, Error> {
        let (offsets, (object, kind)) = match object {
            Object::TpBtf => {
                let offsets = kernel::struct_offsets()?;
                let (object, kind) = btf::load(kernel, &offsets, settings)?;
                (offsets, (object, Kind::TpBtf(kind)))
            }
            Object::Legacy => {
                let offsets = kernel::record_offsets()?;
                let object = classic::load(kernel, &offsets, settings)?;
                (offsets, (object, Kind::Legacy))
            }
        };
        let mut probes = Self::around(object, kind, kernel, settings)?;
        probes.offsets = offsets;
        probes.hook_all(settings)?;
        Ok(probes)
    }

    fn around(
        mut object: Ebpf,
        kind: Kind,
        kernel: &Kernel,
        settings: &Settings,
    ) -> Result<Self, Error> {
        let states = mapped(&mut object, "CPUS", kernel)?;
        let spared = (settings.floor_ns > 0).then(|| mapped(&mut object, "SPARED", kernel));
        let spared = spared.transpose()?;
        let outer = map(&mut object, "RINGS")?;
        let rings = rings::make(outer, &kernel.online_cpus, settings.ring_bytes)?;
        Ok(Self {
            kind,
            targets: settings.targets.clone(),
            marked: BTreeSet::new(),
            states,
            spared,
            rings,
            early: Vec::new(),
            cpus: kernel.online_cpus.clone(),
            #[cfg(feature = "debug-log")]
            log: aya_log::EbpfLogger::init(&mut object).ok(),
            offsets: Offsets::new(),
            hooks: Vec::new(),
            degraded: Vec::new(),
            object,
        })
    }

    /// Attaches every program; an interrupt's that this kernel has not is left out, loudly.
    fn hook_all(&mut self, settings: &Settings) -> Result<(), Error> {
        if let Kind::Legacy = self.kind {
            self.degraded.push(classic::DEGRADED.to_owned());
        }
        for (entry, exit) in INTERRUPTS {
            // The exit first: an entry without its exit would never be told.
            let attached = self.hook(exit).and_then(|()| self.hook(entry));
            if let Err(error) = attached {
                self.degraded.push(format!("{entry} is not observed: {}", deepest(&error)));
            }
        }
        let needed = match self.kind {
            Kind::TpBtf(_) => btf::NEEDED,
            Kind::Legacy => classic::NEEDED,
        };
        for hook in needed {
            self.hook(hook).map_err(|error| refused_program(hook, &error))?;
        }
        self.hook_wanted();
        if settings.sample_hz > 0 {
            match object::sample(&mut self.object, &self.cpus, settings.sample_hz) {
                Ok(()) => self.hooks.push("cpu-clock".to_owned()),
                Err(e) => self.degraded.push(format!("no stacks are sampled: {}", deepest(&e))),
            }
        }
        Ok(())
    }

    fn hook_wanted(&mut self) {
        let Kind::TpBtf(kind) = &self.kind else { return };
        for hook in kind.wanted() {
            if let Err(error) = self.hook(hook) {
                self.degraded.push(format!("{hook} is not observed: {}", deepest(&error)));
            }
        }
    }

    fn hook(&mut self, name: &str) -> Result<(), ProgramError> {
        match &self.kind {
            Kind::TpBtf(kind) => kind.hook(&mut self.object, name)?,
            Kind::Legacy => classic::hook(&mut self.object, name)?,
        }
        self.hooks.push(name.to_owned());
        Ok(())
    }

    /// Marks the targets, lets every CPU switch once so that its occupant is known, and checks that
    /// the probes see what we know to be true.
    pub fn settle(&mut self) -> Result<(), Error> {
        if let Targets::Named(names) = &self.targets {
            object::name(&mut self.object, names)?;
        }
        // Who was born while the first look passed him by is caught by the second.
        self.mark_present(true)?;
        self.mark_present(true)?;
        if let Kind::TpBtf(kind) = &mut self.kind {
            kind.prepare(&mut self.object)?;
        }
        self.visit_every_cpu()?;
        match self.kind {
            Kind::TpBtf(_) => self.check_own_name(),
            // Names come with the events; there is no offset of ours to check.
            Kind::Legacy => Ok(()),
        }
    }

    /// Marks who has joined the targets since, and no more who has left them.
    pub(crate) fn follow(&mut self) -> Result<(), Error> {
        if self.targets.changes() { self.mark_present(false) } else { Ok(()) }
    }

    /// `always` even if nobody joined or left.
    fn mark_present(&mut self, always: bool) -> Result<(), Error> {
        let present = self.targets.threads()?;
        let joined: Vec<_> = present.difference(&self.marked).copied().collect();
        let left: Vec<_> = self.marked.difference(&present).copied().collect();
        if always || !joined.is_empty() || !left.is_empty() {
            match &self.kind {
                Kind::TpBtf(kind) => kind.mark(&mut self.object, &joined, &left)?,
                Kind::Legacy => classic::mark(&mut self.object, &joined, &left)?,
            }
        }
        self.marked = present;
        Ok(())
    }

    /// Takes every record that is there. `take` gets the CPU and the record's bytes.
    pub(crate) fn drain_once(&mut self, mut take: impl FnMut(u32, &[u8])) {
        #[cfg(feature = "debug-log")]
        if let Some(log) = &mut self.log {
            log.flush();
        }
        for ring in &mut self.rings {
            for records in self.early.extract_if(.., |records| records.cpu == ring.cpu) {
                records.iter().for_each(|record| take(records.cpu, record));
            }
            while let Some(record) = ring.buffer.next() {
                take(ring.cpu, &record);
            }
        }
    }

    /// Which object runs.
    pub fn object(&self) -> Object {
        match self.kind {
            Kind::TpBtf(_) => Object::TpBtf,
            Kind::Legacy => Object::Legacy,
        }
    }

    /// Whether the maps will be asked at the end, which some kernels want CAP_BPF for.
    pub fn asks_maps(&self) -> bool {
        self.object() == Object::Legacy || self.targets.changes()
    }

    /// Whether everybody is watched.
    #[cfg(feature = "usdt")]
    pub(crate) fn watches_all(&self) -> bool {
        matches!(self.targets, Targets::All)
    }

    /// The processes of the targets, as of now.
    #[cfg(feature = "usdt")]
    pub(crate) fn processes(&self) -> BTreeSet<u32> {
        self.targets.processes_now()
    }

    /// What is remembered of tasks, and whether it is a hash by thread; else it is task storage.
    #[cfg(feature = "usdt")]
    pub(crate) fn tasks(&self) -> (BorrowedFd<'_>, bool) {
        let Some(Map::Unsupported(data) | Map::HashMap(data)) = self.object.map("TASKS") else {
            unreachable!("both objects of this very build have it")
        };
        (data.fd().as_fd(), matches!(self.kind, Kind::Legacy))
    }

    /// The offsets that the programs were given, by the name of their global.
    pub fn offsets(&self) -> &Offsets {
        &self.offsets
    }

    /// The hooks that are attached.
    pub fn hooks(&self) -> &[String] {
        &self.hooks
    }

    /// What could not be had, one sentence each.
    pub fn degraded(&self) -> &[String] {
        &self.degraded
    }

    /// Has the waits told that are still open, takes the programs off their hooks, and gives every
    /// CPU's last state. What is left in the rings is still to be drained.
    pub fn stop(&mut self) -> Result<Vec<CpuTrailer>, Error> {
        if let Kind::TpBtf(kind) = &mut self.kind {
            kind.tell_open_waits()?;
        }
        self.unhook();
        let mut cpus = self.last_states();
        if let Kind::Legacy = self.kind {
            let open = classic::open_waits(&mut self.object, now_ns())?;
            for record in open {
                self.append(record, &mut cpus);
            }
        }
        Ok(cpus)
    }

    /// Of the CPUs that were up, and of any that came up since: it has no ring, and all that it
    /// told was lost.
    fn last_states(&self) -> Vec<CpuTrailer> {
        let states =
            self.states.all().filter(|(cpu, state)| state.seq > 0 || self.cpus.contains(cpu));
        let trailer = |(cpu, state): (u32, CpuState)| {
            let spared = self.spared.as_ref().and_then(|spared| spared.read(cpu));
            CpuTrailer {
                spared: spared.as_ref().map(Spared::from_abi).unwrap_or_default(),
                ..CpuTrailer::from_state(cpu, &state)
            }
        };
        states.map(trailer).collect()
    }

    fn unhook(&mut self) {
        for (_, program) in self.object.programs_mut() {
            // Unloading closes the links; a program that never loaded has none.
            let _ = match program {
                Program::BtfTracePoint(p) => p.unload(),
                Program::TracePoint(p) => p.unload(),
                Program::PerfEvent(p) => p.unload(),
                Program::Iter(p) => p.unload(),
                _ => Ok(()),
            };
        }
    }

    /// Gives a record of our own the next number of its CPU, as if the kernel had told it.
    fn append(&mut self, mut record: OpenWaitRecord, cpus: &mut [CpuTrailer]) {
        let Some(cpu) = cpus.iter_mut().find(|cpu| cpu.cpu == u32::from(record.header.cpu)) else {
            return;
        };
        cpu.last_seq += 1;
        record.header.seq = cpu.last_seq;
        CpuRecords::of(&mut self.early, cpu.cpu).push(record.as_bytes());
    }

    /// Runs that the kernel skipped because the program was running already on that CPU, by hook;
    /// only hooks that have any. Ask before [`Probes::stop`].
    pub fn recursion_misses(&self) -> BTreeMap<String, u64> {
        let misses = self.infos().map(|(name, info)| (name, info.recursion_misses));
        misses.filter(|(_, misses)| *misses > 0).collect()
    }

    /// What the programs' runs took while the kernel kept statistics, by program; only those that
    /// ran meanwhile. Ask before [`Probes::stop`].
    pub fn runs(&self) -> BTreeMap<String, Runs> {
        let runs = self
            .infos()
            .map(|(name, info)| (name, Runs { timed: info.run_cnt, time_ns: info.run_time_ns }));
        runs.filter(|(_, runs)| runs.timed > 0).collect()
    }

    fn infos(&self) -> impl Iterator<Item = (String, aya_obj::generated::bpf_prog_info)> {
        self.object.programs().filter_map(|(name, program)| {
            let fd = program.fd().ok()?.as_fd().as_raw_fd();
            Some((name.to_owned(), stats::program_info(fd)?))
        })
    }
}

/// An array of the object's, mapped.
fn mapped<T: Record>(
    object: &mut Ebpf,
    name: &'static str,
    kernel: &Kernel,
) -> Result<PerCpu<T>, Error> {
    match map(object, name)? {
        Map::Array(data) => PerCpu::map(data.fd().as_fd(), kernel.possible_cpus),
        _ => unreachable!("the object of this very build calls it an array"),
    }
}
