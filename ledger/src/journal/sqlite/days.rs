//! Days: reading over all of them, and what becomes of each.

use cronx_scheduler::Utc;
use rusqlite::{Connection, Transaction, params};

use super::{Store, failed, offsets, row, schema};
use crate::Error;
use crate::journal::day::Summing;
use crate::journal::tables::Dropped;
use crate::journal::{Day, Event, Position, Seal, Standing, Tier};

const HOT: i64 = 0;
const WARM: i64 = 1;
const COLD: i64 = 2;
/// Of a table that is not complete yet.
const RESTORING: &str = "_restoring";
const PAGE: usize = 4096;

pub(super) fn all(connection: &Connection, place: &str) -> Result<Vec<Standing>, Error> {
    let sql = "SELECT day, tier, since_ns, restored, count, first, last, digest
         FROM cronx_journal_days ORDER BY day";
    let mut statement = connection.prepare_cached(sql).map_err(failed("read", place))?;
    let rows = statement.query_map([], standing).map_err(failed("read", place))?;
    rows.collect::<rusqlite::Result<_>>().map_err(failed("read", place))
}

fn standing(row: &rusqlite::Row) -> rusqlite::Result<Standing> {
    let tier: i64 = row.get(1)?;
    let seal = |row: &rusqlite::Row| {
        let (count, digest): (i64, _) = (row.get(4)?, row.get(7)?);
        let (first, last) = (Position(row.get(5)?), Position(row.get(6)?));
        Ok::<_, rusqlite::Error>(Seal { count: count as u64, first, last, digest })
    };
    let tier = match tier {
        HOT => Tier::Hot,
        WARM => Tier::Warm(seal(row)?),
        COLD => Tier::Cold(seal(row)?),
        other => return Err(rusqlite::Error::IntegralValueOutOfRange(1, other)),
    };
    let (day, since) = (Day(row.get(0)?), Utc(row.get(2)?));
    Ok(Standing { day, tier, since, is_restored: row.get(3)? })
}

fn one(connection: &Connection, place: &str, day: Day) -> Result<Standing, Error> {
    let found = all(connection, place)?.into_iter().find(|standing| standing.day == day);
    found.ok_or_else(|| refused(place, day, "there is no such day"))
}

fn refused(place: &str, day: Day, reason: &str) -> Error {
    let (what, place) = ("keep the days of", place.to_owned());
    Error::Unavailable { what, place, reason: format!("{day}: {reason}") }
}

/// Over all days that are in the store, in one look.
pub(super) fn read(store: &Store, after: Position, most: usize) -> Result<Vec<Event>, Error> {
    let place = &store.place;
    let look = store.connection.unchecked_transaction().map_err(failed("read", place))?;
    let mut events = Vec::new();
    let mut bytes = 0;
    for standing in all(&look, place)? {
        let is_passed = match standing.tier {
            Tier::Hot => false,
            Tier::Warm(seal) => seal.last <= after,
            Tier::Cold(_) => true,
        };
        if is_passed || events.len() >= most || bytes >= row::BYTES_MOST {
            continue;
        }
        let page = page(store, standing.day, after, most - events.len())?;
        bytes += page.iter().map(|event| event.payload.as_str().len() + 256).sum::<usize>();
        events.extend(page);
    }
    Ok(events)
}

pub(super) fn page(
    store: &Store,
    day: Day,
    after: Position,
    most: usize,
) -> Result<Vec<Event>, Error> {
    page_of(store, &schema::table(day), after, most)
}

fn page_of(store: &Store, table: &str, after: Position, most: usize) -> Result<Vec<Event>, Error> {
    let sql = format!(
        "SELECT {} FROM {table} WHERE position > ?1 ORDER BY position LIMIT ?2",
        row::COLUMNS
    );
    store.events(&sql, &[after.0, most as i64])
}

fn sum(store: &Store, table: &str) -> Result<Seal, Error> {
    let (mut sum, mut after) = (Summing::default(), Position(0));
    loop {
        let page = page_of(store, table, after, PAGE)?;
        let Some(last) = page.last() else { return Ok(sum.seal()) };
        after = last.position;
        for event in &page {
            sum.add(event);
        }
    }
}

pub(super) fn seal(store: &mut Store, day: Day) -> Result<Seal, Error> {
    if let Tier::Warm(seal) | Tier::Cold(seal) = one(&store.connection, &store.place, day)?.tier {
        return Ok(seal);
    }
    let place = store.place.clone();
    store.write(|transaction, _| {
        // A clock that goes back appends after it, not into it.
        let sql = "UPDATE cronx_journal SET last_ns = max(last_ns, ?1)";
        let closed = transaction.execute(sql, [day.ends().0]);
        closed
            .and_then(|_| schema::close_day(transaction, day))
            .map_err(failed("seal a day of", &place))
    })?;
    let seal = sum(store, &schema::table(day))?;
    store.write(|transaction, now| {
        stand(transaction, day, Tier::Warm(seal), now, false)
            .map_err(failed("seal a day of", &place))
    })?;
    Ok(seal)
}

fn stand(
    transaction: &Transaction,
    day: Day,
    tier: Tier,
    since: Utc,
    is_restored: bool,
) -> rusqlite::Result<()> {
    let (tier, seal) = match tier {
        Tier::Hot => (HOT, None),
        Tier::Warm(seal) => (WARM, Some(seal)),
        Tier::Cold(seal) => (COLD, Some(seal)),
    };
    let sql = "UPDATE cronx_journal_days SET tier = ?2, since_ns = ?3, restored = ?4,
            count = ?5, first = ?6, last = ?7, digest = ?8 WHERE day = ?1";
    let (count, digest) = (seal.map(|s| s.count as i64), seal.map(|seal| seal.digest));
    let (first, last) = (seal.map(|seal| seal.first.0), seal.map(|seal| seal.last.0));
    let values = params![day.0, tier, since.0, is_restored, count, first, last, digest];
    transaction.execute(sql, values).map(|_| ())
}

pub(super) fn drop_day(store: &mut Store, day: Day, stragglers: bool) -> Result<Dropped, Error> {
    let place = store.place.clone();
    store.write(|transaction, now| {
        let seal = match one(transaction, &place, day)?.tier {
            Tier::Warm(seal) => seal,
            Tier::Cold(_) => return Ok(Dropped::Gone { stragglers: 0 }),
            Tier::Hot => return Err(refused(&place, day, "it is not sealed")),
        };
        let table = schema::table(day);
        let count =
            transaction.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0));
        let count: i64 = count.map_err(failed("read", &place))?;
        if count as u64 != seal.count {
            return Err(refused(&place, day, "its table is not what was sealed"));
        }
        let late = offsets::all(transaction, &place)?;
        let late: Vec<_> = late.into_iter().filter(|(_, offset)| *offset < seal.last).collect();
        if !late.is_empty() && !stragglers {
            return Ok(Dropped::Held);
        }
        let mut stragglers = 0;
        for (consumer, offset) in late {
            let sql = format!(
                "INSERT INTO cronx_journal_dead SELECT ?1, {}, 'not had when its day was dropped'
                 FROM {table} WHERE position > ?2 ON CONFLICT DO NOTHING",
                row::COLUMNS
            );
            let buried = transaction.execute(&sql, params![consumer.as_str(), offset.0]);
            stragglers += buried.map_err(failed("write", &place))? as u64;
        }
        let dropped = transaction.execute_batch(&format!("DROP TABLE {table}"));
        let cold = dropped.and_then(|()| stand(transaction, day, Tier::Cold(seal), now, false));
        cold.map_err(failed("drop a day of", &place))?;
        Ok(Dropped::Gone { stragglers })
    })
}

fn cold(connection: &Connection, place: &str, day: Day) -> Result<Seal, Error> {
    match one(connection, place, day)?.tier {
        Tier::Cold(seal) => Ok(seal),
        _ => Err(refused(place, day, "it is not cold")),
    }
}

pub(super) fn begin_restore(store: &mut Store, day: Day) -> Result<(), Error> {
    let place = store.place.clone();
    store.write(|transaction, _| {
        cold(transaction, &place, day)?;
        let table = schema::table(day) + RESTORING;
        let dropped = transaction.execute_batch(&format!("DROP TABLE IF EXISTS {table}"));
        let made = dropped.and_then(|()| schema::make_day(transaction, day, RESTORING));
        made.map_err(failed("restore a day of", &place))
    })
}

pub(super) fn restore(store: &mut Store, day: Day, events: &[Event]) -> Result<(), Error> {
    let place = store.place.clone();
    let sql = format!(
        "INSERT INTO {}{RESTORING} VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        schema::table(day)
    );
    store.write(|transaction, _| {
        let put = |event: &Event| {
            let Event { position, id, aggregate, version, who, what, trace, at, payload } = event;
            let (id, trace) = (id.0.to_be_bytes(), trace.map(|trace| trace.0.to_be_bytes()));
            let (version, payload) = (*version as i64, payload.as_str());
            let values =
                params![position.0, id, aggregate, version, who, what, trace, at.0, payload];
            transaction.prepare_cached(&sql)?.execute(values).map(|_| ())
        };
        events.iter().try_for_each(put).map_err(failed("restore a day of", &place))
    })
}

pub(super) fn end_restore(store: &mut Store, day: Day) -> Result<(), Error> {
    let place = store.place.clone();
    let seal = cold(&store.connection, &place, day)?;
    let table = schema::table(day);
    if sum(store, &(table.clone() + RESTORING))? != seal {
        return Err(refused(&place, day, "what was restored is not what was sealed"));
    }
    store.write(|transaction, now| {
        let sql = format!("ALTER TABLE {table}{RESTORING} RENAME TO {table}");
        let renamed = transaction.execute_batch(&sql);
        let closed = renamed.and_then(|()| schema::close_day(transaction, day));
        let warm = closed.and_then(|()| stand(transaction, day, Tier::Warm(seal), now, true));
        warm.map_err(failed("restore a day of", &place))
    })
}
