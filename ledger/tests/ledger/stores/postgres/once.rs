//! Claim and effect in one transaction of the user's own PostgreSQL.

use std::time::{Duration, Instant};

use cronx_ledger::postgres::execute_once;
use cronx_ledger::{Fingerprint, Key, Once};
use tokio_postgres::{Client, Error, IsolationLevel, Transaction};

use super::url;
use crate::database;
use cronx_servers::{Server, needs, postgres};

const BOUND: Duration = Duration::from_mins(1);

async fn client(server: &Server) -> Client {
    database::connect(&url(server)).await
}

fn key() -> Key {
    Key::call("t", "order 7").unwrap()
}

/// What is asked for; each does as it says.
#[derive(Clone, Copy)]
struct Order {
    print: Option<&'static str>,
    fails: bool,
    commits: bool,
}

const ORDER: Order = Order { print: Some("5"), fails: false, commits: true };

async fn pay(transaction: &mut Transaction<'_>, order: Order) -> Result<Once, Error> {
    let print = order.print.map(|text| Fingerprint::of(text.as_bytes()));
    execute_once(transaction, &key(), print, async |inner: &mut Transaction<'_>| {
        inner.execute("INSERT INTO paid VALUES (5)", &[]).await?;
        if order.fails {
            inner.execute("SELECT 1 / 0", &[]).await?;
        }
        Ok("paid")
    })
    .await
}

async fn paid(client: &Client) -> i64 {
    client.query_one("SELECT count(*) FROM paid", &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn an_effect_in_postgres_happens_once() {
    let test = "an_effect_in_postgres_happens_once";
    let Some(server) = needs(test, postgres(), "PostgreSQL") else { return };
    let mut client = client(&server).await;
    client.batch_execute("CREATE TABLE paid (amount INT)").await.unwrap();
    let (now, before) = (Once::Now("paid".to_owned()), Once::Before("paid".to_owned()));
    for (order, told, count) in [
        (Order { fails: true, ..ORDER }, None, 0),
        (Order { commits: false, ..ORDER }, Some(now.clone()), 0),
        (ORDER, Some(now), 1),
        (ORDER, Some(before.clone()), 1),
        (Order { print: None, ..ORDER }, Some(before), 1),
        (Order { print: Some("6"), ..ORDER }, Some(Once::Mismatch), 1),
    ] {
        let mut transaction = client.transaction().await.unwrap();
        assert_eq!(pay(&mut transaction, order).await.ok(), told);
        // One that failed leaves a transaction that goes on.
        transaction.execute("SELECT 1", &[]).await.unwrap();
        if order.commits {
            transaction.commit().await.unwrap();
        } else {
            transaction.rollback().await.unwrap();
        }
        assert_eq!(paid(&client).await, count);
    }
}

/// The second waits for the first, whose end decides.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_at_once_in_postgres_one_pays() {
    let test = "of_two_at_once_in_postgres_one_pays";
    let Some(server) = needs(test, postgres(), "PostgreSQL") else { return };
    let mut first = client(&server).await;
    let looks = client(&server).await;
    looks.batch_execute("CREATE TABLE paid (amount INT)").await.unwrap();
    for (level, commits, told) in [
        (IsolationLevel::ReadCommitted, false, Some(Once::Now("paid".to_owned()))),
        (IsolationLevel::ReadCommitted, true, Some(Once::Before("paid".to_owned()))),
        (IsolationLevel::Serializable, true, None),
    ] {
        looks.batch_execute("TRUNCATE paid; DROP TABLE IF EXISTS cronx_effects").await.unwrap();
        let mut held = first.transaction().await.unwrap();
        assert!(matches!(pay(&mut held, ORDER).await, Ok(Once::Now(_))));
        let mut second = client(&server).await;
        let waits = tokio::spawn(async move {
            let mut transaction =
                second.build_transaction().isolation_level(level).start().await.unwrap();
            let once = pay(&mut transaction, ORDER).await;
            transaction.commit().await.map(|()| once.ok()).ok().flatten()
        });
        let until = Instant::now() + BOUND;
        let sql = "SELECT count(*) FROM pg_locks WHERE NOT granted";
        while looks.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) == 0 {
            assert!(Instant::now() < until, "nobody waits");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        if commits {
            held.commit().await.unwrap();
        } else {
            held.rollback().await.unwrap();
        }
        assert_eq!(waits.await.unwrap(), told, "{level:?} {commits}");
        assert_eq!(paid(&looks).await, 1);
    }
}
