//! What programs announce of themselves: their static probes (USDT) of provider `cronx`, found in the
//! binaries that the watched processes execute, and listened to through the program of
//! `probes-ebpf/usdt`.
//!
//! A probe is attached for a file, not for a process: who executes it next is heard from its first
//! instruction. In the kernel only the watched are listened to, by what the other object remembers of
//! them. Which files there are is seen from the load's command, from who is watched at the start, and
//! from the names that the other object tells: a process is looked at some 10 ms after it executed
//! something, and again 50 ms, half a second and 5 s later, since libraries come when they like. So of a
//! program that nobody executed before, and that is not the load itself, what it announces in its first
//! moments is not heard; and a file that was replaced since it was mapped is not found.
//!
//! A file is read as the word of its process's user at most ([`crate::trust`]), and its notes twice:
//! by [`crate::notes`], which believes no length, and if that finds probes of ours by libbpf.

mod binaries;
mod visits;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use aya::maps::{Map, MapData, RingBuf};
use cronx_abi::span::{SpanCounts, SpanSettings};
use cronx_abi::{Record, TaskRecord, TaskState, kind, task_flag};
use cronx_recording::{Listened, Probed, Untrusted};
use libbpf_rs::{
    Link, MapCore, MapFlags, Object, ObjectBuilder, OpenObject, PrintLevel, set_print,
};
use nix::unistd::Uid;

use crate::Error;
use crate::notes;
use crate::probes::Probes;
use crate::rings::deepest;
use binaries::{Binary, Id};
use visits::Visits;

/// Aligned for whoever reads its headers in place.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../probes-ebpf/prebuilt/usdt.bpf.o"
));

/// What is listened to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Wanted {
    /// Every firing, and spans.
    #[default]
    All,
    /// Late and rejected firings alone, and spans: punctual firings cost nothing.
    Late,
}

impl Wanted {
    /// The probes, each by the name of its program. An end comes before its begin.
    const fn probes(self) -> &'static [&'static str] {
        match self {
            Self::All => &[
                "firing_finished",
                "firing_late",
                "firing_started",
                "firing_rejected",
                "span_end",
                "span_begin",
            ],
            Self::Late => &["firing_late", "firing_rejected", "span_end", "span_begin"],
        }
    }
}

/// Programs that listen, and where.
pub struct Listener {
    object: Object,
    ring: RingBuf<MapData>,
    wanted: Wanted,
    links: Vec<Link>,
    looked_at: BTreeSet<Id>,
    binaries: Vec<Probed>,
    visits: Visits,
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener").field("binaries", &self.binaries).finish_non_exhaustive()
    }
}

impl Listener {
    /// Loads the programs beside those that are there already; they listen to nobody yet.
    pub fn load(probes: &Probes, wanted: Wanted) -> Result<Self, Error> {
        set_print(Some((PrintLevel::Warn, remember)));
        let mut object = ObjectBuilder::default().open_memory(OBJECT).map_err(refused)?;
        settle_maps(&mut object, probes)?;
        let object = object.load().map_err(refused)?;
        let ring = ring(&object)?;
        Ok(Self {
            object,
            ring,
            wanted,
            links: Vec::new(),
            looked_at: BTreeSet::new(),
            binaries: Vec::new(),
            visits: Visits::default(),
        })
    }

    /// Listens to what is there before the window: the load's command, and who is watched already, but
    /// for the load that is `held`, which is still a copy of us.
    pub fn begin(
        &mut self,
        command: &[OsString],
        user: Option<Uid>,
        held: Option<u32>,
        probes: &Probes,
    ) {
        let command = command.first().map(Path::new);
        let binary = command.and_then(|path| binaries::of_command(path, user.map(Uid::as_raw)));
        if let Some(binary) = binary {
            self.listen_to(&binary);
        }
        let processes = probes.processes().into_iter().filter(|pid| Some(*pid) != held);
        processes.for_each(|pid| self.look_at(pid));
    }

    /// Learns from a record of the other object who there is.
    pub(crate) fn see(&mut self, record: &[u8]) {
        const KIND: usize = std::mem::offset_of!(cronx_abi::Header, kind);
        if record.get(KIND) != Some(&kind::TASK) {
            return;
        }
        let Some(told) = TaskRecord::from_bytes(record) else { return };
        if told.flags & task_flag::WATCHED != 0 && told.flags & task_flag::KERNEL == 0 {
            self.visits.hear_of(told.task.tgid, Instant::now());
        }
    }

    /// Looks at whom it is time to look at.
    pub(crate) fn look(&mut self) {
        self.visits.next(Instant::now()).into_iter().for_each(|pid| self.look_at(pid));
    }

    /// Takes every record that is there.
    pub(crate) fn drain(&mut self, mut take: impl FnMut(&[u8])) {
        while let Some(record) = self.ring.next() {
            take(&record);
        }
    }

    /// Listens to nobody any more; what is in the ring is still to be drained.
    pub fn stop(&mut self) {
        self.links.clear();
    }

    /// What there was to hear, once all is drained.
    pub fn finish(self) -> Listened {
        let SpanCounts { seen, filtered, submitted, lost } = self.counts();
        Listened {
            seen,
            filtered,
            submitted,
            lost,
            looked_at: self.looked_at.len() as u64,
            binaries: self.binaries,
        }
    }

    fn look_at(&mut self, pid: u32) {
        for binary in binaries::of_process(pid) {
            self.listen_to(&binary);
        }
    }

    fn listen_to(&mut self, binary: &Binary) {
        if !self.looked_at.insert(binary.id) {
            return;
        }
        let read = |at, into: &mut [u8]| binary.file.read_exact_at(into, at).is_ok();
        // What cannot be read has no probes that anybody could attach to.
        let present = notes::probes(read).unwrap_or_default();
        if present.is_empty() {
            return;
        }
        let path = Untrusted::from(binary.path.to_string_lossy().into_owned());
        let mut probed = Probed { path, ..Probed::default() };
        for probe in self.wanted.probes() {
            if !present.contains(*probe) {
                continue;
            }
            match self.attach(binary, probe) {
                Ok(link) => {
                    self.links.push(link);
                    probed.probes.push((*probe).to_owned());
                }
                Err(error) => probed.refused = Some(format!("{probe}: {error}").into()),
            }
        }
        self.binaries.push(probed);
    }

    /// By the descriptor: its path may mean another file by now.
    fn attach(&self, binary: &Binary, probe: &str) -> Result<Link, Error> {
        const ALL_PROCESSES: i32 = -1;
        let path = format!("/proc/self/fd/{}", binary.file.as_raw_fd());
        let program = self.object.progs_mut().find(|program| program.name() == probe);
        let program = program.ok_or_else(|| missing(probe))?;
        program.attach_usdt(ALL_PROCESSES, path, notes::PROVIDER, probe).map_err(refused)
    }

    fn counts(&self) -> SpanCounts {
        let map = self.object.maps().find(|map| map.name() == "COUNTS");
        let found = map.and_then(|map| map.lookup_percpu(&[0; 4], MapFlags::ANY).ok().flatten());
        let each = found.into_iter().flatten().filter_map(|cpu| SpanCounts::from_bytes(&cpu));
        each.fold(SpanCounts::default(), |all, cpu| SpanCounts {
            seen: all.seen + cpu.seen,
            filtered: all.filtered + cpu.filtered,
            submitted: all.submitted + cpu.submitted,
            lost: all.lost + cpu.lost,
        })
    }
}

/// Gives it the other object's memory of tasks, which comes in two kinds, and says where to look in it.
fn settle_maps(object: &mut OpenObject, probes: &Probes) -> Result<(), Error> {
    let (tasks, by_tid) = probes.tasks();
    let settings = SpanSettings {
        watched_at: std::mem::offset_of!(TaskState, watched) as u32,
        all: u32::from(probes.watches_all()),
        by_tid: u32::from(by_tid),
    };
    let (ours, other) = if by_tid { ("TASKS_BY_TID", "TASKS") } else { ("TASKS", "TASKS_BY_TID") };
    for mut map in object.maps_mut() {
        let name = map.name().to_string_lossy().into_owned();
        if name == ours {
            map.reuse_fd(tasks).map_err(refused)?;
        } else if name == other {
            map.set_autocreate(false).map_err(refused)?;
        } else if name.ends_with(".rodata") {
            let value = map.initial_value_mut().ok_or_else(|| missing(".rodata"))?;
            let settings = settings.as_bytes();
            value
                .get_mut(..settings.len())
                .ok_or_else(|| missing("SETTINGS"))?
                .copy_from_slice(settings);
        }
    }
    Ok(())
}

/// The ring, read as the others are.
fn ring(object: &Object) -> Result<RingBuf<MapData>, Error> {
    let map = object.maps().find(|map| map.name() == "SPANS").ok_or_else(|| missing("SPANS"))?;
    let fd = map.as_fd().try_clone_to_owned().map_err(Error::system("the ring of spans"))?;
    let unusable = |error| Error::Refused {
        what: "the ring of spans".to_owned(),
        reason: deepest(&error),
        log: None,
    };
    let data = MapData::from_fd(fd).map_err(unusable)?;
    Map::RingBuf(data).try_into().map_err(unusable)
}

fn missing(what: &str) -> Error {
    Error::NotSupported {
        feature: "this object",
        needs: format!("{what}; rebuild it with `cargo xtask ebpf`"),
    }
}

/// What libbpf said last, which says more than its errors do.
static SAID: Mutex<String> = Mutex::new(String::new());

fn remember(_: PrintLevel, text: String) {
    *SAID.lock().unwrap_or_else(PoisonError::into_inner) = text;
}

#[expect(clippy::needless_pass_by_value, reason = "it is for map_err")]
fn refused(error: libbpf_rs::Error) -> Error {
    let said = std::mem::take(&mut *SAID.lock().unwrap_or_else(PoisonError::into_inner));
    let reason = match said.trim_end() {
        "" => error.to_string(),
        said => format!("{error} ({said})"),
    };
    Error::Refused { what: "to listen to spans".to_owned(), reason, log: None }
}
