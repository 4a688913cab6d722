//! From an estimated ratio to a decision: bounds against margins.
//!
//! "Significantly different" is no reason to fail a build, and "not significantly different" none to
//! pass it. A regression is a lower bound above a margin, a pass is an upper bound below another, and
//! in between nothing is decided.

use crate::statistics::{Estimate, effect, sign_flip, welch};
use crate::verdict::{ComparisonFigures, Decision};

/// Half a microsecond is no wait that anybody minds: what is shorter counts as this, so that nothing is
/// divided by nothing.
const SHORTEST_NS: u64 = 500;

/// How often a regression of the smallest detectable size would be called one.
const POWER: f64 = 0.8;

/// Between what and what nothing is decided.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Margins {
    /// The lower bound of a regression, as growth: 0.05.
    pub regression: f64,
    /// The upper bound of a pass, as growth: 0.10.
    pub pass: f64,
    /// Each bound is wrong so seldom, at each look: 0.0125, a twentieth over four looks (Bonferroni).
    pub alpha: f64,
    /// A growth of less than this is none, nanoseconds.
    pub floor_ns: u64,
}

impl Default for Margins {
    fn default() -> Self {
        Self { regression: 0.05, pass: 0.10, alpha: 0.0125, floor_ns: 0 }
    }
}

impl Margins {
    /// The two margins as ratios over a base of that size: a floor may ask for more than they do.
    fn ratios(&self, base_ns: f64) -> (f64, f64) {
        let floor = self.floor_ns as f64 / base_ns;
        (1.0 + self.regression.max(floor), 1.0 + self.pass.max(floor))
    }
}

/// What a comparison came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Compared {
    /// The decision.
    pub decision: Decision,
    /// Its figures.
    pub figures: ComparisonFigures,
}

/// Recordings in pairs, each base with its candidate: bounds on the mean of the logarithms of their
/// ratios. `None` of fewer than two.
pub fn pairs(pairs: &[(u64, u64)], margins: &Margins) -> Option<Compared> {
    let (base, candidate): (Vec<_>, Vec<_>) = pairs.iter().copied().unzip();
    let ratios: Vec<_> = pairs.iter().map(|&(a, b)| logarithm(b) - logarithm(a)).collect();
    let estimate = Estimate::of_mean(&ratios)?;
    let p = sign_flip::p_above(&ratios);
    Some(compare(&base, &candidate, &estimate, p, margins))
}

/// Recordings of two times: bounds on the difference of the means of their logarithms. `None` of fewer
/// than two a side.
pub fn samples(base: &[u64], candidate: &[u64], margins: &Margins) -> Option<Compared> {
    let estimate = welch::difference(&logarithms(base), &logarithms(candidate))?;
    Some(compare(base, candidate, &estimate, None, margins))
}

/// The logarithm of a length of time.
pub(crate) fn logarithm(ns: u64) -> f64 {
    (ns.max(SHORTEST_NS) as f64).ln()
}

/// The logarithms of lengths of time.
pub(crate) fn logarithms(ns: &[u64]) -> Vec<f64> {
    ns.iter().map(|&ns| logarithm(ns)).collect()
}

fn geometric_mean(ns: &[u64]) -> f64 {
    (logarithms(ns).iter().sum::<f64>() / ns.len() as f64).exp()
}

fn compare(
    base: &[u64],
    candidate: &[u64],
    estimate: &Estimate,
    sign_flip_p: Option<f64>,
    margins: &Margins,
) -> Compared {
    let base_ns = geometric_mean(base);
    let (regression_above, pass_below) = margins.ratios(base_ns);
    let (lower, upper) = estimate.bounds(margins.alpha);
    let (lower, upper) = (lower.exp(), upper.exp());
    let detectable =
        effect::minimum_detectable(estimate, regression_above.ln(), margins.alpha, POWER);
    let decision = if lower > regression_above {
        Decision::Regression
    } else if upper < pass_below {
        Decision::Pass
    } else {
        Decision::Inconclusive
    };
    let figures = ComparisonFigures {
        recordings: base.len().min(candidate.len()),
        base_ns,
        candidate_ns: geometric_mean(candidate),
        ratio: estimate.value.exp(),
        lower,
        upper,
        alpha: margins.alpha,
        regression_above,
        pass_below,
        sign_flip_p,
        detectable: detectable.exp(),
        base: base.to_vec(),
        candidate: candidate.to_vec(),
    };
    Compared { decision, figures }
}

#[cfg(test)]
mod monte_carlo;
#[cfg(test)]
mod tests;
