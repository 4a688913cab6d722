//! The ledger: what lets a firing take effect once.
//!
//! ```
//! use cronx_ledger::{Key, JobId, token};
//! use cronx_scheduler::Utc;
//!
//! let job = JobId::new("shop", "bill")?;
//! let key = Key::firing(&job, Utc(1_764_338_400_000_000_000), 0);
//! assert_eq!(key.as_str(), "shop/bill/2025-11-28T14:00:00.000000000Z/0");
//! # Ok::<(), cronx_ledger::Error>(())
//! ```
//!
//! **What is promised.** A firing is started at least once, and takes effect once wherever the effect shares
//! a transaction with the ledger or checks our fence. What does neither may happen again: a process can end
//! between an effect and the word that it happened, and no ledger knows better.
//!
//! ```text
//!  scheduler ─► firings ─► act: claim, course ─► store ─► disk
//!               (a Store)  functions over data   reads, asks, writes: one transaction
//! ```
//! `claim` says who may have a key, `act` what becomes of a question: both are functions over plain data,
//! the same for every store. A store keeps two tables: *entries*, one for each key, and *courses*, one for
//! each job: how far its instants are decided.
//!
//! What happened is kept in a journal, in the database that has the effects (feature `journal`). What takes
//! several steps, each of which can be undone, is a saga (feature `saga`).
//!
//! Owners on many machines have [`shards`] of a tenant's jobs, each leased: every write checks its fence.
//!
//! **What it does not do.** It decides nothing about time, runs nothing, and prints nothing.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test fails by panicking"))]

pub mod act;
pub mod claim;
mod clock;
mod error;
mod fingerprint;
mod firings;
#[cfg(feature = "journal")]
pub mod journal;
mod key;
#[cfg(feature = "mariadb")]
pub mod mariadb;
#[cfg(any(feature = "mariadb", feature = "postgres", feature = "sqlite"))]
mod once;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "redis")]
pub mod redis;
#[cfg(any(feature = "mariadb", feature = "postgres", feature = "redis", feature = "sqlite"))]
mod row;
#[cfg(feature = "saga")]
pub mod saga;
#[cfg(any(feature = "mariadb", feature = "postgres", feature = "redis"))]
mod server;
pub mod shards;
#[cfg(feature = "sqlite")]
pub mod sqlite;
mod store;
mod tenure;
pub mod token;

pub use clock::Clock;
pub use error::Error;
pub use fingerprint::Fingerprint;
pub use firings::{Firings, Tenure};
pub use key::{
    JOB_MOST, JobId, KEY_MOST, Key, NAME_MOST, Named, SAGA_MOST, STEP_MOST, SagaId, TENANT_MOST,
};
#[cfg(any(feature = "mariadb", feature = "postgres", feature = "sqlite"))]
pub use once::Once;
pub use shards::Shards;
pub use store::{Ledger, Look, Pending, Row};
pub use tenure::Lease;
