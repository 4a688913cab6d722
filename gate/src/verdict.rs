//! The verdict: what was decided, by what figures, or why nothing was.

use serde::Serialize;

use crate::flaw::Reason;
use crate::growth::Growth;

/// Name and version of the JSON form. The number grows when a field changes its meaning or goes.
pub const SCHEMA: &str = "cronx.verdict/1";

/// Three, and the third never looks like the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// It is good enough, and that is sure.
    Pass,
    /// Neither is sure.
    Inconclusive,
    /// It is worse, and that is sure.
    Regression,
}

impl Decision {
    /// As our JSON spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Inconclusive => "inconclusive",
            Self::Regression => "regression",
        }
    }
}

/// One question and its answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Check {
    /// What was asked, as the command line says it: it may hold names from outside.
    pub name: cronx_recording::Untrusted,
    /// The answer.
    pub decision: Decision,
    /// Why it is inconclusive; empty otherwise.
    pub reasons: Vec<Reason>,
    /// Recordings that were set aside, and why.
    pub set_aside: Vec<Reason>,
    /// By what it was decided; `None` if it did not come to figures.
    pub figures: Option<Figures>,
}

impl Check {
    /// Nothing can be said, for these reasons.
    pub fn inconclusive(name: impl Into<String>, reasons: Vec<Reason>) -> Self {
        Self {
            name: name.into().into(),
            decision: Decision::Inconclusive,
            reasons,
            set_aside: Vec::new(),
            figures: None,
        }
    }
}

/// The numbers behind an answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Figures {
    /// Of a budget.
    Budget(BudgetFigures),
    /// Of a comparison.
    Comparison(ComparisonFigures),
}

/// How a distribution stands to its limit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BudgetFigures {
    /// Recordings that were merged.
    pub recordings: usize,
    /// Values.
    pub count: u64,
    /// How much less they say because they cluster.
    pub design_effect: f64,
    /// Values over the design effect.
    pub effective: f64,
    /// The quantile, nanoseconds.
    pub value_ns: u64,
    /// Where it lies with 95 %, by order statistics of so many effective values; `None` if they are
    /// too few.
    pub value_interval_ns: Option<(u64, u64)>,
    /// What it must stay below.
    pub limit_ns: u64,
    /// The share of values that reach the limit.
    pub share: f64,
    /// Where the true share lies with 95 %, by the exact binomial interval.
    pub share_interval: (f64, f64),
    /// The same by drawing blocks again, which decides nothing.
    pub bootstrap_interval: Option<(f64, f64)>,
    /// The share that is allowed.
    pub allowed: f64,
}

/// How two sides stand to each other.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ComparisonFigures {
    /// Pairs, or recordings on the side that has fewer.
    pub recordings: usize,
    /// The geometric mean of the base's quantiles, nanoseconds.
    pub base_ns: f64,
    /// The same of the candidate's.
    pub candidate_ns: f64,
    /// Candidate over base, estimated.
    pub ratio: f64,
    /// The lower bound of that.
    pub lower: f64,
    /// The upper bound.
    pub upper: f64,
    /// Each bound is wrong so seldom.
    pub alpha: f64,
    /// The lower bound is a regression from here on.
    pub regression_above: f64,
    /// The upper bound is a pass up to here.
    pub pass_below: f64,
    /// The exact one-sided p of the sign-flip test, beside the bounds; `None` where nothing is paired.
    pub sign_flip_p: Option<f64>,
    /// The smallest true ratio that would have been called a regression four times in five.
    pub detectable: f64,
    /// Every recording's quantile, nanoseconds, in the order of time.
    pub base: Vec<u64>,
    /// The same of the candidate.
    pub candidate: Vec<u64>,
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// The worst of the checks: a regression over what is inconclusive over a pass.
    pub decision: Decision,
    /// One for each question.
    pub checks: Vec<Check>,
    /// Whose blame grew, most first; empty unless two sides of ours were compared.
    pub grown: Vec<Growth>,
}

impl Verdict {
    /// Of at least one check: without any, nothing is known.
    pub fn of(checks: Vec<Check>) -> Self {
        let worst = checks.iter().map(|check| check.decision).max();
        let decision = worst.unwrap_or(Decision::Inconclusive);
        Self { schema: SCHEMA, decision, checks, grown: Vec::new() }
    }
}
