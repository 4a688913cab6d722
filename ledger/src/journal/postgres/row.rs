//! Events as rows.

use cronx_scheduler::{TraceId, Utc};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::Inner;
use crate::Error;
use crate::journal::{Event, EventId, Payload, Position};
use crate::server::postgres::failed;

/// The columns of an event, in the order of [`event`].
pub(super) const COLUMNS: &str =
    "position, id, aggregate, version, who, what, trace, at_ns, payload";
/// What is read at once stays below this, but for one event.
const BYTES_MOST: i64 = 8 << 20;

/// A number of ours: 16 bytes.
fn number(place: &str, bytes: &[u8]) -> Result<u128, Error> {
    let torn = |_| Error::Torn {
        place: place.to_owned(),
        row: "an event".to_owned(),
        reason: format!("a number has {} bytes, not 16", bytes.len()),
    };
    bytes.try_into().map(u128::from_be_bytes).map_err(torn)
}

pub(super) fn event(row: &Row, place: &str) -> Result<Event, Error> {
    let trace: Option<&[u8]> = row.get(6);
    Ok(Event {
        position: Position(row.get(0)),
        id: EventId(number(place, row.get(1))?),
        aggregate: row.get(2),
        version: row.get::<_, i64>(3) as u64,
        who: row.get(4),
        what: row.get(5),
        trace: trace.map(|bytes| number(place, bytes).map(TraceId)).transpose()?,
        at: Utc(row.get(7)),
        payload: Payload::trusted(row.get(8)),
    })
}

/// See [`Journal::read`](crate::journal::Journal::read).
pub(super) async fn read(inner: &Inner, after: Position, most: usize) -> Result<Vec<Event>, Error> {
    let client = inner.client().await?;
    let safe = inner.safe(&client).await?;
    some(inner, &client, "cronx_journal.events", (after, safe), most).await
}

/// See [`Tables::page`](crate::journal::Tables::page).
pub(super) async fn page(
    inner: &Inner,
    table: String,
    after: Position,
    most: usize,
) -> Result<Vec<Event>, Error> {
    let client = inner.client().await?;
    some(inner, &client, &table, (after, Position(i64::MAX)), most).await
}

async fn some(
    inner: &Inner,
    client: &deadpool_postgres::Object,
    table: &str,
    (after, through): (Position, Position),
    most: usize,
) -> Result<Vec<Event>, Error> {
    // The size of what comes before each, so that the server sends no more than is wanted.
    let sql = format!(
        "SELECT {COLUMNS} FROM (
            SELECT *, sum(octet_length(payload) + 256) OVER (ORDER BY position)
                - octet_length(payload) AS before
            FROM (SELECT {COLUMNS} FROM {table}
                WHERE position > $1 AND position <= $2 ORDER BY position LIMIT $3) AS next
         ) AS sized WHERE before < {BYTES_MOST} ORDER BY position"
    );
    let place = &inner.place;
    let statement = client.prepare_cached(&sql).await.map_err(failed("read", place))?;
    let values: [&(dyn ToSql + Sync); 3] = [&after.0, &through.0, &(most as i64)];
    let rows = client.query(&statement, &values).await.map_err(failed("read", place))?;
    rows.iter().map(|row| event(row, place)).collect()
}
