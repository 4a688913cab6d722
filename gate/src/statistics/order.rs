//! Quantiles by order statistics: which of the sorted values lie around the true one.

use super::binomial;

/// Ranks, from 1, of the values between which the `q` quantile lies with `confidence`, both sides
/// alike, whatever the distribution (David and Nagaraja, Order Statistics, 7.1). `None` if `count`
/// values are too few for both to exist.
pub fn ranks(count: u64, q: f64, confidence: f64) -> Option<(u64, u64)> {
    let side = (1.0 - confidence) / 2.0;
    // As many values lie below the true quantile as trials of probability q hit.
    let at_most = |rank: u64| binomial::cumulative(rank - 1, count, q);
    let first_above = |bound: f64| first(1, count + 1, |rank| at_most(rank) > bound);
    let low = first_above(side).checked_sub(1).filter(|&rank| rank >= 1)?;
    let high = first(1, count + 1, |rank| at_most(rank) >= 1.0 - side);
    (high <= count).then_some((low, high))
}

/// The first number in a range of which a monotone condition holds, or the range's end.
fn first(mut from: u64, mut to: u64, holds: impl Fn(u64) -> bool) -> u64 {
    while from < to {
        let middle = from.midpoint(to);
        if holds(middle) { to = middle } else { from = middle + 1 }
    }
    from
}
