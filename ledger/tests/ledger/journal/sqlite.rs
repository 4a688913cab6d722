//! SQLite: the suite, and what a file can do to a journal.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use cronx_ledger::journal::sqlite::{Sqlite, append, install};
use cronx_ledger::journal::{Appended, Draft, Journal, Position, Tables};
use cronx_ledger::{Clock, Error, Pending};
use rusqlite::Connection;
use tempfile::TempDir;

use super::suite::conforms;
use super::{Stage, draft};
use crate::suite::clock;

/// A user's file.
pub struct File {
    pub journal: Sqlite,
    pub path: PathBuf,
    pub clock: Clock,
    pub now: Arc<AtomicI64>,
    _folder: TempDir,
}

impl File {
    pub fn new() -> Self {
        let (clock, now) = clock();
        Self::on(clock, now)
    }

    /// As time goes by here.
    #[cfg(feature = "nats")]
    pub fn live() -> Self {
        Self::on(Clock::Own, Arc::default())
    }

    fn on(clock: Clock, now: Arc<AtomicI64>) -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("shop.sqlite");
        let user = Connection::open(&path).unwrap();
        user.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(())).unwrap();
        install(&user).unwrap();
        install(&user).unwrap();
        let journal = Sqlite::open(&path, clock.clone()).unwrap();
        Self { journal, path, clock, now, _folder: folder }
    }

    pub fn user(&self) -> Connection {
        let user = Connection::open(&self.path).unwrap();
        user.pragma_update(None, "synchronous", "OFF").unwrap();
        user
    }
}

impl Stage for File {
    fn journal(&self) -> &dyn Tables {
        &self.journal
    }

    fn append(&self, drafts: Vec<Draft>, commits: bool) -> Pending<'_, Vec<Appended>> {
        let mut user = self.user();
        let appended = || {
            let transaction = user.transaction().unwrap();
            let appended: Result<Vec<_>, _> =
                drafts.iter().map(|draft| append(&transaction, draft, &self.clock)).collect();
            if commits { transaction.commit() } else { transaction.rollback() }.unwrap();
            appended
        };
        let mut appended = appended;
        Box::pin(std::future::ready(appended()))
    }
}

#[tokio::test]
async fn the_journal_on_sqlite_conforms() {
    let mut dropped = 0;
    for seed in 0..40 {
        let file = File::new();
        dropped += conforms(&file, &file.now, seed).await;
    }
    assert!(dropped >= 40, "only {dropped} days were dropped");
}

#[test]
fn an_event_is_appended_in_a_transaction() {
    let file = File::new();
    let refused = append(&file.user(), &draft(1, "a", None), &file.clock).unwrap_err();
    assert!(matches!(refused, Error::Unavailable { what: "append to", .. }), "{refused}");
}

#[tokio::test]
async fn what_was_appended_stays_as_it_is() {
    let file = File::new();
    file.append(vec![draft(1, "a", None)], true).await.unwrap();
    let table = "cronx_journal_day_19700101";
    let user = file.user();
    for sql in [format!("UPDATE {table} SET who = 'me'"), format!("DELETE FROM {table}")] {
        assert!(user.execute_batch(&sql).unwrap_err().to_string().contains("never"));
    }
    assert_eq!(file.journal.read(Position(0), 9).await.unwrap().len(), 1);
}

/// The effect goes too: neither is there without the other.
#[test]
fn a_full_disk_leaves_nothing_half_done() {
    let file = File::new();
    let mut user = file.user();
    user.execute_batch("CREATE TABLE effects (x TEXT)").unwrap();
    let pages: i64 = user.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    user.pragma_update_and_check(None, "max_page_count", pages + 40, |_| Ok(())).unwrap();
    let (mut done, mut refused) = (0, None);
    while refused.is_none() {
        let transaction = user.transaction().unwrap();
        let effect = transaction.execute("INSERT INTO effects VALUES (hex(randomblob(500)))", []);
        let appended = append(&transaction, &draft(1 + done, "a", None), &file.clock);
        match (effect, appended) {
            (Ok(_), Ok(_)) => {
                transaction.commit().unwrap();
                done += 1;
            }
            (Ok(_), Err(error)) => refused = Some(error),
            (Err(_), _) => return,
        }
    }
    assert!(matches!(refused, Some(Error::Full { .. })), "{refused:?}");
    let count = |sql: &str| user.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count("SELECT count(*) FROM effects"), done as i64);
    assert_eq!(count("SELECT count(*) FROM cronx_journal_day_19700101"), done as i64);
}

#[test]
fn a_file_without_a_journal_is_left_as_it_is() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("other.sqlite");
    let user = Connection::open(&path).unwrap();
    user.execute_batch("CREATE TABLE theirs (x)").unwrap();
    let refused = Sqlite::open(&path, Clock::Own).err().unwrap();
    assert!(matches!(refused, Error::Foreign { .. }), "{refused}");
    install(&user).unwrap();
    user.execute_batch("UPDATE cronx_journal SET version = 2").unwrap();
    let refused = Sqlite::open(&path, Clock::Own).err().unwrap();
    assert!(matches!(refused, Error::Newer { found: 2, known: 1, .. }), "{refused}");
    assert!(matches!(install(&user), Err(Error::Newer { .. })));
}
