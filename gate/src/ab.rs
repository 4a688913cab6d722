//! A candidate against a base, recorded in turns on one machine until it is clear which is which.
//!
//! A machine of a minute ago was another one, so each candidate is compared with the base recorded
//! beside it. Which of the two comes first is drawn, and the next pair is the other way round: what
//! drifts then drifts against neither. The first pair warms up what comes after it, and is dropped.

use crate::Error;
use crate::comparison::{self, Compared, Margins, logarithms};
use crate::evidence::Evidence;
use crate::flaw::{self, Flaw, Limits, Reason};
use crate::quantity::{Quantile, Quantity};
use crate::statistics::random::Random;
use crate::stored::{check, comparable};
use crate::verdict::{Check, Decision};

/// After so many pairs it is looked whether it is clear; every look has its share of the error that a
/// verdict may have in all.
pub const LOOKS: [usize; 4] = [6, 10, 15, 20];

/// The fewest pairs and the most.
pub const PAIRS: (usize, usize) = (LOOKS[0], LOOKS[3]);

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// What there was.
    Base,
    /// What may be worse.
    Candidate,
}

impl Side {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Candidate => "candidate",
        }
    }
}

/// The order within a pair: drawn for every other one, the pair after it is the other way round.
pub fn order(seed: u64, pair: usize) -> [Side; 2] {
    let drawn = Random::new(seed.wrapping_add((pair / 2) as u64)).draw() & 1 == 1;
    if drawn == pair.is_multiple_of(2) {
        [Side::Base, Side::Candidate]
    } else {
        [Side::Candidate, Side::Base]
    }
}

/// Pairs as they come in.
#[derive(Debug)]
pub struct Sequence {
    quantity: Quantity,
    quantile: Quantile,
    most: usize,
    margins: Margins,
    limits: Limits,
    first: Option<Evidence>,
    pairs: Vec<(u64, u64)>,
    tried: usize,
    set_aside: Vec<Reason>,
    dropped: usize,
}

impl Sequence {
    /// At most so many pairs that count. Refuses to compare maxima.
    pub fn new(
        quantity: Quantity,
        most: usize,
        margins: Margins,
        limits: Limits,
    ) -> Result<Self, Error> {
        let quantile = comparable(&quantity)?;
        Ok(Self {
            quantity,
            quantile,
            most,
            margins,
            limits,
            first: None,
            pairs: Vec::new(),
            tried: 0,
            set_aside: Vec::new(),
            dropped: 0,
        })
    }

    /// Pairs that count.
    pub fn pairs(&self) -> usize {
        self.pairs.len()
    }

    /// Takes a pair in. The verdict, once there is one: then nothing more need be recorded.
    ///
    /// A pair that the moment disturbed is set aside, and another takes its place; anything else that
    /// is wrong with a recording ends it all, since the candidate may be what brought it about.
    pub fn push(&mut self, base: &Evidence, candidate: &Evidence) -> Option<Check> {
        self.tried += 1;
        let (disturbances, others) = self.flaws(base, candidate);
        if !others.is_empty() {
            return Some(self.finish(others));
        }
        self.first.get_or_insert_with(|| base.clone());
        if disturbances.is_empty() {
            self.pairs.push((base.at(self.quantile), candidate.at(self.quantile)));
            return self.look();
        }
        self.dropped += 1;
        self.set_aside.extend(disturbances);
        self.is_hopeless().then(|| self.finish(Vec::new()))
    }

    /// Those of the moment, and the others.
    fn flaws(&self, base: &Evidence, candidate: &Evidence) -> (Vec<Reason>, Vec<Reason>) {
        let (mut disturbances, mut others) = (Vec::new(), Vec::new());
        for one in [base, candidate] {
            let figure = flaw::of_figure(one, self.quantile);
            for flaw in one.flaws.iter().chain(&figure) {
                let to = if flaw.is_disturbance() { &mut disturbances } else { &mut others };
                to.push(flaw.of(&one.name));
            }
            others.extend(self.other_machine(one));
        }
        (disturbances, others)
    }

    fn other_machine(&self, one: &Evidence) -> Option<Reason> {
        let first = self.first.as_ref()?.fingerprint.as_ref()?;
        let (what, is, other) = first.difference_of_host(one.fingerprint.as_ref()?)?;
        Some(Flaw::Fingerprint { what, one: is, other }.of(&one.name))
    }

    fn look(&self) -> Option<Check> {
        let count = self.pairs.len();
        let last = count >= self.most;
        if !last && !LOOKS.contains(&count) {
            return None;
        }
        let compared = comparison::pairs(&self.pairs, &self.margins);
        let clear = compared.is_some_and(|c| c.decision != Decision::Inconclusive);
        (clear || last).then(|| self.finish(Vec::new()))
    }

    /// More set aside than a quarter of what there may be, and no look in reach of all that is left.
    fn is_hopeless(&self) -> bool {
        self.dropped * 3 > self.most
    }

    /// The verdict by what there is.
    fn finish(&self, mut reasons: Vec<Reason>) -> Check {
        // What is left may be the lucky ones.
        if self.dropped * 4 > self.tried.max(PAIRS.0) {
            let flaw = Flaw::Filtered { dropped: self.dropped, tried: self.tried };
            reasons.push(flaw.of(&"".into()));
        }
        let base: Vec<_> = self.pairs.iter().map(|(base, _)| *base).collect();
        let drift = flaw::drift(&logarithms(&base), &self.limits);
        reasons.extend(drift.map(|flaw| flaw.of(&"base".into())));
        let compared: Option<Compared> = comparison::pairs(&self.pairs, &self.margins);
        let mut check = check(&self.quantity, compared, reasons);
        check.set_aside.clone_from(&self.set_aside);
        check
    }
}

#[cfg(test)]
mod tests;
