//! What every store of sagas offers.

use std::sync::Arc;
use std::time::Duration;

use super::ask::{Question, Reply};
use super::state::{Event, Saga, State};
use crate::key::SagaId;
use crate::store::{Pending, Row};

/// Who looks for something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seeker {
    /// Definitions that he knows, by name.
    pub names: Vec<Arc<str>>,
    /// Who he is.
    pub owner: Arc<str>,
    /// Whether every other owner is known to be gone.
    pub sole: bool,
}

/// What there is to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Due {
    /// Sagas that are due and free, those that wait longest first.
    pub now: Vec<SagaId>,
    /// In how long another will be due, if one waits.
    pub next: Option<Duration>,
}

/// Sagas, in one place.
pub trait Sagas: Send + Sync + 'static {
    /// Does it, whole or not at all. An error may be one of the answer alone.
    fn ask(&self, id: SagaId, question: Question) -> Pending<'_, Reply>;

    /// Sagas that somebody could claim: at most so many.
    fn due(&self, seeker: Seeker, most: usize) -> Pending<'_, Due>;

    /// Those that changed last, the latest first: at most so many, of one state or of all.
    fn list(&self, state: Option<State>, most: usize) -> Pending<'_, Vec<Row<Saga>>>;

    /// One, with all that was tried and decided, the first first.
    fn show(&self, id: SagaId) -> Pending<'_, Option<(Saga, Vec<Event>)>>;

    /// How it stands.
    fn get(&self, id: SagaId) -> Pending<'_, Option<Saga>>;

    /// Lets go of a tenant's sagas that have been completed or compensated for longer than that, the longest first,
    /// with all that is known of them: at most so many; how many they were. A late step of one is refused. One that
    /// is begun again under its name begins anew, by larger fences; but what knows its steps' keys, as
    /// `execute_once` does, holds them for done.
    fn prune(&self, tenant: &str, over_for: Duration, most: usize) -> Pending<'_, usize>;

    /// Where it is, as a person would say it; no password is in it.
    fn place(&self) -> &str;
}
