//! What a shard is asked, and told.

use std::sync::Arc;

use crate::intake::AT_ONCE;
use crate::job::{Core, When};
use crate::run::Firing;
use crate::store::Open;
use crate::work::Shot;
use crate::{Mono, Utc};

/// What owners ask of the shard that has the job.
pub(crate) enum Request {
    /// Take it; all up to `cursor` is decided, and those that are open were not finished.
    Add { core: Arc<Core>, cursor: Utc, open: Box<[Open]> },
    /// Take it, with its code.
    Once { core: Arc<Core>, shot: Shot },
    /// Its phase is another now.
    Look(Arc<Core>),
    /// If it is paused, let it go on.
    Resume(Arc<Core>),
    /// Fire it now.
    Trigger(Arc<Core>),
}

impl Request {
    /// When the shard has to know of it.
    pub(crate) fn by(&self) -> Mono {
        match self {
            Self::Once { core, .. } => match core.when() {
                When::After(due, _) => due,
                // What that is by the monotonic clock is for the shard to say.
                When::At(_) | When::Spec(_) => AT_ONCE,
            },
            _ => AT_ONCE,
        }
    }
}

/// A firing on its way to a worker.
pub(crate) struct Order {
    pub(crate) core: Arc<Core>,
    pub(crate) firing: Firing,
    /// The code of a one-shot.
    pub(crate) shot: Option<Shot>,
    /// It was to be tried again, and its job is cancelled: it is ended as that, and no code runs.
    pub(crate) cancelled: bool,
}

/// What workers tell the shard: an attempt has ended.
pub(crate) struct Done {
    pub(crate) core: Arc<Core>,
    /// What is to be tried again: seldom anything, so that the rest stays small.
    pub(crate) again: Option<Box<Again>>,
}

/// A firing that failed or was rejected.
pub(crate) struct Again {
    pub(crate) firing: Firing,
    /// It is no use before: a breaker is open until then.
    pub(crate) earliest: Mono,
}
