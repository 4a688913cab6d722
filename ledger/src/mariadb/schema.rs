//! The tables: made where they are not, and refused where they are another's.

use mysql_async::prelude::Queryable;

use super::{Inner, failed};
use crate::Error;

/// What its tables are like.
const SCHEMA: i64 = 1;

/// The version's row comes last: a process that ends before it has made nothing that counts.
const TABLES: [&str; 4] = [
    "CREATE TABLE IF NOT EXISTS cronx_ledger (version BIGINT NOT NULL) ENGINE = InnoDB",
    "CREATE TABLE IF NOT EXISTS cronx_entries (
        entry VARBINARY(1800) NOT NULL PRIMARY KEY,
        job VARBINARY(1000),
        fence BIGINT NOT NULL,
        attempt BIGINT NOT NULL,
        fingerprint VARBINARY(32),
        state SMALLINT NOT NULL,
        said MEDIUMBLOB NOT NULL,
        bid VARBINARY(16),
        until_ns BIGINT,
        since_ns BIGINT NOT NULL,
        INDEX cronx_open (job, state),
        INDEX cronx_since (since_ns)
    ) ENGINE = InnoDB ROW_FORMAT = DYNAMIC",
    "CREATE TABLE IF NOT EXISTS cronx_courses (
        job VARBINARY(1000) NOT NULL PRIMARY KEY,
        cursor_ns BIGINT,
        ahead MEDIUMBLOB NOT NULL
    ) ENGINE = InnoDB ROW_FORMAT = DYNAMIC",
    "INSERT INTO cronx_ledger VALUES (1)",
];

/// Looks before it writes. Two that begin at once make one schema.
pub(super) async fn settle(inner: &Inner, makes: bool) -> Result<(), Error> {
    let place = &inner.place;
    let mut connection = inner.connection().await?;
    let lock = "SELECT GET_LOCK(CONCAT('cronx ', DATABASE()), 10)";
    let locked: Option<Option<i64>> =
        connection.query_first(lock).await.map_err(failed("lock", place))?;
    if locked.flatten() != Some(1) {
        return Err(crate::server::unavailable("lock", place, "another makes its tables"));
    }
    let settled = make(&mut connection, makes, place).await;
    let unlock = "DO RELEASE_LOCK(CONCAT('cronx ', DATABASE()))";
    connection.query_drop(unlock).await.map_err(failed("unlock", place))?;
    settled
}

async fn make(connection: &mut mysql_async::Conn, makes: bool, place: &str) -> Result<(), Error> {
    let sql = "SELECT CAST(table_name AS CHAR) FROM information_schema.tables
         WHERE table_schema = DATABASE() AND table_name IN ('cronx_ledger', 'cronx_entries', 'cronx_courses')";
    let tables: Vec<String> = connection.query(sql).await.map_err(failed("read", place))?;
    if !tables.is_empty() && !tables.iter().any(|table| table == "cronx_ledger") {
        let found = format!("it has a table {} of another program", tables[0]);
        return Err(Error::Foreign { place: place.to_owned(), found });
    }
    if !tables.is_empty() {
        let sql = "SELECT max(version) FROM cronx_ledger";
        let found: Result<Option<Option<i64>>, _> = connection.query_first(sql).await;
        let found = found.map_err(|error| Error::Foreign {
            place: place.to_owned(),
            found: format!("its table cronx_ledger is another program's: {error}"),
        })?;
        match found.flatten() {
            Some(found) if found > SCHEMA => {
                return Err(Error::Newer { place: place.to_owned(), found, known: SCHEMA });
            }
            Some(_) => return Ok(()),
            None => {}
        }
    }
    if !makes {
        let found = "it has no table cronx_ledger that says which it is".to_owned();
        return Err(Error::Foreign { place: place.to_owned(), found });
    }
    for table in TABLES {
        connection.query_drop(table).await.map_err(failed("make the tables of", place))?;
    }
    Ok(())
}
