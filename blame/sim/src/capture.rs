//! The model's run and the probes' records to a Capture, as a collector would write it.

use std::collections::BTreeMap;

use cronx_abi::ABI_VERSION;
use cronx_recording::{Capture, CaptureHeader, Stolen, Target, Trailer};

use crate::model::{self, PERIODS_PER_READING, Run, Stops, Track};
use crate::phenomenon::Counts;
use crate::probes;
use crate::truth::{self, Truth};

/// A Capture and what is true of it.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// What was recorded.
    pub capture: Capture,
    /// What happened.
    pub truth: Truth,
    /// What of the things that are hard to read was in it.
    pub counts: Counts,
}

/// Lives so many events of the machine that `seed` draws, and records it.
pub fn simulate(seed: u64, steps: u64) -> Scenario {
    let run = model::run(seed, steps);
    let told = probes::record(&run.hooks, run.cpus, run.profiler_tgid);
    let truth = truth::of(&run);
    let trailer = Trailer {
        stopped_ns: run.stopped_ns,
        cpus: told.cpus,
        cgroups: run.groups.iter().map(|g| (g.id, g.path.as_str().into())).collect(),
        steal: steal(&run),
        ..Trailer::default()
    };
    let capture = Capture {
        header: header(&run),
        records: told.records,
        trailer: Some(trailer),
        ..Capture::default()
    };
    Scenario { capture, truth, counts: run.counts }
}

fn header(run: &Run) -> CaptureHeader {
    CaptureHeader {
        abi_version: ABI_VERSION,
        possible_cpus: run.cpus.into(),
        online_cpus: run.cpus.into(),
        started_ns: run.started_ns,
        target: Target::Processes { pids: Vec::new() },
        profiler_tgid: run.profiler_tgid,
        object: "tp_btf".to_owned(),
        hooks: hooks(run),
        offsets: offsets(run),
        sample_hz: (1_000_000_000 / run.sample_period_ns) as u32,
        ..CaptureHeader::default()
    }
}

/// Of the hooks only the one that not everybody has: it is attached where some cgroup has a quota.
fn hooks(run: &Run) -> Vec<String> {
    let quota = run.groups.iter().any(|group| group.has_quota);
    quota.then(|| "hrtimer_expire_entry".to_owned()).into_iter().collect()
}

/// Of the kernel's fields only the one that tells what a quota stops.
fn offsets(run: &Run) -> BTreeMap<String, u64> {
    let by_thread = run.stops == Stops::Thread;
    by_thread.then(|| ("TASK_THROTTLED".to_owned(), 928)).into_iter().collect()
}

/// What the kernel counts of the hypervisor's time, between one reading and the next.
fn steal(run: &Run) -> Vec<Stolen> {
    let step_ns = run.sample_period_ns * PERIODS_PER_READING;
    let count = |cpu: u32, track: &Track, from_ns: u64| {
        let to_ns = from_ns + step_ns;
        let overlap_ns = |&(from, to): &(u64, u64)| to.min(to_ns).saturating_sub(from.max(from_ns));
        let stolen_ns = track.stolen.iter().map(overlap_ns).sum();
        (stolen_ns > 0).then_some(Stolen { cpu, from_ns, to_ns, stolen_ns })
    };
    let of_cpu = |(cpu, track): (u32, &Track)| {
        let first_ns = track.stolen.first().map_or(u64::MAX, |&(from_ns, _)| from_ns);
        let last_ns = track.stolen.last().map_or(0, |&(_, to_ns)| to_ns);
        let readings = (first_ns / step_ns..=last_ns / step_ns).map(|n| n * step_ns);
        readings.filter_map(|from_ns| count(cpu, track, from_ns)).collect::<Vec<_>>()
    };
    (0..).zip(&run.journal.tracks).flat_map(of_cpu).collect()
}
