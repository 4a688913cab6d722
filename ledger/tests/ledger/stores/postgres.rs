//! PostgreSQL: the suite, and what a server can do to a ledger.

mod once;

use std::sync::Arc;
use std::time::Duration;

use cronx_ledger::postgres::{Options, Postgres};
use cronx_ledger::{Error, Ledger};

use super::asked::{claim, is_granted, is_in_flight};
use super::frozen::{Way, holds_nobody_up};
use super::owners::hand_over;

use crate::database;
use crate::suite::{Stage, clock, conforms};
use cronx_servers::{Server, needs, postgres};

fn url(server: &Server) -> String {
    database::url(server, "postgres")
}

async fn connect(server: &Server) -> Postgres {
    Postgres::connect(&url(server), Options::default()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_conforms() {
    let Some(server) = needs("postgres_conforms", postgres(), "PostgreSQL") else { return };
    let (clock, now) = clock();
    let options = Options { clock, ..Options::default() };
    let ledger = Arc::new(Postgres::connect(&url(&server), options).await.unwrap());
    conforms(&Stage { ledger, now }, 0..15).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_many_has_a_key() {
    let Some(server) = needs("one_of_many_has_a_key", postgres(), "PostgreSQL") else { return };
    let ledgers = [connect(&server).await, connect(&server).await];
    for round in 0..20 {
        let ask = |n: usize| {
            let ledger = ledgers[n % 2].clone();
            let act = claim(&round.to_string(), &n.to_string(), 1);
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
    let Some(server) = needs(test, postgres(), "PostgreSQL") else { return };
    let (other, way) = (connect(&server).await, Way::to(server.port));
    let by_way = url(&server).replace(&server.port.to_string(), &way.port.to_string());
    let stopped = Postgres::connect(&by_way, Options::default()).await.unwrap();
    holds_nobody_up(way, Arc::new(stopped), &other).await;
}

/// What was answered is there, whatever becomes of the server; what was not is asked for again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_dies_has_what_it_said() {
    let test = "a_server_that_dies_has_what_it_said";
    let Some(mut server) = needs(test, postgres(), "PostgreSQL") else { return };
    let ledger = connect(&server).await;
    for round in 0..3 {
        let name = format!("round {round}");
        assert!(is_granted(&ledger.act(claim(&name, "me", 1)).await.unwrap()));
        server.kill_and_start();
        // It recovers first.
        let mut reply = ledger.act(claim(&name, "other", 2)).await;
        for _ in 0..100 {
            if reply.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            reply = ledger.act(claim(&name, "other", 2)).await;
        }
        assert!(is_in_flight(&reply.unwrap()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn owners_on_one_postgres_hand_over() {
    let test = "owners_on_one_postgres_hand_over";
    let Some(server) = needs(test, postgres(), "PostgreSQL") else { return };
    hand_over(Arc::new(connect(&server).await)).await;
}

/// Whatever was cut off in mid-transaction is asked for again, and done once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_cut_lose_nothing() {
    let test = "connections_that_are_cut_lose_nothing";
    let Some(server) = needs(test, postgres(), "PostgreSQL") else { return };
    let (ledger, url) = (connect(&server).await, url(&server));
    let client = database::connect(&url).await;
    let cut =
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'cronx'";
    let asked = tokio::spawn(async move {
        for round in 0..200_u128 {
            let reply = ledger.act(claim(&round.to_string(), "me", round)).await.unwrap();
            assert!(is_granted(&reply), "{round}: {reply:?}");
        }
    });
    while !asked.is_finished() {
        client.execute(cut, &[]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    asked.await.unwrap();
}

#[tokio::test]
async fn another_programs_schema_stays_as_it_is() {
    let test = "another_programs_schema_stays_as_it_is";
    let Some(server) = needs(test, postgres(), "PostgreSQL") else { return };
    let client = database::connect(&url(&server)).await;
    client.batch_execute("CREATE SCHEMA cronx; CREATE TABLE cronx.theirs (x int)").await.unwrap();
    let refused = Postgres::connect(&url(&server), Options::default()).await.err().unwrap();
    assert!(matches!(refused, Error::Foreign { .. }), "{refused}");
    client.batch_execute("DROP SCHEMA cronx CASCADE").await.unwrap();
    drop(connect(&server).await);
    client.batch_execute("UPDATE cronx.ledger SET version = 2").await.unwrap();
    let refused = Postgres::connect(&url(&server), Options::default()).await.err().unwrap();
    assert!(matches!(refused, Error::Newer { found: 2, known: 1, .. }), "{refused}");
}

#[tokio::test]
async fn a_database_that_may_only_be_read_says_so() {
    let test = "a_database_that_may_only_be_read_says_so";
    let Some(server) = needs(test, postgres(), "PostgreSQL") else { return };
    drop(connect(&server).await);
    let client = database::connect(&url(&server)).await;
    let sql = "ALTER DATABASE postgres SET default_transaction_read_only = on";
    client.batch_execute(sql).await.unwrap();
    let ledger = connect(&server).await;
    let refused = ledger.act(claim("x", "me", 1)).await.err().unwrap();
    assert!(matches!(refused, Error::ReadOnly { .. }), "{refused}");
}
