//! Shares of events: the exact binomial interval.

use super::beta;

/// The interval that holds the true share with `confidence`, both sides alike, when `hits` of `trials`
/// were seen (Clopper and Pearson, 1934). Counts need not be whole: an effective sample has fewer
/// trials than were counted, and hits in proportion (Korn and Graubard, 1998).
///
/// Without any trial it is everything from 0 to 1.
pub fn interval(hits: f64, trials: f64, confidence: f64) -> (f64, f64) {
    let side = (1.0 - confidence) / 2.0;
    let low = if hits > 0.0 { beta::inverse(side, hits, trials - hits + 1.0) } else { 0.0 };
    let high =
        if hits < trials { beta::inverse(1.0 - side, hits + 1.0, trials - hits) } else { 1.0 };
    (low, high)
}

/// The probability of `hits` or fewer in `trials` of probability `p` each.
pub fn cumulative(hits: u64, trials: u64, p: f64) -> f64 {
    if hits >= trials {
        return 1.0;
    }
    beta::regularized(1.0 - p, (trials - hits) as f64, hits as f64 + 1.0)
}
