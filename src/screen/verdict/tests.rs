use cronx_gate::flaw::Reason;
use cronx_recording::Class;
use expect_test::{Expect, expect};

use super::*;

/// A name that attacks terminals, pages and build logs at once.
pub(crate) const CANARY: &str = "\x1b]0;x\x07</script>::error::";

pub(crate) fn regression() -> Verdict {
    let figures = ComparisonFigures {
        recordings: 6,
        base_ns: 1e6,
        candidate_ns: 1.5e6,
        ratio: 1.5,
        lower: 1.47,
        upper: 1.53,
        alpha: 0.0125,
        regression_above: 1.05,
        pass_below: 1.10,
        sign_flip_p: Some(0.015_625),
        detectable: 1.09,
        base: vec![1_000_000; 6],
        candidate: vec![1_500_000; 6],
    };
    let check = Check {
        name: "wake_to_run.p99, candidate against base".into(),
        decision: Decision::Regression,
        reasons: vec![],
        set_aside: vec![],
        figures: Some(Figures::Comparison(figures)),
    };
    let growth = |class, name: &str, process: &str, before_ns, after_ns| Growth {
        class,
        name: name.into(),
        process: process.into(),
        before_ns,
        after_ns,
    };
    let mut verdict = Verdict::of(vec![check]);
    verdict.grown = vec![
        growth(Class::Foreign, "compactor", "rocksdb", 120e3, 900e3),
        growth(Class::IdleExit, "", "", 1e3, 4e3),
        growth(Class::Own, "worker", "worker", 0.0, 2e3),
        growth(Class::Own, "fourth", "worker", 0.0, 1e3),
    ];
    verdict
}

/// Everything in it that came from outside is hostile.
pub(crate) fn hostile() -> Verdict {
    let reason = || Reason { code: "failed_load", says: format!("{CANARY}: the load x").into() };
    let check = |decision| Check {
        name: format!(r#"wake_to_run{{process="{CANARY}"}}.p99 < 2ms"#).into(),
        decision,
        reasons: vec![reason()],
        set_aside: vec![reason()],
        figures: None,
    };
    let mut verdict = Verdict::of(vec![check(Decision::Inconclusive), check(Decision::Regression)]);
    verdict.grown = vec![Growth {
        class: Class::Foreign,
        name: CANARY.into(),
        process: "p".into(),
        before_ns: 1.0,
        after_ns: 2e3,
    }];
    verdict
}

fn budget_verdict() -> Verdict {
    let figures = BudgetFigures {
        recordings: 1,
        count: 43_120,
        design_effect: 3.2,
        effective: 13_475.0,
        value_ns: 1_920_000,
        value_interval_ns: Some((1_700_000, 2_200_000)),
        limit_ns: 2_000_000,
        share: 0.0093,
        share_interval: (0.0078, 0.0111),
        bootstrap_interval: Some((0.0071, 0.0118)),
        allowed: 0.01,
    };
    let reason = Reason { code: "undecided", says: "it takes more values".into() };
    Verdict::of(vec![Check {
        name: "wake_to_run.p99 < 2ms".into(),
        decision: Decision::Inconclusive,
        reasons: vec![reason],
        set_aside: vec![],
        figures: Some(Figures::Budget(figures)),
    }])
}

fn shown(of: &Verdict) -> String {
    let text = verdict(of, &Style { width: 80, color: false });
    assert!(text.lines().all(|line| crate::screen::line::width(line) <= 80), "{text}");
    text
}

#[track_caller]
fn check_text(of: &Verdict, expected: &Expect) {
    expected.assert_eq(&shown(of));
}

#[test]
fn a_regression_names_three() {
    check_text(
        &regression(),
        &expect![[r#"
        REGRESSION: wake_to_run.p99, candidate against base
        +50.0 %, between +47.0 % and +53.0 %: 1.00 ms before and 1.50 ms now, in 6
          recordings of each
        each bound is wrong once in 80; sign-flip p 0.02; +9.0 % would have been found
          four times in five
        What grew most, for each wait of the tail
          foreign   compactor (rocksdb)                     120 µs ->   900 µs
          idle_exit (leaving idle)                         1.00 µs ->  4.00 µs
          self      worker                                    0 ns ->  2.00 µs
    "#]],
    );
}

#[test]
fn a_budget_that_is_open() {
    check_text(
        &budget_verdict(),
        &expect![[r#"
        INCONCLUSIVE: wake_to_run.p99 < 2ms
        1.92 ms of 43,120 values, with 95 % between 1.70 ms and 2.20 ms; 0.930 % reach
          2.00 ms, with 95 % between 0.780 % and 1.110 %, and 1.0 % may
        they count as 13,475 by how they cluster (3.2 to one); drawing blocks again
          gives 0.710 % to 1.180 %
        why not: it takes more values
    "#]],
    );
}

#[test]
fn a_hostile_name_is_text_and_begins_no_line() {
    let text = shown(&hostile());
    assert!(!text.contains(['\x1b', '\x07']), "{text}");
    assert!(!text.lines().any(|line| line.trim_start().starts_with("::")), "{text}");
}

#[test]
fn colour_is_only_where_it_is_wanted() {
    assert!(!shown(&regression()).contains('\x1b'));
    let style = Style { width: 80, color: true };
    assert!(verdict(&regression(), &style).contains("\x1b[1;31mREGRESSION"));
}
