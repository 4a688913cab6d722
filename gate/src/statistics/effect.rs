//! What a comparison could have seen at all.

use super::{Estimate, student};

/// The smallest true value that such an estimate would show to lie above `margin` in a share `power`
/// of all repetitions (Bloom, 1995: the minimum detectable effect is a multiple of the error).
pub fn minimum_detectable(estimate: &Estimate, margin: f64, alpha: f64, power: f64) -> f64 {
    let needed = student::quantile(1.0 - alpha, estimate.freedom);
    let likely = student::quantile(power, estimate.freedom);
    margin + (needed + likely) * estimate.error
}
