//! The verdict as Markdown, for the page that a build server shows.

use std::fmt::Write as _;

use cronx_flamegraph::units::duration;
use cronx_gate::growth::Growth;
use cronx_gate::verdict::Check;
use cronx_gate::{Decision, Verdict};
use cronx_recording::Untrusted;

use crate::screen::{self, GROWN};

/// A name or a reason is no longer than this: the page of a step holds a megabyte, and is lost as a
/// whole if it is longer.
const LONGEST: usize = 500;
/// So many of a kind; the JSON has all.
const MOST: usize = 20;

/// A heading, a table of the questions, why nothing was decided, and whose blame grew.
pub(super) fn render(verdict: &Verdict) -> String {
    let mut page = format!("### cronx gate: {}\n\n", verdict.decision.name());
    page.push_str("| | question | answer |\n|---|---|---|\n");
    for check in verdict.checks.iter().take(MOST) {
        let (mark, name) = (mark(check.decision), text(&check.name));
        let sentence = text(&screen::sentence(check));
        let _ = writeln!(page, "| {mark} | {name} | {sentence} |");
    }
    reasons(&mut page, &verdict.checks);
    if verdict.decision != Decision::Pass {
        grown(&mut page, &verdict.grown);
    }
    page.push('\n');
    page
}

const fn mark(decision: Decision) -> &'static str {
    match decision {
        Decision::Pass => "pass",
        Decision::Regression => "**regression**",
        Decision::Inconclusive => "*inconclusive*",
    }
}

fn text(words: &Untrusted) -> String {
    Untrusted::from(screen::fit(words.raw(), LONGEST)).markdown().to_string()
}

fn reasons(page: &mut String, checks: &[Check]) {
    let all = checks.iter().flat_map(|check| check.reasons.iter().chain(&check.set_aside));
    for (number, reason) in all.take(MOST).enumerate() {
        if number == 0 {
            page.push('\n');
        }
        let _ = writeln!(page, "- {}", text(&reason.says));
    }
}

fn grown(page: &mut String, grown: &[Growth]) {
    if grown.is_empty() {
        return;
    }
    page.push_str("\nWhat grew most, for each wait of the tail:\n\n");
    page.push_str("| class | culprit | before | now |\n|---|---|---|---|\n");
    for growth in grown.iter().take(GROWN) {
        let culprit = text(&screen::who(growth));
        let (before, after) = (duration(growth.before_ns as u64), duration(growth.after_ns as u64));
        let _ = writeln!(page, "| {} | {culprit} | {before} | {after} |", growth.class.name());
    }
}

#[cfg(test)]
mod tests;
