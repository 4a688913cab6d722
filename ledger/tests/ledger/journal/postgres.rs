//! PostgreSQL: the suite, and orders of real transactions.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use cronx_ledger::journal::postgres::{Options, Postgres, append};
use cronx_ledger::journal::{Appended, Consumer, Day, Draft, Dropped, Journal, Position, Tables};
use cronx_ledger::{Clock, Error, Pending};
use cronx_scheduler::Utc;
use tokio_postgres::Client;

use super::suite::conforms;
use super::{Stage, draft};
use crate::database;
use crate::suite::clock;
use cronx_servers::{Server, needs, postgres};

/// A user's database.
pub struct Database {
    pub journal: Postgres,
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
        let journal = Postgres::connect(&url, options).await.unwrap();
        Self { journal, url, clock, now }
    }

    pub async fn user(&self) -> Client {
        database::connect(&self.url).await
    }

    async fn positions(&self) -> Vec<(String, u64)> {
        let events = self.journal.read(Position(0), 1000).await.unwrap();
        events.into_iter().map(|event| (event.aggregate, event.version)).collect()
    }
}

impl Stage for Database {
    fn journal(&self) -> &dyn Tables {
        &self.journal
    }

    fn append(&self, drafts: Vec<Draft>, commits: bool) -> Pending<'_, Vec<Appended>> {
        Box::pin(async move {
            let day = Day::of(Utc(self.now.load(std::sync::atomic::Ordering::SeqCst)));
            // As its keeper would, now and then: other days' events come to the rest.
            if day.0 % 2 == 0 {
                self.journal.prepare(day, day).await?;
            }
            let mut user = self.user().await;
            let transaction = user.transaction().await.unwrap();
            let mut appended = Vec::new();
            for draft in &drafts {
                appended.push(append(&transaction, draft, &self.clock).await?);
            }
            if commits { transaction.commit().await } else { transaction.rollback().await }
                .unwrap();
            self.journal.prepare(day, day).await?;
            Ok(appended)
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_journal_on_postgres_conforms() {
    let test = "the_journal_on_postgres_conforms";
    let Some(server) = needs(test, postgres(), "PostgreSQL") else { return };
    let mut dropped = 0;
    for seed in 0..4 {
        let database = Database::new(&server, &format!("seed_{seed}")).await;
        dropped += conforms(&database, &database.now, seed).await;
    }
    assert!(dropped >= 4, "only {dropped} days were dropped");
}

#[cfg(feature = "archive")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_postgres_are_each_in_one_tier() {
    use super::tiers::{count, tell};
    let test = "events_of_postgres_are_each_in_one_tier";
    let Some(server) = needs(test, postgres(), "PostgreSQL") else { return };
    let database = Database::new(&server, "tiers").await;
    let folder = tempfile::TempDir::new().unwrap();
    tell(&database, &database.now, folder.path(), count(60_000)).await;
}

async fn began(user: &mut Client) -> tokio_postgres::Transaction<'_> {
    let transaction = user.transaction().await.unwrap();
    // It has its number from here on.
    transaction.execute("SELECT pg_current_xact_id()", &[]).await.unwrap();
    transaction
}

/// The older transaction appends what comes after: neither is put before the other's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_transaction_may_have_the_later_version() {
    let test = "an_older_transaction_may_have_the_later_version";
    let Some(server) = needs(test, postgres(), "PostgreSQL") else { return };
    let database = Database::new(&server, "older").await;
    let (mut first, mut second) = (database.user().await, database.user().await);
    let old = began(&mut first).await;
    let young = began(&mut second).await;
    append(&young, &draft(1, "a", Some(1)), &database.clock).await.unwrap();
    young.commit().await.unwrap();
    // The older one is open, but whatever it appends comes after.
    let versions = [("a".to_owned(), 1), ("a".to_owned(), 2)];
    assert_eq!(database.positions().await, versions[..1]);
    append(&old, &draft(2, "a", Some(2)), &database.clock).await.unwrap();
    assert_eq!(database.positions().await, versions[..1]);
    old.commit().await.unwrap();
    assert_eq!(database.positions().await, versions);
}

/// A third one is open between them: below the oldest that is open there would be the later version alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_version_passes_the_horizon_before_the_one_before() {
    let test = "no_version_passes_the_horizon_before_the_one_before";
    let Some(server) = needs(test, postgres(), "PostgreSQL") else { return };
    let database = Database::new(&server, "between").await;
    let mut users = [database.user().await, database.user().await, database.user().await];
    let [first, second, third] = &mut users;
    let old = began(first).await;
    let between = began(second).await;
    let young = began(third).await;
    append(&between, &draft(3, "b", Some(1)), &database.clock).await.unwrap();
    append(&young, &draft(1, "a", Some(1)), &database.clock).await.unwrap();
    young.commit().await.unwrap();
    append(&old, &draft(2, "a", Some(2)), &database.clock).await.unwrap();
    old.commit().await.unwrap();
    assert_eq!(database.positions().await, []);
    between.commit().await.unwrap();
    let all = [("b".to_owned(), 1), ("a".to_owned(), 1), ("a".to_owned(), 2)];
    assert_eq!(database.positions().await, all);
}

/// One that drew its position early commits late; a reader that went on meanwhile has not passed it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_commits_late_is_not_skipped() {
    let test = "one_that_commits_late_is_not_skipped";
    let Some(server) = needs(test, postgres(), "PostgreSQL") else { return };
    let database = Database::new(&server, "late").await;
    let (mut slow, mut fast) = (database.user().await, database.user().await);
    let late = slow.transaction().await.unwrap();
    append(&late, &draft(1, "late", None), &database.clock).await.unwrap();
    let (mut offset, mut had) = (Position(0), Vec::new());
    for round in 0..20_u128 {
        let transaction = fast.transaction().await.unwrap();
        append(&transaction, &draft(10 + round, "fast", None), &database.clock).await.unwrap();
        transaction.commit().await.unwrap();
        for event in database.journal.read(offset, 5).await.unwrap() {
            offset = event.position;
            had.push(event.aggregate);
        }
    }
    assert_eq!(had, [""; 0], "nothing may be read past one that is open");
    // It is not read, and it is seen as lag.
    let consumer = Consumer::new("c").unwrap();
    assert!(database.journal.backlog(consumer).await.unwrap().positions >= 20);
    late.commit().await.unwrap();
    loop {
        let page = database.journal.read(offset, 5).await.unwrap();
        let Some(last) = page.last() else { break };
        offset = last.position;
        had.extend(page.into_iter().map(|event| event.aggregate));
    }
    assert_eq!(had.len(), 21);
    assert_eq!(had[0], "late");
}

/// Whatever runs at once: each reader sees one order without a gap, and each aggregate's versions in theirs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_are_read_in_one_order() {
    let test = "many_at_once_are_read_in_one_order";
    let Some(server) = needs(test, postgres(), "PostgreSQL") else { return };
    let database = Arc::new(Database::new(&server, "many").await);
    let writers: Vec<_> = (0..6_u128)
        .map(|writer| {
            let database = Arc::clone(&database);
            tokio::spawn(async move {
                let mut user = database.user().await;
                for round in 0..40_u128 {
                    let transaction = user.transaction().await.unwrap();
                    let aggregate = format!("a{}", (writer + round) % 3);
                    let draft = draft(1 + writer * 1000 + round, &aggregate, None);
                    append(&transaction, &draft, &database.clock).await.unwrap();
                    if round % 5 == 4 {
                        transaction.rollback().await.unwrap();
                    } else {
                        transaction.commit().await.unwrap();
                    }
                }
            })
        })
        .collect();
    let (mut offset, mut had) = (Position(0), Vec::new());
    loop {
        let over = writers.iter().all(tokio::task::JoinHandle::is_finished);
        let page = database.journal.read(offset, 7).await.unwrap();
        if over && page.is_empty() {
            break;
        }
        if let Some(last) = page.last() {
            offset = last.position;
        }
        had.extend(page);
    }
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(had.len(), 6 * 32);
    assert_eq!(had, database.journal.read(Position(0), 1000).await.unwrap());
    for aggregate in ["a0", "a1", "a2"] {
        let of = had.iter().filter(|event| event.aggregate == aggregate);
        let versions: Vec<u64> = of.map(|event| event.version).collect();
        assert_eq!(versions, (1..=versions.len() as u64).collect::<Vec<_>>(), "{aggregate}");
    }
}

/// A day is neither sealed nor dropped while somebody may still append to it, and he is not kept waiting.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_waits_for_who_appends_to_it() {
    let test = "a_day_waits_for_who_appends_to_it";
    let Some(server) = needs(test, postgres(), "PostgreSQL") else { return };
    let database = Database::new(&server, "waits").await;
    database.append(vec![draft(1, "a", None)], true).await.unwrap();
    let mut user = database.user().await;
    let late = user.transaction().await.unwrap();
    append(&late, &draft(2, "a", None), &database.clock).await.unwrap();
    let refused = database.journal.seal(Day(0)).await.unwrap_err();
    assert!(matches!(refused, Error::Unavailable { what: "seal a day of", .. }), "{refused}");
    late.commit().await.unwrap();
    assert_eq!(database.journal.seal(Day(0)).await.unwrap().count, 2);
    // Whoever comes by an old clock comes after it.
    database.append(vec![draft(3, "a", None)], true).await.unwrap();
    let events = database.journal.read(Position(0), 9).await.unwrap();
    assert_eq!(events.last().unwrap().at, Day(1).begins());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_programs_schema_is_left_alone() {
    let test = "another_programs_schema_is_left_alone";
    let Some(server) = needs(test, postgres(), "PostgreSQL") else { return };
    let database = Database::new(&server, "theirs").await;
    let user = database.user().await;
    user.batch_execute("UPDATE cronx_journal.journal SET version = 2").await.unwrap();
    let refused = Postgres::connect(&database.url, Options::default()).await.err().unwrap();
    assert!(matches!(refused, Error::Newer { found: 2, known: 1, .. }), "{refused}");
    let sql = "DROP SCHEMA cronx_journal CASCADE; CREATE SCHEMA cronx_journal";
    user.batch_execute(sql).await.unwrap();
    let refused = Postgres::connect(&database.url, Options::default()).await.err().unwrap();
    assert!(matches!(refused, Error::Foreign { .. }), "{refused}");
    // Who only looks makes nothing, and what cannot be ours is no reason to panic.
    let looking = Options { makes: false, ..Options::default() };
    user.batch_execute("DROP SCHEMA cronx_journal").await.unwrap();
    let refused = Postgres::connect(&database.url, looking).await.err().unwrap();
    assert!(matches!(refused, Error::Foreign { .. }), "{refused}");
    let found = user.query_one("SELECT to_regnamespace('cronx_journal') IS NULL", &[]).await;
    assert!(found.unwrap().get::<_, bool>(0));
    user.batch_execute("CREATE SCHEMA cronx_journal").await.unwrap();
    for columns in ["version TEXT", "version INT", "version BOOLEAN", "other BIGINT", ""] {
        let sql = format!("CREATE TABLE cronx_journal.journal ({columns})");
        user.batch_execute(&sql).await.unwrap();
        let refused = Postgres::connect(&database.url, Options::default()).await.err().unwrap();
        assert!(matches!(refused, Error::Foreign { .. }), "{columns}: {refused}");
        user.batch_execute("DROP TABLE cronx_journal.journal").await.unwrap();
    }
    user.batch_execute("CREATE TABLE cronx_journal.journal (version BIGINT)").await.unwrap();
    let refused = Postgres::connect(&database.url, Options::default()).await.err().unwrap();
    assert!(matches!(refused, Error::Torn { .. }), "{refused}");
}

/// It had the day when it was dropped: none of it is a dead letter. Whatever the database's own isolation is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_moves_meanwhile_has_no_dead_letters() {
    let test = "a_consumer_that_moves_meanwhile_has_no_dead_letters";
    let Some(server) = needs(test, postgres(), "PostgreSQL") else { return };
    let database = Database::new(&server, "meanwhile").await;
    let mut user = database.user().await;
    let sql = "ALTER DATABASE meanwhile SET default_transaction_isolation = 'serializable'";
    user.batch_execute(sql).await.unwrap();
    let options = Options { clock: database.clock.clone(), ..Options::default() };
    let journal = Postgres::connect(&database.url, options).await.unwrap();
    database.append((1..=3).map(|id| draft(id, "a", None)).collect(), true).await.unwrap();
    let [moves, stays] = ["moves", "stays"].map(|name| Consumer::new(name).unwrap());
    for consumer in [&moves, &stays] {
        journal.join(consumer.clone()).await.unwrap();
    }
    let seal = journal.seal(Day(0)).await.unwrap();
    let moving = user.transaction().await.unwrap();
    let sql = "UPDATE cronx_journal.offsets SET position = $1 WHERE consumer = 'moves'";
    moving.execute(sql, &[&seal.last.0]).await.unwrap();
    let dropping = tokio::spawn({
        let journal = journal.clone();
        async move { journal.drop_day(Day(0), true).await }
    });
    let watcher = database.user().await;
    let waits = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()
        AND application_name = 'cronx journal' AND wait_event_type = 'Lock')";
    while !watcher.query_one(waits, &[]).await.unwrap().get::<_, bool>(0) {
        assert!(!dropping.is_finished(), "it did not wait for who moves");
    }
    moving.commit().await.unwrap();
    assert_eq!(dropping.await.unwrap().unwrap(), Dropped::Gone { stragglers: 3 });
    let dead = async |consumer| journal.dead(consumer, None, Position(0), 9).await.unwrap().len();
    assert_eq!((dead(moves).await, dead(stays).await), (0, 3));
}

/// A keeper that was stopped does not keep others from appending for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_we_leave_open_is_ended_by_the_server() {
    let test = "what_we_leave_open_is_ended_by_the_server";
    let Some(server) = needs(test, postgres(), "PostgreSQL") else { return };
    let database = Database::new(&server, "idle").await;
    database.append(vec![draft(1, "a", None)], true).await.unwrap();
    let user = database.user().await;
    // As it was read by a session of ours, in the middle of what it does.
    let sql = "CREATE TABLE told AS SELECT ''::text AS idle, ''::text AS isolation;
        CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            UPDATE told SET idle = current_setting('idle_in_transaction_session_timeout'),
                isolation = current_setting('transaction_isolation');
            RETURN NEW;
        END $$;
        CREATE TRIGGER tell BEFORE UPDATE ON cronx_journal.days
            FOR EACH ROW EXECUTE FUNCTION tell()";
    user.batch_execute(sql).await.unwrap();
    database.journal.seal(Day(0)).await.unwrap();
    let told = user.query_one("SELECT idle, isolation FROM told", &[]).await.unwrap();
    let told: [String; 2] = [told.get(0), told.get(1)];
    assert_eq!(told, ["2s", "read committed"]);
}
