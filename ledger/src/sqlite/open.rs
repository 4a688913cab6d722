//! What must be true of a file before anything is written to it.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::{Options, failed};
use crate::Error;

/// Says of a file that it is a ledger: `crnx`.
const APPLICATION: i64 = 0x6372_6e78;
/// What its tables are like.
const SCHEMA: i64 = 1;
/// How long another connection, which only looks, may keep us waiting.
const PATIENCE: Duration = Duration::from_secs(10);

const TABLES: &str = "
    CREATE TABLE entries (
        key TEXT NOT NULL PRIMARY KEY,
        job TEXT,
        fence INTEGER NOT NULL,
        attempt INTEGER NOT NULL,
        fingerprint BLOB,
        state INTEGER NOT NULL,
        said TEXT NOT NULL,
        bid BLOB,
        until_ns INTEGER,
        since_ns INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX entries_open ON entries (job) WHERE state < 3;
    CREATE INDEX entries_since ON entries (since_ns);
    CREATE TABLE courses (
        job TEXT NOT NULL PRIMARY KEY,
        cursor_ns INTEGER NOT NULL,
        ahead TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
";

/// Locks the file beside it, which is never removed: a lock of a file that is gone locks nobody out.
pub(super) fn lock(path: &Path, place: &str) -> Result<File, Error> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let name = PathBuf::from(name);
    let file = File::options().create(true).truncate(false).write(true).open(&name);
    let file = file.map_err(Error::system("open", name.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::InUse { place: place.to_owned() }),
        Err(TryLockError::Error(error)) => Err(Error::system("lock", name.display())(error)),
    }
}

/// Opens it, or makes it where there is none.
pub(super) fn to_write(path: &Path, place: &str, options: &Options) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    let mut connection = connect(path, place, flags)?;
    let is_new = is_ours(&connection, place)? == Found::Nothing;
    if connection.is_readonly("main").map_err(failed("open", place))? {
        let reason = "its file, or the file system, is read-only".to_owned();
        return Err(Error::ReadOnly { place: place.to_owned(), reason });
    }
    settle(&connection, options).map_err(failed("open", place))?;
    if is_new {
        make(&mut connection).map_err(failed("make the tables of", place))?;
    }
    Ok(connection)
}

/// Opens one that there is, and never writes.
pub(super) fn to_read(path: &Path, place: &str) -> Result<Connection, Error> {
    let connection = connect(path, place, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    if is_ours(&connection, place)? == Found::Nothing {
        let found = "it is empty".to_owned();
        return Err(Error::Foreign { place: place.to_owned(), found });
    }
    Ok(connection)
}

fn connect(path: &Path, place: &str, flags: OpenFlags) -> Result<Connection, Error> {
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed("open", place))?;
    connection.busy_timeout(PATIENCE).map_err(failed("open", place))?;
    Ok(connection)
}

#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// A file that has nothing in it yet.
    Nothing,
    Ledger,
}

/// Only reads: what is not ours is not touched.
fn is_ours(connection: &Connection, place: &str) -> Result<Found, Error> {
    let number = |pragma: &str| {
        let number = connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
        number.map_err(failed("read", place))
    };
    let (application, schema) = (number("application_id")?, number("user_version")?);
    let tables = "SELECT count(*) FROM sqlite_schema";
    let tables: i64 =
        connection.query_row(tables, [], |row| row.get(0)).map_err(failed("read", place))?;
    if (application, schema, tables) == (0, 0, 0) {
        return Ok(Found::Nothing);
    }
    let place = place.to_owned();
    if application != APPLICATION {
        let found = format!("it is another program's database, number {application:#x}");
        return Err(Error::Foreign { place, found });
    }
    if schema > SCHEMA {
        return Err(Error::Newer { place, found: schema, known: SCHEMA });
    }
    Ok(Found::Ledger)
}

fn settle(connection: &Connection, options: &Options) -> rusqlite::Result<()> {
    // The answer of this one is a row.
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    if let Some(most) = options.most_pages {
        connection.pragma_update_and_check(None, "max_page_count", most, |_| Ok(()))?;
    }
    Ok(())
}

/// All of it or nothing: a process that ends here leaves an empty file.
fn make(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(TABLES)?;
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", SCHEMA)?;
    transaction.commit()
}
