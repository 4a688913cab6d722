//! Whom a recording is about: checked before anything is loaded, told to the probes in the form
//! that they understand.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use cronx_abi::{COMM_LEN, filter};
use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use crate::Error;
use crate::cgroups::Folder;

/// Whose waits are recorded. Who they wait for may be anybody.
#[derive(Debug, Clone)]
pub enum Targets {
    /// Processes, and what they fork from then on.
    Processes(Vec<u32>),
    /// Threads of these names, for as long as they have them.
    Named(Vec<ThreadName>),
    /// Threads in a cgroup or below it, for as long as they are there.
    Cgroup(Folder),
    /// Every thread.
    All,
}

impl Targets {
    /// Processes, each of which must be there, and be one.
    pub fn processes(pids: &[u32]) -> Result<Self, Error> {
        for &pid in pids {
            match process_of(pid) {
                Some(process) if process == pid => {}
                Some(process) => return Err(Error::Thread { tid: pid, process }),
                None => return Err(Error::NoSuchProcess { pid }),
            }
        }
        Ok(Self::Processes(pids.to_vec()))
    }

    /// The probes' global of that name.
    pub(crate) fn filter(&self) -> u32 {
        match self {
            Self::Processes(_) | Self::Cgroup(_) => filter::MARKED,
            Self::Named(_) => filter::NAMED,
            Self::All => filter::ALL,
        }
    }

    /// Whether nobody of them can come any more.
    pub(crate) fn are_gone(&self) -> bool {
        let gone = |pid: &u32| kill(Pid::from_raw(*pid as i32), None) == Err(Errno::ESRCH);
        match self {
            Self::Processes(pids) => pids.iter().all(gone),
            Self::Cgroup(folder) => !folder.exists(),
            Self::Named(_) | Self::All => false,
        }
    }

    /// Whether the probes must be told of changes while they run: the kernel tells them who is born
    /// and renamed, not who joins a cgroup.
    pub fn changes(&self) -> bool {
        matches!(self, Self::Cgroup(_))
    }
}

/// A thread's name as the kernel keeps it: at most 15 bytes, filled up with zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThreadName([u8; COMM_LEN]);

impl ThreadName {
    /// Refuses a name that no thread can have.
    pub fn new(name: &str) -> Result<Self, String> {
        let mut bytes = [0; COMM_LEN];
        match name.len() {
            0 => Err("no thread is without a name".to_owned()),
            length if length >= COMM_LEN => {
                let kept = name.floor_char_boundary(COMM_LEN - 1);
                Err(format!("the kernel keeps 15 bytes of a thread's name: {:?}", &name[..kept]))
            }
            _ if name.contains('\0') => Err("no thread's name holds a NUL byte".to_owned()),
            length => {
                bytes[..length].copy_from_slice(name.as_bytes());
                Ok(Self(bytes))
            }
        }
    }

    /// The name and its zeros.
    pub fn bytes(&self) -> [u8; COMM_LEN] {
        self.0
    }

    fn is(&self, comm: &[u8]) -> bool {
        let length = self.0.iter().position(|&byte| byte == 0).unwrap_or(COMM_LEN);
        &self.0[..length] == comm
    }
}

/// A thread, and the process that it is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Thread {
    pub(crate) tid: u32,
    pub(crate) tgid: u32,
}

impl Targets {
    /// The processes that are meant now, by `/proc`: those of the threads, or all.
    #[cfg(feature = "usdt")]
    pub(crate) fn processes_now(&self) -> BTreeSet<u32> {
        if let Self::All = self {
            return fs::read_dir("/proc")
                .map(|folder| numbers(folder).collect())
                .unwrap_or_default();
        }
        let threads = self.threads().unwrap_or_default();
        threads.into_iter().map(|thread| thread.tgid).collect()
    }

    /// The threads that are meant now, by `/proc`.
    pub(crate) fn threads(&self) -> Result<BTreeSet<Thread>, Error> {
        match self {
            Self::Processes(pids) => {
                let threads = pids.iter().map(|&pid| threads_of(pid));
                Ok(threads.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
            }
            Self::Named(names) => Ok(named(names)),
            Self::Cgroup(folder) => Ok(folder.threads().into_iter().filter_map(thread).collect()),
            Self::All => Ok(BTreeSet::new()),
        }
    }
}

fn threads_of(tgid: u32) -> Result<Vec<Thread>, Error> {
    let folder = fs::read_dir(format!("/proc/{tgid}/task"))
        .map_err(|_| Error::NoSuchProcess { pid: tgid })?;
    Ok(numbers(folder).map(|tid| Thread { tid, tgid }).collect())
}

fn named(names: &[ThreadName]) -> BTreeSet<Thread> {
    let Ok(processes) = fs::read_dir("/proc") else { return BTreeSet::new() };
    let threads = numbers(processes).flat_map(|tgid| threads_of(tgid).unwrap_or_default());
    let has_name = |thread: &Thread| {
        let comm = PathBuf::from(format!("/proc/{}/task/{}/comm", thread.tgid, thread.tid));
        let comm = fs::read(comm).unwrap_or_default();
        names.iter().any(|name| name.is(comm.trim_ascii_end()))
    };
    threads.filter(has_name).collect()
}

fn numbers(folder: fs::ReadDir) -> impl Iterator<Item = u32> {
    folder.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// A thread that has gone meanwhile is nobody's.
fn thread(tid: u32) -> Option<Thread> {
    process_of(tid).map(|tgid| Thread { tid, tgid })
}

/// The process that a thread is of, by `/proc`.
fn process_of(tid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{tid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("Tgid:")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_no_thread_can_have() {
        assert!(ThreadName::new("fifteen-bytes-x").unwrap().is(b"fifteen-bytes-x"));
        assert!(!ThreadName::new("worker").unwrap().is(b"workers"));
        for (name, says) in [
            ("", "without a name"),
            ("a\0b", "NUL"),
            ("sixteen-bytes-xy", "15 bytes of a thread's name: \"sixteen-bytes-x\""),
            ("fourteen-bytes\u{e9}", "\"fourteen-bytes\""),
        ] {
            let error = ThreadName::new(name).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn the_threads_of_this_process() {
        let own = std::process::id();
        let threads = Targets::processes(&[own]).unwrap().threads().unwrap();
        assert!(threads.contains(&Thread { tid: own, tgid: own }));
        let none = Targets::processes(&[1 << 22]).unwrap_err().to_string();
        assert_eq!(none, "there is no process 4194304");
    }
}
