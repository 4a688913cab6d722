//! What the clocks did between two readings, and what that does to a cursor.

use super::{Back, Leap, Policy, Why};
use crate::Utc;
use crate::clock::Reading;

/// Clocks that are read one after the other differ by as much, and nobody steps by less.
const NOISE_NS: i64 = 5_000_000;

/// What happened beside the passing of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Change {
    /// Whether UTC was put forward.
    forward: bool,
    /// Whether it was put back.
    back: bool,
    /// Whether the machine slept.
    suspended: bool,
}

impl Change {
    /// `None` if nothing did.
    pub(crate) fn between(last: &Reading, now: &Reading) -> Option<Self> {
        let awake_ns = now.mono.0 as i64 - last.mono.0 as i64;
        let asleep_ns = (now.boot_ns as i64 - last.boot_ns as i64) - awake_ns;
        let stepped_ns = now.utc.0.saturating_sub(last.utc.0) - awake_ns - asleep_ns;
        let change = Self {
            forward: stepped_ns > NOISE_NS,
            back: stepped_ns < -NOISE_NS,
            suspended: asleep_ns > NOISE_NS,
        };
        (change.forward || change.back || change.suspended).then_some(change)
    }

    /// Where a cursor is after it, and why it went on, if it did. `now` is the job's own.
    pub(crate) fn cursor(self, policy: &Policy, cursor: Utc, now: Utc) -> (Utc, Option<Why>) {
        if self.suspended && policy.suspend == Leap::Forget && cursor < now {
            return (now, Some(Why::Suspend));
        }
        if self.forward && policy.forward == Leap::Forget && cursor < now {
            return (now, Some(Why::Forward));
        }
        if self.back && policy.back == Back::Repeat && cursor > now {
            return (now, None);
        }
        (cursor, None)
    }
}
