//! A ledger on a server, and how it is reached.

use std::fmt;
use std::sync::Arc;

use anyhow::Result;
use cronx_ledger::Ledger;
use cronx_ledger::saga::Sagas;

/// How a ledger on a server is reached.
#[derive(Clone, PartialEq, Eq)]
pub struct Server {
    kind: Kind,
    url: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Postgres,
    MariaDb,
    Redis,
}

impl fmt::Debug for Server {
    /// Without its address, which may have a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl Server {
    /// By its scheme; nothing if there is no such kind.
    pub(super) fn of_url(scheme: &str, url: &str) -> Option<Self> {
        let kind = match scheme {
            "postgres" | "postgresql" => Kind::Postgres,
            "mysql" => Kind::MariaDb,
            "redis" => Kind::Redis,
            _ => return None,
        };
        Some(Self { kind, url: url.to_owned() })
    }

    /// Connects to it, and makes a ledger where there is none, or does not.
    pub(super) async fn connect(&self, makes: bool) -> Result<Arc<dyn Ledger>> {
        match self.kind {
            #[cfg(feature = "postgres")]
            Kind::Postgres => {
                use cronx_ledger::postgres::{Options, Postgres};
                let options = Options { makes, ..Options::default() };
                Ok(Arc::new(Postgres::connect(&self.url, options).await?))
            }
            #[cfg(feature = "mariadb")]
            Kind::MariaDb => {
                use cronx_ledger::mariadb::{MariaDb, Options};
                let options = Options { makes, ..Options::default() };
                Ok(Arc::new(MariaDb::connect(&self.url, options).await?))
            }
            #[cfg(feature = "redis")]
            Kind::Redis => {
                use cronx_ledger::redis::{Options, Redis};
                let options = Options { makes, ..Options::default() };
                Ok(Arc::new(Redis::connect(&self.url, options).await?))
            }
            #[cfg(not(all(feature = "mariadb", feature = "postgres", feature = "redis")))]
            kind => {
                let _ = makes;
                anyhow::bail!("this cronx was built without ledgers in {kind:?}")
            }
        }
    }

    /// Its sagas, if it is one that keeps any.
    pub(super) async fn sagas(&self, makes: bool) -> Result<Option<Arc<dyn Sagas>>> {
        match self.kind {
            #[cfg(feature = "postgres")]
            Kind::Postgres => {
                use cronx_ledger::saga::postgres::{Options, Postgres};
                let options = Options { makes, ..Options::default() };
                Ok(Some(Arc::new(Postgres::connect(&self.url, options).await?)))
            }
            _ => {
                let _ = makes;
                Ok(None)
            }
        }
    }
}
