//! Sagas in SQLite, in the file that has their steps' effects, or in the ledger's own.
//!
//! ```
//! use cronx_ledger::saga::{Definition, Step, Way, sqlite};
//! use cronx_ledger::{Clock, SagaId};
//!
//! let mut database = rusqlite::Connection::open_in_memory().unwrap();
//! sqlite::install(&database)?;
//! let definition = Definition::new("order", vec![Step::new("reserve"), Step::new("charge")])?;
//! let id = SagaId::new("shop", "order/7")?;
//!
//! // It begins with what it is about, or not at all.
//! let transaction = database.transaction().unwrap();
//! let saga = sqlite::begin(&transaction, &id, &definition, "{}", &Clock::Own)?.unwrap();
//! transaction.commit().unwrap();
//!
//! // An action that comes late, or too early, takes no effect.
//! let transaction = database.transaction().unwrap();
//! assert!(!sqlite::may(&transaction, &saga.key(0, Way::Forward)).unwrap());
//! # Ok::<(), cronx_ledger::Error>(())
//! ```
//!
//! Its tables are named `cronx_saga` and what begins with `cronx_saga_`.

mod schema;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cronx_scheduler::Utc;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row as SqlRow, params};

pub use schema::install;

use super::ask::{Question, Reply};
use super::plan::Definition;
use super::row::{COLUMNS, EventRow, OVER, SagaRow, number, prunable};
use super::rules::Change;
use super::state::{Event, Saga, State};
use super::store::{Due, Sagas, Seeker};
use crate::Error;
use crate::clock::Clock;
use crate::key::{Key, SagaId, of_tenant};
use crate::sqlite::failed;
use crate::store::{Pending, Row};

/// How long the user's own transactions may keep us waiting.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sagas in a file, beside whatever else it has.
pub struct Sqlite {
    store: Arc<Mutex<Store>>,
    place: String,
}

struct Store {
    connection: Connection,
    place: String,
    clock: Clock,
}

impl Sqlite {
    /// Opens those of a file that there is, and makes the tables where there are none. Its answers need a
    /// runtime.
    pub fn open(path: &Path, clock: Clock) -> Result<Self, Error> {
        let store = connect(path, clock, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        // Whoever is told that a step is written down counts on it.
        let full = store.connection.pragma_update(None, "synchronous", "FULL");
        full.map_err(failed("open", &store.place))?;
        install(&store.connection)?;
        Ok(Self::of(store))
    }

    /// Opens them only to look.
    pub fn look(path: &Path) -> Result<Self, Error> {
        let store = connect(path, Clock::Own, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        schema::check(&store.connection, &store.place)?;
        Ok(Self::of(store))
    }

    /// Opens those that there are, to write.
    pub fn open_made(path: &Path) -> Result<Self, Error> {
        let store = connect(path, Clock::Own, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        schema::check(&store.connection, &store.place)?;
        Ok(Self::of(store))
    }

    fn of(store: Store) -> Self {
        let place = store.place.clone();
        Self { store: Arc::new(store.into()), place }
    }

    fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Store) -> Result<T, Error> + Send + 'static,
    ) -> Pending<'_, T> {
        let store = Arc::clone(&self.store);
        Box::pin(async move {
            let work = move || work(&mut store.lock().unwrap_or_else(PoisonError::into_inner));
            tokio::task::spawn_blocking(work).await.unwrap_or(Err(Error::Closed))
        })
    }
}

fn connect(path: &Path, clock: Clock, flags: OpenFlags) -> Result<Store, Error> {
    let place = path.display().to_string();
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed("open", &place))?;
    connection.busy_timeout(PATIENCE).map_err(failed("open", &place))?;
    Ok(Store { connection, place, clock })
}

/// What the file is called.
fn place(connection: &Connection) -> String {
    let path = connection.path().filter(|path| !path.is_empty());
    path.unwrap_or("a database in memory").to_owned()
}

/// Begins a saga, or finds that it has begun. `transaction` is whatever transaction the connection is in: the
/// saga is there when that is committed, and not before.
pub fn begin(
    transaction: &Connection,
    id: &SagaId,
    definition: &Definition,
    payload: &str,
    clock: &Clock,
) -> Result<Reply, Error> {
    let question = definition.begin(payload)?;
    within(transaction, &place(transaction), id, &question, clock.here())
}

/// Whether an action or a compensation may take effect: if its attempt has begun, and its saga has not turned
/// back since. To be asked in the transaction of the effect, so that both are of one moment: one that reads
/// first, as this does, finds the file busy if somebody has written in between, and is begun anew.
pub fn may(transaction: &Connection, key: &Key) -> rusqlite::Result<bool> {
    let sql = "SELECT open FROM cronx_saga_gates WHERE key = ?1";
    let mut gate = transaction.prepare_cached(sql)?;
    Ok(gate.query_row([key.as_str()], |row| row.get(0)).optional()?.unwrap_or(false))
}

impl Store {
    /// Whole or not at all.
    fn ask(&mut self, id: &SagaId, question: &Question) -> Result<Reply, Error> {
        let immediate = rusqlite::TransactionBehavior::Immediate;
        let transaction = self.connection.transaction_with_behavior(immediate);
        let transaction = transaction.map_err(failed("write", &self.place))?;
        let now = self.clock.here();
        let reply = within(&transaction, &self.place, id, question, now)?;
        transaction.commit().map_err(failed("write", &self.place))?;
        Ok(reply)
    }

    fn due(&self, seeker: &Seeker, most: usize) -> rusqlite::Result<(Vec<String>, Option<i64>)> {
        let now = self.clock.here().0;
        let names: Vec<&str> = seeker.names.iter().map(|name| &**name).collect();
        let names = serde_json::to_string(&names).expect("names are JSON");
        let sql = format!(
            "SELECT saga FROM cronx_saga_states
             WHERE state < {OVER} AND due_ns <= ?1 AND name IN (SELECT value FROM json_each(?2))
                AND (until_ns IS NULL OR until_ns <= ?1 OR (?3 AND owner <> ?4))
             ORDER BY due_ns, saga LIMIT ?5"
        );
        let mut due = self.connection.prepare_cached(&sql)?;
        let due = due
            .query_map(params![now, names, seeker.sole, seeker.owner, most as i64], |row| {
                row.get(0)
            })?;
        let due = due.collect::<Result<_, _>>()?;
        let sql = format!(
            "SELECT min(due_ns) FROM cronx_saga_states
             WHERE state < {OVER} AND due_ns > ?1 AND name IN (SELECT value FROM json_each(?2))"
        );
        let next: Option<i64> =
            self.connection.query_row(&sql, params![now, names], |row| row.get(0))?;
        Ok((due, next.map(|next| next - now)))
    }

    fn list(&self, state: Option<State>, most: usize) -> rusqlite::Result<Vec<SagaRow>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM cronx_saga_states WHERE ?1 IS NULL OR state = ?1
             ORDER BY since_ns DESC, saga LIMIT ?2"
        );
        let mut rows = self.connection.prepare_cached(&sql)?;
        rows.query_map(params![state.map(number), most as i64], saga_row)?.collect()
    }

    fn events(&self, saga: &str) -> rusqlite::Result<Vec<EventRow>> {
        let sql = "SELECT at_ns, began_ns, who, step, way, attempt, what, said
             FROM cronx_saga_events WHERE saga = ?1 ORDER BY number";
        let mut rows = self.connection.prepare_cached(sql)?;
        let row = |row: &SqlRow| {
            Ok(EventRow {
                at_ns: row.get(0)?,
                began_ns: row.get(1)?,
                who: row.get(2)?,
                step: row.get(3)?,
                way: row.get(4)?,
                attempt: row.get(5)?,
                what: row.get(6)?,
                said: row.get(7)?,
            })
        };
        rows.query_map([saga], row)?.collect()
    }

    /// Their gates' keys are their names, and a slash and more. With a sign, a column is no reason to take another
    /// index than that of the time.
    fn prune(&mut self, tenant: &str, over_for: Duration, most: usize) -> rusqlite::Result<usize> {
        let (first, last) = of_tenant(tenant);
        let before = (self.clock.here() - over_for).0;
        let immediate = rusqlite::TransactionBehavior::Immediate;
        let transaction = self.connection.transaction_with_behavior(immediate)?;
        let sql = format!(
            "DELETE FROM cronx_saga_states WHERE saga IN (SELECT saga FROM cronx_saga_states
                WHERE since_ns < ?1 AND +saga > ?3 AND +saga < ?4 AND {}
                ORDER BY since_ns LIMIT ?2) RETURNING saga",
            prunable()
        );
        let pruned = transaction
            .prepare_cached(&sql)?
            .query_map(params![before, most as i64, first, last], |row| row.get(0))?
            .collect::<rusqlite::Result<Vec<String>>>()?;
        for saga in &pruned {
            let sql = "DELETE FROM cronx_saga_gates WHERE key > ?1 || '/' AND key < ?1 || '0'";
            transaction.prepare_cached(sql)?.execute([saga])?;
            let sql = "DELETE FROM cronx_saga_events WHERE saga = ?1";
            transaction.prepare_cached(sql)?.execute([saga])?;
        }
        transaction.commit()?;
        Ok(pruned.len())
    }

    fn show(&mut self, id: &SagaId) -> Result<Option<(Saga, Vec<Event>)>, Error> {
        // Of one moment.
        let begin = self.connection.execute_batch("BEGIN");
        begin.map_err(failed("read", &self.place))?;
        let read = self.read_whole(id);
        let end = self.connection.execute_batch("COMMIT");
        end.map_err(failed("read", &self.place))?;
        read
    }

    fn read_whole(&self, id: &SagaId) -> Result<Option<(Saga, Vec<Event>)>, Error> {
        let Some(saga) = read(&self.connection, &self.place, id)? else { return Ok(None) };
        let name = id.to_string();
        let events = self.events(&name).map_err(failed("read", &self.place))?;
        let events = events.into_iter().map(|row| row.read(&self.place, &name));
        Ok(Some((saga, events.collect::<Result<_, _>>()?)))
    }
}

fn saga_row(row: &SqlRow) -> rusqlite::Result<SagaRow> {
    Ok(SagaRow {
        saga: row.get(0)?,
        name: row.get(1)?,
        payload: row.get(2)?,
        state: row.get(3)?,
        body: row.get(4)?,
        due_ns: row.get(5)?,
        fence: row.get(6)?,
        owner: row.get(7)?,
        until_ns: row.get(8)?,
        begun_ns: row.get(9)?,
        since_ns: row.get(10)?,
    })
}

fn read(connection: &Connection, place: &str, id: &SagaId) -> Result<Option<Saga>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM cronx_saga_states WHERE saga = ?1");
    let mut row = connection.prepare_cached(&sql).map_err(failed("read", place))?;
    let row = row.query_row([id.to_string()], saga_row).optional();
    row.map_err(failed("read", place))?.map(|row| row.read(place)).transpose()
}

/// Reads, asks, writes. On an error the transaction must go.
fn within(
    transaction: &Connection,
    place: &str,
    id: &SagaId,
    question: &Question,
    now: Utc,
) -> Result<Reply, Error> {
    let answer = question.on(id, read(transaction, place, id)?.as_ref(), now);
    if let Some(change) = &answer.change {
        write(transaction, change).map_err(failed("write", place))?;
    }
    Ok(answer.reply)
}

fn write(transaction: &Connection, change: &Change) -> rusqlite::Result<()> {
    let row = SagaRow::of(&change.saga);
    let sql = format!(
        "INSERT INTO cronx_saga_states ({COLUMNS})
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
         ON CONFLICT DO UPDATE SET state = ?4, body = ?5, due_ns = ?6, fence = ?7, owner = ?8,
            until_ns = ?9, since_ns = ?11"
    );
    let SagaRow { saga, name, payload, state, body, due_ns, fence, owner, until_ns, .. } = &row;
    let (begun_ns, since_ns) = (row.begun_ns, row.since_ns);
    transaction.prepare_cached(&sql)?.execute(params![
        saga, name, payload, state, body, due_ns, fence, owner, until_ns, begun_ns, since_ns
    ])?;
    for gate in &change.gates {
        let sql = if gate.is_open {
            "INSERT INTO cronx_saga_gates VALUES (?1, 1) ON CONFLICT DO NOTHING"
        } else {
            "UPDATE cronx_saga_gates SET open = 0 WHERE key = ?1"
        };
        transaction.prepare_cached(sql)?.execute([gate.key.as_str()])?;
    }
    let first = change.saga.events as usize - change.events.len();
    for (place, event) in change.events.iter().enumerate() {
        let EventRow { at_ns, began_ns, who, step, way, attempt, what, said } = EventRow::of(event);
        let number = (first + place) as i64;
        let sql = "INSERT INTO cronx_saga_events VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
        transaction
            .prepare_cached(sql)?
            .execute(params![saga, number, at_ns, began_ns, who, step, way, attempt, what, said])?;
    }
    Ok(())
}

impl Sagas for Sqlite {
    fn ask(&self, id: SagaId, question: Question) -> Pending<'_, Reply> {
        self.work(move |store| store.ask(&id, &question))
    }

    fn due(&self, seeker: Seeker, most: usize) -> Pending<'_, Due> {
        self.work(move |store| {
            let (now, next) = store.due(&seeker, most).map_err(failed("read", &store.place))?;
            let now = now.iter().map(|saga| saga.parse()).collect::<Result<_, _>>()?;
            Ok(Due { now, next: next.map(|next| Duration::from_nanos(next.max(0) as u64)) })
        })
    }

    fn list(&self, state: Option<State>, most: usize) -> Pending<'_, Vec<Row<Saga>>> {
        self.work(move |store| {
            let rows = store.list(state, most).map_err(failed("read", &store.place))?;
            Ok(rows.into_iter().map(|row| row.read(&store.place)).collect())
        })
    }

    fn show(&self, id: SagaId) -> Pending<'_, Option<(Saga, Vec<Event>)>> {
        self.work(move |store| store.show(&id))
    }

    fn get(&self, id: SagaId) -> Pending<'_, Option<Saga>> {
        self.work(move |store| read(&store.connection, &store.place, &id))
    }

    fn prune(&self, tenant: &str, over_for: Duration, most: usize) -> Pending<'_, usize> {
        let tenant = tenant.to_owned();
        self.work(move |store| {
            store.prune(&tenant, over_for, most).map_err(failed("prune", &store.place))
        })
    }

    fn place(&self) -> &str {
        &self.place
    }
}
