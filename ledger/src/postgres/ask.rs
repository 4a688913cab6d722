//! A question: a transaction, and two ways to the server and back.
//!
//! ```text
//!  ─► BEGIN, locks, what time it is, what there is      ◄─ all of it
//!  ─► what becomes of it, COMMIT                        ◄─ whether it is written
//! ```
//! What goes one way together is sent at once, and the server does one after the other: a statement that reads
//! begins, with a snapshot of its own, when the locks before it are had. Where one fails, so does all that
//! comes after it in its transaction, and its COMMIT writes nothing.

use cronx_scheduler::{Course, Utc};
use deadpool_postgres::Object;
use futures_util::future::join_all;
use tokio::join;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Statement};

use super::Inner;
use super::table::{COURSE, ENTRY, course_row, entry_row};
use crate::Error;
use crate::act::{Act, Change, Outcome, Reply, Seen, Wants};
use crate::claim::Entry;
use crate::fingerprint::Fingerprint;
use crate::key::{JobId, Key};
use crate::row::{CourseRow, EntryRow};
use crate::server::postgres::{NOW, failed};

const PUT_ENTRY: &str = "INSERT INTO cronx.entries
        (key, job, fence, attempt, fingerprint, state, said, bid, until_ns, since_ns)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
     ON CONFLICT (key) DO UPDATE SET fence = $3, attempt = $4, fingerprint = $5, state = $6,
        said = $7, bid = $8, until_ns = $9, since_ns = $10";
const PUT_COURSE: &str = "INSERT INTO cronx.courses (job, cursor_ns, ahead) VALUES ($1, $2, $3)
     ON CONFLICT (job) DO UPDATE SET cursor_ns = $2, ahead = $3";

pub(super) async fn act(inner: &Inner, act: &Act) -> Result<Reply, Error> {
    let client = inner.client().await?;
    let statements = Statements::of(&client).await.map_err(failed("ask", &inner.place))?;
    let asked = Asked { client: Some(client), statements, inner };
    let outcome = act.on(&asked.begin(&act.wants()).await?);
    asked.end(act.wants().course, &outcome).await?;
    Ok(outcome.reply)
}

/// All that is ever said. They are known to the server before anything is asked of it: what is sent together
/// must not wait for one of its own.
struct Statements {
    lock: Statement,
    lock_shared: Statement,
    now: Statement,
    entry: Statement,
    course: Statement,
    open: Statement,
    put_entry: Statement,
    put_course: Statement,
    drop_course: Statement,
}

impl Statements {
    /// Without a way to the server, but for a connection's first question.
    async fn of(client: &Object) -> Result<Self, tokio_postgres::Error> {
        let open = format!("{ENTRY} WHERE job = $1 AND state < 3 ORDER BY key FOR UPDATE");
        Ok(Self {
            lock: client.prepare_cached("SELECT pg_advisory_xact_lock($1)").await?,
            lock_shared: client.prepare_cached("SELECT pg_advisory_xact_lock_shared($1)").await?,
            now: client.prepare_cached(NOW).await?,
            entry: client.prepare_cached(&format!("{ENTRY} WHERE key = $1")).await?,
            course: client.prepare_cached(&format!("{COURSE} WHERE job = $1")).await?,
            open: client.prepare_cached(&open).await?,
            put_entry: client.prepare_cached(PUT_ENTRY).await?,
            put_course: client.prepare_cached(PUT_COURSE).await?,
            drop_course: client.prepare_cached("DELETE FROM cronx.courses WHERE job = $1").await?,
        })
    }
}

/// A transaction, from its first statement to its last.
struct Asked<'a> {
    /// One that is dropped before its end closes its connection, which undoes it.
    client: Option<Object>,
    statements: Statements,
    inner: &'a Inner,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.client.take().map(Object::take);
    }
}

type Rows = Result<Vec<Row>, tokio_postgres::Error>;

impl Asked<'_> {
    fn client(&self) -> &Object {
        self.client.as_ref().expect("it is there until the end")
    }

    async fn begin(&self, wants: &Wants<'_>) -> Result<Seen, Error> {
        let Statements { now, entry, course, open, .. } = &self.statements;
        let (key, guard) = (wants.entry.map(Key::as_str), wants.guard.map(Key::as_str));
        let job = wants.course.map(JobId::to_string);
        let (job, open_job) = (job.as_ref(), job.as_ref().filter(|_| wants.open));
        let told = self.inner.clock.told();
        let failed = |what| failed(what, &self.inner.place);
        // In this order they are sent.
        let (begun, locked, now, key, guard, course, open) = join! {
            biased;
            self.client().batch_execute("BEGIN"),
            self.lock(wants),
            async { if told.is_some() { Ok(Vec::new()) } else { self.client().query(now, &[]).await } },
            self.read(entry, key),
            self.read(entry, guard),
            self.read(course, job),
            self.read(open, open_job),
        };
        begun.map_err(failed("ask"))?;
        locked.map_err(failed("ask"))?;
        let server_now = now.map_err(failed("read"))?.first().map(|row| Utc(row.get(0)));
        let open = open.map_err(failed("read"))?;
        Ok(Seen {
            now: told.or(server_now).unwrap_or(Utc(0)),
            entry: self.entry(key)?,
            guard: self.entry(guard)?,
            course: self.course(course)?,
            open: open
                .iter()
                .map(|row| entry_row(row).read(&self.inner.place))
                .collect::<Result<_, _>>()?,
        })
    }

    /// In one order, so that nobody waits for one who waits for him. What is only checked is shared.
    async fn lock(&self, wants: &Wants<'_>) -> Result<(), tokio_postgres::Error> {
        let own = wants.entry.map(|key| number("key", key.as_str()));
        let course = wants.course.map(|job| number("job", &job.to_string()));
        let guard = wants.guard.map(|key| number("key", key.as_str()));
        let guard = guard.filter(|guard| own != Some(*guard));
        let mut locks: Vec<(i64, &Statement)> =
            [own, course].into_iter().flatten().map(|n| (n, &self.statements.lock)).collect();
        locks.extend(guard.map(|number| (number, &self.statements.lock_shared)));
        locks.sort_unstable_by_key(|(number, _)| *number);
        let each =
            locks.iter().map(async |(number, lock)| self.client().execute(*lock, &[number]).await);
        join_all(each).await.into_iter().try_for_each(|locked| locked.map(drop))
    }

    /// Nothing is asked for nothing.
    async fn read(&self, statement: &Statement, name: Option<impl ToSql + Sync>) -> Rows {
        match name {
            Some(name) => self.client().query(statement, &[&name]).await,
            None => Ok(Vec::new()),
        }
    }

    fn entry(&self, rows: Rows) -> Result<Option<Entry>, Error> {
        let rows = rows.map_err(failed("read", &self.inner.place))?;
        let row = rows.first().map(|row| entry_row(row).read(&self.inner.place)).transpose()?;
        Ok(row.map(|(_, entry)| entry))
    }

    fn course(&self, rows: Rows) -> Result<Option<Course>, Error> {
        let rows = rows.map_err(failed("read", &self.inner.place))?;
        let row = rows.first().map(|row| course_row(row).read(&self.inner.place)).transpose()?;
        Ok(row.map(|(_, course)| course))
    }

    async fn end(mut self, job: Option<&JobId>, outcome: &Outcome) -> Result<(), Error> {
        let rows = outcome.entries.iter().map(|(key, entry)| EntryRow::of(key, entry));
        let rows: Vec<_> = rows.collect();
        let failed = |what| failed(what, &self.inner.place);
        let (put, changed, committed) = join! {
            biased;
            join_all(rows.iter().map(|row| self.put(row))),
            self.change(job, &outcome.course),
            self.client().batch_execute("COMMIT"),
        };
        // Had one failed, the commit did nothing, and does not say so.
        put.into_iter().try_for_each(|put| put.map_err(failed("write")))?;
        changed.map_err(failed("write"))?;
        committed.map_err(failed("write"))?;
        drop(self.client.take());
        Ok(())
    }

    async fn put(&self, row: &EntryRow) -> Result<(), tokio_postgres::Error> {
        let EntryRow { key, job, fence, attempt, fingerprint, state, said, bid, .. } = row;
        let values: [&(dyn ToSql + Sync); 10] =
            [key, job, fence, attempt, fingerprint, state, said, bid, &row.until_ns, &row.since_ns];
        self.client().execute(&self.statements.put_entry, &values).await.map(drop)
    }

    async fn change(
        &self,
        job: Option<&JobId>,
        change: &Change,
    ) -> Result<(), tokio_postgres::Error> {
        let Some(job) = job else { return Ok(()) };
        let Statements { put_course, drop_course, .. } = &self.statements;
        match change {
            Change::None => Ok(()),
            Change::Drop => self.client().execute(drop_course, &[&job.to_string()]).await.map(drop),
            Change::Set(course) => {
                let CourseRow { job, cursor_ns, ahead } = CourseRow::of(job, course);
                self.client().execute(put_course, &[&job, &cursor_ns, &ahead]).await.map(drop)
            }
        }
    }
}

/// A lock's number. Two things of one number only wait for each other.
fn number(kind: &str, name: &str) -> i64 {
    let digest = Fingerprint::of(format!("lock {kind} {name}").as_bytes()).0;
    let (first, _) = digest.split_first_chunk().expect("a digest has 32 bytes");
    i64::from_be_bytes(*first)
}
