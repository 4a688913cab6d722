//! What can go wrong, said so that it can be mended.

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A schedule that cannot be read.
    #[error("'{text}': {reason}")]
    Spec {
        /// The whole of it.
        text: String,
        /// Where, and what is wrong there.
        reason: String,
    },
    /// A schedule that can be read and has no instant.
    #[error("'{text}' never fires between now and the year 2262")]
    NeverFires {
        /// The schedule.
        text: String,
    },
    /// A time zone that neither this machine nor the database inside knows.
    #[error("there is no time zone '{name}': {reason}")]
    Zone {
        /// As it was given.
        name: String,
        /// What the database says.
        reason: String,
    },
    /// Two jobs of one name would be one job for the store.
    #[error("there is a job '{name}' already")]
    Duplicate {
        /// Its name.
        name: String,
    },
    /// A number outside of what makes sense.
    #[error("{what} is {value}, and must be {bound}")]
    OutOfBounds {
        /// Which number.
        what: &'static str,
        /// What it was.
        value: u64,
        /// What it may be.
        bound: &'static str,
    },
    /// The shard has as many requests waiting as it takes.
    #[error("the shard's intake is full: {capacity} requests are waiting")]
    Full {
        /// How many it takes.
        capacity: usize,
    },
    /// The scheduler has been told to stop.
    #[error("the scheduler is shutting down")]
    Closed,
    /// The store could not say where the job stopped.
    #[error("the store cannot be read: {0}")]
    Store(#[from] crate::store::StoreError),
    /// A call of the system's.
    #[error("cannot {what}: {source}")]
    System {
        /// What was to be done.
        what: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },
}

impl Error {
    /// For `map_err`, of a call that was to do this.
    pub(crate) fn system<E: Into<std::io::Error>>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::System { what, source: source.into() }
    }
}
