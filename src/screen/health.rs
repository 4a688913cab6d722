//! What is not in the figures above, and how far they can be trusted. Loss is never silent.

use cronx_flamegraph::units::{count, duration, percent};
use cronx_recording::{Health, Report, SparedWaits, Untrusted};

use super::line::{Line, Paint, fit, wrap};
use super::plural;

/// Columns of a sentence that came with the Report; ours are a line or two.
const SENTENCE_MAX: usize = 300;

/// Never empty.
pub(crate) fn lines(report: &Report, width: usize) -> Vec<Line> {
    let mut sentences = left_out(report);
    sentences.extend(loss(&report.health));
    sentences.push((Paint::Plain, summary(report)));
    sentences.extend(remarks(&report.health));
    sentences.iter().flat_map(|(paint, text)| wrap(*paint, text, width)).collect()
}

/// Waits that no figure counts, because an end of theirs is not known.
fn left_out(report: &Report) -> Vec<(Paint, String)> {
    let mut sentences = Vec::new();
    let (censored, boundary) = (report.censored, report.boundary);
    if censored.count > 0 {
        sentences.push((
            Paint::Bold,
            format!(
                "Not counted above: {} still open at the end, {} so far, the longest {}.",
                plural(censored.count, "wait"),
                duration(censored.waited_ns),
                duration(censored.max_ns)
            ),
        ));
    }
    sentences.extend(report.spared.map(|spared| (Paint::Plain, below_floor(&spared))));
    for (waits, end) in [(boundary.open_unknown, "start"), (boundary.close_unknown, "end")] {
        if waits > 0 {
            let text =
                format!("Not counted above: {} whose {end} nobody saw.", plural(waits, "wait"));
            sentences.push((Paint::Plain, text));
        }
    }
    sentences
}

/// Waits that were counted in the kernel, and what that leaves out.
fn below_floor(spared: &SparedWaits) -> String {
    let (waits, floor) = (plural(spared.waits, "wait"), duration(spared.floor_ns));
    let waited = duration(spared.waited_ns);
    if spared.left_out {
        return format!(
            "Not counted above: {waits} shorter than {floor}, {waited} in all; whose they were was \
             not recorded, so a filter leaves them out."
        );
    }
    format!(
        "{waits} shorter than {floor}, {waited} in all, {} in the distribution and in P99's rank \
         alone: who waited, and for whom, was not recorded.",
        if spared.waits == 1 { "is" } else { "are" }
    )
}

/// What must not be overlooked.
fn loss(health: &Health) -> Vec<(Paint, String)> {
    let mut sentences = Vec::new();
    let gone = health.lost.max(health.missing);
    if gone > 0 {
        let of = percent(gone, health.records.saturating_add(gone));
        sentences.push(format!(
            "EVIDENCE LOST: {} ({of}), {} of them at a full ring. What they would have shown is \
             unknown above.",
            plural(gone, "record"),
            count(health.lost),
        ));
    }
    let unhandled = health.recursion_misses.saturating_add(health.storage_failures);
    if unhandled > 0 {
        sentences.push(format!(
            "EVENTS NOT HANDLED: {} skipped by the kernel, {} for want of task storage.",
            count(health.recursion_misses),
            count(health.storage_failures)
        ));
    }
    if health.unbalanced > 0 {
        let waits = plural(health.unbalanced, "wait");
        sentences.push(format!("BUG IN CRONX: {waits} whose tiles do not sum to them."));
    }
    if let Some(torn) = &health.torn {
        sentences.push(format!("THE CAPTURE IS TORN: {}.", sentence(torn)));
    }
    sentences.into_iter().map(|text| (Paint::Loud, text)).collect()
}

fn summary(report: &Report) -> String {
    let health = &report.health;
    let probes = match health.own_cost_ns {
        Some(own_ns) => format!(" + {} in the probes (extrapolated)", duration(own_ns)),
        None => String::new(),
    };
    format!(
        "lost {} · unknown {} · unbalanced {} · own cost {} CPU ({} of one CPU){probes}",
        count(health.lost.max(health.missing)),
        percent(health.unknown_ns, report.waited_ns),
        count(health.unbalanced),
        duration(health.profiler_cpu_ns),
        percent(health.profiler_cpu_ns, report.provenance.duration_ns),
    )
}

/// Anomalies, and what could not be had.
fn remarks(health: &Health) -> Vec<(Paint, String)> {
    let kinds: Vec<_> = health
        .anomalies
        .iter()
        .filter(|(_, n)| **n > 0)
        .map(|(kind, n)| format!("{} {}", sentence(kind), count(*n)))
        .collect();
    let anomalies = (!kinds.is_empty()).then(|| format!("anomalies: {}", kinds.join(", ")));
    let degraded = health.degraded.iter().map(|text| format!("degraded: {}", sentence(text)));
    anomalies.into_iter().chain(degraded).map(|text| (Paint::Plain, text)).collect()
}

/// A Report is a file, so its sentences are as hostile as its names.
fn sentence(text: &str) -> String {
    fit(&Untrusted::from(text).terminal().to_string(), SENTENCE_MAX)
}
