//! Sagas in PostgreSQL, in the database that has their steps' effects, or in the ledger's: one transaction for
//! each question, by the server's clock. Its tables are in the schema `cronx_saga`.
//!
//! An action that asks whether it [may](may) take effect holds its gate until its transaction is over. A saga
//! that is to turn back waits for that, and then undoes it; one that has turned back lets no action in.

mod schema;
mod table;

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Pool;
use tokio_postgres::Transaction;

pub use crate::server::Options;

use super::ask::{Question, Reply};
use super::plan::Definition;
use super::state::{Event, Saga, State};
use super::store::{Due, Sagas, Seeker};
use crate::Error;
use crate::clock::Clock;
use crate::key::{Key, SagaId, of_tenant};
use crate::server;
use crate::server::postgres::failed;
use crate::store::{Pending, Row};

/// An action that never ends keeps its saga, and nobody's connection: half of [`server::PATIENCE`], in
/// milliseconds.
const LIMIT: &str = "SET lock_timeout = 5000";

/// Sagas in a database, beside whatever else it has.
#[derive(Clone)]
pub struct Postgres(Arc<Inner>);

struct Inner {
    pool: Pool,
    clock: Clock,
    place: String,
}

impl Postgres {
    /// Connects to what the URL names, such as `postgres://user@host/database`. Connections are not encrypted.
    pub async fn connect(url: &str, options: Options) -> Result<Self, Error> {
        let (pool, place) = server::postgres::open(url, "cronx saga", options.connections, LIMIT)?;
        let inner = Inner { pool, clock: options.clock, place };
        schema::SCHEMA.settle(&inner.pool, &inner.place, options.makes).await?;
        Ok(Self(Arc::new(inner)))
    }
}

/// Begins a saga, or finds that it has begun: it is there when the transaction is committed, and not before.
/// After an error that can only be rolled back.
pub async fn begin(
    transaction: &Transaction<'_>,
    id: &SagaId,
    definition: &Definition,
    payload: &str,
    clock: &Clock,
) -> Result<Reply, Error> {
    let question = definition.begin(payload)?;
    table::Table { transaction, place: "the database", clock }.ask(id, &question).await
}

/// Whether an action or a compensation may take effect: if its attempt has begun, and its saga has not turned
/// back since. To be asked in the transaction of the effect: until that is over, its saga does not turn back.
/// Where the isolation is stricter than READ COMMITTED the answer may be a serialization failure: then it is
/// asked in a new transaction.
pub async fn may(transaction: &Transaction<'_>, key: &Key) -> Result<bool, tokio_postgres::Error> {
    let sql = "SELECT open FROM cronx_saga.gates WHERE key = $1 FOR SHARE";
    let gate = transaction.query_opt(sql, &[&key.as_str()]).await?;
    gate.map_or(Ok(false), |row| row.try_get(0))
}

impl Inner {
    async fn client(&self) -> Result<deadpool_postgres::Object, Error> {
        server::postgres::client(&self.pool, &self.place).await
    }

    /// Whole or not at all.
    async fn ask(&self, id: &SagaId, question: &Question) -> Result<Reply, Error> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(failed("ask", &self.place))?;
        let (place, clock) = (self.place.as_str(), &self.clock);
        let reply =
            table::Table { transaction: &transaction, place, clock }.ask(id, question).await?;
        transaction.commit().await.map_err(failed("write", &self.place))?;
        Ok(reply)
    }
}

impl Sagas for Postgres {
    fn ask(&self, id: SagaId, question: Question) -> Pending<'_, Reply> {
        Box::pin(async move { self.0.ask(&id, &question).await })
    }

    fn due(&self, seeker: Seeker, most: usize) -> Pending<'_, Due> {
        Box::pin(async move { table::due(&self.0, &seeker, most).await })
    }

    fn list(&self, state: Option<State>, most: usize) -> Pending<'_, Vec<Row<Saga>>> {
        Box::pin(table::list(&self.0, state, most))
    }

    fn show(&self, id: SagaId) -> Pending<'_, Option<(Saga, Vec<Event>)>> {
        Box::pin(async move { table::show(&self.0, &id).await })
    }

    fn get(&self, id: SagaId) -> Pending<'_, Option<Saga>> {
        Box::pin(async move {
            let client = self.0.client().await?;
            table::read(&**client, &self.0.place, &id).await
        })
    }

    fn prune(&self, tenant: &str, over_for: Duration, most: usize) -> Pending<'_, usize> {
        let range = of_tenant(tenant);
        Box::pin(table::prune(&self.0, range, over_for, most))
    }

    fn place(&self) -> &str {
        &self.0.place
    }
}
