//! A folder as a store of objects.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use object_store::local::LocalFileSystem;

use crate::Error;

/// Beside the days; never removed: a lock of a file that is gone locks nobody out.
const LOCK: &str = ".lock";

pub(super) fn open(path: &Path) -> Result<(LocalFileSystem, File), Error> {
    let place = path.display().to_string();
    fs::create_dir_all(path).map_err(Error::system("make", &place))?;
    let name = path.join(LOCK);
    let file = File::options().create(true).truncate(false).write(true).open(&name);
    let file = file.map_err(Error::system("open", name.display()))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(Error::InUse { place }),
        Err(TryLockError::Error(error)) => {
            return Err(Error::system("lock", name.display())(error));
        }
    }
    Ok((store(path)?, file))
}

pub(super) fn store(path: &Path) -> Result<LocalFileSystem, Error> {
    let store = LocalFileSystem::new_with_prefix(path).map_err(|error| Error::Unavailable {
        what: "open",
        place: path.display().to_string(),
        reason: error.to_string(),
    })?;
    // A day is dropped when it is told that its files are there.
    Ok(store.with_fsync(true))
}

/// Removes files with temporary names, which are those of [`LocalFileSystem`]: a number after `#`.
pub(super) fn sweep(root: &Path) -> Result<u64, Error> {
    let mut gone = 0;
    for folder in entries(root)?.into_iter().filter(|path| path.is_dir()) {
        for path in entries(&folder)?.into_iter().filter(|path| is_temporary(path)) {
            fs::remove_file(&path).map_err(Error::system("remove", path.display()))?;
            gone += 1;
        }
    }
    Ok(gone)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = || Error::system("list", folder.display());
    let found = fs::read_dir(folder).map_err(failed())?;
    found.map(|entry| entry.map(|entry| entry.path()).map_err(failed())).collect()
}

fn is_temporary(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let number = name.rsplit_once('#').map_or("", |(_, number)| number);
    !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit())
}
