use cronx_recording::{Class, LoadEnd, MetricName, Report};

use super::*;
use crate::fixture::{exponential, report, tail};

fn sound(mean_ns: f64, seed: u64) -> Report {
    report(exponential(6_000, mean_ns, seed))
}

fn evidence(report: &Report, name: &str, limits: &Limits) -> Evidence {
    Evidence::of(report, name, &Quantity::p99(MetricName::WakeToRun), limits).unwrap()
}

fn sequence(most: usize, limits: Limits) -> Sequence {
    let quantity = Quantity::p99(MetricName::WakeToRun);
    Sequence::new(quantity, most, Margins::default(), limits).unwrap()
}

/// Pairs until there is a verdict; `change` may spoil a candidate.
fn played(growth: f64, limits: Limits, change: impl Fn(usize, &mut Report)) -> (Check, usize) {
    let mut sequence = sequence(20, limits);
    for pair in 0..100 {
        let seed = pair as u64 * 2;
        let base = evidence(&sound(1e5, seed), &format!("base {pair}"), &limits);
        let mut report = sound(1e5 * growth, seed + 1);
        change(pair, &mut report);
        let candidate = evidence(&report, &format!("candidate {pair}"), &limits);
        if let Some(check) = sequence.push(&base, &candidate) {
            return (check, pair + 1);
        }
    }
    panic!("it never ends");
}

#[test]
fn the_same_passes_and_half_as_much_again_fails() {
    let (check, pairs) = played(1.0, Limits::default(), |_, _| {});
    assert_eq!(check.decision, Decision::Pass);
    assert!(LOOKS.contains(&pairs), "{pairs}");
    let (check, pairs) = played(1.5, Limits::default(), |_, _| {});
    assert_eq!((check.decision, pairs), (Decision::Regression, 6));
}

#[test]
fn a_failed_load_ends_it_at_once() {
    let (check, pairs) = played(1.0, Limits::default(), |pair, report| {
        if pair == 3 {
            report.provenance.load = Some(LoadEnd::Exited(1));
        }
    });
    assert_eq!((check.decision, pairs), (Decision::Inconclusive, 4));
    let reason = &check.reasons[0];
    assert_eq!(reason.says.raw(), "candidate 3: the load exited with status 1");
}

#[test]
fn the_commands_may_differ_and_the_machine_may_not() {
    let (check, _) = played(1.5, Limits::default(), |_, report| {
        let argv = vec!["./new.sh".into()];
        report.provenance.target = cronx_recording::Target::Command { argv };
    });
    assert_eq!(check.decision, Decision::Regression);
    let (check, pairs) = played(1.5, Limits::default(), |pair, report| {
        if pair == 2 {
            report.provenance.online_cpus = 1;
        }
    });
    assert_eq!((check.reasons[0].code, pairs), ("fingerprint", 3));
}

#[test]
fn a_disturbed_pair_is_set_aside_and_another_takes_its_place() {
    let (check, pairs) = played(1.5, Limits::default(), |pair, report| {
        if pair == 1 {
            report.health.stolen_ns = u64::MAX;
        }
    });
    assert_eq!((check.decision, pairs), (Decision::Regression, 7));
    assert_eq!((check.set_aside.len(), check.set_aside[0].code), (1, "steal"));
}

#[test]
fn a_third_that_is_disturbed_decides_nothing() {
    let (check, _) = played(1.5, Limits::default(), |pair, report| {
        if pair.is_multiple_of(3) {
            report.health.stolen_ns = u64::MAX;
        }
    });
    assert_eq!((check.decision, check.reasons[0].code), (Decision::Inconclusive, "filtered"));
}

/// Every recording filtered.
#[test]
fn where_all_are_disturbed_there_is_an_end() {
    let limits = Limits { self_caused: true, ..Limits::default() };
    let (check, pairs) = played(1.5, limits, |_, report| {
        report.tail = Some(tail(&[(Class::Own, "a", 10), (Class::Foreign, "neighbour", 90)]));
    });
    assert_eq!((check.decision, check.reasons[0].code), (Decision::Inconclusive, "filtered"));
    assert!(pairs < 10 && check.figures.is_none() && check.set_aside.len() == pairs, "{pairs}");
}

#[test]
fn what_is_not_clear_ends_with_the_last_pair() {
    let mut sequence = sequence(8, Limits::default());
    let limits = Limits::default();
    for pair in 0..8 {
        let base = evidence(&sound(1e5, pair), "b", &limits);
        let candidate =
            evidence(&sound([0.95e5, 1.2e5][pair as usize % 2], pair + 100), "c", &limits);
        let check = sequence.push(&base, &candidate);
        assert_eq!(check.is_some(), pair == 7);
        if let Some(check) = check {
            assert_eq!(
                (check.decision, check.reasons[0].code),
                (Decision::Inconclusive, "undecided")
            );
        }
    }
}

#[test]
fn each_pair_is_the_other_way_round_than_the_one_before() {
    let mut firsts = [0; 2];
    for seed in 0..200 {
        for pair in [0, 2, 4] {
            let [first, second] = order(seed, pair);
            assert_eq!(order(seed, pair + 1), [second, first]);
            firsts[usize::from(first == Side::Base)] += 1;
        }
    }
    assert!(firsts.iter().all(|&count| count > 240), "{firsts:?}");
}
