use cronx_recording::{SparedWaits, Target};

use super::*;
use crate::fixture::{exponential, quantiles, report, tail};
use crate::quantity::Quantity;

const WAKE: Metric = Metric::Report(MetricName::WakeToRun);
const SELF: Metric = Metric::Report(MetricName::SelfCaused);

fn sound() -> Report {
    report(exponential(4_000, 100_000.0, 1))
}

#[track_caller]
fn check(report: &Report, metric: Metric, limits: &Limits, expected: &[&str]) {
    let found: Vec<_> = of_report(report, metric, limits).iter().map(Flaw::to_string).collect();
    assert_eq!(found, expected);
}

#[test]
fn a_sound_report_has_no_flaw() {
    check(&sound(), WAKE, &Limits::default(), &[]);
}

#[test]
fn loss_beyond_the_limit() {
    let mut report = sound();
    report.health.lost = 100;
    check(&report, WAKE, &Limits::default(), &[]);
    report.health.lost = 102;
    let says = "0.10 % of the evidence was lost, and 0.10 % is the most";
    check(&report, WAKE, &Limits::default(), &[says]);
    report.health = cronx_recording::Health {
        records: 500,
        events: 1_000,
        storage_failures: 10,
        ..sound().health
    };
    assert_eq!(of_report(&report, WAKE, &Limits::default())[0].code(), "lost");
}

#[test]
fn a_load_that_failed() {
    for (end, says) in [
        (LoadEnd::Exited(3), "the load exited with status 3"),
        (LoadEnd::Signaled(9), "the load was ended by signal 9"),
    ] {
        let mut report = sound();
        report.provenance.load = Some(end);
        check(&report, WAKE, &Limits::default(), &[says]);
    }
    let mut report = sound();
    report.provenance.load = Some(LoadEnd::Running);
    check(&report, WAKE, &Limits::default(), &[]);
    report.provenance.target = Target::All;
    report.provenance.load = None;
    check(&report, WAKE, &Limits::default(), &[]);
}

#[test]
fn a_capture_that_is_torn() {
    let mut report = sound();
    report.health.torn = Some("no trailer".to_owned());
    check(&report, WAKE, &Limits::default(), &["the capture is torn: no trailer"]);
}

#[test]
fn steal_beyond_the_limit() {
    let mut report = sound();
    // Of two CPUs for two seconds.
    report.health.stolen_ns = 40_000_000;
    check(&report, WAKE, &Limits::default(), &[]);
    report.health.stolen_ns = 50_000_000;
    let says = "the hypervisor took 1.2 % of the CPUs' time, and 1.0 % is the most";
    check(&report, WAKE, &Limits::default(), &[says]);
}

#[test]
fn throttling_is_a_flaw_of_the_tail_and_a_cause_of_ones_own() {
    let mut report = sound();
    report.tail = Some(tail(&[(Class::Own, "a", 90), (Class::Throttled, "", 10)]));
    let says = "10 % of the tail is a cgroup out of quota, and 5 % is the most";
    check(&report, WAKE, &Limits::default(), &[says]);
    let own = Limits { self_caused: true, ..Limits::default() };
    check(&report, SELF, &own, &[]);
}

#[test]
fn others_contaminate_what_is_ones_own() {
    for class in [Class::Foreign, Class::Steal, Class::Irq] {
        let mut report = sound();
        report.tail = Some(tail(&[(Class::Own, "a", 80), (class, "x", 20)]));
        check(&report, WAKE, &Limits::default(), &[]);
        let own = Limits { self_caused: true, ..Limits::default() };
        let says = "20 % of the tail is the doing of others, and 10 % is the most";
        check(&report, SELF, &own, &[says]);
    }
}

#[test]
fn a_floor_hides_whose_doing_short_waits_are() {
    let mut report = sound();
    report.spared = Some(SparedWaits { floor_ns: 5, ..SparedWaits::default() });
    check(&report, WAKE, &Limits::default(), &[]);
    let says = "recorded with a floor: whose doing the shorter waits were is not known";
    check(&report, SELF, &Limits::default(), &[says]);
}

fn of_quantiles(all: cronx_recording::Quantiles) -> Option<&'static str> {
    let quantity = Quantity::p99(MetricName::WakeToRun);
    let evidence = Evidence::of(&report(all), "r", &quantity, &Limits::default()).unwrap();
    of_figure(&evidence, Quantile::P99).map(|flaw| flaw.code())
}

#[test]
fn a_recording_must_carry_its_own_quantile() {
    assert_eq!(of_quantiles(exponential(4_500, 1e5, 1)), None);
    assert_eq!(of_quantiles(exponential(2_900, 1e5, 1)), Some("too_few"));
    assert_eq!(of_quantiles(quantiles(&[])), Some("no_events"));
    // Enough of them, and all the long ones at once.
    let mut values = vec![1_000; 9_900];
    values.extend([1_000_000; 200]);
    assert_eq!(of_quantiles(quantiles(&values)), Some("too_few"));
    let mut brief = exponential(4_500, 1e5, 1);
    brief.blocks.truncate(7);
    assert_eq!(of_quantiles(brief), Some("no_blocks"));
}

#[test]
fn a_base_that_moves() {
    let steady = [1.0, 1.1, 0.9, 1.0, 1.1, 0.9];
    assert_eq!(drift(&steady, &Limits::default()), None);
    let moved = [1.0, 1.1, 0.9, 1.6, 1.6, 1.7];
    let flaw = drift(&moved, &Limits::default()).unwrap();
    assert_eq!(
        flaw.to_string(),
        "the base itself changed by 88 % from the first half to the second, and 50 % is the most"
    );
    let fell = [1.6, 1.6, 1.7, 1.0, 1.1, 0.9];
    assert!(drift(&fell, &Limits::default()).is_some());
    assert_eq!(drift(&[1.0, 9.0, 1.0], &Limits::default()), None);
}

#[test]
fn only_the_moment_may_be_set_aside() {
    let failed = Flaw::Failed { how: String::new() };
    assert!(!failed.is_disturbance() && !Flaw::NoBlocks.is_disturbance());
    assert!(Flaw::Stolen { share: 0.1, limit: 0.0 }.is_disturbance());
    // Who burns more runs out of quota.
    assert!(!Flaw::Throttled { share: 0.1, limit: 0.0 }.is_disturbance());
}
