use super::*;
use crate::fixture::{exponential, quantiles, report};
use crate::flaw::Limits;

/// P99 of an exponential distribution, over its mean.
const P99: f64 = 4.605_17;

fn budget(limit: &str) -> Budget {
    format!("wake_to_run.p99 < {limit}").parse().unwrap()
}

fn decided(limit: &str, all: cronx_recording::Quantiles) -> Check {
    let budget = budget(limit);
    let evidence = Evidence::of(&report(all), "r", &budget.quantity, &Limits::default()).unwrap();
    decide(&budget, &[evidence])
}

#[test]
fn a_budget_is_read_as_it_is_written() {
    for text in ["wake_to_run.p99 < 2ms", r#"run_queue{thread="a<b"}.p50 < 1500us"#] {
        assert_eq!(text.parse::<Budget>().unwrap().to_string(), text);
    }
    assert_eq!("latency.max<1.5s".parse::<Budget>().unwrap().limit_ns, 1_500_000_000);
}

#[test]
fn a_budget_that_cannot_be_parsed() {
    let refused = |text: &str| text.parse::<Budget>().unwrap_err().to_string();
    assert_eq!(
        refused("wake_to_run.p99"),
        "'wake_to_run.p99' is not a budget: METRIC.QUANTILE < DURATION, such as \
         wake_to_run.p99 < 2ms"
    );
    for limit in ["", "2", "ms", "-2ms", "0ms", "NaNms", "1e3ms", "99999999999s", "2 parsecs"] {
        let says = refused(&format!("wake_to_run.p99 < {limit}"));
        assert!(says.starts_with(&format!("'{limit}' is not a time")), "{says}");
    }
}

#[test]
fn far_below_passes_far_above_fails_and_between_is_open() {
    let waits = || exponential(10_000, 1e6 / P99, 1);
    assert_eq!(decided("2ms", waits()).decision, Decision::Pass);
    assert_eq!(decided("500us", waits()).decision, Decision::Regression);
    let open = decided("1ms", waits());
    assert_eq!((open.decision, open.reasons[0].code), (Decision::Inconclusive, "undecided"));
    let Some(Figures::Budget(figures)) = open.figures else { panic!("no figures") };
    let (low, high) = figures.value_interval_ns.unwrap();
    assert!(low < 1_000_000 && 1_000_000 < high, "{figures:?}");
    assert!(figures.share_interval.0 < 0.01 && 0.01 < figures.share_interval.1);
    assert!(figures.bootstrap_interval.is_some());
}

#[test]
fn zero_events_decide_nothing() {
    let check = decided("2ms", quantiles(&[]));
    assert_eq!((check.decision, check.reasons[0].code), (Decision::Inconclusive, "no_events"));
}

#[test]
fn too_few_decide_nothing() {
    let check = decided("2ms", exponential(2_900, 1e5, 1));
    assert_eq!((check.decision, check.reasons[0].code), (Decision::Inconclusive, "too_few"));
    let check = decided("2ms", exponential(300, 1e5, 1));
    assert_eq!(check.decision, Decision::Inconclusive);
}

/// A hundred long waits of ten thousand, all in one moment, are one bad moment.
#[test]
fn a_burst_counts_as_the_cluster_that_it_is() {
    let mut values = vec![1_000; 30_000];
    values.extend([5_000_000; 900]);
    let check = decided("2ms", quantiles(&values));
    assert_eq!((check.decision, check.reasons[0].code), (Decision::Inconclusive, "too_few"));
}

#[test]
fn recordings_are_merged() {
    let budget = budget("2ms");
    let one = |seed| {
        let report = report(exponential(1_000, 1e6 / P99, seed));
        Evidence::of(&report, "r", &budget.quantity, &Limits::default()).unwrap()
    };
    assert_eq!(decide(&budget, &[one(1)]).decision, Decision::Inconclusive);
    let many: Vec<_> = (1..=8).map(one).collect();
    assert_eq!(decide(&budget, &many).decision, Decision::Pass);
}

#[test]
fn the_longest_wait_is_a_fact() {
    let decided = |limit: &str| {
        let budget: Budget = format!("wake_to_run.max < {limit}").parse().unwrap();
        let report = report(quantiles(&[10, 20, 1_000_000]));
        let evidence = Evidence::of(&report, "r", &budget.quantity, &Limits::default()).unwrap();
        decide(&budget, &[evidence]).decision
    };
    assert_eq!(decided("2ms"), Decision::Pass);
    assert_eq!(decided("1ms"), Decision::Regression);
}

#[test]
fn a_flaw_of_any_recording_comes_before_the_figures() {
    let budget = budget("2ms");
    let mut flawed = report(exponential(10_000, 1e5, 1));
    flawed.health.lost = 10_000;
    let evidence = Evidence::of(&flawed, "b", &budget.quantity, &Limits::default()).unwrap();
    let check = decide(&budget, &[evidence]);
    assert_eq!((check.decision, check.reasons[0].code), (Decision::Inconclusive, "lost"));
    assert!(check.reasons[0].says.raw().starts_with("b: 9.09 % of the evidence was lost"));
}

/// What it promises: a budget at the true quantile is called broken, or kept, no more often than one
/// time in forty each.
#[test]
fn a_budget_at_the_quantile_itself_is_seldom_decided() {
    let budget = budget("1ms");
    let mut counts = [0_u32; 3];
    for seed in 0..400 {
        let report = report(exponential(6_000, 1e6 / P99, seed));
        let evidence = Evidence::of(&report, "r", &budget.quantity, &Limits::default()).unwrap();
        let decision = decide(&budget, &[evidence]).decision;
        counts[decision as usize] += 1;
    }
    let [passed, _, failed] = counts;
    assert!(passed <= 20 && failed <= 20, "{counts:?}");
}
