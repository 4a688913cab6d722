//! Every store through the suite, each a real one that the test itself has started.

use std::sync::Arc;

use cronx_ledger::sqlite::{Options, Sqlite};
use tempfile::TempDir;

use crate::suite::{Stage, clock, conforms};

#[tokio::test]
async fn sqlite_conforms() {
    let folder = TempDir::new().unwrap();
    let (clock, now) = clock();
    let options = Options { clock, ..Options::default() };
    let ledger = Arc::new(Sqlite::open(&folder.path().join("ledger"), &options).unwrap());
    conforms(&Stage { ledger, now }, 0..40).await;
}
