//! PostgreSQL, for whatever of ours keeps something there: connections, what time it is, a schema of our own,
//! and what is said of errors.

use cronx_scheduler::Utc;
use deadpool_postgres::{
    Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime,
};
use tokio_postgres::GenericClient;
use tokio_postgres::config::Host;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Config, NoTls, Transaction};

use super::{IDLE, PATIENCE, unavailable};
use crate::Error;
use crate::clock::Clock;

/// Nanoseconds since 1970, by the server's clock.
pub(crate) const NOW: &str =
    "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint * 1000";

/// A pool, and where its database is. `who` we are is for those who look after the server; `settings` are
/// statements for each new connection.
pub(crate) fn open(
    url: &str,
    who: &str,
    connections: usize,
    settings: &'static str,
) -> Result<(Pool, String), Error> {
    let unreadable = |error: tokio_postgres::Error| Error::Url {
        url: "postgres:".to_owned(),
        reason: error.to_string(),
    };
    let mut config: Config = url.parse().map_err(unreadable)?;
    config.application_name(who).connect_timeout(PATIENCE).tcp_user_timeout(PATIENCE);
    let place = place(&config);
    let manager = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let pool = Pool::builder(Manager::from_config(config, NoTls, manager))
        .max_size(connections)
        .post_create(Hook::async_fn(move |client, _| {
            Box::pin(async move {
                let set = ours() + settings;
                client.batch_execute(&set).await.map_err(HookError::Backend)
            })
        }))
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(PATIENCE))
        .create_timeout(Some(PATIENCE))
        .build();
    let pool = pool.map_err(|error| unavailable("connect to", &place, &error))?;
    Ok((pool, place))
}

/// A process that is stopped in the middle of a transaction holds nobody up. And each statement sees what was
/// committed before it, after a lock as well, whatever the database is used to.
fn ours() -> String {
    format!(
        "SET idle_in_transaction_session_timeout = {};
         SET default_transaction_isolation = 'read committed';",
        IDLE.as_millis()
    )
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

/// A connection.
pub(crate) async fn client(pool: &Pool, place: &str) -> Result<Object, Error> {
    let what = "connect to";
    pool.get().await.map_err(|error| match error {
        PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => {
            failed(what, place)(error)
        }
        other => unavailable(what, place, &other),
    })
}

/// What time it is, for whoever has not been told.
pub(crate) async fn now(
    client: &impl GenericClient,
    place: &str,
    clock: &Clock,
) -> Result<Utc, Error> {
    if let Some(told) = clock.told() {
        return Ok(told);
    }
    let row = client.query_one(NOW, &[]).await.map_err(failed("read", place))?;
    Ok(Utc(row.get(0)))
}

/// A schema of ours.
pub(crate) struct Schema {
    pub(crate) name: &'static str,
    /// A table in it, which says what its tables are like, in the column `version`.
    pub(crate) mark: &'static str,
    pub(crate) version: i64,
    /// Two that begin at once make one schema.
    pub(crate) lock: i64,
    /// What makes it.
    pub(crate) tables: &'static str,
}

impl Schema {
    /// Makes it where it is not, and refuses another's. Looks before it writes.
    pub(crate) async fn settle(&self, pool: &Pool, place: &str, makes: bool) -> Result<(), Error> {
        let mut client = client(pool, place).await?;
        let transaction = client.transaction().await.map_err(failed("open", place))?;
        let lock = transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&self.lock]).await;
        lock.map_err(failed("lock", place))?;
        let Self { name, mark, .. } = self;
        let sql = "SELECT to_regnamespace($1) IS NOT NULL, to_regclass($2) IS NOT NULL";
        let table = format!("{name}.{mark}");
        let found = transaction.query_one(sql, &[name, &table]).await;
        let found = found.map_err(failed("read", place))?;
        match (found.get(0), found.get(1)) {
            (false, _) if !makes => {
                return Err(foreign(place, format!("it has no schema '{name}'")));
            }
            (false, _) => {
                let made = transaction.batch_execute(self.tables).await;
                made.map_err(failed("make the tables of", place))?;
            }
            (true, false) => {
                return Err(foreign(place, format!("it has a schema '{name}' of another program")));
            }
            (true, true) => self.known(&transaction, &table, place).await?,
        }
        transaction.commit().await.map_err(failed("write", place))
    }

    async fn known(&self, asked: &Transaction<'_>, table: &str, place: &str) -> Result<(), Error> {
        let found = match asked.query_one(&format!("SELECT max(version) FROM {table}"), &[]).await {
            Ok(row) => row.try_get::<_, Option<i64>>(0).ok(),
            Err(error) if is_other(&error) => None,
            Err(error) => return Err(failed("read", place)(error)),
        };
        let theirs = || foreign(place, format!("it has a table '{table}' of another program"));
        let found = found.ok_or_else(theirs)?.ok_or_else(|| Error::Torn {
            place: place.to_owned(),
            row: table.to_owned(),
            reason: "there is no version".to_owned(),
        })?;
        if found > self.version {
            return Err(Error::Newer { place: place.to_owned(), found, known: self.version });
        }
        Ok(())
    }
}

fn foreign(place: &str, found: String) -> Error {
    Error::Foreign { place: place.to_owned(), found }
}

/// A table that has no such column, or one of which there is no greatest.
fn is_other(error: &tokio_postgres::Error) -> bool {
    matches!(error.code(), Some(&SqlState::UNDEFINED_COLUMN | &SqlState::UNDEFINED_FUNCTION))
}

/// For `map_err`, of a statement that was to do this.
pub(crate) fn failed(what: &'static str, place: &str) -> impl Fn(tokio_postgres::Error) -> Error {
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
