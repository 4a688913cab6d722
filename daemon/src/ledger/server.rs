//! A ledger on a server: reaching it, and having the jobs.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use cronx_ledger::{Key, Lease, Ledger, Tenure};

use super::TENANT;
use crate::log::{Event, Log};

/// A daemon that is gone is followed by another after so long, and a quarter.
const LEASE: Duration = Duration::from_secs(10);
/// What it takes to be told that there is nothing to wait for.
const AT_ONCE: Duration = Duration::from_secs(1);

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
                bail!("this cronx was built without ledgers in {kind:?}")
            }
        }
    }
}

/// By what right a daemon has its jobs.
pub(crate) struct Held(Option<Lease>);

impl Held {
    /// Nobody else can have them.
    pub(super) fn whole() -> Self {
        Self(None)
    }

    /// Waits until another daemon, if there is one, has ended or is gone.
    pub(super) async fn lease(
        ledger: &Arc<dyn Ledger>,
        owner: Arc<str>,
        log: &Log,
    ) -> Result<(Self, Tenure)> {
        let key = Key::lease(TENANT, "jobs")?;
        let mut taken = pin!(Lease::take(Arc::clone(ledger), key, owner, LEASE));
        let lease = match tokio::time::timeout(AT_ONCE, &mut taken).await {
            Ok(lease) => lease?,
            Err(_) => {
                let waits = format!("another daemon has the jobs of {}: waiting", ledger.place());
                log(&Event::Note(&waits));
                taken.await?
            }
        };
        let tenure = Tenure::Lease(lease.guard().clone());
        Ok((Self(Some(lease)), tenure))
    }

    /// Waits until another may have them.
    pub(crate) async fn lost(&mut self) {
        match &mut self.0 {
            Some(lease) => lease.lost().await,
            None => std::future::pending().await,
        }
    }

    /// Lets another have them, or says that another may.
    pub(crate) async fn end(self, is_lost: bool) -> Result<()> {
        if is_lost {
            bail!("the ledger gave the jobs to another daemon, or did not answer for {LEASE:?}");
        }
        match self.0 {
            // If it is not told, it waits for the end of the lease.
            Some(lease) => Ok(lease.give_back().await?),
            None => Ok(()),
        }
    }
}
