//! The schema: made where it is not, and refused where it is another's.

use super::{Inner, failed};
use crate::Error;

/// What its tables are like.
const SCHEMA: i64 = 1;
/// Two that begin at once make one schema.
const LOCK: i64 = 0x6372_6e78_7361;

const TABLES: &str = include_str!("schema.sql");

/// Looks before it writes.
pub(super) async fn settle(inner: &Inner, makes: bool) -> Result<(), Error> {
    let place = &inner.place;
    let mut client = inner.client().await?;
    let transaction = client.transaction().await.map_err(failed("open", place))?;
    let lock = transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await;
    lock.map_err(failed("lock", place))?;
    let sql = "SELECT to_regnamespace('cronx_saga') IS NOT NULL,
            to_regclass('cronx_saga.saga') IS NOT NULL";
    let found = transaction.query_one(sql, &[]).await.map_err(failed("read", place))?;
    match (found.get(0), found.get(1)) {
        (false, _) if !makes => {
            let found = "it has no sagas".to_owned();
            return Err(Error::Foreign { place: place.clone(), found });
        }
        (false, _) => {
            transaction.batch_execute(TABLES).await.map_err(failed("make the tables of", place))?;
        }
        (true, false) => {
            let found = "it has a schema 'cronx_saga' of another program".to_owned();
            return Err(Error::Foreign { place: place.clone(), found });
        }
        (true, true) => {
            let sql = "SELECT max(version) FROM cronx_saga.saga";
            let row = transaction.query_one(sql, &[]).await.map_err(failed("read", place))?;
            let found = row.get::<_, Option<i64>>(0).unwrap_or(i64::MAX);
            if found > SCHEMA {
                return Err(Error::Newer { place: place.clone(), found, known: SCHEMA });
            }
        }
    }
    transaction.commit().await.map_err(failed("write", place))
}
