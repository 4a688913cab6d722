//! The tables.

use rusqlite::Connection;

use super::{failed, place};
use crate::Error;

/// What its tables are like.
const SCHEMA: i64 = 1;

const TABLES: &str = "
    CREATE TABLE cronx_saga (version INTEGER NOT NULL) STRICT;
    CREATE TABLE cronx_saga_states (
        saga TEXT NOT NULL PRIMARY KEY,
        name TEXT NOT NULL,
        payload TEXT NOT NULL,
        state INTEGER NOT NULL,
        body TEXT NOT NULL,
        due_ns INTEGER NOT NULL,
        fence INTEGER NOT NULL,
        owner TEXT,
        until_ns INTEGER,
        begun_ns INTEGER NOT NULL,
        since_ns INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX cronx_saga_due ON cronx_saga_states (due_ns) WHERE state < 5;
    CREATE INDEX cronx_saga_since ON cronx_saga_states (since_ns);
    CREATE TABLE cronx_saga_gates (
        key TEXT NOT NULL PRIMARY KEY,
        open INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE cronx_saga_events (
        saga TEXT NOT NULL,
        number INTEGER NOT NULL,
        at_ns INTEGER NOT NULL,
        began_ns INTEGER NOT NULL,
        who TEXT NOT NULL,
        step TEXT NOT NULL,
        way TEXT NOT NULL,
        attempt INTEGER NOT NULL,
        what TEXT NOT NULL,
        said TEXT NOT NULL,
        PRIMARY KEY (saga, number)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO cronx_saga VALUES (1);
";

/// Makes the tables where there are none. Within the user's transaction, if there is one.
pub fn install(connection: &Connection) -> Result<(), Error> {
    let place = place(connection);
    if found(connection, &place)?.is_some() {
        return check(connection, &place);
    }
    let own = connection.is_autocommit();
    let sql = if own { format!("BEGIN IMMEDIATE; {TABLES} COMMIT") } else { TABLES.to_owned() };
    let made = connection.execute_batch(&sql);
    if made.is_err() && own && !connection.is_autocommit() {
        // What this one says changes nothing.
        let _ = connection.execute_batch("ROLLBACK");
    }
    made.map_err(failed("make the tables of", &place))
}

/// That there are sagas, and that we know what is in their tables.
pub(super) fn check(connection: &Connection, place: &str) -> Result<(), Error> {
    let place = || place.to_owned();
    match found(connection, &place())? {
        None => Err(Error::Foreign { place: place(), found: "it has no sagas".to_owned() }),
        Some(found) if found > SCHEMA => Err(Error::Newer { place: place(), found, known: SCHEMA }),
        Some(_) => Ok(()),
    }
}

fn found(connection: &Connection, place: &str) -> Result<Option<i64>, Error> {
    let exists = connection.table_exists(None, "cronx_saga").map_err(failed("read", place))?;
    let version = exists.then(|| {
        let sql = "SELECT version FROM cronx_saga";
        connection.query_row(sql, [], |row| row.get(0)).map_err(failed("read", place))
    });
    version.transpose()
}
