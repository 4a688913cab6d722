//! Two samples whose variances need not be the same.

use super::{Estimate, Moments};

/// The difference of the means, `b` less `a` (Welch, 1947), with the degrees of freedom of Satterthwaite
/// (1946). `None` if either has fewer than two figures.
pub fn difference(a: &[f64], b: &[f64]) -> Option<Estimate> {
    let (a, b) = (Moments::of(a)?, Moments::of(b)?);
    let (of_a, of_b) = (a.variance_of_mean(), b.variance_of_mean());
    let variance = of_a + of_b;
    let spread = of_a.powi(2) / (a.count - 1) as f64 + of_b.powi(2) / (b.count - 1) as f64;
    let pooled = (a.count + b.count - 2) as f64;
    let freedom = if spread > 0.0 { variance.powi(2) / spread } else { pooled };
    Some(Estimate { value: b.mean - a.mean, error: variance.sqrt(), freedom })
}
