//! An object in the kernel: what loading one and attaching its programs have in common.

use aya::maps::{HashMap as BpfHashMap, Map, MapData, MapError};
use aya::programs::perf_event::{PerfEventConfig, PerfEventScope, SamplePolicy, SoftwareEvent};
use aya::programs::{PerfEvent, Program, ProgramError};
use aya::{Ebpf, EbpfLoader};
use cronx_abi::COMM_LEN;

use super::Settings;
use crate::Error;
use crate::kernel::{Kernel, Offsets};
use crate::rings::deepest;
use crate::targets::ThreadName;

/// A loader with everything set that both objects need.
pub(super) fn loader<'a>(
    kernel: &Kernel,
    offsets: &'a Offsets,
    common: &'a Common,
) -> EbpfLoader<'a> {
    let mut loader = EbpfLoader::new();
    for (global, offset) in offsets {
        loader.override_global(global, offset, true);
    }
    loader.override_global("WAKE_BYTES", &common.wake_bytes, true);
    loader.override_global("PROFILER_TGID", &common.profiler_tgid, true);
    loader.override_global("KEEPER_TGID", &common.keeper_tgid, true);
    loader.override_global("FILTER", &common.filter, true);
    loader.override_global("FLOOR_NS", &common.floor_ns, true);
    loader.map_max_entries("CPUS", kernel.possible_cpus);
    loader.map_max_entries("SPARED", if common.floor_ns > 0 { kernel.possible_cpus } else { 1 });
    loader.map_max_entries("RINGS", kernel.possible_cpus);
    loader
}

/// Globals that both objects take beside their offsets.
pub(super) struct Common {
    wake_bytes: u64,
    profiler_tgid: u32,
    keeper_tgid: u32,
    filter: u32,
    floor_ns: u64,
}

impl Common {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            wake_bytes: u64::from(settings.ring_bytes / 2),
            profiler_tgid: std::process::id(),
            keeper_tgid: settings.keeper.unwrap_or(0),
            filter: settings.targets.filter(),
            floor_ns: settings.floor_ns,
        }
    }
}

/// A program of the object, as the kind that it is.
pub(super) fn program<'a, P>(object: &'a mut Ebpf, name: &str) -> Result<&'a mut P, ProgramError>
where
    &'a mut P: TryFrom<&'a mut Program, Error = ProgramError>,
{
    object.program_mut(name).ok_or(ProgramError::NotLoaded)?.try_into()
}

/// A map of the object.
pub(super) fn map<'a>(object: &'a mut Ebpf, name: &'static str) -> Result<&'a mut Map, Error> {
    object.map_mut(name).ok_or_else(|| Error::NotSupported {
        feature: "this object",
        needs: format!("the map {name}; rebuild it with `cargo xtask ebpf`"),
    })
}

/// Tells the programs which names are asked for.
pub(super) fn name(object: &mut Ebpf, names: &[ThreadName]) -> Result<(), Error> {
    let refused = refused_map("the list of names");
    let mut list: BpfHashMap<&mut MapData, [u8; COMM_LEN], u32> =
        map(object, "NAMES")?.try_into().map_err(&refused)?;
    names.iter().try_for_each(|name| list.insert(name.bytes(), 1, 0)).map_err(&refused)
}

/// Starts the sampling clock of every CPU.
pub(super) fn sample(object: &mut Ebpf, cpus: &[u32], hz: u32) -> Result<(), ProgramError> {
    let program: &mut PerfEvent = program(object, "sample")?;
    program.load()?;
    for &cpu in cpus {
        program.attach(
            PerfEventConfig::Software(SoftwareEvent::CpuClock),
            PerfEventScope::AllProcessesOneCpu { cpu },
            SamplePolicy::Frequency(hz.into()),
            false,
        )?;
    }
    Ok(())
}

/// The kernel refused a program: its log, if there is one, comes along.
pub(super) fn refused_program(name: &str, error: &ProgramError) -> Error {
    let log = match error {
        ProgramError::LoadError { verifier_log, .. } => Some(verifier_log.to_string()),
        _ => None,
    };
    Error::Refused { what: format!("the program {name}"), reason: deepest(error), log }
}

/// The kernel refused a map, or what was asked of it.
pub(super) fn refused_map(what: &str) -> impl Fn(MapError) -> Error {
    let what = what.to_owned();
    move |error| Error::Refused { what: what.clone(), reason: deepest(&error), log: None }
}
