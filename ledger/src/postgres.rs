//! A ledger in PostgreSQL, for many machines: one transaction for each question, by the server's clock.
//!
//! What a question is about is locked by advisory locks before it is read, whether there is a row or not:
//! no row has to be made to be locked, and two that ask for one key wait for each other. Tables are in a
//! schema of their own, `cronx`. An answer that was lost with its connection is asked for again.

mod ask;
mod once;
mod schema;
mod table;

use std::sync::Arc;
use std::time::Duration;

use cronx_scheduler::Course;
use deadpool_postgres::Pool;
use tokio::runtime::Handle;

pub use once::execute_once;

pub use crate::server::Options;

use crate::Error;
use crate::act::{Act, Reply};
use crate::claim::Entry;
use crate::clock::Clock;
use crate::key::{JobId, Key, of_tenant};
use crate::server::{self, until_answered};
use crate::store::{Ledger, Look, Pending, Row};

/// A ledger in PostgreSQL.
#[derive(Clone)]
pub struct Postgres(Arc<Inner>);

struct Inner {
    pool: Pool,
    clock: Clock,
    place: String,
    runtime: Handle,
}

impl Postgres {
    /// Connects to what the URL names, such as `postgres://user@host/database`, and makes the tables where
    /// there are none. Connections are not encrypted. To be called within a runtime, which it uses from then
    /// on.
    pub async fn connect(url: &str, options: Options) -> Result<Self, Error> {
        let (pool, place) = server::postgres::open(url, "cronx", options.connections, "")?;
        let (clock, runtime) = (options.clock, Handle::current());
        let inner = Inner { pool, clock, place, runtime };
        schema::SCHEMA.settle(&inner.pool, &inner.place, options.makes).await?;
        Ok(Self(Arc::new(inner)))
    }
}

impl Inner {
    async fn client(&self) -> Result<deadpool_postgres::Object, Error> {
        server::postgres::client(&self.pool, &self.place).await
    }

    async fn act<'a>(&'a self, act: &'a Act) -> Result<Reply, Error> {
        until_answered(&self.place, act, || Box::pin(ask::act(self, act))).await
    }
}

impl Ledger for Postgres {
    fn act(&self, act: Act) -> Pending<'_, Reply> {
        Box::pin(async move { self.0.act(&act).await })
    }

    fn act_and_wait(&self, act: Act) -> Result<Reply, Error> {
        let (answer, answered) = std::sync::mpsc::channel();
        let inner = Arc::clone(&self.0);
        self.0.runtime.spawn(async move { answer.send(inner.act(&act).await) });
        answered.recv().map_err(|_| Error::Closed)?
    }

    fn entries(
        &self,
        look: Look,
        job: Option<JobId>,
        most: usize,
    ) -> Pending<'_, Vec<Row<(Key, Entry)>>> {
        Box::pin(async move { table::entries(&self.0, &look, job.as_ref(), most).await })
    }

    fn courses(&self) -> Pending<'_, Vec<Row<(JobId, Course)>>> {
        Box::pin(table::courses(&self.0))
    }

    fn prune(&self, tenant: &str, done_for: Duration, most: usize) -> Pending<'_, usize> {
        let range = of_tenant(tenant);
        Box::pin(table::prune(&self.0, range, done_for, most))
    }

    fn place(&self) -> &str {
        &self.0.place
    }
}
