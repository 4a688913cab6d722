//! A journal in PostgreSQL, in the database that has the effects: partitions by day.
//!
//! [`append`] writes within the user's transaction, in one round trip; so can any client that calls
//! `cronx_journal.append`. Positions are drawn from a sequence, and read only up to where no transaction can
//! add one any more: one that has appended and stays open keeps readers from what was appended after that, and
//! nothing is lost by it. Its tables are in the schema `cronx_journal`.

mod append;
mod days;
mod horizon;
mod offsets;
mod row;
mod schema;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cronx_scheduler::Utc;
use deadpool_postgres::Pool;

pub use append::append;

use super::tables::{Backlog, DeadLetter, Dropped, Journal, Move, Tables};
use super::{Consumer, Day, Event, Position, Seal, Standing};
use crate::Error;
use crate::clock::Clock;
use crate::server;
use crate::server::postgres::failed;
use crate::store::Pending;
use horizon::{Horizon, Look};

/// How long those who append may have to wait for us when a table comes or goes, and we for them.
const LOCK_MOST: Duration = Duration::from_secs(1);

/// Transactions that hold the lock of who appends; see `cronx_journal.append`.
const APPENDERS: &str = "SELECT virtualtransaction FROM pg_locks
    WHERE locktype = 'advisory' AND classid = 1668443768 AND objid = 1785687410 AND objsubid = 2
        AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";

/// How it is reached.
#[derive(Debug, Clone)]
pub struct Options {
    /// What time it is.
    pub clock: Clock,
    /// Connections at most.
    pub connections: usize,
    /// Whether tables are made where there are none; else that is an error.
    pub makes: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { clock: Clock::Own, connections: 4, makes: true }
    }
}

/// A journal that is read and kept, beside those who append to it.
#[derive(Clone)]
pub struct Postgres(Arc<Inner>);

struct Inner {
    pool: Pool,
    clock: Clock,
    place: String,
    horizon: Mutex<Horizon>,
}

impl Postgres {
    /// Connects to what the URL names, such as `postgres://user@host/database`, and makes the tables where
    /// there are none. Connections are not encrypted.
    pub async fn connect(url: &str, options: Options) -> Result<Self, Error> {
        let (pool, place) = server::postgres::open(url, "cronx journal", options.connections, "")?;
        let (clock, horizon, makes) = (options.clock, Mutex::default(), options.makes);
        let inner = Inner { pool, clock, place, horizon };
        schema::SCHEMA.settle(&inner.pool, &inner.place, makes).await?;
        Ok(Self(Arc::new(inner)))
    }
}

impl Inner {
    async fn client(&self) -> Result<deadpool_postgres::Object, Error> {
        server::postgres::client(&self.pool, &self.place).await
    }

    async fn now(&self, client: &tokio_postgres::Client) -> Result<Utc, Error> {
        server::postgres::now(client, &self.place, &self.clock).await
    }

    /// Up to where one may read. Who appends is asked after the sequence was read, never before.
    async fn safe(&self, client: &tokio_postgres::Client) -> Result<Position, Error> {
        let failed = || failed("read", &self.place);
        let drawn = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END
             FROM cronx_journal.positions";
        let last = client.query_one(drawn, &[]).await.map_err(failed())?.get(0);
        let appenders = client.query(APPENDERS, &[]).await.map_err(failed())?;
        let appenders = appenders.iter().map(|row| row.get(0)).collect();
        let mut horizon = self.horizon.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Position(horizon.take(Look { last, appenders })))
    }
}

impl Journal for Postgres {
    fn read(&self, after: Position, most: usize) -> Pending<'_, Vec<Event>> {
        Box::pin(row::read(&self.0, after, most))
    }

    fn join(&self, consumer: Consumer) -> Pending<'_, Position> {
        Box::pin(offsets::join(&self.0, consumer))
    }

    fn leave(&self, consumer: Consumer) -> Pending<'_, ()> {
        Box::pin(offsets::leave(&self.0, consumer))
    }

    fn advance(&self, step: Move) -> Pending<'_, bool> {
        Box::pin(offsets::advance(&self.0, step))
    }

    fn consumers(&self) -> Pending<'_, Vec<(Consumer, Position)>> {
        Box::pin(offsets::all(&self.0))
    }

    fn backlog(&self, consumer: Consumer) -> Pending<'_, Backlog> {
        Box::pin(offsets::backlog(&self.0, consumer))
    }

    fn dead(
        &self,
        consumer: Consumer,
        aggregate: Option<String>,
        after: Position,
        most: usize,
    ) -> Pending<'_, Vec<DeadLetter>> {
        Box::pin(offsets::dead(&self.0, consumer, aggregate, after, most))
    }

    fn parked(&self, consumer: Consumer, aggregates: Vec<String>) -> Pending<'_, Vec<String>> {
        Box::pin(offsets::parked(&self.0, consumer, aggregates))
    }

    fn revive(&self, consumer: Consumer, position: Position) -> Pending<'_, ()> {
        Box::pin(offsets::revive(&self.0, consumer, position))
    }

    fn place(&self) -> &str {
        &self.0.place
    }
}

impl Tables for Postgres {
    fn now(&self) -> Pending<'_, Utc> {
        Box::pin(async move { self.0.now(&*self.0.client().await?).await })
    }

    fn days(&self) -> Pending<'_, Vec<Standing>> {
        Box::pin(days::all(&self.0))
    }

    fn prepare(&self, from: Day, through: Day) -> Pending<'_, ()> {
        Box::pin(days::prepare(&self.0, from, through))
    }

    fn seal(&self, day: Day) -> Pending<'_, Seal> {
        Box::pin(days::seal(&self.0, day))
    }

    fn page(&self, day: Day, after: Position, most: usize) -> Pending<'_, Vec<Event>> {
        Box::pin(row::page(&self.0, schema::table(day), after, most))
    }

    fn drop_day(&self, day: Day, stragglers: bool) -> Pending<'_, Dropped> {
        Box::pin(days::drop_day(&self.0, day, stragglers))
    }

    fn begin_restore(&self, day: Day) -> Pending<'_, ()> {
        Box::pin(days::begin_restore(&self.0, day))
    }

    fn restore(&self, day: Day, events: Vec<Event>) -> Pending<'_, ()> {
        Box::pin(days::restore(&self.0, day, events))
    }

    fn end_restore(&self, day: Day) -> Pending<'_, ()> {
        Box::pin(days::end_restore(&self.0, day))
    }

    fn forget_ids(&self, before: Utc) -> Pending<'_, u64> {
        Box::pin(async move {
            let sql = "DELETE FROM cronx_journal.seen WHERE at_ns < $1";
            let gone = self.0.client().await?.execute(sql, &[&before.0]).await;
            gone.map_err(failed("forget ids of", &self.0.place))
        })
    }
}
