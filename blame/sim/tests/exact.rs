//! Blame of the whole evidence is the truth, to the nanosecond.

mod compare;
mod seeds;

use cronx_blame::{Options, analyse, tiles};
use cronx_recording::{Class, Report};
use cronx_sim::{Scenario, TrueWait};

/// So many machines are lived through in every run.
const SEEDS: u64 = 10_000;

#[test]
fn blame_of_the_whole_evidence_is_the_truth() {
    seeds::check(SEEDS, |seed, steps| {
        let scenario = cronx_sim::simulate(seed, steps);
        waits_are_the_truth(&scenario)?;
        // The Report is made of the same tiles, and takes ten times as long as they do.
        if seed % 10 == 0 { report_sums(&scenario) } else { Ok(()) }
    });
}

fn waits_are_the_truth(scenario: &Scenario) -> Result<(), String> {
    let tiled = tiles(&scenario.capture, &Options::default());
    let mut true_waits = scenario.truth.waits.iter().filter(|wait| wait.told);
    for wait in &tiled {
        let Some(truth) = true_waits.next() else {
            return Err(format!("never was: {wait:?}"));
        };
        let ends = (truth.victim, truth.told_open_ns, truth.close_ns, truth.censored);
        if ends != (wait.victim, wait.open_ns, wait.close_ns, wait.censored) {
            return Err(format!("said {wait:?}\nwas {truth:?}"));
        }
        compare::tiles(wait, truth, compare::Strict::Whole)?;
    }
    match true_waits.next() {
        Some(truth) => Err(format!("never told: {truth:?}")),
        None => Ok(()),
    }
}

/// What the Report sums up of them.
fn report_sums(scenario: &Scenario) -> Result<(), String> {
    let report = analyse(&scenario.capture, &Options::default());
    let closed = |wait: &&TrueWait| wait.told && !wait.censored;
    let waits: Vec<_> = scenario.truth.waits.iter().filter(closed).collect();
    let waited_ns = waits.iter().map(|wait| wait.close_ns - wait.told_open_ns).sum::<u64>();
    let unknown_ns = of_class(&report, Class::Unknown);
    let was = [
        (report.waits, waits.len() as u64, "waits"),
        (report.waited_ns, waited_ns, "waited_ns"),
        (report.blame.iter().map(|blame| blame.waited_ns).sum(), waited_ns, "blame"),
        (report.folds.iter().map(|fold| fold.waited_ns).sum(), waited_ns, "folds"),
        (report.health.unbalanced, 0, "unbalanced"),
        (report.health.missing, 0, "missing"),
        (report.health.unknown_ns, unknown_ns, "unknown_ns"),
        (report.boundary.open_unknown, scenario.truth.open_unknown, "open_unknown"),
        (report.boundary.close_unknown, scenario.truth.close_unknown, "close_unknown"),
    ];
    match was.iter().find(|(said, was, _)| said != was) {
        Some((said, was, what)) => {
            Err(format!("{what} is {said} and was {was}; {:?}", report.health.anomalies))
        }
        None => Ok(()),
    }
}

fn of_class(report: &Report, class: Class) -> u64 {
    report.blame.iter().filter(|blame| blame.class == class).map(|blame| blame.waited_ns).sum()
}
