//! What time it is for a store.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::SystemTime;

use cronx_scheduler::Utc;

/// A store's clock: leases begin and lapse by it alone, so that owners need not agree about the time.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    /// The store's own: a server's, or for a file this machine's.
    #[default]
    Own,
    /// It is this, nanoseconds since 1970: for tests.
    Told(Arc<AtomicI64>),
}

impl Clock {
    /// What it was told, or nothing.
    pub(crate) fn told(&self) -> Option<Utc> {
        match self {
            Self::Own => None,
            Self::Told(now) => Some(Utc(now.load(Ordering::SeqCst))),
        }
    }

    /// For a store without a clock.
    pub(crate) fn here(&self) -> Utc {
        self.told().unwrap_or_else(|| SystemTime::now().into())
    }
}
