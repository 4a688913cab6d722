//! Connections, and what is said of their errors.

use deadpool_postgres::{
    ClientWrapper, Hook, HookError, Manager, ManagerConfig, Pool, RecyclingMethod, Runtime,
};
use tokio_postgres::config::Host;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Config, NoTls};

use super::Options;
use crate::Error;
use crate::server::{IDLE, PATIENCE, unavailable};

/// A pool, and where its database is.
pub(super) fn open(url: &str, options: &Options) -> Result<(Pool, String), Error> {
    let unreadable = |error: tokio_postgres::Error| Error::Url {
        url: "postgres:".to_owned(),
        reason: error.to_string(),
    };
    let mut config: Config = url.parse().map_err(unreadable)?;
    config.application_name("cronx journal").connect_timeout(PATIENCE).tcp_user_timeout(PATIENCE);
    let place = place(&config);
    let manager = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = Manager::from_config(config, NoTls, manager);
    let pool = Pool::builder(manager)
        .max_size(options.connections)
        .post_create(Hook::async_fn(|client, _| Box::pin(settle(client))))
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(PATIENCE))
        .create_timeout(Some(PATIENCE))
        .build();
    let pool = pool.map_err(|error| unavailable("connect to", &place, &error))?;
    Ok((pool, place))
}

/// A keeper that was stopped in the middle of a transaction has a table locked to which others append. And
/// each statement sees what is committed before it, whatever the database's own default is.
async fn settle(client: &ClientWrapper) -> Result<(), HookError> {
    let sql = format!(
        "SET idle_in_transaction_session_timeout = {};
         SET default_transaction_isolation = 'read committed'",
        IDLE.as_millis()
    );
    client.batch_execute(&sql).await.map_err(HookError::Backend)
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

/// For `map_err`, of a statement that was to do this.
pub(super) fn failed(what: &'static str, place: &str) -> impl Fn(tokio_postgres::Error) -> Error {
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
