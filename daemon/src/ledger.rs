//! Where the ledger is, opening it, and looking into it.

mod audit;
mod folder;
mod sagas;
mod server;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use cronx_ledger::shards::{self, Change};
use cronx_ledger::sqlite::{Options, Sqlite};
use cronx_ledger::{Clock, Firings, Ledger, Shards, Tenure, saga};
use cronx_scheduler::{Memory, Store, Utc};

pub use audit::{Audit, Census, Count, Written};
/// Sagas, as they stand in a ledger.
pub use cronx_ledger::saga as state;
pub use sagas::{Decision, Judged};
pub use server::Server;
use tokio::sync::mpsc::UnboundedReceiver;

/// Whose jobs they are; a daemon has those of one tenant.
pub(crate) const TENANT: &str = "cronx";
const FILE: &str = "ledger.sqlite";
const KINDS: &str = "sqlite:PATH, postgres:, mysql: or redis://HOST..., or memory:";

/// Where a ledger is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Nowhere: what is not finished when the daemon ends is forgotten, and it begins now.
    Memory,
    /// A file; its folder is made where there is none.
    File(PathBuf),
    /// A server, for daemons on many machines: each has its share of the jobs.
    Server(Server),
}

/// A ledger that is written.
pub(crate) struct Opened {
    pub(crate) store: Arc<dyn Store>,
    /// The same, unless it is in memory.
    pub(crate) ledger: Option<Arc<dyn Ledger>>,
    /// Where others have jobs too: ours, and what becomes of them.
    pub(crate) shards: Option<(Arc<Shards>, UnboundedReceiver<Change>)>,
    /// Where it has sagas.
    pub(crate) sagas: Option<SagaStore>,
}

/// Sagas that are gone on with.
pub(crate) struct SagaStore {
    pub(crate) store: Arc<dyn saga::Sagas>,
    pub(crate) owner: Arc<str>,
    /// Whether no other daemon can have any of them.
    pub(crate) sole: bool,
}

impl Opened {
    fn alone(store: impl Store) -> Self {
        Self { store: Arc::new(store), ledger: None, shards: None, sagas: None }
    }
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

    /// Opens it to write. On a server, others have its jobs when we are unheard of for as long as a lease.
    pub(crate) async fn open(&self, lease: Duration) -> Result<Opened> {
        let path = match self {
            Self::Memory => return Ok(Opened::alone(Memory::default())),
            Self::File(path) => safe(path, true)?,
            Self::Server(server) => {
                let (ledger, owner): (_, Arc<str>) = (server.connect(true).await?, owner().into());
                let options = shards::Options { shards: None, lease };
                let joined = Shards::join(Arc::clone(&ledger), TENANT, Arc::clone(&owner), options);
                let (shards, changes) = joined.await?;
                let tenure = Tenure::Shards(Arc::clone(&shards));
                let sagas = server.sagas(true).await?;
                let sagas =
                    sagas.map(|store| SagaStore { store, owner: Arc::clone(&owner), sole: false });
                let firings = Firings::new(Arc::clone(&ledger), TENANT, owner, tenure);
                let (ledger, shards) = (Some(ledger), Some((shards, changes)));
                return Ok(Opened { ledger, shards, sagas, ..Opened::alone(firings) });
            }
        };
        let ledger: Arc<dyn Ledger> = Arc::new(Sqlite::open(&path, &Options::default())?);
        let owner = owner().into();
        let store = Arc::new(saga::sqlite::Sqlite::open(&path, Clock::Own)?);
        let sagas = Some(SagaStore { store, owner: Arc::clone(&owner), sole: true });
        let firings = Firings::new(Arc::clone(&ledger), TENANT, owner, Tenure::Store);
        Ok(Opened { ledger: Some(ledger), sagas, ..Opened::alone(firings) })
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
