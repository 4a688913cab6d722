//! The schema of the journal, and the tables of its days.

use tokio_postgres::Transaction;

use super::{Inner, LOCK_MOST};
use crate::Error;
use crate::journal::Day;
use crate::server::postgres::{Schema, failed};

/// Made where it is not, and refused where it is another's.
pub(super) const SCHEMA: Schema = Schema {
    name: "cronx_journal",
    mark: "journal",
    version: 1,
    lock: 0x6372_6e78_6a6e,
    tables: include_str!("schema.sql"),
};

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
