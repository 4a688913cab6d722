//! The folder that a recording leaves: made by us, or empty, or replaced on demand; never through a
//! link, never with a name that an attacker could have planted.
//!
//! Under sudo it is made after privileges are dropped, so every file is the invoking user's by birth.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat};
use nix::sys::stat::{Mode, fstat, mkdirat};
use nix::unistd::{AccessFlags, UnlinkatFlags, faccessat, geteuid, unlinkat};

/// The raw evidence: a recording leaves it, a report is made of it.
pub const CAPTURE: &str = "capture.cronx";

/// What is made of a report.
pub const REPORT: [&str; 6] =
    ["report.json", "blame.folded", "blame.svg", "lateness.svg", "latency.hgrm", "latency.hlog"];

/// Whose folders are not a trap.
const ROOT: u32 = 0;

/// An output folder, held open: whatever its path comes to mean, files go into this one.
#[derive(Debug)]
pub struct Output {
    path: PathBuf,
    folder: OwnedFd,
    parent: Option<OwnedFd>,
    /// What was there before, and is to be replaced.
    old: Vec<String>,
    written: Vec<&'static str>,
    keep: bool,
}

impl Output {
    /// Makes the folder, or takes an empty one; one that holds files only with `force`. Replaces
    /// nothing yet.
    pub fn create(path: &Path, force: bool) -> Result<Self> {
        let name = path.file_name().with_context(|| {
            format!("the output folder '{}' has no name of its own", path.display())
        })?;
        let above = match path.parent() {
            Some(above) if !above.as_os_str().is_empty() => above,
            _ => Path::new("."),
        };
        let directory = OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let parent = open(above, directory | OFlag::O_PATH, Mode::empty())
            .with_context(|| format!("cannot write into '{}'", above.display()))?;
        let made = match mkdirat(&parent, name, Mode::from_bits_truncate(0o755)) {
            Ok(()) => true,
            Err(Errno::EEXIST) => false,
            Err(errno) => {
                return Err(errno).with_context(|| {
                    format!("cannot make the output folder '{}'", path.display())
                });
            }
        };
        let folder = openat(&parent, name, directory | OFlag::O_NOFOLLOW, Mode::empty())
            .map_err(|errno| refusal(path, errno))?;
        let mut output = Self {
            path: path.to_owned(),
            folder,
            parent: made.then_some(parent),
            old: Vec::new(),
            written: Vec::new(),
            keep: false,
        };
        if !made {
            output.demand_ours()?;
        }
        output.old = output.names()?;
        if !force && !output.old.is_empty() {
            bail!(
                "the output folder '{}' is not empty; name another with -o, \
                 or give --force to replace a recording in it",
                path.display()
            );
        }
        Ok(output)
    }

    /// In another user's folder every file of ours could be exchanged for one of theirs.
    fn demand_ours(&self) -> Result<()> {
        let shown = || format!("cannot read the output folder '{}'", self.path.display());
        let owner = fstat(&self.folder).with_context(shown)?.st_uid;
        if owner != ROOT && owner != geteuid().as_raw() {
            bail!(
                "the output folder '{}' belongs to another user; name another with -o",
                self.path.display()
            );
        }
        Ok(())
    }

    /// Whether files can be made in the folder by whom we are now.
    pub fn demand_writable(&self) -> Result<()> {
        let flags = AtFlags::AT_EACCESS;
        let access = AccessFlags::W_OK | AccessFlags::X_OK;
        faccessat(&self.folder, ".", access, flags)
            .with_context(|| format!("cannot write into '{}'", self.path.display()))
    }

    /// Takes away the old ones among `names`: now the new ones come.
    pub fn replace(&mut self, names: &[&str]) -> Result<()> {
        for name in self.old.extract_if(.., |old| names.contains(&old.as_str())) {
            let path = self.path.join(&name);
            unlinkat(&self.folder, name.as_str(), UnlinkatFlags::NoRemoveDir)
                .with_context(|| format!("cannot replace '{}'", path.display()))?;
        }
        Ok(())
    }

    fn names(&self) -> Result<Vec<String>> {
        let shown = || format!("cannot read the output folder '{}'", self.path.display());
        let mut folder =
            Dir::openat(&self.folder, ".", OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
                .with_context(shown)?;
        let names: Result<Vec<_>, _> =
            folder.iter().map(|e| e.map(|e| e.file_name().to_owned())).collect();
        let names = names.with_context(shown)?;
        let names = names.iter().map(|name| name.to_string_lossy().into_owned());
        Ok(names.filter(|name| name != "." && name != "..").collect())
    }

    /// Creates one of the files, anew and by no link.
    pub fn file(&mut self, name: &'static str) -> Result<BufWriter<File>> {
        let flags =
            OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let file = openat(&self.folder, name, flags, Mode::from_bits_truncate(0o644))
            .with_context(|| format!("cannot write '{}'", self.path.join(name).display()))?;
        self.written.push(name);
        Ok(BufWriter::new(file.into()))
    }

    /// Creates one of the files, lets `write` fill it, and flushes it.
    pub fn write<E>(
        &mut self,
        name: &'static str,
        write: impl FnOnce(&mut BufWriter<File>) -> Result<(), E>,
    ) -> Result<()>
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        let mut file = self.file(name)?;
        let shown = || format!("cannot write '{}'", self.path.join(name).display());
        write(&mut file).with_context(shown)?;
        file.flush().with_context(shown)
    }

    /// Opens one of the files again, for reading.
    pub fn open(&self, name: &'static str) -> Result<File> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let file = openat(&self.folder, name, flags, Mode::empty())
            .with_context(|| format!("cannot read '{}'", self.path.join(name).display()))?;
        Ok(file.into())
    }

    /// From now on what is written stays; before, it goes with the value.
    pub fn keep(&mut self) {
        self.keep = true;
    }

    /// Where it is, for showing.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What was written.
    pub fn written(&self) -> &[&'static str] {
        &self.written
    }
}

fn refusal(path: &Path, errno: Errno) -> anyhow::Error {
    let path = path.display();
    match errno {
        // O_NOFOLLOW with O_DIRECTORY calls a link "not a directory".
        Errno::ENOTDIR | Errno::ELOOP => {
            anyhow::anyhow!("'{path}' is a file or a link, not a folder; name another with -o")
        }
        errno => anyhow::anyhow!("cannot open the output folder '{path}': {}", errno.desc()),
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if self.keep {
            return;
        }
        for name in &self.written {
            let _ = unlinkat(&self.folder, *name, UnlinkatFlags::NoRemoveDir);
        }
        let (Some(parent), Some(name)) = (&self.parent, self.path.file_name()) else { return };
        // Only if it is still the folder that we made; the kernel refuses one that is not empty.
        let same = || -> nix::Result<bool> {
            let now = nix::sys::stat::fstatat(parent, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
            let ours = fstat(&self.folder)?;
            Ok((now.st_dev, now.st_ino) == (ours.st_dev, ours.st_ino))
        };
        if same().unwrap_or(false) {
            let _ = unlinkat(parent, name, UnlinkatFlags::RemoveDir);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn temp() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn what_is_not_kept_leaves_nothing() {
        let temp = temp();
        let path = temp.path().join("out");
        let mut output = Output::create(&path, false).unwrap();
        output.file(CAPTURE).unwrap();
        drop(output);
        assert!(!path.exists());
    }

    #[test]
    fn a_folder_that_holds_something_is_refused_and_kept() {
        let temp = temp();
        fs::write(temp.path().join("mine"), "x").unwrap();
        fs::write(temp.path().join("report.json"), "old").unwrap();
        let error = Output::create(temp.path(), false).unwrap_err().to_string();
        assert!(error.contains("not empty"), "{error}");
        let mut output = Output::create(temp.path(), true).unwrap();
        assert_eq!(fs::read_to_string(temp.path().join("report.json")).unwrap(), "old");
        output.replace(&REPORT).unwrap();
        output.write("report.json", |f| f.write_all(b"new")).unwrap();
        output.keep();
        drop(output);
        assert_eq!(fs::read_to_string(temp.path().join("mine")).unwrap(), "x");
        assert_eq!(fs::read_to_string(temp.path().join("report.json")).unwrap(), "new");
    }

    #[test]
    fn links_are_not_followed() {
        let temp = temp();
        let (canary, link) = (temp.path().join("canary"), temp.path().join("link"));
        fs::create_dir(&canary).unwrap();
        std::os::unix::fs::symlink(&canary, &link).unwrap();
        let error = Output::create(&link, true).unwrap_err().to_string();
        assert!(error.contains("a file or a link"), "{error}");

        let planted = temp.path().join("planted");
        let mut output = Output::create(&planted, false).unwrap();
        fs::write(temp.path().join("target"), "root's").unwrap();
        std::os::unix::fs::symlink("../target", planted.join("blame.svg")).unwrap();
        assert!(output.file("blame.svg").is_err());
        assert_eq!(fs::read_to_string(temp.path().join("target")).unwrap(), "root's");
    }
}
