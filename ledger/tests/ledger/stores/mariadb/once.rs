//! Claim and effect in one transaction of the user's own MariaDB.

use std::time::{Duration, Instant};

use cronx_ledger::mariadb::{execute_once, prepare_once};
use cronx_ledger::{Fingerprint, Key, Once};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, IsolationLevel, Transaction, TxOpts};

use super::url;
use cronx_servers::{Server, mariadb, needs};

const BOUND: Duration = Duration::from_mins(1);

async fn connection(server: &Server) -> Conn {
    Conn::from_url(url(server).await).await.unwrap()
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
        inner.query_drop("INSERT INTO paid VALUES (5)").await?;
        if order.fails {
            inner.query_drop("SELECT * FROM nothing").await?;
        }
        Ok("paid")
    })
    .await
}

async fn paid(connection: &mut Conn) -> i64 {
    connection.query_first("SELECT count(*) FROM paid").await.unwrap().unwrap()
}

async fn make(connection: &mut Conn) {
    connection.query_drop("CREATE TABLE paid (amount INT) ENGINE = InnoDB").await.unwrap();
    prepare_once(connection).await.unwrap();
}

#[tokio::test]
async fn an_effect_in_mariadb_happens_once() {
    let test = "an_effect_in_mariadb_happens_once";
    let Some(server) = needs(test, mariadb(), "MariaDB") else { return };
    let mut connection = connection(&server).await;
    make(&mut connection).await;
    let (now, before) = (Once::Now("paid".to_owned()), Once::Before("paid".to_owned()));
    for (order, told, count) in [
        (Order { fails: true, ..ORDER }, None, 0),
        (Order { commits: false, ..ORDER }, Some(now.clone()), 0),
        (ORDER, Some(now), 1),
        (ORDER, Some(before.clone()), 1),
        (Order { print: None, ..ORDER }, Some(before), 1),
        (Order { print: Some("6"), ..ORDER }, Some(Once::Mismatch), 1),
    ] {
        let mut transaction = connection.start_transaction(TxOpts::default()).await.unwrap();
        assert_eq!(pay(&mut transaction, order).await.ok(), told);
        // One that failed leaves a transaction that goes on.
        transaction.query_drop("SELECT 1").await.unwrap();
        if order.commits {
            transaction.commit().await.unwrap();
        } else {
            transaction.rollback().await.unwrap();
        }
        assert_eq!(paid(&mut connection).await, count);
    }
}

/// The second waits for the first, whose end decides; what it has seen before does not matter.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_at_once_in_mariadb_one_pays() {
    let test = "of_two_at_once_in_mariadb_one_pays";
    let Some(server) = needs(test, mariadb(), "MariaDB") else { return };
    let (mut first, mut looks) = (connection(&server).await, connection(&server).await);
    make(&mut looks).await;
    for level in [IsolationLevel::ReadCommitted, IsolationLevel::RepeatableRead] {
        for commits in [false, true] {
            looks.query_drop("DELETE FROM paid").await.unwrap();
            looks.query_drop("DELETE FROM cronx_effects").await.unwrap();
            let mut held = first.start_transaction(TxOpts::default()).await.unwrap();
            assert!(matches!(pay(&mut held, ORDER).await, Ok(Once::Now(_))));
            let mut second = connection(&server).await;
            let waits = tokio::spawn(async move {
                let mut options = TxOpts::default();
                options.with_isolation_level(level);
                let mut transaction = second.start_transaction(options).await.unwrap();
                transaction.query_drop("SELECT count(*) FROM paid").await.unwrap();
                let once = pay(&mut transaction, ORDER).await;
                transaction.commit().await.unwrap();
                once.unwrap()
            });
            someone_waits(&mut looks).await;
            let (paid_for, told) = if commits {
                (held.commit().await, Once::Before("paid".to_owned()))
            } else {
                (held.rollback().await, Once::Now("paid".to_owned()))
            };
            paid_for.unwrap();
            assert_eq!(waits.await.unwrap(), told, "{level} {commits}");
            assert_eq!(paid(&mut looks).await, 1);
        }
    }
}

async fn someone_waits(looks: &mut Conn) {
    let until = Instant::now() + BOUND;
    let sql = "SELECT count(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'";
    while looks.query_first::<i64, _>(sql).await.unwrap() == Some(0) {
        assert!(Instant::now() < until, "nobody waits");
        // Asked more often than every tenth of a second, it says what it said before.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
