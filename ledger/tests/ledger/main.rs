//! The ledger from outside: what every store must do, and what must survive when processes end.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod crash;
#[cfg(feature = "postgres")]
mod database;
#[cfg(feature = "journal")]
mod journal;
mod killed;
mod model;
mod random;
#[cfg(all(feature = "saga", feature = "sqlite"))]
mod saga;
mod stores;
mod suite;
