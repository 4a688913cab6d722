//! The schema: made where it is not, and refused where it is another's.

use super::{Inner, failed};
use crate::Error;

/// What its tables are like.
const SCHEMA: i64 = 1;
/// Two that begin at once make one schema.
const LOCK: i64 = 0x6372_6e78;

const TABLES: &str = "
    CREATE SCHEMA cronx;
    CREATE TABLE cronx.ledger (version BIGINT NOT NULL);
    CREATE TABLE cronx.entries (
        key TEXT COLLATE \"C\" PRIMARY KEY,
        job TEXT COLLATE \"C\",
        fence BIGINT NOT NULL,
        attempt BIGINT NOT NULL,
        fingerprint BYTEA,
        state SMALLINT NOT NULL,
        said TEXT NOT NULL,
        bid BYTEA,
        until_ns BIGINT,
        since_ns BIGINT NOT NULL
    );
    CREATE INDEX entries_open ON cronx.entries (job) WHERE state < 3;
    CREATE INDEX entries_since ON cronx.entries (since_ns);
    CREATE TABLE cronx.courses (
        job TEXT COLLATE \"C\" PRIMARY KEY,
        cursor_ns BIGINT NOT NULL,
        ahead TEXT NOT NULL
    );
    INSERT INTO cronx.ledger VALUES (1);
";

/// Looks before it writes.
pub(super) async fn settle(inner: &Inner, makes: bool) -> Result<(), Error> {
    let place = &inner.place;
    let mut client = inner.client().await?;
    let transaction = client.transaction().await.map_err(failed("open", place))?;
    let lock = transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await;
    lock.map_err(failed("lock", place))?;
    let sql =
        "SELECT to_regnamespace('cronx') IS NOT NULL, to_regclass('cronx.ledger') IS NOT NULL";
    let found = transaction.query_one(sql, &[]).await.map_err(failed("read", place))?;
    match (found.get(0), found.get(1)) {
        (false, _) if !makes => {
            let found = "it has no schema 'cronx'".to_owned();
            return Err(Error::Foreign { place: place.clone(), found });
        }
        (false, _) => {
            transaction.batch_execute(TABLES).await.map_err(failed("make the tables of", place))?;
        }
        (true, false) => {
            let found = "it has a schema 'cronx' of another program".to_owned();
            return Err(Error::Foreign { place: place.clone(), found });
        }
        (true, true) => {
            let sql = "SELECT max(version) FROM cronx.ledger";
            let row = transaction.query_one(sql, &[]).await.map_err(failed("read", place))?;
            let Ok(Some(found)) = row.try_get::<_, Option<i64>>(0) else {
                let found = "its 'cronx.ledger' has no version of ours".to_owned();
                return Err(Error::Foreign { place: place.clone(), found });
            };
            if found > SCHEMA {
                return Err(Error::Newer { place: place.clone(), found, known: SCHEMA });
            }
        }
    }
    transaction.commit().await.map_err(failed("write", place))
}
