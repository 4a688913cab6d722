//! The journal from outside: one suite for every store, and what only real transactions can show.

mod history;
mod model;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(all(feature = "relay", feature = "sqlite"))]
mod relay;
#[cfg(feature = "sqlite")]
mod sqlite;
mod suite;
#[cfg(feature = "archive")]
mod tiers;

use cronx_ledger::Pending;
use cronx_ledger::journal::{Appended, Draft, EventId, Payload, Tables};

/// A store that the test itself has started, and its users' transactions.
pub trait Stage {
    fn journal(&self) -> &dyn Tables;

    /// Appends in one transaction, which is committed or rolled back.
    fn append(&self, drafts: Vec<Draft>, commits: bool) -> Pending<'_, Vec<Appended>>;
}

/// A draft that is told from others by its number.
pub fn draft(id: u128, aggregate: &str, version: Option<u64>) -> Draft {
    Draft {
        id: EventId(id),
        aggregate: aggregate.to_owned(),
        version,
        who: "shop".to_owned(),
        what: "sold".to_owned(),
        trace: None,
        payload: Payload::parse(&format!("{{\"number\":{id}}}")).unwrap(),
    }
}
