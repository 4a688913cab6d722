//! Which files a process has mapped to execute, opened as its own root names them.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::Uid;

use crate::trust::{self, Identity, Ownership};

/// More files than any process maps to execute.
const FILES: usize = 4096;

/// A file, whatever its path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Id {
    device: u64,
    inode: u64,
}

/// A file that code may be executed from.
#[derive(Debug)]
pub(super) struct Binary {
    pub(super) path: PathBuf,
    pub(super) file: File,
    pub(super) id: Id,
}

/// The binaries of a process, those that can be opened and believed. Who is gone has none.
pub(super) fn of_process(pid: u32) -> Vec<Binary> {
    let Ok(maps) = File::open(format!("/proc/{pid}/maps")) else { return Vec::new() };
    let mut seen = BTreeSet::new();
    let mapped =
        BufReader::new(maps).lines().map_while(Result::ok).filter_map(|line| executable(&line));
    let fresh =
        mapped.filter(|mapping| seen.insert(mapping.clone())).take(FILES).collect::<Vec<_>>();
    let users = [Identity::of(pid).uid, Some(Uid::effective().as_raw())];
    fresh.iter().filter_map(|(inode, path)| open(pid, *inode, path, &users)).collect()
}

/// The inode and path of a mapping that may be executed, from a line of `/proc/PID/maps`.
fn executable(line: &str) -> Option<(u64, PathBuf)> {
    let mut words = line.splitn(6, ' ');
    let (permissions, inode) = (words.nth(1)?, words.nth(2)?);
    let path = words.next()?.trim_start();
    let inode = inode.parse().ok().filter(|&inode| inode != 0)?;
    (permissions.contains('x') && path.starts_with('/')).then(|| (inode, path.into()))
}

/// Another file may stand at that path by now: then it is not the one that is mapped.
fn open(pid: u32, inode: u64, path: &Path, users: &[Option<u32>]) -> Option<Binary> {
    let file = trust::open_in_root_of(pid, path).ok()?;
    believed(file, path, users).filter(|binary| binary.id.inode == inode)
}

fn believed(file: File, path: &Path, users: &[Option<u32>]) -> Option<Binary> {
    if !Ownership::of(&file).ok()?.is_trusted(users) {
        return None;
    }
    let found = file.metadata().ok()?;
    let id = Id { device: found.dev(), inode: found.ino() };
    Some(Binary { path: path.to_owned(), file, id })
}

/// The file that a command would be executed from, as execvp looks for it.
pub(super) fn of_command(command: &Path, user: Option<u32>) -> Option<Binary> {
    let users = [user, Some(Uid::effective().as_raw())];
    let open = |path: PathBuf| {
        let path = fs::canonicalize(path).ok()?;
        believed(trust::open(&path).ok()?, &path, &users)
    };
    if command.components().count() > 1 {
        return open(command.to_owned());
    }
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).find_map(|folder| open(folder.join(command)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_maps_that_may_be_executed() {
        let line = "7f00-7f01 r-xp 00001000 fe:00 4711                      /usr/lib/a b.so";
        assert_eq!(executable(line), Some((4711, "/usr/lib/a b.so".into())));
        for other in [
            "7f00-7f01 r--p 00001000 fe:00 4711                      /usr/lib/a.so",
            "7f00-7f01 r-xp 00001000 00:00 0                         [vdso]",
            "7f00-7f01 r-xp 00001000 00:00 0 ",
            "",
        ] {
            assert_eq!(executable(other), None, "{other}");
        }
    }

    #[test]
    fn this_process_has_its_own_binary() {
        let own = fs::canonicalize("/proc/self/exe").unwrap();
        let found = of_process(std::process::id());
        assert!(found.iter().any(|binary| binary.path == own), "{found:?}");
        assert!(of_process(u32::MAX).is_empty());
    }

    #[test]
    fn a_command_is_looked_for_in_the_path() {
        let found = of_command(Path::new("sh"), None).expect("there is a shell");
        assert!(found.path.is_absolute());
        assert!(of_command(Path::new("no such command"), None).is_none());
    }
}
