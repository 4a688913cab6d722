//! Consumers: how far they are, and what they could not have.

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::{Store, days, failed, row};
use crate::Error;
use crate::journal::{Backlog, Consumer, DeadLetter, Event, Move, Position};

const JOIN: &str = "INSERT INTO cronx_journal_offsets VALUES (?1, 0) ON CONFLICT DO NOTHING";
const DEAD: &str = "INSERT INTO cronx_journal_dead
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT DO NOTHING";

fn offset(connection: &Connection, consumer: &Consumer) -> rusqlite::Result<Option<Position>> {
    let sql = "SELECT position FROM cronx_journal_offsets WHERE consumer = ?1";
    let position = connection.query_row(sql, [consumer.as_str()], |row| row.get(0));
    Ok(position.optional()?.map(Position))
}

pub(super) fn join(store: &mut Store, consumer: &Consumer) -> Result<Position, Error> {
    let place = store.place.clone();
    store.write(|transaction, _| {
        let joined = transaction.execute(JOIN, [consumer.as_str()]);
        joined.map_err(failed("write", &place))?;
        Ok(offset(transaction, consumer).map_err(failed("read", &place))?.unwrap_or_default())
    })
}

pub(super) fn leave(store: &mut Store, consumer: &Consumer) -> Result<(), Error> {
    let place = store.place.clone();
    store.write(|transaction, _| {
        for table in ["offsets", "dead"] {
            let sql = format!("DELETE FROM cronx_journal_{table} WHERE consumer = ?1");
            transaction.execute(&sql, [consumer.as_str()]).map_err(failed("write", &place))?;
        }
        Ok(())
    })
}

pub(super) fn advance(store: &mut Store, step: &Move) -> Result<bool, Error> {
    let place = store.place.clone();
    store.write(|transaction, _| moved(transaction, step).map_err(failed("write", &place)))
}

fn moved(transaction: &Transaction, step: &Move) -> rusqlite::Result<bool> {
    let sql = "UPDATE cronx_journal_offsets SET position = ?3
         WHERE consumer = ?1 AND position = ?2";
    let Move { consumer, from, to, dead } = step;
    if transaction.execute(sql, params![consumer.as_str(), from.0, to.0])? == 0 {
        return Ok(false);
    }
    for DeadLetter { event, reason } in dead {
        bury(transaction, consumer, event, reason)?;
    }
    Ok(true)
}

fn bury(
    transaction: &Transaction,
    consumer: &Consumer,
    event: &Event,
    reason: &str,
) -> rusqlite::Result<()> {
    let Event { position, id, aggregate, version, who, what, trace, at, payload } = event;
    let (id, trace) = (id.0.to_be_bytes(), trace.map(|trace| trace.0.to_be_bytes()));
    let (consumer, version, payload) = (consumer.as_str(), *version as i64, payload.as_str());
    let values = params![
        consumer, position.0, id, aggregate, version, who, what, trace, at.0, payload, reason
    ];
    transaction.prepare_cached(DEAD)?.execute(values).map(|_| ())
}

pub(super) fn all(
    connection: &Connection,
    place: &str,
) -> Result<Vec<(Consumer, Position)>, Error> {
    let sql = "SELECT consumer, position FROM cronx_journal_offsets ORDER BY consumer";
    let mut statement = connection.prepare_cached(sql).map_err(failed("read", place))?;
    let row = |row: &rusqlite::Row| Ok((row.get::<_, String>(0)?, Position(row.get(1)?)));
    let rows = statement.query_map([], row).map_err(failed("read", place))?;
    rows.map(|row| {
        let (name, position) = row.map_err(failed("read", place))?;
        Ok((Consumer::new(&name)?, position))
    })
    .collect()
}

pub(super) fn backlog(store: &Store, consumer: &Consumer) -> Result<Backlog, Error> {
    let offset = offset(&store.connection, consumer).map_err(failed("read", &store.place))?;
    let offset = offset.unwrap_or_default();
    let sql = "SELECT position FROM cronx_journal";
    let end: i64 = store
        .connection
        .query_row(sql, [], |row| row.get(0))
        .map_err(failed("read", &store.place))?;
    let oldest = days::read(store, offset, 1)?.first().map(|event| event.at);
    Ok(Backlog { positions: (end - offset.0).max(0) as u64, oldest })
}

pub(super) fn dead(
    store: &Store,
    consumer: &Consumer,
    aggregate: Option<&str>,
    after: Position,
    most: usize,
) -> Result<Vec<DeadLetter>, Error> {
    let sql = format!(
        "SELECT {}, reason FROM cronx_journal_dead
         WHERE consumer = ?1 AND position > ?2 AND (?3 IS NULL OR aggregate = ?3)
         ORDER BY position LIMIT ?4",
        row::COLUMNS
    );
    let letter =
        |row: &rusqlite::Row| Ok(DeadLetter { event: row::read(row)?, reason: row.get(9)? });
    let read = || {
        let mut statement = store.connection.prepare_cached(&sql)?;
        let values = params![consumer.as_str(), after.0, aggregate, most as i64];
        statement.query_map(values, letter)?.collect::<rusqlite::Result<_>>()
    };
    read().map_err(failed("read", &store.place))
}

pub(super) fn parked(
    store: &Store,
    consumer: &Consumer,
    mut aggregates: Vec<String>,
) -> Result<Vec<String>, Error> {
    let sql = "SELECT EXISTS (SELECT 1 FROM cronx_journal_dead
         WHERE consumer = ?1 AND aggregate = ?2)";
    let mut statement =
        store.connection.prepare_cached(sql).map_err(failed("read", &store.place))?;
    let mut failure = Ok(());
    aggregates.retain(|aggregate| {
        let found = statement.query_row([consumer.as_str(), aggregate], |row| row.get(0));
        found.unwrap_or_else(|error| {
            failure = Err(failed("read", &store.place)(error));
            false
        })
    });
    failure.map(|()| aggregates)
}

pub(super) fn revive(
    store: &mut Store,
    consumer: &Consumer,
    position: Position,
) -> Result<(), Error> {
    let sql = "DELETE FROM cronx_journal_dead WHERE consumer = ?1 AND position = ?2";
    let gone = store.connection.execute(sql, params![consumer.as_str(), position.0]);
    gone.map(|_| ()).map_err(failed("write", &store.place))
}
