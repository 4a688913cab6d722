//! Consumers: how far they are, and what they could not have.

use cronx_scheduler::Utc;
use tokio_postgres::{Row, Transaction};

use super::{Inner, row};
use crate::Error;
use crate::journal::{Backlog, Consumer, DeadLetter, Move, Position};
use crate::server::postgres::failed;

pub(super) async fn join(inner: &Inner, consumer: Consumer) -> Result<Position, Error> {
    let client = inner.client().await?;
    let sql = "INSERT INTO cronx_journal.offsets VALUES ($1, 0) ON CONFLICT DO NOTHING";
    let joined = client.execute(sql, &[&consumer.as_str()]).await;
    joined.map_err(failed("write", &inner.place))?;
    let sql = "SELECT position FROM cronx_journal.offsets WHERE consumer = $1";
    let row = client.query_opt(sql, &[&consumer.as_str()]).await;
    let row = row.map_err(failed("read", &inner.place))?;
    Ok(row.map_or(Position(0), |row| Position(row.get(0))))
}

pub(super) async fn leave(inner: &Inner, consumer: Consumer) -> Result<(), Error> {
    let sql = "WITH gone AS (DELETE FROM cronx_journal.dead WHERE consumer = $1)
         DELETE FROM cronx_journal.offsets WHERE consumer = $1";
    let left = inner.client().await?.execute(sql, &[&consumer.as_str()]).await;
    left.map(|_| ()).map_err(failed("write", &inner.place))
}

pub(super) async fn advance(inner: &Inner, step: Move) -> Result<bool, Error> {
    let mut client = inner.client().await?;
    let place = &inner.place;
    let transaction = client.transaction().await.map_err(failed("write", place))?;
    let moved = moved(&transaction, &step).await.map_err(failed("write", place))?;
    transaction.commit().await.map_err(failed("write", place))?;
    Ok(moved)
}

async fn moved(transaction: &Transaction<'_>, step: &Move) -> Result<bool, tokio_postgres::Error> {
    let Move { consumer, from, to, dead } = step;
    let consumer = consumer.as_str();
    let sql =
        "UPDATE cronx_journal.offsets SET position = $3 WHERE consumer = $1 AND position = $2";
    if transaction.execute(sql, &[&consumer, &from.0, &to.0]).await? == 0 {
        return Ok(false);
    }
    let sql = "INSERT INTO cronx_journal.dead
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING";
    for DeadLetter { event, reason } in dead {
        let (id, trace) = (event.id.0.to_be_bytes(), event.trace.map(|t| t.0.to_be_bytes()));
        let (id, trace) = (&id[..], trace.as_ref().map(|trace| &trace[..]));
        let (version, payload) = (event.version as i64, event.payload.as_str());
        let (position, at) = (&event.position.0, &event.at.0);
        let (aggregate, who, what) = (&event.aggregate, &event.who, &event.what);
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 11] = [
            &consumer, position, &id, aggregate, &version, who, what, &trace, at, &payload, reason,
        ];
        transaction.execute(sql, &values).await?;
    }
    Ok(true)
}

pub(super) async fn all(inner: &Inner) -> Result<Vec<(Consumer, Position)>, Error> {
    let sql = "SELECT consumer, position FROM cronx_journal.offsets ORDER BY consumer";
    let rows = inner.client().await?.query(sql, &[]).await.map_err(failed("read", &inner.place))?;
    rows.iter().map(offset).collect()
}

fn offset(row: &Row) -> Result<(Consumer, Position), Error> {
    Ok((Consumer::new(row.get(0))?, Position(row.get(1))))
}

/// Those who have not had all up to there. They stay where they are until the transaction ends.
pub(super) async fn late(
    inner: &Inner,
    transaction: &Transaction<'_>,
    last: Position,
) -> Result<Vec<(Consumer, Position)>, Error> {
    let sql = "SELECT consumer, position FROM cronx_journal.offsets
         WHERE position < $1 ORDER BY consumer FOR UPDATE";
    let rows = transaction.query(sql, &[&last.0]).await.map_err(failed("read", &inner.place))?;
    rows.iter().map(offset).collect()
}

pub(super) async fn backlog(inner: &Inner, consumer: Consumer) -> Result<Backlog, Error> {
    // What is committed but may not be read yet counts too: a transaction that holds readers back is seen.
    let sql = "WITH mine AS (
            SELECT coalesce((SELECT position FROM cronx_journal.offsets WHERE consumer = $1), 0) AS o)
         SELECT CASE WHEN is_called THEN last_value ELSE 0 END - o,
            (SELECT at_ns FROM cronx_journal.events WHERE position > o ORDER BY position LIMIT 1)
         FROM cronx_journal.positions, mine";
    let row = inner.client().await?.query_one(sql, &[&consumer.as_str()]).await;
    let row = row.map_err(failed("read", &inner.place))?;
    let oldest = row.get::<_, Option<i64>>(1).map(Utc);
    Ok(Backlog { positions: row.get::<_, i64>(0).max(0) as u64, oldest })
}

pub(super) async fn dead(
    inner: &Inner,
    consumer: Consumer,
    aggregate: Option<String>,
    after: Position,
    most: usize,
) -> Result<Vec<DeadLetter>, Error> {
    let sql = format!(
        "SELECT {}, reason FROM cronx_journal.dead
         WHERE consumer = $1 AND position > $2 AND ($3::text IS NULL OR aggregate = $3)
         ORDER BY position LIMIT $4",
        row::COLUMNS
    );
    let client = inner.client().await?;
    let rows = client
        .query(&sql, &[&consumer.as_str(), &after.0, &aggregate, &(most as i64)])
        .await
        .map_err(failed("read", &inner.place))?;
    rows.iter()
        .map(|row| Ok(DeadLetter { event: row::event(row, &inner.place)?, reason: row.get(9) }))
        .collect()
}

pub(super) async fn parked(
    inner: &Inner,
    consumer: Consumer,
    aggregates: Vec<String>,
) -> Result<Vec<String>, Error> {
    let sql = "SELECT DISTINCT aggregate FROM cronx_journal.dead
         WHERE consumer = $1 AND aggregate = ANY($2)";
    let rows = inner.client().await?.query(sql, &[&consumer.as_str(), &aggregates]).await;
    let rows = rows.map_err(failed("read", &inner.place))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

pub(super) async fn revive(
    inner: &Inner,
    consumer: Consumer,
    position: Position,
) -> Result<(), Error> {
    let sql = "DELETE FROM cronx_journal.dead WHERE consumer = $1 AND position = $2";
    let gone = inner.client().await?.execute(sql, &[&consumer.as_str(), &position.0]).await;
    gone.map(|_| ()).map_err(failed("write", &inner.place))
}
