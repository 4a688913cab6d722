//! The tables, for who looks at them.

use std::time::Duration;

use cronx_scheduler::Course;
use tokio_postgres::Row as SqlRow;

use super::Inner;
use crate::Error;
use crate::claim::Entry;
use crate::key::{JobId, Key};
use crate::row::{CourseRow, EntryRow, prunable};
use crate::server::postgres::{failed, now};
use crate::store::{Look, Row};

/// In the order of [`entry_row`].
pub(super) const ENTRY: &str =
    "SELECT key, job, fence, attempt, fingerprint, state, said, bid, until_ns, since_ns
     FROM cronx.entries";
/// In the order of [`course_row`].
pub(super) const COURSE: &str = "SELECT job, cursor_ns, ahead FROM cronx.courses";

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
    let sql = format!("{COURSE} ORDER BY job");
    let rows =
        inner.client().await?.query(&sql, &[]).await.map_err(failed("read", &inner.place))?;
    Ok(rows.iter().map(|row| course_row(row).read(&inner.place)).collect())
}

/// See [`Ledger::prune`](crate::Ledger::prune). Many may do so at once: each takes others.
pub(super) async fn prune(
    inner: &Inner,
    (first, last): (String, String),
    done_for: Duration,
    most: usize,
) -> Result<usize, Error> {
    let client = inner.client().await?;
    let before = (now(&**client, &inner.place, &inner.clock).await? - done_for).0;
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let sql = format!(
        "DELETE FROM cronx.entries WHERE key IN (SELECT key FROM cronx.entries
            WHERE since_ns < $1 AND key > $3 AND key < $4 AND {}
            ORDER BY since_ns LIMIT $2 FOR UPDATE SKIP LOCKED)",
        prunable("cronx.entries", "key", "cronx.courses")
    );
    let pruned = client.execute(&sql, &[&before, &most, &first, &last]).await;
    Ok(pruned.map_err(failed("prune", &inner.place))? as usize)
}

pub(super) fn entry_row(row: &SqlRow) -> EntryRow {
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

pub(super) fn course_row(row: &SqlRow) -> CourseRow {
    CourseRow { job: row.get(0), cursor_ns: row.get(1), ahead: row.get(2) }
}
