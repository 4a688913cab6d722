//! What a shard is asked, and told.

use std::sync::Arc;

use crate::Utc;
use crate::job::Core;
use crate::run::Firing;

/// What owners ask of the shard that has the job.
pub(crate) enum Request {
    /// Take it; all up to `cursor` is decided.
    Add { core: Arc<Core>, cursor: Utc },
    /// Its phase is another now.
    Look(Arc<Core>),
    /// If it is paused, let it go on.
    Resume(Arc<Core>),
    /// Fire it now.
    Trigger(Arc<Core>),
}

/// What workers tell the shard: an attempt has ended.
pub(crate) struct Done {
    pub(crate) core: Arc<Core>,
    pub(crate) firing: Firing,
    /// Whether another attempt could do better.
    pub(crate) failed: bool,
}
