//! What user code is told about its run, and what it may say of it.

use std::fmt;
use std::sync::Arc;

use crate::Utc;
use crate::job::Core;
use crate::pool::Beginning;
use crate::run::TraceId;

/// Which run this is, and whether it should stop.
#[derive(Clone)]
pub struct Context {
    pub(crate) core: Arc<Core>,
    pub(crate) nominal: Utc,
    pub(crate) attempt: u32,
    pub(crate) trace: TraceId,
    /// The runs of a job are numbered, so that those can be stopped that are older than another.
    pub(crate) number: u64,
    pub(crate) fence: u64,
}

impl Context {
    /// The job's name; empty for a one-shot.
    pub fn job(&self) -> &str {
        self.core.name()
    }

    /// The instant that the firing is named by.
    pub fn nominal(&self) -> Utc {
        self.nominal
    }

    /// From 1.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The trace of its firing.
    pub fn trace(&self) -> TraceId {
        self.trace
    }

    /// Larger than that of any attempt of this firing before, by whatever process: for a place that
    /// remembers the largest it has seen and refuses what comes with a smaller one. 0 if the store of the
    /// scheduler has no such number.
    pub fn fence(&self) -> u64 {
        self.fence
    }

    /// Whether this run has been told to stop. A future need not ask: it is dropped.
    pub fn is_stopped(&self) -> bool {
        self.core.stops(self.number)
    }
}

/// The word that a run has started, for who is to say it: see [`Work::starting`](crate::Work::starting).
pub struct Start(pub(crate) Arc<Beginning>);

impl Start {
    /// It has, now, in this thread.
    pub fn now(self) {
        self.0.begin();
    }
}

impl fmt::Debug for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Start").finish_non_exhaustive()
    }
}
