//! Where a ledger is, and the user's own table beside it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use cronx_ledger::act::Guard;
use cronx_ledger::{Key, Lease, Ledger, Tenure};

use super::effects::Effects;
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
    /// With a database behind it: the user's own, in a file.
    Redis(String, PathBuf),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(folder) => write!(f, "sqlite {}", folder.display()),
            Self::Postgres(url) => write!(f, "postgres {url}"),
            Self::MariaDb(url) => write!(f, "mariadb {url}"),
            Self::Redis(url, folder) => write!(f, "redis {url} {}", folder.display()),
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
            Some(("redis", place)) => {
                let (url, folder) = place.split_once(' ').ok_or("there is no folder")?;
                Ok(Self::Redis(url.to_owned(), folder.into()))
            }
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
        let lease = if let Self::Sqlite(_) = self {
            None
        } else {
            let key = Key::lease(TENANT, "all").unwrap();
            Some(Lease::take(Arc::clone(&ledger), key, owner.into(), LEASE).await.unwrap())
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
            #[cfg(feature = "redis")]
            Self::Redis(url, _) => {
                use cronx_ledger::redis::{Options, Redis};
                Arc::new(Redis::connect(url, Options::default()).await.unwrap())
            }
            #[allow(unreachable_patterns, reason = "one of a store that is left out")]
            _ => panic!("{self} is not in this build"),
        }
    }

    /// The user's own table.
    pub async fn effects(&self) -> Effects {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(folder) | Self::Redis(_, folder) => Effects::in_folder(folder),
            #[cfg(feature = "postgres")]
            Self::Postgres(url) => Effects::in_postgres(url).await,
            #[cfg(feature = "mariadb")]
            Self::MariaDb(url) => Effects::in_mariadb(url).await,
            #[allow(unreachable_patterns, reason = "one of a store that is left out")]
            _ => panic!("{self} is not in this build"),
        }
    }
}

fn ledger_of(folder: &Path) -> PathBuf {
    folder.join("ledger")
}
