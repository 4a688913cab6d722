//! A budget: a quantile that must stay below a limit.
//!
//! It is decided by the share of values that reach the limit. Values that come in clusters say less
//! than they are many, so the counts are divided by the design effect before the exact binomial
//! interval is asked.

use std::fmt;
use std::str::FromStr;

use hdrhistogram::Histogram;

use cronx_recording::histogram;

use crate::Error;
use crate::evidence::Evidence;
use crate::flaw::{Flaw, Reason};
use crate::quantity::{Quantile, Quantity};
use crate::statistics::design::{self, Cluster};
use crate::statistics::{binomial, bootstrap, order};
use crate::verdict::{BudgetFigures, Check, Decision, Figures};

const CONFIDENCE: f64 = 0.95;
/// Any number: the same evidence gives the same verdict.
const SEED: u64 = 1;

/// `METRIC[{axis="value"}].QUANTILE < DURATION`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// What must stay below it.
    pub quantity: Quantity,
    /// The limit, nanoseconds.
    pub limit_ns: u64,
}

impl FromStr for Budget {
    type Err = Error;

    fn from_str(given: &str) -> Result<Self, Error> {
        // A name may hold one too; a limit holds none.
        let (quantity, limit) = given.rsplit_once('<').ok_or_else(|| Error::Syntax {
            given: given.trim().to_owned(),
            expected: "a budget: METRIC.QUANTILE < DURATION, such as wake_to_run.p99 < 2ms",
        })?;
        Ok(Self { quantity: quantity.parse()?, limit_ns: limit_ns(limit.trim())? })
    }
}

fn limit_ns(text: &str) -> Result<u64, Error> {
    let digits = text.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit_ns = match unit.trim() {
        "ns" => 1.0,
        "us" | "µs" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        _ => 0.0,
    };
    let ns = number.parse::<f64>().unwrap_or_default() * unit_ns;
    // No wait is longer than 13 days.
    let valid = ns.is_finite() && (1.0..2_f64.powi(50)).contains(&ns);
    valid.then(|| ns.round() as u64).ok_or_else(|| Error::Limit { given: text.to_owned() })
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, unit) = match self.limit_ns {
            ns if ns % 1_000_000_000 == 0 => (ns / 1_000_000_000, "s"),
            ns if ns % 1_000_000 == 0 => (ns / 1_000_000, "ms"),
            ns if ns % 1_000 == 0 => (ns / 1_000, "us"),
            ns => (ns, "ns"),
        };
        write!(f, "{} < {number}{unit}", self.quantity)
    }
}

/// Decides it by these recordings, merged.
pub fn decide(budget: &Budget, evidence: &[Evidence]) -> Check {
    let name = budget.to_string();
    let mut reasons: Vec<_> = evidence.iter().flat_map(flaws).collect();
    let all = Merged::of(budget, evidence);
    let figures = all.figures(budget);
    reasons.extend(all.flaw(budget, figures.as_ref()).map(|flaw| flaw.of(&"".into())));
    let decision = match &figures {
        Some(figures) if reasons.is_empty() => judge(budget, figures),
        _ => Decision::Inconclusive,
    };
    if decision == Decision::Inconclusive && reasons.is_empty() {
        reasons.extend(figures.as_ref().map(undecided));
    }
    let figures = figures.map(Figures::Budget);
    Check { name: name.into(), decision, reasons, set_aside: Vec::new(), figures }
}

fn flaws(evidence: &Evidence) -> impl Iterator<Item = Reason> {
    evidence.flaws.iter().map(|flaw| flaw.of(&evidence.name))
}

/// The longest wait is a fact of these recordings, and no estimate of any others.
fn judge(budget: &Budget, figures: &BudgetFigures) -> Decision {
    if budget.quantity.quantile == Quantile::Max {
        let within = figures.value_ns < budget.limit_ns;
        return if within { Decision::Pass } else { Decision::Regression };
    }
    let (low, high) = figures.share_interval;
    if high < figures.allowed {
        Decision::Pass
    } else if low > figures.allowed {
        Decision::Regression
    } else {
        Decision::Inconclusive
    }
}

fn undecided(figures: &BudgetFigures) -> Reason {
    let (low, high) = figures.share_interval;
    let says = format!(
        "between {:.2} % and {:.2} % of the values reach the limit, and {:.2} % may: it takes more \
         values, or another limit",
        low * 100.0,
        high * 100.0,
        figures.allowed * 100.0
    );
    Reason { code: "undecided", says: says.into() }
}

/// Several recordings as one distribution, and the clusters that it came in.
struct Merged {
    recordings: usize,
    values: Histogram<u64>,
    max_ns: u64,
    hits: Cluster,
    blocks: Vec<Cluster>,
    each: Vec<Cluster>,
}

impl Merged {
    /// Histograms are merged; quantiles are never averaged.
    fn of(budget: &Budget, evidence: &[Evidence]) -> Self {
        let mut values = histogram::empty();
        for one in evidence {
            // It grows to whatever it is given.
            let _ = values.add(one.values());
        }
        let each: Vec<_> = evidence.iter().map(|one| one.reaching(budget.limit_ns)).collect();
        let sum = |of: fn(&Cluster) -> u64| each.iter().map(of).fold(0, u64::saturating_add);
        Self {
            recordings: evidence.len(),
            max_ns: evidence.iter().map(Evidence::max_ns).max().unwrap_or_default(),
            hits: Cluster { events: sum(|c| c.events), hits: sum(|c| c.hits) },
            blocks: evidence.iter().flat_map(|e| e.blocks_reaching(budget.limit_ns)).collect(),
            values,
            each,
        }
    }

    /// Blocks of a recording are clusters, and recordings are too: whichever cluster more.
    fn design(&self) -> Option<f64> {
        let effects = [design::effect(&self.blocks), design::effect(&self.each)];
        effects.into_iter().flatten().max_by(f64::total_cmp)
    }

    /// `None` without any value, or where it is not known how they cluster.
    fn figures(&self, budget: &Budget) -> Option<BudgetFigures> {
        let quantile = budget.quantity.quantile;
        let count = self.hits.events;
        let design_effect = if quantile == Quantile::Max { Some(1.0) } else { self.design() }
            .filter(|_| count > 0)?;
        let effective = count as f64 / design_effect;
        let hits = self.hits.hits as f64 / design_effect;
        let clusters = if self.blocks.is_empty() { &self.each } else { &self.blocks };
        Some(BudgetFigures {
            recordings: self.recordings,
            count,
            design_effect,
            effective,
            value_ns: match quantile {
                Quantile::Max => self.max_ns,
                quantile => self.values.value_at_quantile(quantile.share()),
            },
            value_interval_ns: self.value_interval(quantile, effective),
            limit_ns: budget.limit_ns,
            share: self.hits.hits as f64 / count as f64,
            share_interval: binomial::interval(hits, effective, CONFIDENCE),
            bootstrap_interval: bootstrap::interval(clusters, CONFIDENCE, SEED),
            allowed: 1.0 - quantile.share(),
        })
    }

    fn value_interval(&self, quantile: Quantile, effective: f64) -> Option<(u64, u64)> {
        // As many as a float counts one by one.
        let count = effective.min(2_f64.powi(53)) as u64;
        let (low, high) = order::ranks(count, quantile.share(), CONFIDENCE)?;
        let at = |rank: u64| self.values.value_at_quantile(rank as f64 / count as f64);
        Some((at(low), at(high)))
    }

    fn flaw(&self, budget: &Budget, figures: Option<&BudgetFigures>) -> Option<Flaw> {
        if self.hits.events == 0 {
            return Some(Flaw::NoEvents { quantity: budget.quantity.to_string() });
        }
        let Some(figures) = figures else { return Some(Flaw::NoBlocks) };
        let needed = budget.quantity.quantile.needed();
        (figures.effective < needed).then_some(Flaw::TooFew {
            effective: figures.effective,
            needed,
            count: figures.count,
            design: figures.design_effect,
        })
    }
}

#[cfg(test)]
mod tests;
