//! SQLite: the suite, and what a file can do to sagas.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use cronx_ledger::saga::sqlite::{Sqlite, begin, install, may};
use cronx_ledger::saga::{Question, Sagas, State, Way};
use cronx_ledger::sqlite::execute_once;
use cronx_ledger::{Clock, Error, Key, Pending};
use rusqlite::Connection;
use tempfile::TempDir;

use super::suite::conforms;
use super::{Stage, definition, id};
use crate::suite::clock;

/// A user's file.
pub struct File {
    pub sagas: Arc<Sqlite>,
    pub path: PathBuf,
    pub clock: Clock,
    pub now: Arc<AtomicI64>,
    _folder: TempDir,
}

impl File {
    pub fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("shop.sqlite");
        let user = Connection::open(&path).unwrap();
        user.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(())).unwrap();
        let (clock, now) = clock();
        let sagas = Arc::new(Sqlite::open(&path, clock.clone()).unwrap());
        Self { sagas, path, clock, now, _folder: folder }
    }

    pub fn user(&self) -> Connection {
        let user = Connection::open(&self.path).unwrap();
        user.busy_timeout(Duration::from_millis(50)).unwrap();
        user
    }
}

impl Stage for File {
    fn sagas(&self) -> &dyn Sagas {
        &*self.sagas
    }

    fn may(&self, key: Key) -> Pending<'_, bool> {
        let mut user = self.user();
        let may = may(&user.transaction().unwrap(), &key).unwrap();
        Box::pin(std::future::ready(Ok(may)))
    }
}

#[tokio::test]
async fn sagas_on_sqlite_conform() {
    let mut states = BTreeSet::new();
    for seed in 0..12 {
        let file = File::new();
        states.extend(conforms(&file, &file.now, seed).await);
    }
    assert!(State::ALL[1..].iter().all(|state| states.contains(state)), "{states:?}");
}

#[test]
fn a_file_of_a_newer_cronx_is_left_as_it_is() {
    let file = File::new();
    let user = file.user();
    install(&user).unwrap();
    user.execute_batch("UPDATE cronx_saga SET version = 2").unwrap();
    for refused in [Sqlite::open(&file.path, Clock::Own), Sqlite::look(&file.path)] {
        assert!(matches!(refused, Err(Error::Newer { found: 2, known: 1, .. })));
    }
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("other.sqlite");
    assert!(matches!(Sqlite::open(&path, Clock::Own), Err(Error::Unavailable { .. })));
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
    assert!(matches!(Sqlite::look(&path), Err(Error::Foreign { .. })));
}

#[tokio::test]
async fn one_begins_with_what_it_is_about() {
    let file = File::new();
    let mut user = file.user();
    let order = definition("order", &["reserve"]);
    let transaction = user.transaction().unwrap();
    begin(&transaction, &id("7"), &order, "{}", &file.clock).unwrap().unwrap();
    transaction.rollback().unwrap();
    assert_eq!(file.sagas.get(id("7")).await.unwrap(), None);
    let transaction = user.transaction().unwrap();
    begin(&transaction, &id("7"), &order, "{}", &file.clock).unwrap().unwrap();
    begin(&transaction, &id("7"), &order, "{}", &file.clock).unwrap().unwrap();
    assert!(begin(&transaction, &id("7"), &order, "[]", &file.clock).unwrap().is_err());
    transaction.commit().unwrap();
    let saga = file.sagas.get(id("7")).await.unwrap().unwrap();
    assert_eq!(saga.state, State::Pending);
    let long = "x".repeat(cronx_ledger::saga::PAYLOAD_MOST + 1);
    for bad in [long.as_str(), "\0"] {
        assert!(matches!(order.begin(bad), Err(Error::Saga { .. })));
    }
}

/// An action began before its saga turned back, and comes to its effect after.
#[tokio::test]
async fn a_late_action_finds_the_file_changed() {
    let file = File::new();
    let order = definition("order", &["reserve"]);
    let sagas = &file.sagas;
    sagas.ask(id("7"), order.begin("{}").unwrap()).await.unwrap().unwrap();
    let lease = Duration::from_nanos(10);
    let claim = |owner: &str| Question::Claim { owner: owner.into(), lease, sole: true };
    let fence = sagas.ask(id("7"), claim("one")).await.unwrap().unwrap().fence;
    let start = Question::Start { fence, attempts: 1 };
    let saga = sagas.ask(id("7"), start).await.unwrap().unwrap();
    let key = saga.key(0, Way::Forward);

    let mut user = file.user();
    user.execute_batch("CREATE TABLE effects (x TEXT)").unwrap();
    let late = user.transaction().unwrap();
    assert!(may(&late, &key).unwrap());
    // Meanwhile its owner is taken for dead, and the saga turns back.
    let fence = sagas.ask(id("7"), claim("other")).await.unwrap().unwrap().fence;
    let start = Question::Start { fence, attempts: 1 };
    let saga = sagas.ask(id("7"), start).await.unwrap().unwrap();
    assert_eq!(saga.way, Way::Back);
    let refused = execute_once(&late, &key, None, |late| {
        late.execute("INSERT INTO effects VALUES ('x')", [])
    });
    assert!(refused.unwrap_err().to_string().contains("locked"));
    late.rollback().unwrap();
    let later = user.transaction().unwrap();
    assert!(!may(&later, &key).unwrap());
}

#[tokio::test]
async fn a_row_that_no_cronx_wrote_hides_no_other() {
    let file = File::new();
    let order = definition("order", &["reserve"]);
    for name in ["7", "8"] {
        file.sagas.ask(id(name), order.begin("{}").unwrap()).await.unwrap().unwrap();
    }
    let user = file.user();
    let torn = "UPDATE cronx_saga_states SET body = '{}' WHERE saga LIKE '%8'";
    assert_eq!(user.execute(torn, []).unwrap(), 1);
    let rows = file.sagas.list(None, 10).await.unwrap();
    let torn = |row: &Result<_, Error>| matches!(row, Err(Error::Torn { .. }));
    assert_eq!((rows.len(), rows.iter().filter(|row| torn(row)).count()), (2, 1));
    assert!(matches!(file.sagas.show(id("8")).await, Err(Error::Torn { .. })));
    let begun = file.sagas.ask(id("8"), order.begin("{}").unwrap()).await;
    assert!(matches!(begun, Err(Error::Torn { .. })));
}
