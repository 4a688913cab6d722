//! What the gate does to programs that did not change, and to programs that did: many seeded
//! comparisons, on machines of five kinds.
//!
//! A recording's P99 is drawn as the order statistic that it is (of so many effective waits, by the
//! beta distribution of its rank), and then carried off by what recordings suffer: noise that a pair
//! shares, noise of its own, a bias of the whole build or job that no pairing takes away, buckets, and
//! now and then a recording that is another world.

use std::fmt::Write as _;

use super::*;
use crate::ab::LOOKS;
use crate::statistics::random::Random;

/// Gates for each model and change.
const TRIALS: u32 = 4_000;
const SEED: u64 = 20;
const CHANGES: [f64; 4] = [0.0, 0.10, 0.20, 0.50];
const P99: f64 = 0.99;

/// A kind of machine. Noises are standard deviations of a logarithm.
struct Model {
    name: &'static str,
    /// Waits of a recording, over their design effect.
    effective: f64,
    /// The distribution's tail.
    tail: Tail,
    /// Of a pair, of a recording, and of a whole comparison.
    shared: f64,
    own: f64,
    bias: f64,
    /// The width of a bucket, as a share; 0 for none.
    bucket: f64,
    /// How often a recording is another world.
    outliers: f64,
}

enum Tail {
    /// With this standard deviation of the logarithm.
    Lognormal(f64),
    /// With this index.
    Pareto(f64),
}

const QUIET: Model = Model {
    name: "quiet machine",
    effective: 10_000.0,
    tail: Tail::Lognormal(1.0),
    shared: 0.03,
    own: 0.02,
    bias: 0.01,
    bucket: 0.001,
    outliers: 0.0,
};

const MODELS: [Model; 5] = [
    QUIET,
    // Waits that know of each other: their number says six times less.
    Model {
        name: "virtual machine, ρ 0.9",
        effective: 1_700.0,
        shared: 0.10,
        own: 0.05,
        bias: 0.02,
        ..QUIET
    },
    Model { name: "hosted runner", shared: 0.25, own: 0.10, bias: 0.03, ..QUIET },
    Model { name: "Pareto, wide buckets", tail: Tail::Pareto(2.0), bucket: 0.016, ..QUIET },
    Model { name: "one in ten is an outlier", outliers: 0.1, ..QUIET },
];

/// Box and Muller, 1958.
fn normal(random: &mut Random) -> f64 {
    let radius = (-2.0 * random.unit().ln()).sqrt();
    radius * (std::f64::consts::TAU * random.unit()).cos()
}

/// Marsaglia and Tsang, 2000; for shapes of 1 and more.
fn gamma(shape: f64, random: &mut Random) -> f64 {
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let x = normal(random);
        let v = (1.0 + c * x).powi(3);
        if v > 0.0 && random.unit().ln() < 0.5 * x * x + d - d * v + d * v.ln() {
            return d * v;
        }
    }
}

/// The share of the distribution below the value of that rank.
fn rank_share(effective: f64, random: &mut Random) -> f64 {
    let above = gamma(effective * (1.0 - P99) + 1.0, random);
    let below = gamma(effective * P99, random);
    below / (below + above)
}

/// The value below which a share of a standard normal lies (Abramowitz and Stegun, 26.2.23).
fn normal_quantile(p: f64) -> f64 {
    let t = (-2.0 * (1.0 - p).ln()).sqrt();
    let above = 2.515_517 + t * (0.802_853 + t * 0.010_328);
    t - above / (1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308)))
}

impl Model {
    fn p99(&self, carried: f64, random: &mut Random) -> u64 {
        let share = rank_share(self.effective, random);
        let log = match self.tail {
            Tail::Lognormal(sigma) => sigma * normal_quantile(share),
            Tail::Pareto(index) => -(1.0 - share).ln() / index,
        };
        let outlier = if random.unit() < self.outliers { 0.7 } else { 0.0 };
        let value = (log + carried + self.own * normal(random) + outlier).exp() * 1e5;
        if self.bucket > 0.0 {
            let bucket = self.bucket.ln_1p();
            return ((value.ln() / bucket).round() * bucket).exp() as u64;
        }
        value as u64
    }

    /// One comparison, as the sequence of looks has it. The decision, and the pairs that it took.
    fn gate(&self, change: f64, random: &mut Random) -> (Decision, usize) {
        let grown = change.ln_1p() + self.bias * normal(random);
        let mut all = Vec::new();
        for look in LOOKS {
            while all.len() < look {
                let shared = self.shared * normal(random);
                let base = self.p99(shared, random);
                all.push((base, self.p99(shared + grown, random)));
            }
            let decision = pairs(&all, &Margins::default()).unwrap().decision;
            if decision != Decision::Inconclusive {
                return (decision, look);
            }
        }
        (Decision::Inconclusive, all.len())
    }
}

/// Shares of verdicts in percent, and pairs at the mean.
struct Power {
    fail: f64,
    pass: f64,
    pairs: f64,
}

fn power(model: &Model, change: f64, random: &mut Random) -> Power {
    let (mut fail, mut pass, mut pairs) = (0, 0, 0);
    for _ in 0..TRIALS {
        let (decision, taken) = model.gate(change, random);
        fail += u32::from(decision == Decision::Regression);
        pass += u32::from(decision == Decision::Pass);
        pairs += taken;
    }
    let percent = |count: u32| f64::from(count) * 100.0 / f64::from(TRIALS);
    let pairs = pairs as f64 / f64::from(TRIALS);
    Power { fail: percent(fail), pass: percent(pass), pairs }
}

#[test]
fn an_unchanged_program_fails_once_in_a_hundred_at_most() {
    let mut random = Random::new(SEED);
    let mut table = format!(
        "{:<26}{}\n",
        "",
        CHANGES.map(|c| format!("{:>22}", format!("{:+.0} %", c * 100.0))).concat()
    );
    for model in &MODELS {
        write!(table, "{:<26}", model.name).unwrap();
        for change in CHANGES {
            let Power { fail, pass, pairs } = power(model, change, &mut random);
            write!(table, "{:>22}", format!("F{fail:.1} P{pass:.1} ({pairs:.0})")).unwrap();
            if change == 0.0 {
                assert!(fail <= 1.0, "{}: {fail} % of unchanged programs fail", model.name);
            }
        }
        table.push('\n');
    }
    println!("{TRIALS} gates each: fail % pass % (mean pairs)\n{table}");
}

/// What a quiet machine promises.
#[test]
fn a_quiet_machine_detects_a_fifth() {
    let mut random = Random::new(SEED);
    assert!(power(&QUIET, 0.20, &mut random).fail > 95.0);
    assert!(power(&QUIET, 0.50, &mut random).fail > 99.0);
    assert!(power(&QUIET, 0.0, &mut random).pass > 75.0);
}
