//! The tables that there always are; those of days come with their events.

use rusqlite::Connection;

use super::failed;
use crate::Error;
use crate::journal::Day;

/// What its tables are like.
const SCHEMA: i64 = 1;

const TABLES: &str = "
    CREATE TABLE cronx_journal (
        version INTEGER NOT NULL,
        position INTEGER NOT NULL,
        last_ns INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE cronx_journal_heads (
        aggregate TEXT NOT NULL PRIMARY KEY,
        version INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE cronx_journal_seen (
        id BLOB NOT NULL PRIMARY KEY,
        fingerprint BLOB NOT NULL,
        position INTEGER NOT NULL,
        version INTEGER NOT NULL,
        at_ns INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX cronx_journal_seen_at ON cronx_journal_seen (at_ns);
    CREATE TABLE cronx_journal_offsets (
        consumer TEXT NOT NULL PRIMARY KEY,
        position INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE cronx_journal_dead (
        consumer TEXT NOT NULL,
        position INTEGER NOT NULL,
        id BLOB NOT NULL,
        aggregate TEXT NOT NULL,
        version INTEGER NOT NULL,
        who TEXT NOT NULL,
        what TEXT NOT NULL,
        trace BLOB,
        at_ns INTEGER NOT NULL,
        payload TEXT NOT NULL,
        reason TEXT NOT NULL,
        PRIMARY KEY (consumer, position)
    ) STRICT;
    CREATE INDEX cronx_journal_dead_aggregate ON cronx_journal_dead (consumer, aggregate);
    CREATE TABLE cronx_journal_days (
        day INTEGER NOT NULL PRIMARY KEY,
        tier INTEGER NOT NULL,
        since_ns INTEGER NOT NULL,
        restored INTEGER NOT NULL,
        count INTEGER,
        first INTEGER,
        last INTEGER,
        digest BLOB
    ) STRICT;
    INSERT INTO cronx_journal VALUES (1, 0, -9223372036854775808);
";

/// Makes the tables where there are none. Within the user's transaction, if there is one.
pub fn install(connection: &Connection) -> Result<(), Error> {
    let place = super::append::place(connection);
    match found(connection, &place)? {
        None => {
            let own = connection.is_autocommit();
            let sql = if own { format!("BEGIN; {TABLES} COMMIT") } else { TABLES.to_owned() };
            let made = connection.execute_batch(&sql);
            if made.is_err() && own && !connection.is_autocommit() {
                // What this one says changes nothing.
                let _ = connection.execute_batch("ROLLBACK");
            }
            made.map_err(failed("make the tables of", &place))
        }
        Some(_) => check(connection, &place),
    }
}

/// That there is a journal, and that we know what is in it.
pub(super) fn check(connection: &Connection, place: &str) -> Result<(), Error> {
    let place = || place.to_owned();
    match found(connection, &place())? {
        None => Err(Error::Foreign { place: place(), found: "it has no journal".to_owned() }),
        Some(found) if found > SCHEMA => Err(Error::Newer { place: place(), found, known: SCHEMA }),
        Some(_) => Ok(()),
    }
}

fn found(connection: &Connection, place: &str) -> Result<Option<i64>, Error> {
    let exists = connection.table_exists(None, "cronx_journal").map_err(failed("read", place))?;
    let version = exists.then(|| {
        let sql = "SELECT version FROM cronx_journal";
        connection.query_row(sql, [], |row| row.get(0)).map_err(failed("read", place))
    });
    version.transpose()
}

/// The name of a day's table.
pub(super) fn table(day: Day) -> String {
    format!("cronx_journal_day_{}", day.to_string().replace('-', ""))
}

/// A day's table, in which rows never change; `suffix` keeps one apart that is not complete yet.
pub(super) fn make_day(connection: &Connection, day: Day, suffix: &str) -> rusqlite::Result<()> {
    let table = table(day) + suffix;
    connection.execute_batch(&format!(
        "CREATE TABLE {table} (
            position INTEGER NOT NULL PRIMARY KEY,
            id BLOB NOT NULL,
            aggregate TEXT NOT NULL,
            version INTEGER NOT NULL,
            who TEXT NOT NULL,
            what TEXT NOT NULL,
            trace BLOB,
            at_ns INTEGER NOT NULL,
            payload TEXT NOT NULL
        ) STRICT;
        CREATE UNIQUE INDEX {table}_version ON {table} (aggregate, version);
        CREATE TRIGGER {table}_update BEFORE UPDATE ON {table}
            BEGIN SELECT raise(ABORT, 'an event is never changed'); END;
        CREATE TRIGGER {table}_delete BEFORE DELETE ON {table}
            BEGIN SELECT raise(ABORT, 'an event is never deleted'); END;"
    ))
}

/// Nothing is appended to it any more.
pub(super) fn close_day(connection: &Connection, day: Day) -> rusqlite::Result<()> {
    let table = table(day);
    connection.execute_batch(&format!(
        "CREATE TRIGGER IF NOT EXISTS {table}_insert BEFORE INSERT ON {table}
            BEGIN SELECT raise(ABORT, 'the day is sealed'); END"
    ))
}
