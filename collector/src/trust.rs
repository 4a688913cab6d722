//! Whose files symbols may be read from.
//!
//! A process names the files that its code comes from, and anybody may leave a file in `/tmp`. We
//! read with more rights than most who could have put it there, so a file counts only as the word
//! of somebody who could deceive us anyway: root, the process's own user, and ourselves.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{Mode, SFlag};

const ROOT: u32 = 0;

/// Without a link at its end, without waiting for who else has it open, not for the load to have.
const READING: OFlag =
    OFlag::O_RDONLY.union(OFlag::O_NOFOLLOW).union(OFlag::O_NONBLOCK).union(OFlag::O_CLOEXEC);

/// What a file says of itself: by its descriptor, since its path may mean another one by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ownership {
    pub(crate) uid: u32,
    pub(crate) mode: u32,
}

impl Ownership {
    pub(crate) fn of(file: &File) -> io::Result<Self> {
        let found = file.metadata()?;
        Ok(Self { uid: found.uid(), mode: found.mode() })
    }

    /// Whether it is root's.
    pub(crate) fn is_roots(self) -> bool {
        self.uid == ROOT
    }

    /// Whether symbols may be read from it where these users are believed, and root. A file that
    /// anybody may write is nobody's word.
    pub(crate) fn is_trusted(self, users: &[Option<u32>]) -> bool {
        let regular = self.mode & SFlag::S_IFMT.bits() == SFlag::S_IFREG.bits();
        let anybodys = self.mode & Mode::S_IWOTH.bits() != 0;
        regular && !anybodys && (self.is_roots() || users.contains(&Some(self.uid)))
    }
}

/// Opens a file by its path.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    File::options().read(true).custom_flags(READING.bits()).open(path)
}

/// Opens a file as a process would: links of its own root lead nowhere else.
pub(crate) fn open_in_root_of(process: u32, path: &Path) -> io::Result<File> {
    let root: OwnedFd = File::options()
        .read(true)
        .custom_flags((OFlag::O_PATH | OFlag::O_DIRECTORY).bits())
        .open(format!("/proc/{process}/root"))?
        .into();
    let inside = path.strip_prefix("/").unwrap_or(path);
    let how = OpenHow::new().flags(READING).resolve(ResolveFlag::RESOLVE_IN_ROOT);
    Ok(openat2(root.as_fd(), inside, how)?.into())
}

/// Whether a path means the same file to the process as to us. If nobody can say, it does not.
pub(crate) fn shares_our_mounts(process: u32) -> bool {
    let mounts = |process: &str| fs::read_link(format!("/proc/{process}/ns/mnt")).ok();
    let theirs = mounts(&process.to_string());
    theirs.is_some() && theirs == mounts("self")
}

/// A process, as far as its files are concerned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    /// As whom it makes files; `None` if it is gone or hidden.
    pub(crate) uid: Option<u32>,
    /// Its number in its own namespace, where that is another one.
    pub(crate) inner_pid: Option<u32>,
}

impl Identity {
    pub(crate) fn of(process: u32) -> Self {
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        Self::parse(&status)
    }

    /// From `/proc/PID/status`: the last of `Uid` is what files are made with, the last of `NSpid`
    /// the innermost number.
    fn parse(status: &str) -> Self {
        let last = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key))?;
            line.split_whitespace().next_back()?.parse().ok()
        };
        Self { uid: last("Uid:"), inner_pid: last("NSpid:") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REGULAR: u32 = SFlag::S_IFREG.bits();

    #[track_caller]
    fn check(uid: u32, mode: u32, target: Option<u32>, trusted: bool) {
        let ownership = Ownership { uid, mode };
        let users = [target, Some(1000)];
        assert_eq!(ownership.is_trusted(&users), trusted, "{ownership:?} for {users:?}");
    }

    #[test]
    fn root_and_the_users_named_are_believed() {
        check(0, REGULAR | 0o755, Some(33), true);
        check(33, REGULAR | 0o600, Some(33), true);
        check(1000, REGULAR | 0o644, Some(33), true);
        check(0, REGULAR | 0o755, None, true);
    }

    #[test]
    fn others_are_not() {
        check(34, REGULAR | 0o644, Some(33), false);
        check(34, REGULAR | 0o644, None, false);
        check(33, REGULAR | 0o644, Some(0), false);
    }

    #[test]
    fn what_anybody_may_write_or_is_no_file_is_nobodys_word() {
        check(33, REGULAR | 0o666, Some(33), false);
        check(0, REGULAR | 0o777, Some(33), false);
        check(33, SFlag::S_IFIFO.bits() | 0o600, Some(33), false);
        check(33, SFlag::S_IFDIR.bits() | 0o700, Some(33), false);
        check(0, SFlag::S_IFCHR.bits() | 0o600, Some(33), false);
    }

    #[test]
    fn a_status_tells_who_a_process_is() {
        let status = "Name:\tnode\nUid:\t1000\t33\t33\t34\nGid:\t5\t5\t5\t5\nNSpid:\t4711\t12\t1\n";
        assert_eq!(Identity::parse(status), Identity { uid: Some(34), inner_pid: Some(1) });
        assert_eq!(Identity::parse(""), Identity::default());
    }

    #[test]
    fn a_link_and_a_pipe_are_no_trap() {
        let folder = std::env::temp_dir().join(format!("cronx-trust-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        let (pipe, link) = (folder.join("pipe"), folder.join("link"));
        nix::unistd::mkfifo(&pipe, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", &link).unwrap();
        let piped = open(&pipe).and_then(|file| Ownership::of(&file)).unwrap();
        let linked = open(&link);
        let within = open_in_root_of(std::process::id(), &link);
        fs::remove_dir_all(&folder).unwrap();
        assert!(!piped.is_trusted(&[Some(piped.uid)]));
        assert!(linked.is_err() && within.is_err());
    }
}
