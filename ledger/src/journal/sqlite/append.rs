//! Appending, within the user's transaction.

use rusqlite::{Connection, OptionalExtension, params};

use super::{failed, schema};
use crate::Error;
use crate::clock::Clock;
use crate::journal::{Appended, Day, Draft, Position};

/// What the file is called.
pub(super) fn place(connection: &Connection) -> String {
    let path = connection.path().filter(|path| !path.is_empty());
    path.unwrap_or("a database in memory").to_owned()
}

/// Appends an event. `transaction` is whatever transaction the connection is in: the event is there when that
/// is committed, and not before; outside one it is an error. On an error nothing of it is left. One that has
/// read and not written yet cannot wait for another's writes, by SQLite's rules: begin it as `IMMEDIATE`.
pub fn append(transaction: &Connection, draft: &Draft, clock: &Clock) -> Result<Appended, Error> {
    draft.check()?;
    let place = place(transaction);
    if transaction.is_autocommit() {
        let reason = "there is no transaction: an event is appended in that of its effect";
        let (what, reason) = ("append to", reason.to_owned());
        return Err(Error::Unavailable { what, place, reason });
    }
    let run = |sql| transaction.prepare_cached(sql).and_then(|mut s| s.execute([]));
    run("SAVEPOINT cronx_journal").map_err(failed("append to", &place))?;
    let done = within(transaction, draft, clock);
    let is_new = matches!(done, Ok(Appended::Now { .. }));
    if !is_new {
        // Some errors end the whole transaction, and leave nothing to go back to.
        let _ = run("ROLLBACK TO cronx_journal");
    }
    let released = run("RELEASE cronx_journal");
    let done = done.map_err(failed("append to", &place))?;
    released.map_err(failed("append to", &place))?;
    Ok(done)
}

fn within(transaction: &Connection, draft: &Draft, clock: &Clock) -> rusqlite::Result<Appended> {
    // Whoever writes first can wait for others who write; whoever reads first is refused.
    transaction.prepare_cached("UPDATE cronx_journal SET position = position")?.execute([])?;
    let (id, fingerprint) = (draft.id.0.to_be_bytes(), draft.fingerprint().0);
    if let Some(before) = before(transaction, &id, &fingerprint)? {
        return Ok(before);
    }
    let head = head(transaction, &draft.aggregate)?;
    let version = head + 1;
    if draft.version.is_some_and(|wanted| wanted != version as u64) {
        return Ok(Appended::Conflict { head: head as u64 });
    }
    let mut place = transaction.prepare_cached(
        "UPDATE cronx_journal SET position = position + 1, last_ns = max(last_ns, ?1)
         RETURNING position, last_ns",
    )?;
    // Time stands still where the clock goes back: days are in the order of positions.
    let (position, at): (i64, i64) =
        place.query_row([clock.here().0], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let day = Day::of(cronx_scheduler::Utc(at));
    ensure(transaction, day, at)?;
    let insert =
        format!("INSERT INTO {} VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)", schema::table(day));
    let trace = draft.trace.map(|trace| trace.0.to_be_bytes());
    let (who, what, payload) = (&draft.who, &draft.what, draft.payload.as_str());
    transaction.prepare_cached(&insert)?.execute(params![
        position,
        id,
        draft.aggregate,
        version,
        who,
        what,
        trace,
        at,
        payload
    ])?;
    remember(transaction, draft, position, version, at)?;
    Ok(Appended::Now { position: Position(position), version: version as u64 })
}

fn before(
    transaction: &Connection,
    id: &[u8],
    fingerprint: &[u8],
) -> rusqlite::Result<Option<Appended>> {
    let sql = "SELECT fingerprint, position, version FROM cronx_journal_seen WHERE id = ?1";
    let mut seen = transaction.prepare_cached(sql)?;
    seen.query_row([id], |row| {
        if row.get_ref(0)?.as_blob()? != fingerprint {
            return Ok(Appended::Mismatch);
        }
        let (position, version): (_, i64) = (Position(row.get(1)?), row.get(2)?);
        Ok(Appended::Before { position, version: version as u64 })
    })
    .optional()
}

fn head(transaction: &Connection, aggregate: &str) -> rusqlite::Result<i64> {
    let sql = "SELECT version FROM cronx_journal_heads WHERE aggregate = ?1";
    let mut head = transaction.prepare_cached(sql)?;
    Ok(head.query_row([aggregate], |row| row.get(0)).optional()?.unwrap_or(0))
}

/// The day's table, made by its first event.
fn ensure(transaction: &Connection, day: Day, now: i64) -> rusqlite::Result<()> {
    let sql = "INSERT INTO cronx_journal_days (day, tier, since_ns, restored) VALUES (?1, 0, ?2, 0)
         ON CONFLICT DO NOTHING";
    let made = transaction.prepare_cached(sql)?.execute([day.0, now])?;
    if made == 1 { schema::make_day(transaction, day, "") } else { Ok(()) }
}

fn remember(
    transaction: &Connection,
    draft: &Draft,
    position: i64,
    version: i64,
    at: i64,
) -> rusqlite::Result<()> {
    let head = "INSERT INTO cronx_journal_heads VALUES (?1, ?2)
         ON CONFLICT DO UPDATE SET version = excluded.version";
    transaction.prepare_cached(head)?.execute(params![draft.aggregate, version])?;
    let seen = "INSERT INTO cronx_journal_seen VALUES (?1, ?2, ?3, ?4, ?5)";
    let (id, fingerprint) = (draft.id.0.to_be_bytes(), draft.fingerprint().0);
    transaction.prepare_cached(seen)?.execute(params![id, fingerprint, position, version, at])?;
    Ok(())
}
