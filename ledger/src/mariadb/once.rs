//! An effect in the user's own MariaDB database, once: it and the word that it happened are one transaction.

use std::fmt::Display;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Transaction};

use crate::fingerprint::Fingerprint;
use crate::key::Key;
use crate::once::Once;

/// In the user's database. It is small, and its rows may be deleted once nothing asks for their keys any more.
const TABLE: &str = "
    CREATE TABLE IF NOT EXISTS cronx_effects (
        entry VARBINARY(1800) NOT NULL PRIMARY KEY,
        fingerprint VARBINARY(32),
        result MEDIUMBLOB NOT NULL
    ) ENGINE = InnoDB ROW_FORMAT = DYNAMIC";
/// There is such a row.
const DUPLICATE: u16 = 1062;

/// Makes the table that [`execute_once`] needs, if it is not there. Not within a transaction: to make a table ends
/// it.
pub async fn prepare_once(connection: &mut Conn) -> Result<(), Error> {
    connection.query_drop(TABLE).await
}

/// Lets the effect happen, unless it has: it is done when the transaction is committed, and not before. What the
/// effect returns is kept, and is the answer to everybody who asks again. If the effect fails, nothing of it is
/// left, and it may be tried again in the same transaction or in another. All its tables must know transactions, as
/// InnoDB's do.
///
/// Of two at once the second waits until the first has ended: if that is committed, the second has its answer, and
/// if not, the effect is the second's. It may be told of a deadlock, of a lock that took too long, or of a record
/// that has changed (1213, 1205, 1020) instead, and asks again in a new transaction.
pub async fn execute_once<T: Display, E: From<Error>>(
    transaction: &mut Transaction<'_>,
    key: &Key,
    fingerprint: Option<Fingerprint>,
    effect: impl AsyncFnOnce(&mut Transaction<'_>) -> Result<T, E>,
) -> Result<Once, E> {
    transaction.query_drop("SAVEPOINT cronx_once").await?;
    let print = fingerprint.map(|own| own.0.to_vec());
    let insert = "INSERT INTO cronx_effects (entry, fingerprint, result) VALUES (?, ?, '')";
    match transaction.exec_drop(insert, (key.as_str(), print)).await {
        Ok(()) => {}
        Err(Error::Server(said)) if said.code == DUPLICATE => {
            return Ok(before(transaction, key, fingerprint).await?);
        }
        Err(error) => return Err(error.into()),
    }
    match effect(transaction).await {
        Ok(result) => {
            let result = result.to_string();
            let sql = "UPDATE cronx_effects SET result = ? WHERE entry = ?";
            transaction.exec_drop(sql, (&result, key.as_str())).await?;
            transaction.query_drop("RELEASE SAVEPOINT cronx_once").await?;
            Ok(Once::Now(result))
        }
        Err(error) => {
            // Some errors end the whole transaction, and leave nothing to go back to.
            let _ = transaction.query_drop("ROLLBACK TO SAVEPOINT cronx_once").await;
            Err(error)
        }
    }
}

/// A read that locks sees what others have committed since the transaction began.
async fn before(
    transaction: &mut Transaction<'_>,
    key: &Key,
    own: Option<Fingerprint>,
) -> Result<Once, Error> {
    let sql = "SELECT fingerprint, result FROM cronx_effects WHERE entry = ? LOCK IN SHARE MODE";
    let row: Option<(Option<Vec<u8>>, String)> =
        transaction.exec_first(sql, (key.as_str(),)).await?;
    let (other, result) =
        row.ok_or_else(|| Error::from(std::io::Error::other("the row has gone")))?;
    Ok(Once::before(own, other.as_deref(), result))
}
