//! The schema: made where it is not, and refused where it is another's.

use tokio_postgres::Transaction;
use tokio_postgres::error::SqlState;

use super::pool::failed;
use super::{Inner, LOCK_MOST};
use crate::Error;
use crate::journal::Day;

/// What its tables are like.
const SCHEMA: i64 = 1;
/// Two that begin at once make one schema.
const LOCK: i64 = 0x6372_6e78_6a6e;

const TABLES: &str = include_str!("schema.sql");

/// Looks before it writes.
pub(super) async fn settle(inner: &Inner, makes: bool) -> Result<(), Error> {
    let place = &inner.place;
    let mut client = inner.client().await?;
    let transaction = client.transaction().await.map_err(failed("open", place))?;
    let lock = transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await;
    lock.map_err(failed("lock", place))?;
    let sql = "SELECT to_regnamespace('cronx_journal') IS NOT NULL,
            to_regclass('cronx_journal.journal') IS NOT NULL";
    let found = transaction.query_one(sql, &[]).await.map_err(failed("read", place))?;
    let foreign = |found: &str| Error::Foreign { place: place.clone(), found: found.to_owned() };
    match (found.get(0), found.get(1)) {
        (false, _) if !makes => return Err(foreign("it has no schema 'cronx_journal'")),
        (false, _) => {
            transaction.batch_execute(TABLES).await.map_err(failed("make the tables of", place))?;
        }
        (true, false) => {
            return Err(foreign("it has a schema 'cronx_journal' of another program"));
        }
        (true, true) => {
            let sql = "SELECT max(version) FROM cronx_journal.journal";
            let found = match transaction.query_one(sql, &[]).await {
                Ok(row) => row.try_get::<_, Option<i64>>(0).ok(),
                Err(error) if is_other(&error) => None,
                Err(error) => return Err(failed("read", place)(error)),
            };
            let theirs = "it has a table 'cronx_journal.journal' of another program";
            let found = found.ok_or_else(|| foreign(theirs))?.ok_or_else(|| Error::Torn {
                place: place.clone(),
                row: "cronx_journal.journal".to_owned(),
                reason: "there is no version".to_owned(),
            })?;
            if found > SCHEMA {
                return Err(Error::Newer { place: place.clone(), found, known: SCHEMA });
            }
        }
    }
    transaction.commit().await.map_err(failed("write", place))
}

/// A table that has no such column, or one of which there is no greatest.
fn is_other(error: &tokio_postgres::Error) -> bool {
    matches!(error.code(), Some(&SqlState::UNDEFINED_COLUMN | &SqlState::UNDEFINED_FUNCTION))
}

/// The name of a day's table.
pub(super) fn table(day: Day) -> String {
    format!("cronx_journal.events_{}", day.to_string().replace('-', ""))
}

/// A transaction that waits for nobody's long.
pub(super) async fn hurried<'a>(
    inner: &Inner,
    client: &'a mut deadpool_postgres::Object,
    what: &'static str,
) -> Result<deadpool_postgres::Transaction<'a>, Error> {
    let transaction = client.transaction().await.map_err(failed(what, &inner.place))?;
    let most = format!("SET LOCAL lock_timeout = {}", LOCK_MOST.as_millis());
    transaction.batch_execute(&most).await.map_err(failed(what, &inner.place))?;
    Ok(transaction)
}

/// A table like those of events.
pub(super) async fn make_table(
    transaction: &Transaction<'_>,
    table: &str,
) -> Result<(), tokio_postgres::Error> {
    let sql = format!(
        "CREATE TABLE {table} (LIKE cronx_journal.events INCLUDING CONSTRAINTS INCLUDING INDEXES)"
    );
    transaction.batch_execute(&sql).await
}

/// It becomes the partition of a day, in which rows never change. What had no partition comes along.
pub(super) async fn attach(
    transaction: &Transaction<'_>,
    day: Day,
    brings_rest: bool,
) -> Result<(), tokio_postgres::Error> {
    let (table, from, to) = (table(day), day.begins().0, day.ends().0);
    if brings_rest {
        let sql = format!(
            "LOCK TABLE cronx_journal.events_rest IN ACCESS EXCLUSIVE MODE;
             WITH rest AS (DELETE FROM cronx_journal.events_rest
                WHERE at_ns >= {from} AND at_ns < {to} RETURNING *)
             INSERT INTO {table} SELECT * FROM rest"
        );
        transaction.batch_execute(&sql).await?;
    }
    let sql = format!(
        "ALTER TABLE cronx_journal.events ATTACH PARTITION {table} FOR VALUES FROM ({from}) TO ({to});
         CREATE TRIGGER stays BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW
            EXECUTE FUNCTION cronx_journal.refuse('an event is never changed')"
    );
    transaction.batch_execute(&sql).await
}

/// Nothing is appended to it any more.
pub(super) async fn close(
    transaction: &Transaction<'_>,
    day: Day,
) -> Result<(), tokio_postgres::Error> {
    let table = table(day);
    let sql = format!(
        "LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE;
         CREATE OR REPLACE TRIGGER sealed BEFORE INSERT ON {table} FOR EACH ROW
            EXECUTE FUNCTION cronx_journal.refuse('the day is sealed')"
    );
    transaction.batch_execute(&sql).await
}
