//! What a profiler outside of the process may hear of a run. While none listens it costs two loads.

use super::beginning::Way;
use crate::Mono;
use crate::run::{Firing, Rejection, Run};

/// User code is about to begin, in this thread; says whether anybody listens. Out of line: twelve
/// arguments want every register.
#[inline(never)]
pub(super) fn started(firing: &Firing, way: Way, started: Mono, objective_ns: u64) -> bool {
    let Firing { job, nominal, number, due, popped, shard_tid, .. } = firing;
    macro_rules! fire {
        ($probe:ident) => {
            cronx_spans::$probe! {
                job: job, nominal: nominal.0, run: *number, due: due.0, popped: popped.0,
                enqueued: way.enqueued.0, free: way.free.map_or(0, |free| free.0), dequeued: way.dequeued.0,
                started: started.0, shard: *shard_tid, runner: way.runner_tid,
            }
        };
    }
    let heard = fire!(firing_started);
    let late = started.0.saturating_sub(due.0) > objective_ns;
    late && fire!(firing_late) || heard
}

/// A breaker let it not pass.
#[inline(never)]
pub(super) fn rejected(run: &Run, Rejection { breaker, said }: &Rejection) {
    let Firing { job, nominal, number, due, .. } = &run.firing;
    cronx_spans::firing_rejected! {
        job: job, nominal: nominal.0, run: *number, due: due.0,
        again: if run.again { run.earliest().0 } else { 0 },
        breaker: breaker, state: said.state.word(), rule: said.rule.word(),
    };
}

/// User code has ended.
#[inline(never)]
pub(super) fn finished(run: &Run) {
    let Firing { job, nominal, number, .. } = &run.firing;
    cronx_spans::firing_finished! {
        job: job, nominal: nominal.0, run: *number, started: run.started.0,
        finished: run.finished.0, failed: run.outcome.is_failure(),
    };
}
