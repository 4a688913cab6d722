//! Every store through the suite, each a real one that the test itself has started.

use std::sync::Arc;

use crate::suite::{Stage, clock, conforms};

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn sqlite_conforms() {
    use cronx_ledger::sqlite::{Options, Sqlite};
    let folder = tempfile::TempDir::new().unwrap();
    let (clock, now) = clock();
    let options = Options { clock, ..Options::default() };
    let ledger = Arc::new(Sqlite::open(&folder.path().join("ledger"), &options).unwrap());
    conforms(&Stage { ledger, now }, 0..40).await;
}

#[cfg(any(feature = "mariadb", feature = "postgres"))]
mod frozen;
#[cfg(feature = "mariadb")]
pub mod mariadb;
#[cfg(any(feature = "mariadb", feature = "postgres", feature = "redis"))]
mod owners;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(all(feature = "redis", feature = "sqlite"))]
mod redis;
#[cfg(feature = "postgres")]
mod shards;

/// What tests of servers ask.
#[cfg(any(feature = "mariadb", feature = "postgres", feature = "redis"))]
mod asked;
