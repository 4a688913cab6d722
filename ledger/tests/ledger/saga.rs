//! Sagas from outside: worlds in which owners end, one suite for every store, and what only real transactions
//! and real processes can show.

mod crash;
mod killed;
#[cfg(feature = "postgres")]
mod postgres;
mod runner;
mod sqlite;
mod suite;

use std::time::Duration;

use cronx_ledger::saga::{Definition, Step};
use cronx_ledger::{Pending, SagaId, saga};
use cronx_scheduler::Retry;

/// A store that the test itself has started, and its user's transactions.
pub trait Stage {
    fn sagas(&self) -> &dyn saga::Sagas;

    /// In a transaction of the user's own.
    fn may(&self, key: cronx_ledger::Key) -> Pending<'_, bool>;
}

pub fn id(name: &str) -> SagaId {
    SagaId::new("shop", name).unwrap()
}

/// Of these steps; one that begins with `!` is the pivot and has no compensation. All is over soon.
pub fn definition(name: &str, steps: &[&str]) -> Definition {
    let base = Duration::from_millis(2);
    let retry = Retry { attempts: 3, base, cap: Duration::from_millis(10), rejected: false };
    let step = |name: &&str| {
        let bare = name.trim_start_matches('!');
        let is_pivot = bare.len() < name.len();
        Step { is_pivot, compensates: !is_pivot, retry, ..Step::new(bare) }
    };
    Definition::new(name, steps.iter().map(step).collect()).unwrap()
}
