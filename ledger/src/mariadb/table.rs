//! The tables: what a question is about is made, locked, read, and written, in one transaction.

use std::time::Duration;

use cronx_scheduler::{Course, Utc};
use mysql_async::prelude::{FromValue, Queryable};
use mysql_async::{Conn, IsolationLevel, Params, Row as SqlRow, Transaction, TxOpts, Value};

use super::{Inner, failed};
use crate::Error;
use crate::act::{Act, Change, Reply, Seen, Wants};
use crate::claim::Entry;
use crate::key::{JobId, Key};
use crate::row::{CourseRow, EntryRow, prunable};
use crate::store::{Look, Row};

const ENTRY: &str =
    "SELECT entry, job, fence, attempt, fingerprint, state, said, bid, until_ns, since_ns
     FROM cronx_entries";
/// Of a row that was made to be locked: there is no such entry.
const ABSENT: i16 = 0;

pub(super) async fn act(inner: &Inner, act: &Act) -> Result<Reply, Error> {
    let place = &inner.place;
    let mut connection = inner.connection().await?;
    let mut table = Table::begin(inner, &mut connection).await?;
    let wants = act.wants();
    let seen = table.seen(&wants).await?;
    let outcome = act.on(&seen);
    for (key, entry) in &outcome.entries {
        table.put_entry(EntryRow::of(key, entry)).await?;
    }
    if let Some(job) = wants.course {
        table.change(job, &outcome.course).await?;
    }
    table.sweep(&wants, &seen).await?;
    table.transaction.commit().await.map_err(failed("write", place))?;
    Ok(outcome.reply)
}

/// A transaction, and what is said about it.
struct Table<'a> {
    transaction: Transaction<'a>,
    inner: &'a Inner,
}

impl<'a> Table<'a> {
    async fn begin(inner: &'a Inner, connection: &'a mut Conn) -> Result<Self, Error> {
        let mut level = TxOpts::default();
        level.with_isolation_level(IsolationLevel::ReadCommitted);
        let transaction = connection.start_transaction(level).await;
        Ok(Self { transaction: transaction.map_err(failed("ask", &inner.place))?, inner })
    }

    /// Each question locks in this order, so that nobody waits for one who waits for him.
    async fn seen(&mut self, wants: &Wants<'_>) -> Result<Seen, Error> {
        let course = self.course(wants.course).await?;
        let entry = self.entry(wants.entry).await?;
        let guard = self.guard(wants.guard).await?;
        let open = self.open(wants.course.filter(|_| wants.open)).await?;
        let now = self.now().await?;
        Ok(Seen { now, entry, guard, course, open })
    }

    async fn now(&mut self) -> Result<Utc, Error> {
        if let Some(told) = self.inner.clock.told() {
            return Ok(told);
        }
        let sql = "SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) * 1000";
        let rows = self.query(sql, vec![]).await?;
        let row = rows.into_iter().next();
        Ok(Utc(row.map_or(Ok(0), |row| Cells::new(row, &self.inner.place).take())?))
    }

    async fn entry(&mut self, key: Option<&Key>) -> Result<Option<Entry>, Error> {
        let Some(key) = key else { return Ok(None) };
        // A row that is there is locked for writing at once, not first for reading.
        let make = "INSERT INTO cronx_entries (entry, fence, attempt, state, said, since_ns)
             VALUES (?, 0, 0, 0, '', 0) ON DUPLICATE KEY UPDATE fence = fence";
        self.execute(make, vec![key.as_str().into()]).await?;
        self.one(&format!("{ENTRY} WHERE entry = ? FOR UPDATE"), key).await
    }

    async fn guard(&mut self, key: Option<&Key>) -> Result<Option<Entry>, Error> {
        let Some(key) = key else { return Ok(None) };
        self.one(&format!("{ENTRY} WHERE entry = ? LOCK IN SHARE MODE"), key).await
    }

    async fn one(&mut self, sql: &str, key: &Key) -> Result<Option<Entry>, Error> {
        let rows = self.query(sql, vec![key.as_str().into()]).await?;
        let Some(row) = rows.into_iter().next() else { return Ok(None) };
        let row = entry_row(row, &self.inner.place)?;
        if row.state == ABSENT {
            return Ok(None);
        }
        Ok(Some(row.read(&self.inner.place)?.1))
    }

    async fn course(&mut self, job: Option<&JobId>) -> Result<Option<Course>, Error> {
        let Some(job) = job.map(JobId::to_string) else { return Ok(None) };
        let make = "INSERT INTO cronx_courses (job, ahead) VALUES (?, '')
             ON DUPLICATE KEY UPDATE job = job";
        self.execute(make, vec![job.as_str().into()]).await?;
        let sql = "SELECT job, cursor_ns, ahead FROM cronx_courses
             WHERE job = ? AND cursor_ns IS NOT NULL FOR UPDATE";
        let rows = self.query(sql, vec![job.into()]).await?;
        let Some(row) = rows.into_iter().next() else { return Ok(None) };
        let place = &self.inner.place;
        Ok(Some(course_row(row, place)?.read(place)?.1))
    }

    async fn open(&mut self, job: Option<&JobId>) -> Result<Vec<(Key, Entry)>, Error> {
        let Some(job) = job else { return Ok(Vec::new()) };
        let sql = format!("{ENTRY} WHERE job = ? AND state IN (1, 2) ORDER BY entry FOR UPDATE");
        let rows = self.query(&sql, vec![job.to_string().into()]).await?;
        let place = &self.inner.place;
        rows.into_iter().map(|row| entry_row(row, place)?.read(place)).collect()
    }

    async fn put_entry(&mut self, row: EntryRow) -> Result<(), Error> {
        let EntryRow { key, job, fence, attempt, fingerprint, state, said, bid, .. } = row;
        let sql =
            "UPDATE cronx_entries SET job = ?, fence = ?, attempt = ?, fingerprint = ?, state = ?,
                said = ?, bid = ?, until_ns = ?, since_ns = ? WHERE entry = ?";
        let values = vec![
            job.into(),
            fence.into(),
            attempt.into(),
            fingerprint.into(),
            state.into(),
            said.into(),
            bid.into(),
            row.until_ns.into(),
            row.since_ns.into(),
            key.into(),
        ];
        self.execute(sql, values).await
    }

    async fn change(&mut self, job: &JobId, change: &Change) -> Result<(), Error> {
        match change {
            Change::None => Ok(()),
            Change::Drop => {
                let sql = "DELETE FROM cronx_courses WHERE job = ?";
                self.execute(sql, vec![job.to_string().into()]).await
            }
            Change::Set(course) => {
                let CourseRow { job, cursor_ns, ahead } = CourseRow::of(job, course);
                let sql = "UPDATE cronx_courses SET cursor_ns = ?, ahead = ? WHERE job = ?";
                self.execute(sql, vec![cursor_ns.into(), ahead.into(), job.into()]).await
            }
        }
    }

    /// Rows that were made to be locked, and of which nothing became, go again.
    async fn sweep(&mut self, wants: &Wants<'_>, seen: &Seen) -> Result<(), Error> {
        if let Some(key) = wants.entry.filter(|_| seen.entry.is_none()) {
            let sql = "DELETE FROM cronx_entries WHERE entry = ? AND state = 0";
            self.execute(sql, vec![key.as_str().into()]).await?;
        }
        if let Some(job) = wants.course.filter(|_| seen.course.is_none()) {
            let sql = "DELETE FROM cronx_courses WHERE job = ? AND cursor_ns IS NULL";
            self.execute(sql, vec![job.to_string().into()]).await?;
        }
        Ok(())
    }

    async fn execute(&mut self, sql: &str, values: Vec<Value>) -> Result<(), Error> {
        let done = self.transaction.exec_drop(sql, positional(values)).await;
        done.map_err(failed("write", &self.inner.place))
    }

    async fn query(&mut self, sql: &str, values: Vec<Value>) -> Result<Vec<SqlRow>, Error> {
        let rows = self.transaction.exec(sql, positional(values)).await;
        rows.map_err(failed("read", &self.inner.place))
    }
}

fn positional(values: Vec<Value>) -> Params {
    if values.is_empty() { Params::Empty } else { Params::Positional(values) }
}

/// See [`Ledger::entries`](crate::Ledger::entries).
pub(super) async fn entries(
    inner: &Inner,
    look: &Look,
    job: Option<&JobId>,
    most: usize,
) -> Result<Vec<Row<(Key, Entry)>>, Error> {
    let (after, order) = match look {
        Look::After(key) => (key.as_ref().map_or("", Key::as_str), "entry"),
        Look::Last => ("", "since_ns DESC, entry"),
    };
    let job = job.map(JobId::to_string);
    let sql = format!(
        "{ENTRY} WHERE state > 0 AND entry > ? AND (? IS NULL OR job = ?) ORDER BY {order} LIMIT ?"
    );
    let most = u64::try_from(most).unwrap_or(u64::MAX);
    let values = vec![after.into(), job.clone().into(), job.into(), most.into()];
    let place = &inner.place;
    let rows: Vec<SqlRow> = inner
        .connection()
        .await?
        .exec(sql, positional(values))
        .await
        .map_err(failed("read", place))?;
    Ok(rows.into_iter().map(|row| entry_row(row, place)?.read(place)).collect())
}

/// See [`Ledger::courses`](crate::Ledger::courses).
pub(super) async fn courses(inner: &Inner) -> Result<Vec<Row<(JobId, Course)>>, Error> {
    let sql =
        "SELECT job, cursor_ns, ahead FROM cronx_courses WHERE cursor_ns IS NOT NULL ORDER BY job";
    let place = &inner.place;
    let rows: Vec<SqlRow> =
        inner.connection().await?.query(sql).await.map_err(failed("read", place))?;
    Ok(rows.into_iter().map(|row| course_row(row, place)?.read(place)).collect())
}

/// See [`Ledger::prune`](crate::Ledger::prune).
pub(super) async fn prune(
    inner: &Inner,
    (first, last): (String, String),
    done_for: Duration,
    most: usize,
) -> Result<usize, Error> {
    let mut connection = inner.connection().await?;
    let mut table = Table::begin(inner, &mut connection).await?;
    let before = (table.now().await? - done_for).0;
    let most = u64::try_from(most).unwrap_or(u64::MAX);
    // Rows that were only made to be locked are of the beginning of time.
    let sql = format!(
        "DELETE FROM cronx_entries WHERE since_ns > 0 AND since_ns < ? AND entry > ? AND entry < ? AND {}
         ORDER BY since_ns LIMIT ?",
        prunable("cronx_entries", "entry", "cronx_courses")
    );
    table.execute(&sql, vec![before.into(), first.into(), last.into(), most.into()]).await?;
    let pruned = table.transaction.affected_rows();
    table.transaction.commit().await.map_err(failed("prune", &inner.place))?;
    Ok(pruned as usize)
}

/// A row's values, one after the other. Whatever a column has become, it is no panic.
struct Cells<'a> {
    row: SqlRow,
    next: usize,
    place: &'a str,
}

impl<'a> Cells<'a> {
    fn new(row: SqlRow, place: &'a str) -> Self {
        Self { row, next: 0, place }
    }

    fn take<T: FromValue>(&mut self) -> Result<T, Error> {
        let place = self.next;
        self.next += 1;
        let value = self.row.take_opt(place).and_then(Result::ok);
        value.ok_or_else(|| Error::Torn {
            place: self.place.to_owned(),
            row: "a table".to_owned(),
            reason: format!("column {place} of the query has another type"),
        })
    }
}

fn entry_row(row: SqlRow, place: &str) -> Result<EntryRow, Error> {
    let mut cells = Cells::new(row, place);
    Ok(EntryRow {
        key: cells.take()?,
        job: cells.take()?,
        fence: cells.take()?,
        attempt: cells.take()?,
        fingerprint: cells.take()?,
        state: cells.take()?,
        said: cells.take()?,
        bid: cells.take()?,
        until_ns: cells.take()?,
        since_ns: cells.take()?,
    })
}

fn course_row(row: SqlRow, place: &str) -> Result<CourseRow, Error> {
    let mut cells = Cells::new(row, place);
    Ok(CourseRow { job: cells.take()?, cursor_ns: cells.take()?, ahead: cells.take()? })
}
