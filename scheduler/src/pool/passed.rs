//! The breakers that an attempt has to pass, and is to tell of its end.

use crate::Mono;
use crate::breaker::{Call, Ended, Record};
use crate::job::Core;
use crate::run::{Outcome, Rejection, TraceId};

use super::Pool;

/// The breakers that an attempt passed. Dropped untold, it counts for none of them as anything.
pub(super) struct Passed<'a>(Vec<Call<'a>>);

impl<'a> Passed<'a> {
    /// Asks them all, in order. The first that rejects decides: those before it are told that nothing came of it.
    pub(super) fn ask(
        pool: &Pool,
        core: &'a Core,
        trace: TraceId,
        decisions: &mut Vec<Record>,
    ) -> Result<Self, Rejection> {
        let breakers = core.breakers();
        if breakers.is_empty() {
            return Ok(Self(Vec::new()));
        }
        let now = pool.clock.mono();
        let asked = breakers.iter().map(|breaker| {
            let call = breaker.ask(now, Some(trace), decisions);
            call.map_err(|said| Rejection { breaker: breaker.name().clone(), said })
        });
        asked.collect::<Result<_, _>>().map(Self)
    }

    /// It ended so, and began then.
    pub(super) fn tell(
        self,
        pool: &Pool,
        outcome: &Outcome,
        started: Mono,
        decisions: &mut Vec<Record>,
    ) {
        if self.0.is_empty() {
            return;
        }
        let now = pool.clock.mono();
        for call in self.0 {
            call.end(ended(outcome), now.since(started), now, decisions);
        }
    }
}

/// What an outcome says of what was called. What never began says nothing of it.
fn ended(outcome: &Outcome) -> Ended {
    match outcome {
        Outcome::Succeeded => Ended::Succeeded,
        Outcome::Failed(_) => Ended::Failed,
        Outcome::TimedOut => Ended::TimedOut,
        Outcome::Panicked(_) => Ended::Panicked,
        Outcome::Cancelled | Outcome::Refused | Outcome::Rejected(_) => Ended::Cancelled,
    }
}
