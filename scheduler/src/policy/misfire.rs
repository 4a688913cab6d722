//! Which of the instants that have passed are left out: all policies are one number.

use super::{Misfire, Policy};
use crate::{Spec, Utc};

/// The instant up to which everything after `cursor` is left out; what is after it, up to `now`, starts.
/// Never before `cursor`, which is the last instant that was decided.
///
/// A misfire is what is more than the grace before `now`, and there is one. Each policy keeps so many of
/// the newest instants before another one; what the clock has after that is on time.
pub(crate) fn left_out(policy: &Policy, spec: &Spec, cursor: Utc, now: Utc) -> Utc {
    let on_time = now - policy.grace;
    let (keep, from) = match policy.misfire {
        Misfire::Skip => (0, on_time),
        Misfire::FireOnce => (1, Utc(now.0.saturating_add(1))),
        Misfire::FireAll { cap } => (cap, on_time),
        Misfire::Within { grace } => (0, on_time.min(now - grace)),
    };
    let kept = std::iter::successors(spec.before(from), |&utc| spec.before(utc));
    let oldest = kept.take(keep as usize).take_while(|&utc| utc > cursor).last();
    let edge = oldest.unwrap_or(from);
    Utc(edge.0.saturating_sub(1)).max(cursor)
}
