//! The instant at which a run's code began, where the code says so itself.

use std::sync::{Arc, OnceLock};

use super::Pool;
use super::announce;
use super::execute::tid;
use crate::Mono;
use crate::run::Firing;

/// How a firing came from its shard to where it is executed.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(feature = "spans"), expect(dead_code, reason = "who would hear of it"))]
pub(super) struct Way {
    pub(super) enqueued: Mono,
    /// When the runner turned to the queue after its last run; `None` if this is its first, or nobody
    /// wanted to know.
    pub(super) free: Option<Mono>,
    pub(super) dequeued: Mono,
    /// The thread that took it from the queue.
    pub(super) runner_tid: u32,
}

/// Of a run that is at work.
pub(crate) struct Beginning {
    pool: Arc<Pool>,
    firing: Firing,
    way: Way,
    begun: OnceLock<Begun>,
}

/// When and where it was, and whether anybody listened.
#[derive(Debug, Clone, Copy)]
pub(super) struct Begun {
    pub(super) started: Mono,
    pub(super) worker_tid: u32,
    pub(super) heard: bool,
}

impl Beginning {
    pub(super) fn new(pool: &Arc<Pool>, firing: &Firing, way: Way) -> Self {
        Self { pool: Arc::clone(pool), firing: firing.clone(), way, begun: OnceLock::new() }
    }

    /// It is now, in this thread.
    pub(crate) fn begin(&self) {
        self.begun.get_or_init(|| begin(&self.pool, &self.firing, self.way));
    }

    /// If it was.
    pub(super) fn begun(&self) -> Option<Begun> {
        self.begun.get().copied()
    }
}

/// User code begins now, in this thread.
pub(super) fn begin(pool: &Pool, firing: &Firing, way: Way) -> Begun {
    let (started, worker_tid) = (pool.clock.mono(), tid());
    let heard = announce::started(firing, way, started, pool.objective_ns);
    Begun { started, worker_tid, heard }
}
