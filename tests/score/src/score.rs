//! Blame and truth of every wait -> the figures. Nothing here knows where either comes from.

use crate::truth::{MARGIN_NS, Real, Shares};

/// A first place that leads by less than this part of the wait is a tie, and no question.
const LEAD: f64 = 0.05;

/// How right somebody was.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Figures {
    /// Percent of the nanoseconds of waits whose largest share was named; `None` without a question.
    pub top1: Option<f64>,
    /// Half the L1 distance of the summed shares, in percent of all; `None` of no wait.
    pub share_error: Option<f64>,
}

/// Compares wait by wait, and in sum.
pub fn figures(real: &[Real], blamed: &[Shares]) -> Figures {
    let shares: Vec<_> = real.iter().map(|real| &real.shares).collect();
    let (truth, blame) = (sum(shares), sum(blamed));
    Figures { top1: top1(real, blamed), share_error: share_error(&truth, &blame) }
}

/// Percent of nanoseconds, by the waits that have a first.
fn top1(real: &[Real], blamed: &[Shares]) -> Option<f64> {
    let (mut right_ns, mut asked_ns) = (0, 0);
    for (real, blamed) in real.iter().zip(blamed) {
        if !leads(real) {
            continue;
        }
        asked_ns += real.length_ns;
        right_ns += if first(&real.shares) == first(blamed) { real.length_ns } else { 0 };
    }
    (asked_ns > 0).then(|| 100.0 * right_ns as f64 / asked_ns as f64)
}

fn leads(real: &Real) -> bool {
    let mut sorted = real.shares.clone();
    sorted.sort_unstable_by(|a, b| b.cmp(a));
    let lead = sorted.first().unwrap_or(&0) - sorted.get(1).unwrap_or(&0);
    lead > 0 && lead as f64 >= LEAD * real.length_ns as f64
}

fn first(shares: &Shares) -> Option<usize> {
    let largest = shares.iter().max()?;
    shares.iter().position(|share| share == largest)
}

/// Place by place.
pub fn sum<'a>(all: impl IntoIterator<Item = &'a Shares>) -> Shares {
    let mut sums = Shares::new();
    for shares in all {
        sums.resize(sums.len().max(shares.len()), 0);
        sums.iter_mut().zip(shares).for_each(|(sum, share)| *sum += share);
    }
    sums
}

/// Half the L1 distance, in percent of the truth's total.
pub fn share_error(truth: &Shares, blame: &Shares) -> Option<f64> {
    let total: u64 = truth.iter().sum();
    let apart: u64 = truth.iter().zip(blame).map(|(a, b)| a.abs_diff(*b)).sum();
    (total > 0).then(|| 50.0 * apart as f64 / total as f64)
}

/// Nanoseconds blamed on actors that did not run at all in that wait: so much that their logs would
/// show it, and in stints too short for a log.
pub fn false_certainty_ns(real: &[Real], blamed: &[Shares]) -> (u64, u64) {
    let of_wait = |(real, blamed)| innocent(real, blamed).map(|(_, ns)| ns);
    let each = real.iter().zip(blamed).flat_map(of_wait);
    let (long, short): (Vec<u64>, Vec<u64>) = each.partition(|ns| *ns > MARGIN_NS);
    (long.iter().sum(), short.iter().sum())
}

/// Actors that did not run, and what was blamed on them.
fn innocent<'a>(real: &'a Real, blamed: &'a Shares) -> impl Iterator<Item = (usize, u64)> + 'a {
    let actors = real.ran.iter().zip(blamed).enumerate();
    actors.filter(|(_, (ran, _))| !**ran).map(|(actor, (_, ns))| (actor, *ns))
}

/// The wait with the most of it, and the actor, by their numbers.
pub fn worst_false(real: &[Real], blamed: &[Shares]) -> Option<(usize, usize)> {
    let each = real.iter().zip(blamed).enumerate().flat_map(|(wait, (real, blamed))| {
        innocent(real, blamed).map(move |(actor, ns)| (ns, wait, actor))
    });
    each.max().filter(|(ns, ..)| *ns > MARGIN_NS).map(|(_, wait, actor)| (wait, actor))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn real(shares: &[u64], ran: &[bool]) -> Real {
        Real { length_ns: shares.iter().sum(), shares: shares.to_vec(), ran: ran.to_vec() }
    }

    #[test]
    fn the_first_is_asked_by_nanoseconds_and_ties_are_no_question() {
        let truth = [real(&[80, 20], &[]), real(&[20, 280], &[]), real(&[500, 480], &[])];
        let blamed = [vec![90, 10], vec![200, 100], vec![0, 980]];
        assert_eq!(figures(&truth, &blamed).top1, Some(25.0));
        assert_eq!(figures(&truth[2..], &blamed[2..]).top1, None);
    }

    #[test]
    fn the_shares_are_compared_in_sum() {
        let truth = [real(&[80, 20], &[]), real(&[20, 80], &[])];
        let crossed = [vec![20, 80], vec![80, 20]];
        assert_eq!(figures(&truth, &crossed).share_error, Some(0.0));
        let one_sided = [vec![100, 0], vec![20, 80]];
        assert_eq!(figures(&truth, &one_sided).share_error, Some(10.0));
        assert_eq!(figures(&[], &[]), Figures { top1: None, share_error: None });
    }

    #[test]
    fn who_did_not_run_is_not_to_be_blamed() {
        let truth = [real(&[0, 100, 0], &[false, true])];
        assert_eq!(false_certainty_ns(&truth, &[vec![70_000, 90, 3]]), (70_000, 0));
        assert_eq!(false_certainty_ns(&truth, &[vec![7_000, 90, 3]]), (0, 7_000));
        assert_eq!(false_certainty_ns(&truth, &[vec![0, 90_000, 50]]), (0, 0));
        assert_eq!(worst_false(&truth, &[vec![70_000, 90, 3]]), Some((0, 0)));
        assert_eq!(worst_false(&truth, &[vec![0, 90_000, 3]]), None);
    }
}
