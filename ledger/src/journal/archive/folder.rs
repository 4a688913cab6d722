//! A folder as a store of objects.

use std::fs::{self, DirBuilder, DirEntry, File, TryLockError};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;

use object_store::local::LocalFileSystem;

use super::manifest;
use crate::Error;

/// Others may write there.
const WRITABLE: u32 = 0o022;
/// Beside the days; never removed: a lock of a file that is gone locks nobody out.
const LOCK: &str = ".lock";

pub(super) fn open(path: &Path) -> Result<(LocalFileSystem, File), Error> {
    let place = path.display().to_string();
    let made = DirBuilder::new().recursive(true).mode(0o755).create(path);
    made.map_err(Error::system("make", &place))?;
    check(path)?;
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

/// Root writes there, and removes: nobody else may be able to say what is in it.
fn check(path: &Path) -> Result<(), Error> {
    let place = path.display().to_string();
    let refused =
        |reason| Error::Unavailable { what: "keep days in", place: place.clone(), reason };
    // An end such as `/` would follow a link.
    let found = fs::symlink_metadata(path.components().as_path());
    let found = found.map_err(Error::system("look at", &place))?;
    if found.is_symlink() {
        return Err(refused("it is a link; name the folder that it leads to".to_owned()));
    }
    let (owner, own) = (found.uid(), user()?);
    if owner != own && owner != 0 {
        let reason = format!("it is of user {owner}, who could put other files there");
        return Err(refused(reason));
    }
    if found.mode() & WRITABLE != 0 {
        let reason = format!(
            "it can be written by others, who could put other files there: chmod go-w {place}"
        );
        return Err(refused(reason));
    }
    Ok(())
}

/// Who we are: what the kernel says of a process belongs to its effective user.
fn user() -> Result<u32, Error> {
    let own = fs::metadata("/proc/self").map_err(Error::system("look at", "/proc/self"))?;
    Ok(own.uid())
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

/// Removes what has a temporary name of ours, in every day.
pub(super) fn sweep(root: &Path) -> Result<u64, Error> {
    let mut gone = 0;
    for day in entries(root)?.iter().filter_map(days_name) {
        gone += remove(root, &day, is_temporary)?;
    }
    Ok(gone)
}

/// Removes files of a day that have such names; how many. What is no file itself stays, a link among them,
/// and so does what a link to a folder leads to.
pub(super) fn remove(root: &Path, day: &str, goes: impl Fn(&str) -> bool) -> Result<u64, Error> {
    let folder = root.join(day);
    let found =
        fs::symlink_metadata(&folder).map_err(Error::system("look at", folder.display()))?;
    if !found.is_dir() {
        return Ok(0);
    }
    let mut gone = 0;
    for entry in entries(&folder)? {
        let (path, name) = (entry.path(), entry.file_name());
        let kind = entry.file_type().map_err(Error::system("look at", path.display()))?;
        if kind.is_file() && name.to_str().is_some_and(&goes) {
            fs::remove_file(&path).map_err(Error::system("remove", path.display()))?;
            gone += 1;
        }
    }
    Ok(gone)
}

fn entries(folder: &Path) -> Result<Vec<DirEntry>, Error> {
    let failed = || Error::system("list", folder.display());
    let found = fs::read_dir(folder).map_err(failed())?;
    found.map(|entry| entry.map_err(failed())).collect()
}

/// The name of what is a day's folder by it.
fn days_name(entry: &DirEntry) -> Option<String> {
    let name = entry.file_name().into_string().ok()?;
    // A civil date is read in more ways than this one.
    let day: jiff::civil::Date = name.parse().ok()?;
    (day.to_string() == name).then_some(name)
}

/// Whether [`LocalFileSystem`] has given it to a file of ours until that was whole: a number after `#`.
pub(super) fn is_temporary(name: &str) -> bool {
    let Some((whole, number)) = name.rsplit_once('#') else { return false };
    let is_number = !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit());
    is_number && (whole == super::MANIFEST || manifest::is_part(whole))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn only_names_of_ours_are_temporary() {
        let part = "00000000000000000017.ndjson.zst";
        for name in [format!("{part}#1"), "manifest.json#20".to_owned()] {
            assert!(is_temporary(&name), "{name}");
        }
        for name in [
            part,
            "manifest.json",
            "manifest.json#",
            "manifest.json#x",
            "x#12",
            "#1",
            "17.ndjson.zst#1",
        ] {
            assert!(!is_temporary(name), "{name}");
        }
    }

    #[test]
    fn a_folder_is_no_link_and_nobody_else_writes_there() {
        let folder = tempfile::TempDir::new().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        drop(open(&real).unwrap());
        symlink(&real, &link).unwrap();
        for link in [link.clone(), link.join("")] {
            let refused = open(&link).err().unwrap().to_string();
            assert!(refused.contains("a link"), "{refused}");
        }
        for (mode, is_refused) in [(0o775, true), (0o757, true), (0o1777, true), (0o755, false)] {
            fs::set_permissions(&real, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(open(&real).is_err(), is_refused, "{mode:o}");
        }
    }
}
