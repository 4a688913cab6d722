//! The stages in order, and the Report put together from what they give.

use cronx_recording::{
    Capture, Censored, Class, Events, Health, Provenance, Report, SCHEMA, Trailer,
};

use crate::anomaly::Counts;
use crate::evidence::{self, Evidence};
use crate::spared::Spared;
use crate::waits::{self, Interval};
use crate::{Options, blamed, cost, metric, spans, steal};

/// From records to Report.
pub(crate) fn assemble(capture: &Capture, options: &Options) -> Report {
    let mut anomalies = Counts::default();
    let mut evidence = evidence::collect(capture, &mut anomalies);
    let waits = waits::build(&mut evidence, options, &mut anomalies);
    steal::find(capture, &mut evidence);
    let spared = Spared::new(capture, options, &mut anomalies);
    let blamed = blamed::blame(&evidence, &waits, &spared, options, &mut anomalies);
    let spans = spans::explain(capture, &evidence, &waits, options);
    Report {
        schema: SCHEMA.to_owned(),
        provenance: provenance(capture, &evidence),
        objective_ns: options.objective_ns,
        waits: blamed.all.waits,
        waited_ns: blamed.all.waited_ns,
        misses: options.objective_ns.map(|objective| misses(&waits.closed, objective)),
        censored: censored(&waits.censored),
        boundary: waits.boundary,
        spared: spared.summary(),
        metrics: metric::metrics(&waits.closed, &blamed.self_caused, &spared, &evidence),
        blame: blamed.all.classes(|_| None),
        culprits: blamed.all.culprits(&evidence, |_| None),
        tail: blamed.tail,
        worst: blamed.worst,
        folds: blamed.folds.finish(&evidence, &capture.symbols),
        spans,
        health: Health {
            unbalanced: blamed.unbalanced,
            unknown_ns: blamed.all.owed_to_class(Class::Unknown),
            ..health(capture, &evidence, anomalies)
        },
    }
}

fn misses(closed: &[Interval], objective_ns: u64) -> u64 {
    closed.iter().filter(|interval| interval.length_ns() > objective_ns).count() as u64
}

fn censored(intervals: &[Interval]) -> Censored {
    let lengths = || intervals.iter().map(Interval::length_ns);
    Censored {
        count: intervals.len() as u64,
        waited_ns: lengths().fold(0, u64::saturating_add),
        max_ns: lengths().max().unwrap_or(0),
    }
}

fn provenance(capture: &Capture, evidence: &Evidence) -> Provenance {
    let header = &capture.header;
    Provenance {
        cronx_version: header.cronx_version.clone(),
        kernel: header.kernel.clone(),
        machine: header.machine.clone(),
        online_cpus: header.online_cpus,
        host: header.host.clone(),
        target: header.target.clone(),
        started_unix_ns: header.started_unix_ns,
        duration_ns: evidence.stopped_ns.saturating_sub(evidence.started_ns),
        load: capture.trailer.as_ref().and_then(|trailer| trailer.load),
    }
}

fn health(capture: &Capture, evidence: &Evidence, mut anomalies: Counts) -> Health {
    let nothing = Trailer::default();
    let trailer = capture.trailer.as_ref().unwrap_or(&nothing);
    let sum = |values: &mut dyn Iterator<Item = u64>| values.fold(0, u64::saturating_add);
    anomalies.add("impossible_transition", sum(&mut trailer.cpus.iter().map(|c| c.impossible)));
    let events = || trailer.cpus.iter().flat_map(|cpu| cpu.events.values());
    let ended = |e: &Events| e.handled.saturating_add(e.filtered);
    anomalies.add("uncounted_events", sum(&mut events().map(|e| e.seen.abs_diff(ended(e)))));
    Health {
        object: capture.header.object.clone(),
        events: sum(&mut events().map(|e| e.seen)),
        records: evidence.records,
        lost: sum(&mut trailer.cpus.iter().map(|c| c.lost)),
        missing: evidence.missing,
        recursion_misses: sum(&mut trailer.recursion_misses.values().copied()),
        storage_failures: sum(&mut trailer.cpus.iter().map(|c| c.storage_failures)),
        anomalies: anomalies.into_report(),
        samples: evidence.samples.values().map(|s| s.len() as u64).sum(),
        stolen_ns: sum(&mut trailer.steal.iter().map(|stolen| stolen.stolen_ns)),
        profiler_cpu_ns: trailer.profiler_cpu_ns,
        own_cost_ns: cost::own_ns(trailer),
        torn: capture.torn.clone(),
        degraded: degraded(capture),
        ..Health::default()
    }
}

/// What could not be had, as the collector said it, and what it would not have.
fn degraded(capture: &Capture) -> Vec<String> {
    let untrusted = match capture.symbols.untrusted_files {
        0 => None,
        files => Some(format!(
            "symbol files not read, since neither root nor the process's user owns them or since \
             anybody may write them: {files}"
        )),
    };
    capture.header.degraded.iter().cloned().chain(untrusted).collect()
}

#[cfg(test)]
mod tests;
