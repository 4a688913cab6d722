//! The verdict as annotations of a GitHub workflow run: one line each, a command to the runner.

use cronx_gate::verdict::Check;
use cronx_gate::{Decision, Verdict};
use cronx_recording::Untrusted;

use crate::screen;

/// A step may have ten of a kind.
const MOST: usize = 10;
const LONGEST: usize = 1_000;

/// An error for each regression, a warning for what is inconclusive, nothing for a pass.
pub(super) fn render(verdict: &Verdict) -> String {
    let of = |decision| verdict.checks.iter().filter(move |c| c.decision == decision).take(MOST);
    let regressions = of(Decision::Regression).map(|check| line("error", check));
    regressions.chain(of(Decision::Inconclusive).map(|check| line("warning", check))).collect()
}

fn line(kind: &str, check: &Check) -> String {
    let words =
        |text: &str| Untrusted::from(screen::fit(text, LONGEST)).workflow_command().to_string();
    let title = words(&format!("cronx gate: {}", check.name.raw()));
    format!("::{kind} title={title}::{}\n", words(screen::sentence(check).raw()))
}

#[cfg(test)]
mod tests;
