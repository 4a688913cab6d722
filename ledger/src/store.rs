//! What every store offers, whatever stands behind it.

use std::pin::Pin;
use std::time::Duration;

use cronx_scheduler::Course;

use crate::Error;
use crate::act::{Act, Reply};
use crate::claim::Entry;
use crate::key::{JobId, Key};

/// What a store answers in its own time.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// A row as it could be read: one that no cronx wrote is an error of its own, and hides no other.
pub type Row<T> = Result<T, Error>;

/// Which entries to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// By key, those after this one.
    After(Option<Key>),
    /// The last to change, the latest first.
    Last,
}

/// Claims and courses, in one place.
pub trait Ledger: Send + Sync + 'static {
    /// Does it, whole or not at all. An error may be one of the answer alone: asked again, it does what it
    /// did once.
    fn act(&self, act: Act) -> Pending<'_, Reply>;

    /// The same, waiting for it. Not for a thread that others' futures need.
    fn act_and_wait(&self, act: Act) -> Result<Reply, Error>;

    /// Some entries, of one job or of all keys; none, if there are no more.
    fn entries(
        &self,
        look: Look,
        job: Option<JobId>,
        most: usize,
    ) -> Pending<'_, Vec<Row<(Key, Entry)>>>;

    /// Every course.
    fn courses(&self) -> Pending<'_, Vec<Row<(JobId, Course)>>>;

    /// Lets go of a tenant's firings and calls that have been done for longer than that, the longest first: at most
    /// so many; how many they were. Such a key is as one that never was. A firing stays as long as its job's cursor
    /// is not beyond the instant at which it was done: until then its job may ask for it again. A call is granted
    /// anew if its caller comes back after so long. Steps of sagas stay, since nobody here knows which sagas are
    /// over.
    fn prune(&self, tenant: &str, done_for: Duration, most: usize) -> Pending<'_, usize>;

    /// Where it is, as a person would say it; no password is in it.
    fn place(&self) -> &str;
}
