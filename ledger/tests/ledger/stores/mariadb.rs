//! MariaDB: the suite, and what a server can do to a ledger.

mod once;

use std::sync::Arc;

use cronx_ledger::Error;
use cronx_ledger::Ledger;
use cronx_ledger::mariadb::{MariaDb, Options};
use mysql_async::prelude::Queryable;

use super::asked::{claim, is_granted, is_in_flight};
use super::frozen::{Way, holds_nobody_up};
use super::owners::hand_over;
use crate::suite::{Stage, clock, conforms};
use cronx_servers::{Server, mariadb, needs};

pub async fn url(server: &Server) -> String {
    let url = format!("mysql://root@127.0.0.1:{}", server.port);
    let mut connection = mysql_async::Conn::from_url(&url).await.unwrap();
    connection.query_drop("CREATE DATABASE IF NOT EXISTS jobs").await.unwrap();
    connection.disconnect().await.unwrap();
    url + "/jobs"
}

async fn connect(server: &Server) -> MariaDb {
    MariaDb::connect(&url(server).await, Options::default()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb_conforms() {
    let Some(server) = needs("mariadb_conforms", mariadb(), "MariaDB") else { return };
    let (clock, now) = clock();
    let options = Options { clock, ..Options::default() };
    let ledger = Arc::new(MariaDb::connect(&url(&server).await, options).await.unwrap());
    conforms(&Stage { ledger, now }, 0..15).await;
}

/// Where a lock of a row that is not there is a lock of a gap, eight at once end in deadlocks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_many_has_a_row_that_was_not_there() {
    let test = "one_of_many_has_a_row_that_was_not_there";
    let Some(server) = needs(test, mariadb(), "MariaDB") else { return };
    let ledger = connect(&server).await;
    for round in 0..20 {
        let ask = |n: usize| {
            let (ledger, act) = (ledger.clone(), claim(&round.to_string(), &n.to_string(), 1));
            tokio::spawn(async move { ledger.act(act).await.unwrap() })
        };
        let asked: Vec<_> = (0..8).map(ask).collect();
        let mut granted = 0;
        for asked in asked {
            granted += usize::from(is_granted(&asked.await.unwrap()));
        }
        assert_eq!(granted, 1, "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_stopped_in_a_transaction_holds_nobody_up() {
    let test = "one_that_is_stopped_in_a_transaction_holds_nobody_up";
    let Some(server) = needs(test, mariadb(), "MariaDB") else { return };
    let (other, way) = (connect(&server).await, Way::to(server.port));
    let by_way = url(&server).await.replace(&server.port.to_string(), &way.port.to_string());
    let by_way = by_way + "?prefer_socket=false";
    let stopped = MariaDb::connect(&by_way, Options::default()).await.unwrap();
    holds_nobody_up(way, Arc::new(stopped), &other).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mariadb_that_dies_has_what_it_said() {
    let test = "a_mariadb_that_dies_has_what_it_said";
    let Some(mut server) = needs(test, mariadb(), "MariaDB") else { return };
    let ledger = connect(&server).await;
    for round in 0..3 {
        let name = format!("round {round}");
        assert!(is_granted(&ledger.act(claim(&name, "me", 1)).await.unwrap()));
        server.kill_and_start();
        assert!(is_in_flight(&ledger.act(claim(&name, "other", 2)).await.unwrap()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn owners_on_one_mariadb_hand_over() {
    let test = "owners_on_one_mariadb_hand_over";
    let Some(server) = needs(test, mariadb(), "MariaDB") else { return };
    hand_over(Arc::new(connect(&server).await)).await;
}

#[tokio::test]
async fn another_programs_tables_stay_as_they_are() {
    let test = "another_programs_tables_stay_as_they_are";
    let Some(server) = needs(test, mariadb(), "MariaDB") else { return };
    let url = url(&server).await;
    let mut connection = mysql_async::Conn::from_url(&url).await.unwrap();
    connection.query_drop("CREATE TABLE cronx_entries (theirs INT)").await.unwrap();
    let refused = MariaDb::connect(&url, Options::default()).await.err().unwrap();
    assert!(matches!(refused, Error::Foreign { .. }), "{refused}");
    connection.query_drop("CREATE TABLE cronx_ledger (theirs INT)").await.unwrap();
    let refused = MariaDb::connect(&url, Options::default()).await.err().unwrap();
    assert!(matches!(refused, Error::Foreign { .. }), "{refused}");
    connection.query_drop("DROP TABLE cronx_entries, cronx_ledger").await.unwrap();
    drop(connect(&server).await);
    connection.query_drop("UPDATE cronx_ledger SET version = 2").await.unwrap();
    let refused = MariaDb::connect(&url, Options::default()).await.err().unwrap();
    assert!(matches!(refused, Error::Newer { found: 2, known: 1, .. }), "{refused}");
}

#[tokio::test]
async fn a_mariadb_that_may_only_be_read_says_so() {
    let test = "a_mariadb_that_may_only_be_read_says_so";
    let Some(server) = needs(test, mariadb(), "MariaDB") else { return };
    let ledger = connect(&server).await;
    // Of those who may do everything it would still be written.
    let url = url(&server).await;
    let mut root = mysql_async::Conn::from_url(&url).await.unwrap();
    root.query_drop("CREATE USER 'reader'@'127.0.0.1'").await.unwrap();
    root.query_drop("GRANT ALL ON jobs.* TO 'reader'@'127.0.0.1'").await.unwrap();
    root.query_drop("SET GLOBAL read_only = 1").await.unwrap();
    let url = url.replace("root@", "reader@");
    let reader = MariaDb::connect(&url, Options::default()).await.unwrap();
    let refused = reader.act(claim("x", "me", 1)).await.err().unwrap();
    assert!(matches!(refused, Error::ReadOnly { .. }), "{refused}");
    drop(ledger);
}
