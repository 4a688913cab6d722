//! A candidate's recordings against a baseline's, made at any time on the same kind of machine.

use crate::Error;
use crate::comparison::{self, Margins, logarithms};
use crate::evidence::Evidence;
use crate::flaw::{self, Flaw, Limits, Reason};
use crate::quantity::{Quantile, Quantity};
use crate::verdict::{Check, Decision, Figures};

/// Recordings a side: with fewer, the spread between recordings is not known.
pub const FEWEST: usize = 6;

/// Compares one quantile of each recording. Refuses to compare maxima.
pub fn decide(
    quantity: &Quantity,
    mut baseline: Vec<Evidence>,
    mut candidate: Vec<Evidence>,
    margins: &Margins,
    limits: &Limits,
) -> Result<Check, Error> {
    let quantile = comparable(quantity)?;
    for side in [&mut baseline, &mut candidate] {
        side.sort_by_key(|evidence| evidence.started_unix_ns);
    }
    let figures = |side: &[Evidence]| side.iter().map(|one| one.at(quantile)).collect::<Vec<_>>();
    let (base, other) = (figures(&baseline), figures(&candidate));
    let mut reasons = few(base.len().min(other.len()));
    reasons.extend(each(baseline.iter().chain(&candidate), quantile));
    reasons.extend(fingerprints(baseline.iter().chain(&candidate)));
    reasons.extend(flaw::drift(&logarithms(&base), limits).map(|flaw| flaw.of(&"baseline".into())));
    let compared = comparison::samples(&base, &other, margins);
    Ok(check(quantity, compared, reasons))
}

/// The quantile, if two recordings can agree on it.
pub(crate) fn comparable(quantity: &Quantity) -> Result<Quantile, Error> {
    match quantity.quantile {
        Quantile::Max => Err(Error::MaxCompared),
        quantile => Ok(quantile),
    }
}

fn few(recordings: usize) -> Vec<Reason> {
    let flaw = Flaw::FewRecordings { recordings, needed: FEWEST };
    if recordings < FEWEST { vec![flaw.of(&"".into())] } else { Vec::new() }
}

fn each<'a>(all: impl Iterator<Item = &'a Evidence>, quantile: Quantile) -> Vec<Reason> {
    let of_one = |one: &'a Evidence| {
        let own = one.flaws.iter().map(|flaw| flaw.of(&one.name));
        own.chain(flaw::of_figure(one, quantile).map(|flaw| flaw.of(&one.name)))
    };
    all.flat_map(of_one).collect()
}

/// All against the first.
fn fingerprints<'a>(all: impl Iterator<Item = &'a Evidence>) -> Vec<Reason> {
    let mut known = all.filter_map(|one| Some((one, one.fingerprint.as_ref()?)));
    let Some((_, first)) = known.next() else { return Vec::new() };
    let differs = |(one, print): (&'a Evidence, &'a crate::fingerprint::Fingerprint)| {
        let (what, one_is, other) = first.difference(print)?;
        Some(Flaw::Fingerprint { what, one: one_is, other }.of(&one.name))
    };
    known.filter_map(differs).collect()
}

/// A check of what was compared; reasons stand before any figure.
pub(crate) fn check(
    quantity: &Quantity,
    compared: Option<comparison::Compared>,
    mut reasons: Vec<Reason>,
) -> Check {
    let name = format!("{quantity}, candidate against base");
    let Some(compared) = compared else { return Check::inconclusive(name, reasons) };
    let decision = if reasons.is_empty() { compared.decision } else { Decision::Inconclusive };
    if decision == Decision::Inconclusive && reasons.is_empty() {
        reasons.push(undecided(&compared));
    }
    let figures = Some(Figures::Comparison(compared.figures));
    Check { name: name.into(), decision, reasons, set_aside: Vec::new(), figures }
}

fn undecided(compared: &comparison::Compared) -> Reason {
    let figures = &compared.figures;
    let percent = |ratio: f64| (ratio - 1.0) * 100.0;
    let says = format!(
        "the change lies between {:+.1} % and {:+.1} %: no regression is sure (above {:+.0} %), and no \
         pass (below {:+.0} %)",
        percent(figures.lower),
        percent(figures.upper),
        percent(figures.regression_above),
        percent(figures.pass_below)
    );
    Reason { code: "undecided", says: says.into() }
}

#[cfg(test)]
mod tests;
