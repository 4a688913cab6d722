//! Sagas in PostgreSQL, in the database that has their steps' effects, or in the ledger's: one transaction for
//! each question, by the server's clock. Its tables are in the schema `cronx_saga`.
//!
//! An action that asks whether it [may](may) take effect holds its gate until its transaction is over. A saga
//! that is to turn back waits for that, and then undoes it; one that has turned back lets no action in.

mod schema;
mod table;

use std::sync::Arc;

use deadpool_postgres::{
    ClientWrapper, Hook, HookError, Manager, ManagerConfig, Pool, RecyclingMethod, Runtime,
};
use tokio_postgres::config::Host;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Config, NoTls, Transaction};

use super::ask::{Question, Reply};
use super::plan::Definition;
use super::state::{Event, Saga, State};
use super::store::{Due, Sagas, Seeker};
use crate::Error;
use crate::clock::Clock;
use crate::key::{Key, SagaId};
use crate::server::{IDLE, PATIENCE, unavailable};
use crate::store::{Pending, Row};

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
        Self { clock: Clock::Own, connections: 8, makes: true }
    }
}

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
        let unreadable = |error: tokio_postgres::Error| Error::Url {
            url: "postgres:".to_owned(),
            reason: error.to_string(),
        };
        let mut config: Config = url.parse().map_err(unreadable)?;
        config.application_name("cronx saga").connect_timeout(PATIENCE);
        let place = place(&config);
        let manager = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let pool = Pool::builder(Manager::from_config(config, NoTls, manager))
            .max_size(options.connections)
            .post_create(Hook::async_fn(|client, _| Box::pin(limit(client))))
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(PATIENCE))
            .create_timeout(Some(PATIENCE))
            .build();
        let pool = pool.map_err(|error| unavailable("connect to", &place, &error))?;
        let inner = Inner { pool, clock: options.clock, place };
        schema::settle(&inner, options.makes).await?;
        Ok(Self(Arc::new(inner)))
    }
}

/// A process that is stopped in the middle of a question holds nobody up; an action that never ends keeps its
/// saga, and nobody's connection.
async fn limit(client: &ClientWrapper) -> Result<(), HookError> {
    let (idle, lock) = (IDLE.as_millis(), PATIENCE.as_millis() / 2);
    let set =
        format!("SET idle_in_transaction_session_timeout = {idle}; SET lock_timeout = {lock}");
    client.batch_execute(&set).await.map_err(HookError::Backend)
}

/// As a person would say it, without what only the server and we should know.
fn place(config: &Config) -> String {
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(name)) => name.clone(),
        Some(Host::Unix(path)) => path.display().to_string(),
        None => "localhost".to_owned(),
    };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    format!("postgres:{host}:{port}/{}", config.get_dbname().unwrap_or_default())
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
        self.pool.get().await.map_err(|error| unavailable("connect to", &self.place, &error))
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

    fn place(&self) -> &str {
        &self.0.place
    }
}

/// For `map_err`, of a statement that was to do this.
fn failed(what: &'static str, place: &str) -> impl Fn(tokio_postgres::Error) -> Error {
    let place = place.to_owned();
    move |error| {
        let place = place.clone();
        // The error's own words are only of which kind it is.
        let said = error.as_db_error().map(|said| said.message().to_owned());
        let reason = said.unwrap_or_else(|| error.to_string());
        match error.code() {
            Some(code) if *code == SqlState::DISK_FULL => Error::Full { place, reason },
            Some(code) if *code == SqlState::READ_ONLY_SQL_TRANSACTION => {
                Error::ReadOnly { place, reason }
            }
            _ => Error::Unavailable { what, place, reason },
        }
    }
}
