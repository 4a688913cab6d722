//! Where a ledger is, and the user's own table beside it.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use cronx_ledger::act::Guard;
use cronx_ledger::{Key, Lease, Ledger, Tenure};

use super::owner::TENANT;

/// How long an owner of a server's ledger may say nothing.
const LEASE: Duration = Duration::from_millis(600);

/// A store, and how it is reached.
#[derive(Debug, Clone)]
pub enum Place {
    /// A folder.
    Sqlite(PathBuf),
    Postgres(String),
    MariaDb(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(folder) => write!(f, "sqlite {}", folder.display()),
            Self::Postgres(url) => write!(f, "postgres {url}"),
            Self::MariaDb(url) => write!(f, "mariadb {url}"),
        }
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(' ') {
            Some(("sqlite", folder)) => Ok(Self::Sqlite(folder.into())),
            Some(("postgres", url)) => Ok(Self::Postgres(url.to_owned())),
            Some(("mariadb", url)) => Ok(Self::MariaDb(url.to_owned())),
            _ => Err(format!("{text} is no place")),
        }
    }
}

/// A ledger that is ours.
pub struct Opened {
    pub ledger: Arc<dyn Ledger>,
    /// Where there is no lock of the whole.
    lease: Option<Lease>,
}

impl Opened {
    pub fn guard(&self) -> Option<Guard> {
        self.lease.as_ref().map(|lease| lease.guard().clone())
    }

    pub fn tenure(&self) -> Tenure {
        self.guard().map_or(Tenure::Store, Tenure::Lease)
    }

    pub async fn close(self) {
        if let Some(lease) = self.lease {
            lease.give_back().await.unwrap();
        }
    }
}

impl Place {
    /// How long one waits for what an owner had who was killed.
    pub fn lease(&self) -> Duration {
        match self {
            Self::Sqlite(_) => Duration::ZERO,
            _ => LEASE,
        }
    }

    /// Opens it, as this owner.
    pub async fn open(&self, owner: &str) -> Opened {
        let ledger: Arc<dyn Ledger> = match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(folder) => {
                use cronx_ledger::sqlite::{Options, Sqlite};
                Arc::new(Sqlite::open(&ledger_of(folder), &Options::default()).unwrap())
            }
            _ => self.look().await,
        };
        let lease = match self {
            Self::Sqlite(_) => None,
            _ => {
                let key = Key::lease(TENANT, "all").unwrap();
                Some(Lease::take(Arc::clone(&ledger), key, owner.into(), LEASE).await.unwrap())
            }
        };
        Opened { ledger, lease }
    }

    /// Opens it to look.
    pub async fn look(&self) -> Arc<dyn Ledger> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(folder) => {
                Arc::new(cronx_ledger::sqlite::Sqlite::look(&ledger_of(folder)).unwrap())
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(url) => {
                use cronx_ledger::postgres::{Options, Postgres};
                Arc::new(Postgres::connect(url, Options::default()).await.unwrap())
            }
            #[cfg(feature = "mariadb")]
            Self::MariaDb(url) => {
                use cronx_ledger::mariadb::{MariaDb, Options};
                Arc::new(MariaDb::connect(url, Options::default()).await.unwrap())
            }
            #[allow(unreachable_patterns, reason = "one of a store that is left out")]
            _ => panic!("{self} is not in this build"),
        }
    }

    /// The user's own table.
    pub async fn effects(&self) -> Effects {
        Effects::open(self).await
    }
}

fn ledger_of(folder: &Path) -> PathBuf {
    folder.join("ledger")
}

/// A user's database. Its table would take a row twice.
pub enum Effects {
    #[cfg(feature = "sqlite")]
    Sqlite(Arc<std::sync::Mutex<rusqlite::Connection>>),
}

impl Effects {
    async fn open(place: &Place) -> Self {
        match place {
            #[cfg(feature = "sqlite")]
            Place::Sqlite(folder) => {
                let connection = rusqlite::Connection::open(folder.join("effects")).unwrap();
                connection.busy_timeout(Duration::from_secs(20)).unwrap();
                let make = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
                    CREATE TABLE IF NOT EXISTS effects (key TEXT NOT NULL, fence INTEGER NOT NULL)";
                connection.execute_batch(make).unwrap();
                Self::Sqlite(Arc::new(connection.into()))
            }
            _ => panic!("{place} has no effects in this build"),
        }
    }

    /// Inserts a row for this key, unless that has happened.
    pub async fn apply(&self, key: &Key, fence: u64) -> Result<(), String> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(connection) => {
                let (connection, key) = (Arc::clone(connection), key.clone());
                let done = tokio::task::spawn_blocking(move || once(&connection, &key, fence));
                done.await.unwrap().map_err(|error| error.to_string())
            }
        }
    }

    /// How often each key has a row.
    pub async fn counts(&self) -> HashMap<String, u64> {
        let sql = "SELECT key, count(*) FROM effects GROUP BY key";
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(connection) => {
                let connection = connection.lock().unwrap();
                let mut rows = connection.prepare(sql).unwrap();
                let rows = rows
                    .query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)? as u64)))
                    .unwrap();
                rows.map(Result::unwrap).collect()
            }
        }
    }
}

#[cfg(feature = "sqlite")]
fn once(
    connection: &std::sync::Mutex<rusqlite::Connection>,
    key: &Key,
    fence: u64,
) -> rusqlite::Result<()> {
    let mut connection = connection.lock().unwrap();
    let transaction = connection.transaction()?;
    cronx_ledger::sqlite::execute_once(&transaction, key, None, |transaction| {
        let insert = "INSERT INTO effects VALUES (?1, ?2)";
        transaction.execute(insert, rusqlite::params![key.as_str(), fence as i64])?;
        Ok::<_, rusqlite::Error>(fence)
    })?;
    transaction.commit()
}
