//! The verdict as JUnit: one test case for each question; what is inconclusive was skipped.

use anyhow::Result;
use cronx_gate::verdict::Check;
use cronx_gate::{Decision, Verdict};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::screen;

const SUITE: &str = "cronx gate";

/// The document.
pub(super) fn render(verdict: &Verdict) -> Result<String> {
    let mut suite = TestSuite::new(SUITE);
    suite.add_test_cases(verdict.checks.iter().map(test_case));
    let mut report = Report::new(SUITE);
    report.add_test_suite(suite);
    Ok(report.to_string()?)
}

/// The library escapes what XML must, and leaves out what XML cannot hold: spelled out before, it
/// stays.
fn test_case(check: &Check) -> TestCase {
    let sentence = screen::sentence(check).terminal().to_string();
    let mut status = match check.decision {
        Decision::Pass => TestCaseStatus::success(),
        Decision::Regression => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Decision::Inconclusive => TestCaseStatus::skipped(),
    };
    if check.decision != Decision::Pass {
        status.set_message(sentence.clone());
        status.set_type(check.decision.name());
    }
    let mut case = TestCase::new(check.name.terminal().to_string(), status);
    case.set_classname("cronx.gate").set_system_out(sentence);
    case
}

#[cfg(test)]
mod tests;
