//! The tables of a file: rows read and written, within whatever transaction there is.

use std::time::Duration;

use cronx_scheduler::Course;
use rusqlite::{Connection, OptionalExtension, params};

use super::failed;
use crate::Error;
use crate::act::{Act, Change, Reply, Seen};
use crate::claim::Entry;
use crate::clock::Clock;
use crate::key::{JobId, Key, of_tenant};
use crate::row::{CourseRow, EntryRow, prunable};
use crate::store::{Look, Row};

const ENTRY: &str =
    "SELECT key, job, fence, attempt, fingerprint, state, said, bid, until_ns, since_ns
    FROM entries";

/// A connection, and what is said about it.
pub(super) struct Table {
    pub(super) connection: Connection,
    pub(super) place: String,
    pub(super) clock: Clock,
}

impl Table {
    /// Reads, asks, writes. On an error the transaction must go.
    pub(super) fn act(&self, act: &Act) -> Result<Reply, Error> {
        let outcome = act.on(&self.seen(act)?);
        for (key, entry) in &outcome.entries {
            self.put_entry(&EntryRow::of(key, entry)).map_err(failed("write", &self.place))?;
        }
        if let Some(job) = act.wants().course {
            self.change(job, &outcome.course).map_err(failed("write", &self.place))?;
        }
        Ok(outcome.reply)
    }

    fn seen(&self, act: &Act) -> Result<Seen, Error> {
        let wants = act.wants();
        let entry = |key: Option<&Key>| key.map_or(Ok(None), |key| self.entry(key));
        let course = wants.course.map_or(Ok(None), |job| self.course(job))?;
        let open = wants.course.filter(|_| wants.open);
        Ok(Seen {
            now: self.clock.here(),
            entry: entry(wants.entry)?,
            guard: entry(wants.guard)?,
            course,
            open: open.map_or(Ok(Vec::new()), |job| self.open(job))?,
        })
    }

    fn entry(&self, key: &Key) -> Result<Option<Entry>, Error> {
        let rows = self.rows(&format!("{ENTRY} WHERE key = ?1"), params![key.as_str()])?;
        let row = rows.into_iter().next().map(|row| row.read(&self.place)).transpose()?;
        Ok(row.map(|(_, entry)| entry))
    }

    fn open(&self, job: &JobId) -> Result<Vec<(Key, Entry)>, Error> {
        let sql = format!("{ENTRY} WHERE job = ?1 AND state < 3 ORDER BY key");
        let rows = self.rows(&sql, params![job.to_string()])?;
        rows.into_iter().map(|row| row.read(&self.place)).collect()
    }

    fn rows(&self, sql: &str, values: &[&dyn rusqlite::ToSql]) -> Result<Vec<EntryRow>, Error> {
        let read = || -> rusqlite::Result<Vec<EntryRow>> {
            let mut statement = self.connection.prepare_cached(sql)?;
            statement.query_map(values, entry_row)?.collect()
        };
        read().map_err(failed("read", &self.place))
    }

    fn course(&self, job: &JobId) -> Result<Option<Course>, Error> {
        let read = || -> rusqlite::Result<Option<CourseRow>> {
            let sql = "SELECT job, cursor_ns, ahead FROM courses WHERE job = ?1";
            let mut statement = self.connection.prepare_cached(sql)?;
            statement.query_row([job.to_string()], course_row).optional()
        };
        let row = read().map_err(failed("read", &self.place))?;
        let row = row.map(|row| row.read(&self.place)).transpose()?;
        Ok(row.map(|(_, course)| course))
    }

    fn put_entry(&self, row: &EntryRow) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare_cached(
            "INSERT INTO entries (key, job, fence, attempt, fingerprint, state, said, bid, until_ns, since_ns)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
             ON CONFLICT (key) DO UPDATE SET fence = ?3, attempt = ?4, fingerprint = ?5, state = ?6,
                said = ?7, bid = ?8, until_ns = ?9, since_ns = ?10",
        )?;
        let EntryRow { key, job, fence, attempt, fingerprint, state, said, bid, .. } = row;
        let (until, since) = (row.until_ns, row.since_ns);
        let values = params![key, job, fence, attempt, fingerprint, state, said, bid, until, since];
        statement.execute(values).map(|_| ())
    }

    fn change(&self, job: &JobId, change: &Change) -> rusqlite::Result<()> {
        let course = match change {
            Change::None => return Ok(()),
            Change::Drop => {
                let sql = "DELETE FROM courses WHERE job = ?1";
                return self.connection.execute(sql, [job.to_string()]).map(|_| ());
            }
            Change::Set(course) => CourseRow::of(job, course),
        };
        let mut statement = self.connection.prepare_cached(
            "INSERT INTO courses (job, cursor_ns, ahead) VALUES (?1, ?2, ?3)
             ON CONFLICT (job) DO UPDATE SET cursor_ns = ?2, ahead = ?3",
        )?;
        statement.execute(params![course.job, course.cursor_ns, course.ahead]).map(|_| ())
    }

    /// See [`Ledger::entries`](crate::Ledger::entries).
    pub(super) fn entries(
        &self,
        look: &Look,
        job: Option<&JobId>,
        most: usize,
    ) -> Result<Vec<Row<(Key, Entry)>>, Error> {
        let (after, order) = match look {
            Look::After(key) => (key.as_ref().map_or("", Key::as_str), "key"),
            Look::Last => ("", "since_ns DESC, key"),
        };
        let job = job.map(JobId::to_string);
        let sql = format!(
            "{ENTRY} WHERE key > ?1 AND (?2 IS NULL OR job = ?2) ORDER BY {order} LIMIT ?3"
        );
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let rows = self.rows(&sql, params![after, job, most])?;
        Ok(rows.into_iter().map(|row| row.read(&self.place)).collect())
    }

    /// See [`Ledger::courses`](crate::Ledger::courses).
    pub(super) fn courses(&self) -> Result<Vec<Row<(JobId, Course)>>, Error> {
        let read = || -> rusqlite::Result<Vec<CourseRow>> {
            let sql = "SELECT job, cursor_ns, ahead FROM courses ORDER BY job";
            let mut statement = self.connection.prepare_cached(sql)?;
            statement.query_map([], course_row)?.collect()
        };
        let rows = read().map_err(failed("read", &self.place))?;
        Ok(rows.into_iter().map(|row| row.read(&self.place)).collect())
    }

    /// See [`Ledger::prune`](crate::Ledger::prune).
    pub(super) fn prune(
        &self,
        tenant: &str,
        done_for: Duration,
        most: usize,
    ) -> Result<usize, Error> {
        // With a sign, a column is no reason to take another index than that of the time.
        let sql = format!(
            "DELETE FROM entries WHERE key IN (SELECT key FROM entries
                WHERE since_ns < ?1 AND +key > ?3 AND +key < ?4 AND {} ORDER BY since_ns LIMIT ?2)",
            prunable("entries", "key", "courses")
        );
        let before = self.clock.here() - done_for;
        let (first, last) = of_tenant(tenant);
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let pruned = self.connection.prepare_cached(&sql);
        let pruned =
            pruned.and_then(|mut prune| prune.execute(params![before.0, most, first, last]));
        pruned.map_err(failed("prune", &self.place))
    }

    /// What SQLite itself has against the file.
    pub(super) fn check(&self) -> Result<Vec<String>, Error> {
        let read = || -> rusqlite::Result<Vec<String>> {
            let mut statement = self.connection.prepare("PRAGMA integrity_check")?;
            statement.query_map([], |row| row.get(0))?.collect()
        };
        let lines = read().map_err(failed("check", &self.place))?;
        Ok(lines.into_iter().filter(|line| line != "ok").collect())
    }
}

fn entry_row(row: &rusqlite::Row) -> rusqlite::Result<EntryRow> {
    Ok(EntryRow {
        key: row.get(0)?,
        job: row.get(1)?,
        fence: row.get(2)?,
        attempt: row.get(3)?,
        fingerprint: row.get(4)?,
        state: row.get(5)?,
        said: row.get(6)?,
        bid: row.get(7)?,
        until_ns: row.get(8)?,
        since_ns: row.get(9)?,
    })
}

fn course_row(row: &rusqlite::Row) -> rusqlite::Result<CourseRow> {
    Ok(CourseRow { job: row.get(0)?, cursor_ns: row.get(1)?, ahead: row.get(2)? })
}
