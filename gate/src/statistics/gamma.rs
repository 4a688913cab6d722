//! The logarithm of the gamma function.

use std::f64::consts::TAU;

/// From here on the series is exact to the last digits.
const FAR: f64 = 10.0;

/// Coefficients of Stirling's series in 1/x, 1/x³, 1/x⁵ and so on (Abramowitz and Stegun, 6.1.41).
const STIRLING: [f64; 7] = [
    1.0 / 12.0,
    -1.0 / 360.0,
    1.0 / 1260.0,
    -1.0 / 1680.0,
    1.0 / 1188.0,
    -691.0 / 360_360.0,
    1.0 / 156.0,
];

/// ln Γ(x) of a positive x: Stirling's series, and the recurrence Γ(x + 1) = x Γ(x) to get there.
pub(super) fn ln_gamma(x: f64) -> f64 {
    let (mut x, mut shift) = (x, 0.0);
    while x < FAR {
        shift += x.ln();
        x += 1.0;
    }
    let inverse = 1.0 / (x * x);
    let series = STIRLING.iter().rev().fold(0.0, |sum, c| sum * inverse + c) / x;
    (x - 0.5) * x.ln() - x + 0.5 * TAU.ln() + series - shift
}
