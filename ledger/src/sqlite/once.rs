//! An effect in the user's own SQLite database, once: it and the word that it happened are one transaction.

use std::fmt::Display;

use rusqlite::{Connection, OptionalExtension, params};

use crate::fingerprint::Fingerprint;
use crate::key::Key;
use crate::once::Once;

/// In the user's database. It is small, and its rows may be deleted once nothing asks for their keys any more.
const TABLE: &str = "
    CREATE TABLE IF NOT EXISTS cronx_effects (
        key TEXT NOT NULL PRIMARY KEY,
        fingerprint BLOB,
        result TEXT NOT NULL
    ) STRICT, WITHOUT ROWID";

/// Lets the effect happen, unless it has. `transaction` is whatever transaction the connection is in: the
/// effect is done when that is committed, and not before. What the effect returns is kept, and is the answer
/// to everybody who asks again. If the effect fails, nothing of it is left, and it may be tried again.
pub fn execute_once<T: Display, E: From<rusqlite::Error>>(
    transaction: &Connection,
    key: &Key,
    fingerprint: Option<Fingerprint>,
    effect: impl FnOnce(&Connection) -> Result<T, E>,
) -> Result<Once, E> {
    transaction.execute_batch(TABLE)?;
    if let Some((print, result)) = before(transaction, key)? {
        return Ok(Once::before(fingerprint, print.as_deref(), result));
    }
    transaction.execute_batch("SAVEPOINT cronx_once")?;
    let done = effect(transaction).and_then(|result| {
        let result = result.to_string();
        let insert = "INSERT INTO cronx_effects (key, fingerprint, result) VALUES (?1, ?2, ?3)";
        let print = fingerprint.map(|own| own.0.to_vec());
        transaction.execute(insert, params![key.as_str(), print, result])?;
        Ok(Once::Now(result))
    });
    if done.is_err() {
        // Some errors end the whole transaction, and leave nothing to go back to.
        let _ = transaction.execute_batch("ROLLBACK TO cronx_once; RELEASE cronx_once");
        return done;
    }
    transaction.execute_batch("RELEASE cronx_once")?;
    done
}

type Before = Option<(Option<Vec<u8>>, String)>;

fn before(transaction: &Connection, key: &Key) -> rusqlite::Result<Before> {
    let sql = "SELECT fingerprint, result FROM cronx_effects WHERE key = ?1";
    let row = |row: &rusqlite::Row| Ok((row.get(0)?, row.get(1)?));
    transaction.query_row(sql, [key.as_str()], row).optional()
}
