//! PostgreSQL: the suite, and what real transactions do to one another.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use cronx_ledger::postgres::execute_once;
use cronx_ledger::saga::postgres::{Options, Postgres, begin, may};
use cronx_ledger::saga::{Question, Saga, Sagas, State, Way};
use cronx_ledger::{Clock, Error, Key, Once, Pending};
use cronx_servers::{Server, needs, postgres};
use tokio_postgres::Client;

use super::suite::conforms;
use super::{Stage, definition, id};
use crate::database;
use crate::suite::clock;

/// A user's database.
pub struct Database {
    pub sagas: Postgres,
    url: String,
    pub clock: Clock,
    pub now: Arc<AtomicI64>,
}

impl Database {
    /// An empty one of its own.
    pub async fn new(server: &Server, name: &str) -> Self {
        let url = database::make(server, name).await;
        let (clock, now) = clock();
        let options = Options { clock: clock.clone(), ..Options::default() };
        let sagas = Postgres::connect(&url, options).await.unwrap();
        Self { sagas, url, clock, now }
    }

    async fn user(&self) -> Client {
        database::connect(&self.url).await
    }
}

impl Stage for Database {
    fn sagas(&self) -> &dyn Sagas {
        &self.sagas
    }

    fn may(&self, key: Key) -> Pending<'_, bool> {
        Box::pin(async move {
            let mut user = self.user().await;
            Ok(may(&user.transaction().await.unwrap(), &key).await.unwrap())
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sagas_on_postgres_conform() {
    let Some(server) = needs("sagas_on_postgres_conform", postgres(), "PostgreSQL") else { return };
    let mut states = BTreeSet::new();
    for seed in 0..6 {
        let database = Database::new(&server, &format!("saga_{seed}")).await;
        states.extend(conforms(&database, &database.now, seed).await);
    }
    assert!(State::ALL[1..].iter().all(|state| states.contains(state)), "{states:?}");
}

/// A saga whose only action is at work, and its owner gone.
async fn left(database: &Database) -> Saga {
    let sagas = &database.sagas;
    let order = definition("order", &["reserve"]);
    sagas.ask(id("7"), order.begin("{}").unwrap()).await.unwrap().unwrap();
    let fence = claimed(sagas, "one").await;
    sagas.ask(id("7"), Question::Start { fence, attempts: 1 }).await.unwrap().unwrap()
}

async fn claimed(sagas: &Postgres, owner: &str) -> cronx_ledger::claim::Fence {
    let lease = Duration::from_nanos(10);
    let claim = Question::Claim { owner: owner.into(), lease, sole: true };
    sagas.ask(id("7"), claim).await.unwrap().unwrap().fence
}

/// An action that was let in is waited for, and then undone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_saga_does_not_turn_back_past_an_action() {
    let test = "a_saga_does_not_turn_back_past_an_action";
    let Some(server) = needs(test, postgres(), "PostgreSQL") else { return };
    let database = Database::new(&server, "past").await;
    let saga = left(&database).await;
    let key = saga.key(0, Way::Forward);
    let mut user = database.user().await;
    let mut late = user.transaction().await.unwrap();
    assert!(may(&late, &key).await.unwrap());
    let fence = claimed(&database.sagas, "other").await;
    let sagas = database.sagas.clone();
    let start = Question::Start { fence, attempts: 1 };
    let turns = tokio::spawn(async move { sagas.ask(id("7"), start).await });
    let admin = database.user().await;
    waits(&admin).await;
    assert!(!turns.is_finished());
    let once = execute_once(&mut late, &key, None, async |_| Ok::<_, tokio_postgres::Error>(1));
    assert_eq!(once.await.unwrap(), Once::Now("1".to_owned()));
    late.commit().await.unwrap();
    let saga = turns.await.unwrap().unwrap().unwrap();
    assert_eq!((saga.way, saga.state), (Way::Back, State::Compensating));
    // Another that comes now is refused.
    let mut user = database.user().await;
    assert!(!may(&user.transaction().await.unwrap(), &key).await.unwrap());
}

/// Until somebody waits for a row's lock.
async fn waits(admin: &Client) {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    for _ in 0..3000 {
        if admin.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) > 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nobody waits");
}

/// One that asks while its saga turns back is told when that is written down.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_action_waits_for_a_saga_that_turns_back() {
    let test = "an_action_waits_for_a_saga_that_turns_back";
    let Some(server) = needs(test, postgres(), "PostgreSQL") else { return };
    let database = Database::new(&server, "turns").await;
    let key = left(&database).await.key(0, Way::Forward);
    let mut turning = database.user().await;
    let turning = turning.transaction().await.unwrap();
    let close = "UPDATE cronx_saga.gates SET open = false WHERE key = $1";
    assert_eq!(turning.execute(close, &[&key.as_str()]).await.unwrap(), 1);
    let mut user = database.user().await;
    let late = tokio::spawn(async move {
        let transaction = user.transaction().await.unwrap();
        may(&transaction, &key).await.unwrap()
    });
    waits(&database.user().await).await;
    turning.commit().await.unwrap();
    assert!(!late.await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_begins_in_a_transaction_of_the_users() {
    let test = "one_begins_in_a_transaction_of_the_users";
    let Some(server) = needs(test, postgres(), "PostgreSQL") else { return };
    let database = Database::new(&server, "begins").await;
    let order = definition("order", &["reserve"]);
    for commits in [false, true] {
        let mut user = database.user().await;
        let transaction = user.transaction().await.unwrap();
        let begun = begin(&transaction, &id("7"), &order, "{}", &database.clock).await;
        assert_eq!(begun.unwrap().unwrap().state, State::Pending);
        if commits { transaction.commit().await } else { transaction.rollback().await }.unwrap();
        assert_eq!(database.sagas.get(id("7")).await.unwrap().is_some(), commits);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_of_a_newer_cronx_is_left_as_it_is() {
    let test = "a_schema_of_a_newer_cronx_is_left_as_it_is";
    let Some(server) = needs(test, postgres(), "PostgreSQL") else { return };
    let database = Database::new(&server, "newer").await;
    let user = database.user().await;
    user.batch_execute("UPDATE cronx_saga.saga SET version = 2").await.unwrap();
    let refused = Postgres::connect(&database.url, Options::default()).await.err().unwrap();
    assert!(matches!(refused, Error::Newer { found: 2, known: 1, .. }), "{refused}");
    user.batch_execute("DROP TABLE cronx_saga.saga").await.unwrap();
    let refused = Postgres::connect(&database.url, Options::default()).await.err().unwrap();
    assert!(matches!(refused, Error::Foreign { .. }), "{refused}");
    user.batch_execute("DROP SCHEMA cronx_saga CASCADE").await.unwrap();
    let looks = Options { makes: false, ..Options::default() };
    let refused = Postgres::connect(&database.url, looks).await.err().unwrap();
    assert!(matches!(refused, Error::Foreign { .. }), "{refused}");
}
