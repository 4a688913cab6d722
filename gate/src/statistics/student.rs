//! Student's t distribution, for any positive degrees of freedom.

use super::beta;

/// The share of the distribution below `t` (Abramowitz and Stegun, 26.7.1 with 26.5.27).
pub fn cumulative(t: f64, freedom: f64) -> f64 {
    let outside = beta::regularized(freedom / (freedom + t * t), freedom / 2.0, 0.5) / 2.0;
    if t < 0.0 { outside } else { 1.0 - outside }
}

/// The t below which a share `p` lies, `p` between 0 and 1 and neither of them.
pub fn quantile(p: f64, freedom: f64) -> f64 {
    if p < 0.5 {
        return -quantile(1.0 - p, freedom);
    }
    let x = beta::inverse(2.0 * (1.0 - p), freedom / 2.0, 0.5);
    (freedom * (1.0 - x) / x).sqrt()
}
