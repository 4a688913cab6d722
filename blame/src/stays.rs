//! A wait as a row of stays, one on each queue that the thread was on.

use cronx_abi::wait_flag;

use crate::waits::{Interval, Mark, What};

/// A thread's time on one queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stay {
    pub(crate) cpu: u16,
    pub(crate) from_ns: u64,
    /// It left for another queue or was switched in; or the walk found it there, after the window.
    pub(crate) to_ns: u64,
    /// Whether it was out of quota when it left, or at the walk.
    pub(crate) throttled: bool,
}

/// The stays of a wait, replacing what is in `stays`; `false` if its moves are not as many as the
/// kernel counted, or do not lead from the first queue to the last.
pub(crate) fn of(interval: &Interval, moves: &[Mark], stays: &mut Vec<Stay>) -> bool {
    let wait = &interval.wait;
    let (mut cpu, mut from_ns) = (wait.first_cpu, interval.queued_ns);
    stays.clear();
    for mark in moves {
        match mark.what {
            What::Move { from, to, throttled } if from == cpu => {
                stays.push(Stay { cpu, from_ns, to_ns: mark.at_ns.max(from_ns), throttled });
                (cpu, from_ns) = (to, mark.at_ns.max(from_ns));
            }
            _ => return false,
        }
    }
    let throttled = wait.flags & wait_flag::THROTTLED_AT_STOP != 0;
    stays.push(Stay { cpu, from_ns, to_ns: interval.told_ns.max(from_ns), throttled });
    moves.len() == usize::from(wait.moves) && cpu == wait.cpu
}
