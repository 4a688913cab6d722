//! Where the ledger is, opening it, and looking into it.

mod audit;
mod folder;
mod server;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Context, Result, bail};
use cronx_ledger::sqlite::{Options, Sqlite};
use cronx_ledger::{Firings, Ledger, Tenure};
use cronx_scheduler::{Memory, Store, Utc};

pub use audit::{Audit, Census, Count, Written};
pub(crate) use server::Held;
pub use server::Server;

use crate::log::Log;

/// Whose jobs they are; a daemon has those of one tenant.
const TENANT: &str = "cronx";
const FILE: &str = "ledger.sqlite";
const KINDS: &str = "sqlite:PATH, postgres:, mysql: or redis://HOST..., or memory:";

/// Where a ledger is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Nowhere: what is not finished when the daemon ends is forgotten, and it begins now.
    Memory,
    /// A file; its folder is made where there is none.
    File(PathBuf),
    /// A server, for daemons on many machines: one has the jobs, and the others wait until it ends.
    Server(Server),
}

impl Place {
    /// Of an address such as `sqlite:/srv/jobs/ledger.sqlite`, `memory:` or `postgres://host/database`.
    pub fn of_url(url: &str) -> Result<Self> {
        match url.split_once(':') {
            Some(("memory", "")) => Ok(Self::Memory),
            Some(("sqlite", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            Some((scheme, _)) => match Server::of_url(scheme, url) {
                Some(server) => Ok(Self::Server(server)),
                // What stands after the scheme may be a password.
                None => bail!("there is no ledger {scheme}: it is {KINDS}"),
            },
            None => bail!("a ledger is {KINDS}"),
        }
    }

    /// In that folder.
    pub fn in_folder(folder: &Path) -> Self {
        Self::File(folder.join(FILE))
    }

    /// Where the ledger of a file of jobs is if nobody says otherwise: in a folder of the user's own.
    pub fn of_jobs(jobs: &Path) -> Result<Self> {
        Ok(Self::in_folder(&folder::of_jobs(jobs)?))
    }

    /// Opens it to write; on a server, once the jobs are ours.
    pub(crate) async fn open(&self, log: &Log) -> Result<(Arc<dyn Store>, Held)> {
        let path = match self {
            Self::Memory => return Ok((Arc::new(Memory::default()), Held::whole())),
            Self::File(path) => safe(path, true)?,
            Self::Server(server) => {
                let (ledger, owner): (_, Arc<str>) = (server.connect(true).await?, owner().into());
                let (held, tenure) = Held::lease(&ledger, Arc::clone(&owner), log).await?;
                return Ok((Arc::new(Firings::new(ledger, TENANT, owner, tenure)), held));
            }
        };
        let ledger = Arc::new(Sqlite::open(&path, &Options::default())?);
        let firings = Firings::new(ledger, TENANT, owner().into(), Tenure::Store);
        Ok((Arc::new(firings), Held::whole()))
    }

    /// Opens it to look, beside whoever writes.
    async fn look(&self) -> Result<Arc<dyn Ledger>> {
        match self {
            Self::Memory => bail!("what is in memory is seen by its daemon alone: ask its /status"),
            Self::File(_) => Ok(Arc::new(self.file()?)),
            Self::Server(server) => server.connect(false).await,
        }
    }

    fn file(&self) -> Result<Sqlite> {
        let Self::File(path) = self else { bail!("it is no file") };
        Ok(Sqlite::look(&safe(path, false)?)?)
    }

    /// How many entries of each kind there are, and how far each job is.
    pub fn census(&self) -> Result<Census> {
        wait(async { audit::census(&*self.look().await?).await })
    }

    /// The last to change, the latest first.
    pub fn last(&self, most: usize) -> Result<Vec<Written>> {
        wait(async { audit::last(&*self.look().await?, most).await })
    }

    /// Reads all of it, and says what cannot be.
    pub fn verify(&self) -> Result<Audit> {
        wait(async {
            let mut audit = audit::verify(&*self.look().await?).await?;
            if let Self::File(_) = self {
                audit.findings.extend(self.file()?.check().await?);
            }
            Ok(audit)
        })
    }
}

fn wait<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("cannot start a runtime")?.block_on(work)
}

/// The file by the true name of its folder, which nobody else can have put there.
fn safe(path: &Path, makes: bool) -> Result<PathBuf> {
    let name = path.file_name().with_context(|| format!("{} names no file", path.display()))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    if makes {
        folder::make(folder)?;
    }
    Ok(folder::checked(folder)?.join(name))
}

/// One name for each life of a process: a number may come again, at that nanosecond it does not.
fn owner() -> String {
    let host = nix::unistd::gethostname().unwrap_or_default();
    let born = Utc::from(SystemTime::now()).0;
    format!("{}/{}/{born:x}", host.to_string_lossy(), std::process::id())
}

#[cfg(test)]
mod tests;
