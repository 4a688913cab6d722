//! The tables: a saga is locked, read, and written, in one transaction.

use std::time::Duration;

use tokio_postgres::types::ToSql;
use tokio_postgres::{GenericClient, IsolationLevel, Row as SqlRow, Transaction};

use super::Inner;
use crate::Error;
use crate::clock::Clock;
use crate::fingerprint::Fingerprint;
use crate::key::SagaId;
use crate::saga::ask::{Question, Reply};
use crate::saga::row::{COLUMNS, EventRow, OVER, SagaRow, number, prunable};
use crate::saga::rules::Change;
use crate::saga::state::{Event, Saga, State};
use crate::saga::store::{Due, Seeker};
use crate::server::postgres::{failed, now};
use crate::store::Row;

/// A transaction, and what is said about it.
pub(super) struct Table<'a> {
    pub(super) transaction: &'a Transaction<'a>,
    pub(super) place: &'a str,
    pub(super) clock: &'a Clock,
}

impl Table<'_> {
    /// Reads, asks, writes. On an error the transaction must go.
    pub(super) async fn ask(&self, id: &SagaId, question: &Question) -> Result<Reply, Error> {
        // Whether there is a row or not. Two sagas of one number only wait for each other.
        let digest = Fingerprint::of(format!("lock saga {id}").as_bytes()).0;
        let (lock, _) = digest.split_first_chunk().expect("a digest has 32 bytes");
        let lock = i64::from_be_bytes(*lock);
        self.execute("SELECT pg_advisory_xact_lock($1)", &[&lock]).await?;
        let saga = read(self.transaction, self.place, id).await?;
        let now = now(self.transaction, self.place, self.clock).await?;
        let answer = question.on(id, saga.as_ref(), now);
        if let Some(change) = &answer.change {
            self.write(change).await?;
        }
        Ok(answer.reply)
    }

    async fn write(&self, change: &Change) -> Result<(), Error> {
        // The gates first: what is on its way is waited for before anything is said to be.
        for gate in &change.gates {
            let sql = if gate.is_open {
                "INSERT INTO cronx_saga.gates VALUES ($1, true) ON CONFLICT DO NOTHING"
            } else {
                "UPDATE cronx_saga.gates SET open = false WHERE key = $1 AND open"
            };
            self.execute(sql, &[&gate.key.as_str()]).await?;
        }
        let sql = format!(
            "INSERT INTO cronx_saga.states ({COLUMNS})
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
             ON CONFLICT (saga) DO UPDATE SET state = $4, body = $5, due_ns = $6, fence = $7,
                owner = $8, until_ns = $9, since_ns = $11"
        );
        let row = SagaRow::of(&change.saga);
        let SagaRow { saga, name, payload, state, body, due_ns, fence, owner, until_ns, .. } = &row;
        let (begun_ns, since_ns) = (&row.begun_ns, &row.since_ns);
        self.execute(
            &sql,
            &[saga, name, payload, state, body, due_ns, fence, owner, until_ns, begun_ns, since_ns],
        )
        .await?;
        let first = change.saga.events as usize - change.events.len();
        for (place, event) in change.events.iter().enumerate() {
            let EventRow { at_ns, began_ns, who, step, way, attempt, what, said } =
                EventRow::of(event);
            let number = (first + place) as i64;
            let sql = "INSERT INTO cronx_saga.events
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
            let values: [&(dyn ToSql + Sync); 10] =
                [saga, &number, &at_ns, &began_ns, &who, &step, &way, &attempt, &what, &said];
            self.execute(sql, &values).await?;
        }
        Ok(())
    }

    async fn execute(&self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<(), Error> {
        let done = self.transaction.execute(sql, values).await;
        done.map(|_| ()).map_err(failed("write", self.place))
    }
}

pub(super) async fn read(
    client: &impl GenericClient,
    place: &str,
    id: &SagaId,
) -> Result<Option<Saga>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM cronx_saga.states WHERE saga = $1");
    let row = client.query_opt(&sql, &[&id.to_string()]).await.map_err(failed("read", place))?;
    row.map(|row| saga_row(&row).read(place)).transpose()
}

pub(super) async fn due(inner: &Inner, seeker: &Seeker, most: usize) -> Result<Due, Error> {
    let client = inner.client().await?;
    let now = now(&**client, &inner.place, &inner.clock).await?.0;
    let names: Vec<&str> = seeker.names.iter().map(|name| &**name).collect();
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let sql = format!(
        "SELECT saga FROM cronx_saga.states
         WHERE state < {OVER} AND due_ns <= $1 AND name = ANY($2)
            AND (until_ns IS NULL OR until_ns <= $1 OR ($3 AND owner <> $4))
         ORDER BY due_ns, saga LIMIT $5"
    );
    let values: [&(dyn ToSql + Sync); 5] = [&now, &names, &seeker.sole, &&*seeker.owner, &most];
    let due = client.query(&sql, &values).await.map_err(failed("read", &inner.place))?;
    let due = due.iter().map(|row| row.get::<_, &str>(0).parse()).collect::<Result<_, _>>()?;
    let sql = format!(
        "SELECT min(due_ns) - $1 FROM cronx_saga.states
         WHERE state < {OVER} AND due_ns > $1 AND name = ANY($2)"
    );
    let next = client.query_one(&sql, &[&now, &names]).await;
    let next: Option<i64> = next.map_err(failed("read", &inner.place))?.get(0);
    Ok(Due { now: due, next: next.map(|next| Duration::from_nanos(next.max(0) as u64)) })
}

pub(super) async fn list(
    inner: &Inner,
    state: Option<State>,
    most: usize,
) -> Result<Vec<Row<Saga>>, Error> {
    let sql = format!(
        "SELECT {COLUMNS} FROM cronx_saga.states WHERE $1::smallint IS NULL OR state = $1
         ORDER BY since_ns DESC, saga LIMIT $2"
    );
    let (state, most) = (state.map(number), i64::try_from(most).unwrap_or(i64::MAX));
    let rows = inner.client().await?.query(&sql, &[&state, &most]).await;
    let rows = rows.map_err(failed("read", &inner.place))?;
    Ok(rows.iter().map(|row| saga_row(row).read(&inner.place)).collect())
}

pub(super) async fn show(inner: &Inner, id: &SagaId) -> Result<Option<(Saga, Vec<Event>)>, Error> {
    let mut client = inner.client().await?;
    // Of one moment.
    let transaction = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead);
    let transaction = transaction.read_only(true).start().await;
    let transaction = transaction.map_err(failed("read", &inner.place))?;
    let Some(saga) = read(&*transaction, &inner.place, id).await? else { return Ok(None) };
    let sql = "SELECT at_ns, began_ns, who, step, way, attempt, what, said
         FROM cronx_saga.events WHERE saga = $1 ORDER BY number";
    let name = id.to_string();
    let rows = transaction.query(sql, &[&name]).await.map_err(failed("read", &inner.place))?;
    let events = rows.iter().map(|row| event_row(row).read(&inner.place, &name));
    Ok(Some((saga, events.collect::<Result<_, _>>()?)))
}

/// Their gates' keys are their names, and a slash and more. One statement: a saga's gates and events go with it.
pub(super) async fn prune(
    inner: &Inner,
    (first, last): (String, String),
    over_for: Duration,
    most: usize,
) -> Result<usize, Error> {
    let client = inner.client().await?;
    let before = (now(&**client, &inner.place, &inner.clock).await? - over_for).0;
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let sql = format!(
        "WITH pruned AS (
            DELETE FROM cronx_saga.states WHERE saga IN (SELECT saga FROM cronx_saga.states
                WHERE since_ns < $1 AND saga > $3 AND saga < $4 AND {}
                ORDER BY since_ns LIMIT $2 FOR UPDATE SKIP LOCKED)
            RETURNING saga
         ), gates AS (
            DELETE FROM cronx_saga.gates USING pruned
                WHERE key > pruned.saga || '/' AND key < pruned.saga || '0'
         ), events AS (
            DELETE FROM cronx_saga.events USING pruned WHERE events.saga = pruned.saga
         )
         SELECT count(*) FROM pruned",
        prunable()
    );
    let pruned = client.query_one(&sql, &[&before, &most, &first, &last]).await;
    Ok(pruned.map_err(failed("prune", &inner.place))?.get::<_, i64>(0) as usize)
}

fn saga_row(row: &SqlRow) -> SagaRow {
    SagaRow {
        saga: row.get(0),
        name: row.get(1),
        payload: row.get(2),
        state: row.get(3),
        body: row.get(4),
        due_ns: row.get(5),
        fence: row.get(6),
        owner: row.get(7),
        until_ns: row.get(8),
        begun_ns: row.get(9),
        since_ns: row.get(10),
    }
}

fn event_row(row: &SqlRow) -> EventRow {
    EventRow {
        at_ns: row.get(0),
        began_ns: row.get(1),
        who: row.get(2),
        step: row.get(3),
        way: row.get(4),
        attempt: row.get(5),
        what: row.get(6),
        said: row.get(7),
    }
}
