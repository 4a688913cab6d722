//! The tables: what a question is about is locked, read, and written, in one transaction.

use cronx_scheduler::{Course, Utc};
use deadpool_postgres::Transaction;
use tokio_postgres::Row as SqlRow;
use tokio_postgres::types::ToSql;

use super::{Inner, failed};
use crate::Error;
use crate::act::{Act, Change, Reply, Seen, Wants};
use crate::claim::{Entry, Fence};
use crate::fingerprint::Fingerprint;
use crate::key::{JobId, Key};
use crate::row::{CourseRow, EntryRow};
use crate::store::{Look, Row};

const ENTRY: &str =
    "SELECT key, job, fence, attempt, fingerprint, state, said, bid, until_ns, since_ns
     FROM cronx.entries";

pub(super) async fn act(inner: &Inner, act: &Act) -> Result<Reply, Error> {
    let place = &inner.place;
    let mut client = inner.client().await?;
    let transaction = client.transaction().await.map_err(failed("ask", place))?;
    let table = Table { transaction: &transaction, inner };
    table.lock(&act.wants()).await?;
    let outcome = act.on(&table.seen(&act.wants()).await?);
    for (key, entry) in &outcome.entries {
        table.put_entry(&EntryRow::of(key, entry)).await?;
    }
    if let Some(job) = act.wants().course {
        table.change(job, &outcome.course).await?;
    }
    transaction.commit().await.map_err(failed("write", place))?;
    Ok(outcome.reply)
}

/// A transaction, and what is said about it.
struct Table<'a> {
    transaction: &'a Transaction<'a>,
    inner: &'a Inner,
}

/// A lock's number. Two things of one number only wait for each other.
fn number(kind: &str, name: &str) -> i64 {
    let digest = Fingerprint::of(format!("lock {kind} {name}").as_bytes()).0;
    let (first, _) = digest.split_first_chunk().expect("a digest has 32 bytes");
    i64::from_be_bytes(*first)
}

impl Table<'_> {
    /// In one order, so that nobody waits for one who waits for him. What is only checked is shared.
    async fn lock(&self, wants: &Wants<'_>) -> Result<(), Error> {
        let own = wants.entry.map(|key| number("key", key.as_str()));
        let course = wants.course.map(|job| number("job", &job.to_string()));
        let guard = wants.guard.map(|key| number("key", key.as_str()));
        let guard = guard.filter(|guard| own != Some(*guard));
        let mut locks: Vec<(i64, bool)> =
            [own, course].into_iter().flatten().map(|n| (n, false)).collect();
        locks.extend(guard.map(|number| (number, true)));
        locks.sort_unstable();
        for (number, is_shared) in locks {
            let shared = if is_shared { "_shared" } else { "" };
            let sql = format!("SELECT pg_advisory_xact_lock{shared}($1)");
            self.execute(&sql, &[&number]).await?;
        }
        Ok(())
    }

    async fn seen(&self, wants: &Wants<'_>) -> Result<Seen, Error> {
        Ok(Seen {
            now: self.now().await?,
            floor: Fence::default(),
            entry: self.entry(wants.entry).await?,
            guard: self.entry(wants.guard).await?,
            course: self.course(wants.course).await?,
            open: self.open(wants.course.filter(|_| wants.open)).await?,
        })
    }

    async fn now(&self) -> Result<Utc, Error> {
        if let Some(told) = self.inner.clock.told() {
            return Ok(told);
        }
        let sql = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint * 1000";
        let rows = self.query(sql, &[]).await?;
        Ok(Utc(rows.first().map_or(0, |row| row.get(0))))
    }

    async fn entry(&self, key: Option<&Key>) -> Result<Option<Entry>, Error> {
        let Some(key) = key else { return Ok(None) };
        let rows = self.query(&format!("{ENTRY} WHERE key = $1"), &[&key.as_str()]).await?;
        let row = rows.first().map(|row| entry_row(row).read(&self.inner.place)).transpose()?;
        Ok(row.map(|(_, entry)| entry))
    }

    async fn course(&self, job: Option<&JobId>) -> Result<Option<Course>, Error> {
        let Some(job) = job else { return Ok(None) };
        let sql = "SELECT job, cursor_ns, ahead FROM cronx.courses WHERE job = $1";
        let rows = self.query(sql, &[&job.to_string()]).await?;
        let row = rows.first().map(|row| course_row(row).read(&self.inner.place)).transpose()?;
        Ok(row.map(|(_, course)| course))
    }

    async fn open(&self, job: Option<&JobId>) -> Result<Vec<(Key, Entry)>, Error> {
        let Some(job) = job else { return Ok(Vec::new()) };
        let sql = format!("{ENTRY} WHERE job = $1 AND state < 3 ORDER BY key");
        let rows = self.query(&sql, &[&job.to_string()]).await?;
        rows.iter().map(|row| entry_row(row).read(&self.inner.place)).collect()
    }

    async fn put_entry(&self, row: &EntryRow) -> Result<(), Error> {
        let sql = "INSERT INTO cronx.entries
                (key, job, fence, attempt, fingerprint, state, said, bid, until_ns, since_ns)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
             ON CONFLICT (key) DO UPDATE SET fence = $3, attempt = $4, fingerprint = $5, state = $6,
                said = $7, bid = $8, until_ns = $9, since_ns = $10";
        let EntryRow { key, job, fence, attempt, fingerprint, state, said, bid, .. } = row;
        let (until, since) = (&row.until_ns, &row.since_ns);
        self.execute(sql, &[key, job, fence, attempt, fingerprint, state, said, bid, until, since])
            .await
    }

    async fn change(&self, job: &JobId, change: &Change) -> Result<(), Error> {
        match change {
            Change::None => Ok(()),
            Change::Drop => {
                self.execute("DELETE FROM cronx.courses WHERE job = $1", &[&job.to_string()]).await
            }
            Change::Set(course) => {
                let CourseRow { job, cursor_ns, ahead } = CourseRow::of(job, course);
                let sql = "INSERT INTO cronx.courses (job, cursor_ns, ahead) VALUES ($1, $2, $3)
                     ON CONFLICT (job) DO UPDATE SET cursor_ns = $2, ahead = $3";
                self.execute(sql, &[&job, &cursor_ns, &ahead]).await
            }
        }
    }

    async fn execute(&self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<(), Error> {
        let statement = self.transaction.prepare_cached(sql).await;
        let statement = statement.map_err(failed("ask", &self.inner.place))?;
        let done = self.transaction.execute(&statement, values).await;
        done.map(|_| ()).map_err(failed("write", &self.inner.place))
    }

    async fn query(&self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<Vec<SqlRow>, Error> {
        let statement = self.transaction.prepare_cached(sql).await;
        let statement = statement.map_err(failed("ask", &self.inner.place))?;
        self.transaction.query(&statement, values).await.map_err(failed("read", &self.inner.place))
    }
}

/// See [`Ledger::entries`](crate::Ledger::entries).
pub(super) async fn entries(
    inner: &Inner,
    look: &Look,
    job: Option<&JobId>,
    most: usize,
) -> Result<Vec<Row<(Key, Entry)>>, Error> {
    let (after, order) = match look {
        Look::After(key) => (key.as_ref().map_or("", Key::as_str), "key"),
        Look::Last => ("", "since_ns DESC, key"),
    };
    let (job, most) = (job.map(JobId::to_string), i64::try_from(most).unwrap_or(i64::MAX));
    let sql = format!(
        "{ENTRY} WHERE key > $1 AND ($2::text IS NULL OR job = $2) ORDER BY {order} LIMIT $3"
    );
    let rows = inner.client().await?.query(&sql, &[&after, &job, &most]).await;
    let rows = rows.map_err(failed("read", &inner.place))?;
    Ok(rows.iter().map(|row| entry_row(row).read(&inner.place)).collect())
}

/// See [`Ledger::courses`](crate::Ledger::courses).
pub(super) async fn courses(inner: &Inner) -> Result<Vec<Row<(JobId, Course)>>, Error> {
    let sql = "SELECT job, cursor_ns, ahead FROM cronx.courses ORDER BY job";
    let rows = inner.client().await?.query(sql, &[]).await.map_err(failed("read", &inner.place))?;
    Ok(rows.iter().map(|row| course_row(row).read(&inner.place)).collect())
}

fn entry_row(row: &SqlRow) -> EntryRow {
    EntryRow {
        key: row.get(0),
        job: row.get(1),
        fence: row.get(2),
        attempt: row.get(3),
        fingerprint: row.get(4),
        state: row.get(5),
        said: row.get(6),
        bid: row.get(7),
        until_ns: row.get(8),
        since_ns: row.get(9),
    }
}

fn course_row(row: &SqlRow) -> CourseRow {
    CourseRow { job: row.get(0), cursor_ns: row.get(1), ahead: row.get(2) }
}
