//! Where sagas are, and in the same database the user's own table, which would take a row twice.

use std::collections::HashMap;
use std::fmt::{self, Display};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use cronx_ledger::saga::{Options, Sagas, sqlite};
use cronx_ledger::{Clock, Key};
use rusqlite::{Connection, TransactionBehavior};

/// How long an owner in PostgreSQL may say nothing.
const LEASE: Duration = Duration::from_millis(400);
const TABLE: &str = "CREATE TABLE IF NOT EXISTS effects (entry VARCHAR(1800) NOT NULL)";
const COUNTS: &str = "SELECT entry, count(*) FROM effects GROUP BY entry";

/// A database.
#[derive(Debug, Clone)]
pub enum Place {
    Sqlite(PathBuf),
    #[cfg(feature = "postgres")]
    Postgres(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite {}", path.display()),
            #[cfg(feature = "postgres")]
            Self::Postgres(url) => write!(f, "postgres {url}"),
        }
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(' ') {
            Some(("sqlite", path)) => Ok(Self::Sqlite(path.into())),
            #[cfg(feature = "postgres")]
            Some(("postgres", url)) => Ok(Self::Postgres(url.to_owned())),
            _ => Err(format!("{text} is no place")),
        }
    }
}

impl Place {
    /// A file, which is made with the user's table.
    pub fn sqlite(path: PathBuf) -> Self {
        let user = connect(&path).unwrap();
        user.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(())).unwrap();
        user.execute_batch(TABLE).unwrap();
        Self::Sqlite(path)
    }

    #[cfg(feature = "postgres")]
    pub async fn postgres(url: String) -> Self {
        client(&url).await.unwrap().batch_execute(TABLE).await.unwrap();
        Self::Postgres(url)
    }

    /// How long one waits for what an owner had who was killed: of a file there is one at a time.
    pub fn lease(&self) -> Duration {
        match self {
            Self::Sqlite(_) => Duration::ZERO,
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => LEASE,
        }
    }

    pub fn options(&self) -> Options {
        let sole = matches!(self, Self::Sqlite(_));
        Options { lease: LEASE, sole, poll: Duration::from_millis(50), ..Options::default() }
    }

    pub async fn open(&self) -> Arc<dyn Sagas> {
        match self {
            Self::Sqlite(path) => Arc::new(sqlite::Sqlite::open(path, Clock::Own).unwrap()),
            #[cfg(feature = "postgres")]
            Self::Postgres(url) => {
                use cronx_ledger::saga::postgres;
                Arc::new(
                    postgres::Postgres::connect(url, postgres::Options::default()).await.unwrap(),
                )
            }
        }
    }

    /// A row for this key, if it may and has not: all in one transaction of the user's. Whether it may.
    pub async fn apply(&self, key: &Key) -> Result<bool, String> {
        match self {
            Self::Sqlite(path) => {
                let (path, key) = (path.clone(), key.clone());
                let apply = move || in_sqlite(&path, &key).map_err(said);
                tokio::task::spawn_blocking(apply).await.unwrap()
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(url) => in_postgres(url, key).await.map_err(said),
        }
    }

    /// How often each key has a row.
    pub async fn effects(&self) -> HashMap<String, i64> {
        match self {
            Self::Sqlite(path) => {
                let user = connect(path).unwrap();
                let mut rows = user.prepare(COUNTS).unwrap();
                let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
                rows.map(Result::unwrap).collect()
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(url) => {
                let rows = client(url).await.unwrap().query(COUNTS, &[]).await.unwrap();
                rows.iter().map(|row| (row.get(0), row.get(1))).collect()
            }
        }
    }
}

fn said(error: impl Display) -> String {
    error.to_string()
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let user = Connection::open(path)?;
    user.busy_timeout(Duration::from_secs(20))?;
    Ok(user)
}

fn in_sqlite(path: &Path, key: &Key) -> rusqlite::Result<bool> {
    let mut user = connect(path)?;
    let transaction = user.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if !sqlite::may(&transaction, key)? {
        return Ok(false);
    }
    cronx_ledger::sqlite::execute_once(&transaction, key, None, |transaction| {
        transaction.execute("INSERT INTO effects VALUES (?1)", [key.as_str()])
    })?;
    transaction.commit()?;
    Ok(true)
}

#[cfg(feature = "postgres")]
async fn client(url: &str) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

#[cfg(feature = "postgres")]
async fn in_postgres(url: &str, key: &Key) -> Result<bool, tokio_postgres::Error> {
    let mut user = client(url).await?;
    let mut transaction = user.transaction().await?;
    if !cronx_ledger::saga::postgres::may(&transaction, key).await? {
        return Ok(false);
    }
    cronx_ledger::postgres::execute_once(&mut transaction, key, None, async |transaction| {
        transaction.execute("INSERT INTO effects VALUES ($1)", &[&key.as_str()]).await
    })
    .await?;
    transaction.commit().await?;
    Ok(true)
}
