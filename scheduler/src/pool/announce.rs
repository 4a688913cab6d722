//! What a profiler outside of the process may hear of a run. While none listens it costs two loads.

use crate::Mono;
use crate::run::{Firing, Rejection, Run};

/// How a firing came from its shard to where it is executed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    pub(super) enqueued: Mono,
    /// When the runner turned to the queue after its last run; 0 if this is its first.
    pub(super) free: Mono,
    pub(super) dequeued: Mono,
    /// The thread that took it from the queue.
    pub(super) runner_tid: u32,
}

/// User code is about to begin, in this thread. Out of line: twelve arguments want every register.
#[inline(never)]
pub(super) fn started(firing: &Firing, way: Way, started: Mono, objective_ns: u64) {
    let Firing { job, nominal, number, due, popped, shard_tid, .. } = firing;
    macro_rules! fire {
        ($probe:ident) => {
            cronx_spans::$probe! {
                job: job, nominal: nominal.0, run: *number, due: due.0, popped: popped.0,
                enqueued: way.enqueued.0, free: way.free.0, dequeued: way.dequeued.0,
                started: started.0, shard: *shard_tid, runner: way.runner_tid,
            }
        };
    }
    fire!(firing_started);
    if started.0.saturating_sub(due.0) > objective_ns {
        fire!(firing_late);
    }
}

/// A breaker let a firing not pass. There is no time to explain: a span of no length whose name says which
/// firing that was, which breaker, and why, so that whoever listens to the others hears of these too.
#[inline(never)]
pub(super) fn rejected(firing: &Firing, rejection: &Rejection) {
    let Rejection { breaker, said } = rejection;
    let (state, rule) = (said.state.word(), said.rule.word());
    let name = format!("{}: {breaker} {state}, {rule}", firing.job);
    let id = firing.trace.span(Some(firing.attempt));
    cronx_spans::span_begin!(&name, id);
    cronx_spans::span_end!(id);
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
