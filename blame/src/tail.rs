//! Which waits are the tail: those at or above P99 and, if there is one, above the objective.

use cronx_recording::histogram::carries;

/// The length from which on a wait is in the tail, nanoseconds; `None` for fewer waits than a P99
/// needs. `longest_first` are the lengths of all waits.
///
/// P99 is exact here, by nearest rank (the smallest length that 99 % of the waits do not exceed),
/// where the histogram's is rounded to three digits. A wait longer than the objective is one of
/// at least a nanosecond more.
pub(crate) fn threshold_ns(longest_first: &[u64], objective_ns: Option<u64>) -> Option<u64> {
    let count = longest_first.len();
    if !carries(count as u64, 0.99) {
        return None;
    }
    let rank = (count * 99).div_ceil(100);
    let p99_ns = *longest_first.get(count - rank)?;
    Some(objective_ns.map_or(p99_ns, |objective| p99_ns.max(objective.saturating_add(1))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(count: u64) -> Vec<u64> {
        (1..=count).rev().collect()
    }

    #[test]
    fn nearest_rank() {
        assert_eq!(threshold_ns(&lengths(1_000), None), Some(990));
        assert_eq!(threshold_ns(&lengths(368), None), Some(365));
    }

    #[test]
    fn too_few_waits_have_no_tail() {
        assert_eq!(threshold_ns(&lengths(367), None), None);
        assert_eq!(threshold_ns(&[], Some(1)), None);
    }

    #[test]
    fn the_objective_raises_it_and_never_lowers_it() {
        assert_eq!(threshold_ns(&lengths(1_000), Some(995)), Some(996));
        assert_eq!(threshold_ns(&lengths(1_000), Some(10)), Some(990));
        assert_eq!(threshold_ns(&lengths(1_000), Some(u64::MAX)), Some(u64::MAX));
    }
}
