//! Where the ledger is, opening it, and looking into it.

mod audit;
mod folder;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Context, Result, bail};
use cronx_ledger::sqlite::{Options, Sqlite};
use cronx_ledger::{Firings, Tenure};
use cronx_scheduler::{Memory, Store, Utc};

pub use audit::{Audit, Census, Count, Written};

/// Whose jobs they are; a daemon has those of one tenant.
const TENANT: &str = "cronx";
const FILE: &str = "ledger.sqlite";

/// Where a ledger is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Nowhere: what is not finished when the daemon ends is forgotten, and it begins now.
    Memory,
    /// A file; its folder is made where there is none.
    File(PathBuf),
}

impl Place {
    /// Of an address such as `sqlite:/srv/jobs/ledger.sqlite` or `memory:`.
    pub fn of_url(url: &str) -> Result<Self> {
        match url.split_once(':') {
            Some(("memory", "")) => Ok(Self::Memory),
            Some(("sqlite", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            // What stands after the scheme may be a password.
            Some((scheme, _)) => bail!("there is no ledger {scheme}: it is sqlite:PATH or memory:"),
            None => bail!("a ledger is sqlite:PATH or memory:"),
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

    /// Opens it to write.
    pub(crate) fn open(&self) -> Result<Arc<dyn Store>> {
        let path = match self {
            Self::Memory => return Ok(Arc::new(Memory::default())),
            Self::File(path) => safe(path, true)?,
        };
        let ledger = Arc::new(Sqlite::open(&path, &Options::default())?);
        Ok(Arc::new(Firings::new(ledger, TENANT, owner().into(), Tenure::Store)))
    }

    /// Opens it to look, beside whoever writes.
    fn look(&self) -> Result<Sqlite> {
        match self {
            Self::Memory => bail!("what is in memory is seen by its daemon alone: ask its /status"),
            Self::File(path) => Ok(Sqlite::look(&safe(path, false)?)?),
        }
    }

    /// How many entries of each kind there are, and how far each job is.
    pub fn census(&self) -> Result<Census> {
        let ledger = self.look()?;
        wait(audit::census(&ledger))
    }

    /// The last to change, the latest first.
    pub fn last(&self, most: usize) -> Result<Vec<Written>> {
        let ledger = self.look()?;
        wait(audit::last(&ledger, most))
    }

    /// Reads all of it, and says what cannot be.
    pub fn verify(&self) -> Result<Audit> {
        let ledger = self.look()?;
        wait(async {
            let mut audit = audit::verify(&ledger).await?;
            audit.findings.extend(ledger.check().await?);
            Ok(audit)
        })
    }
}

fn wait<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
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
