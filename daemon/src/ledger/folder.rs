//! The folder that a ledger is in. Root writes there too, so nobody else may be able to say what is in it.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use nix::unistd::{Uid, User};

/// Root's. Its environment may be that of the user who called sudo, so it is not asked.
const SYSTEM: &str = "/var/lib/cronx";

/// Others may write there.
const WRITABLE: u32 = 0o022;
/// They may, and yet cannot touch what is not their own.
const STICKY: u32 = 0o1000;

/// For a file of jobs: by its name, and by where it is.
pub(super) fn of_jobs(jobs: &Path) -> Result<PathBuf> {
    let jobs = fs::canonicalize(jobs).with_context(|| format!("cannot find {}", jobs.display()))?;
    let stem: String = jobs.file_stem().map(OsStr::to_string_lossy).unwrap_or_default().into();
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let stem: String = stem.chars().take(40).map(plain).collect();
    let digest = cronx_ledger::Fingerprint::of(jobs.as_os_str().as_bytes()).to_hex();
    Ok(of_user()?.join(format!("{stem}-{}", &digest[..12])))
}

/// The user's own, as the XDG base directories have it.
fn of_user() -> Result<PathBuf> {
    let uid = Uid::effective();
    if uid.is_root() {
        return Ok(SYSTEM.into());
    }
    let said = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
    if let Some(state) = said.filter(|state| state.is_absolute()) {
        return Ok(state.join("cronx"));
    }
    // HOME may be that of another, from whom this process has its environment.
    let user = User::from_uid(uid).context("cannot read the list of users")?;
    let user = user.with_context(|| format!("user {uid} has no home: say --state or --ledger"))?;
    Ok(user.dir.join(".local/state/cronx"))
}

/// Makes what is missing of it, for its owner alone.
pub(super) fn make(folder: &Path) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.with_context(|| format!("cannot make {} for the ledger", folder.display()))
}

/// Its true name, if it is ours and nobody else can put anything in it or above it.
pub(super) fn checked(folder: &Path) -> Result<PathBuf> {
    let shown = folder.display();
    let folder = fs::canonicalize(folder).with_context(|| format!("cannot find {shown}"))?;
    let own = Uid::effective().as_raw();
    for (above, place) in folder.ancestors().enumerate() {
        let shown = place.display();
        let found = fs::metadata(place).with_context(|| format!("cannot look at {shown}"))?;
        let (owner, mode) = (found.uid(), found.mode());
        if above == 0 {
            ensure!(
                owner == own,
                "{shown} is of user {owner}, and a ledger must be in a folder of one's own"
            );
        }
        ensure!(
            owner == own || owner == 0,
            "{shown} is of user {owner}, who could put another ledger there"
        );
        let open = mode & WRITABLE != 0 && (above == 0 || mode & STICKY == 0);
        if open {
            bail!(
                "{shown} can be written by others, who could put another ledger there: chmod go-w {shown}"
            );
        }
    }
    Ok(folder)
}
