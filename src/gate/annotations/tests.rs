use super::*;
use crate::screen::verdict_tests::{hostile, regression};

#[test]
fn a_regression_is_an_error() {
    let lines = render(&regression());
    assert_eq!(
        lines,
        "::error title=cronx gate%3A wake_to_run.p99%2C candidate against base::+50.0 %25%2C between \
         +47.0 %25 and +53.0 %25%3A 1.00 ms before and 1.50 ms now%2C in 6 recordings of each\n"
    );
}

/// One line a check, whatever is in it: the runner obeys what begins a line.
#[test]
fn a_hostile_name_is_text() {
    let lines = render(&hostile());
    assert_eq!(lines.lines().count(), 2);
    assert!(lines.lines().next().unwrap().starts_with("::error title="));
    for line in lines.lines() {
        assert_eq!(line.matches("::").count(), 2, "{line}");
        assert!(!line.contains(['\x1b', '\x07', '\r']), "{line}");
    }
}

#[test]
fn no_more_than_a_step_may_have() {
    let mut verdict = hostile();
    verdict.checks = vec![verdict.checks[0].clone(); 30];
    assert_eq!(render(&verdict).lines().count(), 10);
}
