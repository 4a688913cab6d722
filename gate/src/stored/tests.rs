use cronx_recording::{MetricName, Report};

use super::*;
use crate::fixture::{exponential, report};

fn side(mean_ns: f64, seed: u64, count: u64) -> Vec<Evidence> {
    let one = |n| evidence(&report(exponential(6_000, mean_ns, seed + n)), &format!("{seed}-{n}"));
    (0..count).map(one).collect()
}

fn evidence(report: &Report, name: &str) -> Evidence {
    Evidence::of(report, name, &quantity(), &Limits::default()).unwrap()
}

fn quantity() -> Quantity {
    Quantity::p99(MetricName::WakeToRun)
}

fn decided(baseline: Vec<Evidence>, candidate: Vec<Evidence>) -> Check {
    let (margins, limits) = (Margins::default(), Limits::default());
    decide(&quantity(), baseline, candidate, &margins, &limits).unwrap()
}

#[track_caller]
fn is_inconclusive(check: &Check, code: &str, says: &str) {
    assert_eq!(check.decision, Decision::Inconclusive);
    let reason = check.reasons.first().unwrap();
    assert_eq!((reason.code, reason.says.raw()), (code, says));
}

#[test]
fn the_same_passes_and_half_as_much_again_fails() {
    assert_eq!(decided(side(1e5, 1, 12), side(1e5, 100, 12)).decision, Decision::Pass);
    let check = decided(side(1e5, 1, 6), side(1.5e5, 100, 6));
    assert_eq!(check.decision, Decision::Regression);
    assert_eq!(check.name.raw(), "wake_to_run.p99, candidate against base");
}

#[test]
fn five_recordings_are_too_few() {
    let check = decided(side(1e5, 1, 6), side(1e5, 100, 5));
    is_inconclusive(
        &check,
        "few_recordings",
        "5 recordings are too few: 6 are needed on each side",
    );
    is_inconclusive(
        &decided(Vec::new(), Vec::new()),
        "few_recordings",
        "0 recordings are too few: 6 are needed on each side",
    );
}

#[test]
fn another_kernel_is_another_machine() {
    let mut candidate = side(1e5, 100, 6);
    let mut other = report(exponential(6_000, 1e5, 7));
    other.provenance.kernel = "6.18.0".into();
    candidate[3] = evidence(&other, "d.json");
    let check = decided(side(1e5, 1, 6), candidate);
    is_inconclusive(&check, "fingerprint", "d.json: the kernel differs: '6.12.0' and '6.18.0'");
}

#[test]
fn every_part_of_the_fingerprint_counts() {
    type Change = fn(&mut Report);
    let changes: [(&str, Change); 8] = [
        ("CPU", |r| r.provenance.host.cpu = "Another".into()),
        ("CPUs", |r| r.provenance.online_cpus = 4),
        ("governor", |r| r.provenance.host.governor = "powersave".into()),
        ("quota", |r| r.provenance.host.quota_milli = Some(1_500)),
        ("cronx", |r| r.provenance.cronx_version = "0.2.0".to_owned()),
        ("probes", |r| r.health.object = "legacy".to_owned()),
        ("command", |r| {
            r.provenance.target = cronx_recording::Target::Command { argv: vec!["x".into()] };
        }),
        ("architecture", |r| r.provenance.machine = "aarch64".to_owned()),
    ];
    for (what, change) in changes {
        let mut other = report(exponential(6_000, 1e5, 7));
        change(&mut other);
        let mut candidate = side(1e5, 100, 5);
        candidate.push(evidence(&other, "x"));
        let check = decided(side(1e5, 1, 6), candidate);
        let says = check.reasons[0].says.raw();
        assert!(says.starts_with(&format!("x: the {what} differs: ")), "{says}");
    }
}

#[test]
fn a_baseline_that_drifts() {
    let mut baseline = side(1e5, 1, 3);
    baseline.extend(side(2e5, 50, 3));
    let check = decided(baseline, side(1e5, 100, 6));
    assert_eq!((check.decision, check.reasons[0].code), (Decision::Inconclusive, "drift"));
}

#[test]
fn maxima_are_not_compared() {
    let quantity: Quantity = "wake_to_run.max".parse().unwrap();
    let (margins, limits) = (Margins::default(), Limits::default());
    let refused = decide(&quantity, Vec::new(), Vec::new(), &margins, &limits);
    assert!(refused.unwrap_err().to_string().starts_with("max can have a budget"));
}
