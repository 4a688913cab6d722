//! An effect in the user's own PostgreSQL database, once: it and the word that it happened are one transaction.

use std::fmt::Display;

use tokio_postgres::{Error, Transaction};

use crate::fingerprint::Fingerprint;
use crate::key::Key;
use crate::once::Once;

/// In the user's database. It is small, and its rows may be deleted once nothing asks for their keys any more.
const TABLE: &str = "
    CREATE TABLE IF NOT EXISTS cronx_effects (
        key TEXT COLLATE \"C\" PRIMARY KEY,
        fingerprint BYTEA,
        result TEXT NOT NULL
    )";
/// Two that begin at once make one table.
const LOCK: i64 = 0x6372_6e78_6566;

/// Lets the effect happen, unless it has: it is done when the transaction is committed, and not before. What the
/// effect returns is kept, and is the answer to everybody who asks again. If the effect fails, nothing of it is
/// left, and it may be tried again in the same transaction or in another.
///
/// Of two at once the second waits until the first has ended: if that is committed, the second has its answer, and
/// if not, the effect is the second's. Where the isolation is stricter than READ COMMITTED it is told of a
/// serialization failure instead, and asks again in a new transaction.
pub async fn execute_once<T: Display, E: From<Error>>(
    transaction: &mut Transaction<'_>,
    key: &Key,
    fingerprint: Option<Fingerprint>,
    effect: impl AsyncFnOnce(&mut Transaction<'_>) -> Result<T, E>,
) -> Result<Once, E> {
    make_table(transaction).await?;
    let print = fingerprint.map(|own| own.0.to_vec());
    // Without a release it is rolled back to where it began.
    let mut inner = transaction.savepoint("cronx_once").await?;
    let insert = "INSERT INTO cronx_effects (key, fingerprint, result) VALUES ($1, $2, '')
         ON CONFLICT (key) DO NOTHING";
    if inner.execute(insert, &[&key.as_str(), &print]).await? == 0 {
        let sql = "SELECT fingerprint, result FROM cronx_effects WHERE key = $1";
        let row = inner.query_one(sql, &[&key.as_str()]).await?;
        let other: Option<Vec<u8>> = row.try_get(0)?;
        return Ok(Once::before(fingerprint, other.as_deref(), row.try_get(1)?));
    }
    match effect(&mut inner).await {
        Ok(result) => {
            let result = result.to_string();
            let sql = "UPDATE cronx_effects SET result = $2 WHERE key = $1";
            inner.execute(sql, &[&key.as_str(), &result]).await?;
            inner.commit().await?;
            Ok(Once::Now(result))
        }
        Err(error) => {
            inner.rollback().await?;
            Err(error)
        }
    }
}

async fn make_table(transaction: &Transaction<'_>) -> Result<(), Error> {
    let sql = "SELECT to_regclass('cronx_effects') IS NOT NULL";
    if transaction.query_one(sql, &[]).await?.try_get(0)? {
        return Ok(());
    }
    transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await?;
    transaction.batch_execute(TABLE).await
}
