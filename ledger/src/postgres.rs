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

use cronx_scheduler::Course;
use deadpool_postgres::{
    ClientWrapper, Hook, HookError, Manager, ManagerConfig, Pool, PoolError, RecyclingMethod,
    Runtime,
};
use tokio::runtime::Handle;
use tokio_postgres::NoTls;
use tokio_postgres::error::SqlState;

pub use once::execute_once;

use crate::Error;
use crate::act::{Act, Reply};
use crate::claim::Entry;
use crate::clock::Clock;
use crate::key::{JobId, Key};
use crate::server::{IDLE, PATIENCE, unavailable, until_answered};
use crate::store::{Ledger, Look, Pending, Row};

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
        let unreadable = |error: tokio_postgres::Error| Error::Url {
            url: "postgres:".to_owned(),
            reason: error.to_string(),
        };
        let mut config: tokio_postgres::Config = url.parse().map_err(unreadable)?;
        config.application_name("cronx").connect_timeout(PATIENCE).tcp_user_timeout(PATIENCE);
        let place = place(&config);
        let manager = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_config(config, NoTls, manager);
        let pool = Pool::builder(manager)
            .max_size(options.connections)
            .post_create(Hook::async_fn(|client, _| Box::pin(limit_idleness(client))))
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(PATIENCE))
            .create_timeout(Some(PATIENCE))
            .build();
        let pool = pool.map_err(|error| unavailable("connect to", &place, &error))?;
        let (clock, runtime) = (options.clock, Handle::current());
        let inner = Inner { pool, clock, place, runtime };
        schema::settle(&inner, options.makes).await?;
        Ok(Self(Arc::new(inner)))
    }
}

async fn limit_idleness(client: &ClientWrapper) -> Result<(), HookError> {
    let set = format!("SET idle_in_transaction_session_timeout = {}", IDLE.as_millis());
    client.batch_execute(&set).await.map_err(HookError::Backend)
}

/// As a person would say it, without what only the server and we should know.
fn place(config: &tokio_postgres::Config) -> String {
    use tokio_postgres::config::Host;
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(name)) => name.clone(),
        Some(Host::Unix(path)) => path.display().to_string(),
        None => "localhost".to_owned(),
    };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    format!("postgres:{host}:{port}/{}", config.get_dbname().unwrap_or_default())
}

impl Inner {
    async fn client(&self) -> Result<deadpool_postgres::Object, Error> {
        let (what, place) = ("connect to", &self.place);
        self.pool.get().await.map_err(|error| match error {
            PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => {
                failed(what, place)(error)
            }
            other => unavailable(what, place, &other),
        })
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
