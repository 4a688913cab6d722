//! The stages in order, and the Report put together from what they give.

use cronx_recording::{
    Capture, Censored, Class, Events, Fold, Health, Miss, Provenance, Report, SCHEMA, Trailer,
    WhatIf,
};

use crate::anomaly::Counts;
use crate::evidence::{self, Evidence};
use crate::fold::Folds;
use crate::spared::Spared;
use crate::tail::TailBlame;
use crate::tally::Tally;
use crate::tile::Tiler;
use crate::waits::{self, Interval, Waits};
use crate::what_if::WhatIfs;
use crate::{Options, cost, metric, steal, tail, worst};

/// From records to Report.
pub(crate) fn assemble(capture: &Capture, options: &Options) -> Report {
    let mut anomalies = Counts::default();
    let mut evidence = evidence::collect(capture, &mut anomalies);
    let waits = waits::build(&mut evidence, options, &mut anomalies);
    steal::find(capture, &mut evidence);
    let spared = Spared::new(capture, options, &mut anomalies);
    let blamed = blame(capture, &evidence, &waits, &spared, options, &mut anomalies);
    let tail = blamed.tail.map(|tail| {
        let what_if = what_if(&tail, &waits, &spared, &evidence);
        tail.report(what_if, &evidence)
    });
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
        metrics: metric::metrics(&waits.closed, &spared, &evidence),
        blame: blamed.all.classes(|_| None),
        culprits: blamed.all.culprits(&evidence, |_| None),
        tail,
        worst: blamed.worst,
        folds: blamed.folds,
        health: Health {
            unbalanced: blamed.unbalanced,
            unknown_ns: blamed.all.owed_to_class(Class::Unknown),
            ..health(capture, &evidence, anomalies)
        },
    }
}

/// What one pass over the tiles of every wait gives.
struct Blamed {
    all: Tally,
    tail: Option<TailBlame>,
    worst: Vec<Miss>,
    folds: Vec<Fold>,
    unbalanced: u64,
}

fn blame(
    capture: &Capture,
    evidence: &Evidence,
    waits: &Waits,
    spared: &Spared,
    options: &Options,
    anomalies: &mut Counts,
) -> Blamed {
    let ranked = longest_first(&waits.closed);
    let lengths: Vec<_> = ranked.iter().map(|&i| waits.closed[i as usize].length_ns()).collect();
    let mut tail = tail::threshold_ns(&lengths, spared.below(), options.objective_ns)
        .map(|threshold_ns| TailBlame::new(threshold_ns, evidence));
    let mut all = Tally::default();
    let mut folds = Folds::new(evidence);
    let mut worst = Vec::new();
    let mut tiles = Vec::new();
    let mut cutter = Tiler { evidence, anomalies, unbalanced: 0 };
    for (rank, &number) in ranked.iter().enumerate() {
        let interval = &waits.closed[number as usize];
        cutter.tile(interval, &mut tiles);
        all.add(&tiles);
        folds.add(interval.victim.thread, &tiles);
        if let Some(tail) = tail.as_mut().filter(|tail| tail.has(interval)) {
            tail.add(interval, &tiles);
        }
        if rank < options.worst {
            worst.push(worst::miss(interval, &tiles, waits, evidence));
        }
    }
    // Censored waits are tiled for the balance alone: their sums would mix with no other.
    for interval in &waits.censored {
        cutter.tile(interval, &mut tiles);
    }
    let unbalanced = cutter.unbalanced;
    let folds = folds.finish(evidence, &capture.symbols);
    Blamed { all, tail, worst, folds, unbalanced }
}

/// A second pass, since whom to take out is known after the first. What is odd was counted there.
fn what_if(tail: &TailBlame, waits: &Waits, spared: &Spared, evidence: &Evidence) -> Vec<WhatIf> {
    let mut what_ifs = WhatIfs::new(&tail.tally, evidence);
    let mut counted = Counts::default();
    let mut cutter = Tiler { evidence, anomalies: &mut counted, unbalanced: 0 };
    let mut tiles = Vec::new();
    for interval in &waits.closed {
        cutter.tile(interval, &mut tiles);
        what_ifs.add(&tiles);
    }
    what_ifs.finish(spared, evidence)
}

/// Numbers of the waits; of equally long ones the earlier comes first.
fn longest_first(closed: &[Interval]) -> Vec<u32> {
    let mut numbers: Vec<u32> = (0..closed.len() as u32).collect();
    numbers.sort_unstable_by_key(|&number| {
        let interval = &closed[number as usize];
        let length = std::cmp::Reverse(interval.length_ns());
        (length, interval.wait.open_ns, interval.wait.victim, number)
    });
    numbers
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
