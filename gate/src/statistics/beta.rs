//! The regularized incomplete beta function and its inverse: binomial and Student's t come of them.

use super::gamma::ln_gamma;

/// Steps of the continued fraction: some √(a + b) are needed.
const STEPS: u32 = 100_000;
/// A denominator that would be nothing.
const TINY: f64 = 1e-300;
/// A third of them halve the unit interval: more often than a float can tell.
const HALVINGS: u32 = 600;

/// I_x(a, b), the share of a beta distribution below `x`; `a` and `b` positive.
///
/// The continued fraction of Abramowitz and Stegun (26.5.8), on the side of the mean where it
/// converges fast.
pub(super) fn regularized(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - regularized(1.0 - x, b, a);
    }
    let ln_beta = ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b);
    let front = (a * x.ln() + b * (-x).ln_1p() - ln_beta).exp() / a;
    (front / fraction(x, a, b)).clamp(0.0, 1.0)
}

/// The fraction 1 + d₁/(1 + d₂/(1 + ...)) from its beginning (Lentz, 1976, as Thompson and Barnett
/// made it safe in 1986).
fn fraction(x: f64, a: f64, b: f64) -> f64 {
    let (mut value, mut numerator, mut denominator) = (1.0, 1.0, 0.0);
    for step in 1..STEPS {
        let d = coefficient(step, x, a, b);
        denominator = 1.0 / away(1.0 + d * denominator);
        numerator = away(1.0 + d / numerator);
        let factor = numerator * denominator;
        value *= factor;
        if (factor - 1.0).abs() < f64::EPSILON {
            break;
        }
    }
    value
}

fn coefficient(step: u32, x: f64, a: f64, b: f64) -> f64 {
    let m = f64::from(step / 2);
    if step.is_multiple_of(2) {
        m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m))
    } else {
        -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0))
    }
}

fn away(from_zero: f64) -> f64 {
    if from_zero.abs() < TINY { TINY } else { from_zero }
}

/// The x below which a share `p` of the beta distribution lies: by a straight line between the bounds
/// (Illinois, as Dowell and Jarratt described it in 1971), and every third time by halving, so that it
/// comes to an end whatever the shape.
pub(super) fn inverse(p: f64, a: f64, b: f64) -> f64 {
    let (mut low, mut high) = ((0.0_f64, -p), (1.0_f64, 1.0 - p));
    for step in 0..HALVINGS {
        let inside = |x: &f64| low.0 < *x && *x < high.0;
        let line = Some(straight(low, high)).filter(|x| step % 3 != 2 && inside(x));
        let Some(middle) = line.or_else(|| Some(halfway(low.0, high.0)).filter(inside)) else {
            break;
        };
        let off = regularized(middle, a, b) - p;
        if off.abs() <= f64::EPSILON * p {
            return middle;
        }
        // An end that stays counts half the next time.
        if off < 0.0 {
            (low, high.1) = ((middle, off), high.1 / 2.0);
        } else {
            (high, low.1) = ((middle, off), low.1 / 2.0);
        }
    }
    low.0.midpoint(high.0)
}

fn straight((low, below): (f64, f64), (high, above): (f64, f64)) -> f64 {
    (low * above - high * below) / (above - below)
}

/// Close to nothing a middle of logarithms halves the digits, not the distance.
fn halfway(low: f64, high: f64) -> f64 {
    if low > 0.0 && high > 2.0 * low { (low * high).sqrt() } else { low.midpoint(high) }
}
