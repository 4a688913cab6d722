//! Events as rows, which are doubted when they are read.

use cronx_scheduler::{TraceId, Utc};
use rusqlite::{Row, params_from_iter};

use super::{Store, failed};
use crate::Error;
use crate::journal::{Event, EventId, Payload, Position};

/// The columns of an event, in the order of [`read`].
pub(super) const COLUMNS: &str =
    "position, id, aggregate, version, who, what, trace, at_ns, payload";
/// What is read at once stays below this, but for one event.
pub(super) const BYTES_MOST: usize = 8 << 20;

fn number(row: &Row, column: usize) -> rusqlite::Result<u128> {
    let bytes: [u8; 16] = row.get(column)?;
    Ok(u128::from_be_bytes(bytes))
}

pub(super) fn read(row: &Row) -> rusqlite::Result<Event> {
    let trace: Option<[u8; 16]> = row.get(6)?;
    let version: i64 = row.get(3)?;
    Ok(Event {
        position: Position(row.get(0)?),
        id: EventId(number(row, 1)?),
        aggregate: row.get(2)?,
        version: version as u64,
        who: row.get(4)?,
        what: row.get(5)?,
        trace: trace.map(|trace| TraceId(u128::from_be_bytes(trace))),
        at: Utc(row.get(7)?),
        payload: Payload::trusted(row.get_ref(8)?.as_str()?),
    })
}

impl Store {
    /// Events of a query, until there is enough of them.
    pub(super) fn events(&self, sql: &str, values: &[i64]) -> Result<Vec<Event>, Error> {
        self.rows(sql, values).map_err(failed("read", &self.place))
    }

    fn rows(&self, sql: &str, values: &[i64]) -> rusqlite::Result<Vec<Event>> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(params_from_iter(values))?;
        let (mut events, mut bytes) = (Vec::new(), 0);
        while bytes < BYTES_MOST
            && let Some(row) = rows.next()?
        {
            let event = read(row)?;
            bytes += event.payload.as_str().len() + 256;
            events.push(event);
        }
        Ok(events)
    }
}
