//! Cgroups as folders: where they are mounted, who is in one, which have a quota, what their ids are
//! called. Version 1, version 2, and both beside each other.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cronx_abi::{Record, TaskRecord, kind};
use cronx_recording::Untrusted;

use crate::Error;

/// Folders looked at below one: far more than a machine has, and an end all the same.
const FOLDERS_MAX: usize = 1 << 16;

/// Names are looked for at most so often.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A cgroup's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder(PathBuf);

impl Folder {
    /// The cgroup that is meant: a folder, or a path from the root of a hierarchy.
    pub fn find(given: &Path) -> Result<Self, Error> {
        let relative = given.strip_prefix("/").unwrap_or(given);
        let below = mounts().into_iter().map(|mount| mount.path.join(relative));
        let mut folders = std::iter::once(given.to_owned()).chain(below);
        folders.find(|folder| is_cgroup(folder)).map(Self).ok_or_else(|| Error::NoSuchCgroup {
            given: Untrusted::from(given.to_string_lossy().into_owned()),
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Whether it is still there.
    pub(crate) fn exists(&self) -> bool {
        is_cgroup(&self.0)
    }

    /// The threads in it and below it. A folder may go at any time.
    pub(crate) fn threads(&self) -> Vec<u32> {
        let members = |folder: PathBuf| fs::read_to_string(folder.join(members(&folder)));
        let texts = below(&self.0).into_iter().filter_map(|folder| members(folder).ok());
        texts.flat_map(|text| numbers(&text)).collect()
    }
}

fn numbers(text: &str) -> Vec<u32> {
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

fn is_cgroup(folder: &Path) -> bool {
    folder.join("cgroup.procs").is_file()
}

/// The file that lists threads: version 2 calls it so, version 1 `tasks`.
fn members(folder: &Path) -> &'static str {
    if folder.join("cgroup.threads").exists() { "cgroup.threads" } else { "tasks" }
}

/// The folder and all below it, parents first. Links are not followed: there are none.
fn below(top: &Path) -> Vec<PathBuf> {
    let mut folders = vec![top.to_owned()];
    let mut next = 0;
    while next < folders.len() && folders.len() < FOLDERS_MAX {
        let entries = fs::read_dir(&folders[next]).into_iter().flatten().flatten();
        let inside = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        folders.extend(inside.map(|entry| entry.path()));
        next += 1;
    }
    folders
}

/// A mounted hierarchy.
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    path: PathBuf,
    /// Whether it is the one whose groups share out CPU time.
    cpu: bool,
}

fn mounts() -> Vec<Mount> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let controllers =
        |path: &Path| fs::read_to_string(path.join("cgroup.controllers")).unwrap_or_default();
    parse_mounts(&mounts, controllers)
}

/// `ID PARENT DEVICE ROOT PATH OPTIONS [...] - TYPE SOURCE SUPER_OPTIONS`. On version 1 the options
/// name the controllers, on version 2 a file does.
fn parse_mounts(mountinfo: &str, controllers: impl Fn(&Path) -> String) -> Vec<Mount> {
    let mount = |line: &str| {
        let (place, kind) = line.split_once(" - ")?;
        let path = PathBuf::from(place.split(' ').nth(4)?);
        let mut kind = kind.split(' ');
        let named = match kind.next()? {
            "cgroup" => kind.nth(1)?.to_owned(),
            "cgroup2" => controllers(&path),
            _ => return None,
        };
        let cpu = named.split([',', ' ', '\n']).any(|controller| controller == "cpu");
        Some(Mount { path, cpu })
    };
    mountinfo.lines().filter_map(mount).collect()
}

/// The hierarchy whose groups share out CPU time.
fn cpu_root() -> Option<PathBuf> {
    mounts().into_iter().find(|mount| mount.cpu).map(|mount| mount.path)
}

/// The cpu controller's cgroups by id: a folder's inode is the id that the kernel knows it by. One
/// that is made and taken away while a recording runs is looked for when a task is seen in it.
#[derive(Debug)]
pub(crate) struct Names {
    known: BTreeMap<u64, Untrusted>,
    /// A task was seen in one that is not known.
    news: bool,
    looked: Instant,
}

impl Names {
    pub(crate) fn read() -> Self {
        Self { known: names(), news: false, looked: Instant::now() }
    }

    /// Takes note of a record's cgroup, if it tells one.
    pub(crate) fn see(&mut self, record: &[u8]) {
        let Some(task) = TaskRecord::from_bytes(record) else { return };
        let told = task.header.kind == kind::TASK && task.cgroup != 0;
        self.news |= told && !self.known.contains_key(&task.cgroup);
    }

    /// Looks again, if there is a reason and it is time.
    pub(crate) fn look(&mut self) {
        if self.news && self.looked.elapsed() >= LOOK_EVERY {
            self.known.extend(names());
            (self.news, self.looked) = (false, Instant::now());
        }
    }

    pub(crate) fn finish(mut self) -> BTreeMap<u64, Untrusted> {
        self.known.extend(names());
        self.known
    }
}

fn names() -> BTreeMap<u64, Untrusted> {
    let Some(root) = cpu_root() else { return BTreeMap::new() };
    let named = |folder: PathBuf| {
        let id = fs::metadata(&folder).ok()?.ino();
        let path = Path::new("/").join(folder.strip_prefix(&root).ok()?);
        Some((id, Untrusted::from(path.to_string_lossy().into_owned())))
    };
    below(&root).into_iter().filter_map(named).collect()
}

/// The folders of our own cgroup among those that share out CPU time, and of all above it.
pub(crate) fn own() -> Vec<PathBuf> {
    let Some(root) = cpu_root() else { return Vec::new() };
    let memberships = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let path = membership(&memberships).unwrap_or_default();
    let folder = root.join(path.trim_start_matches('/'));
    folder.ancestors().take_while(|above| above.starts_with(&root)).map(Path::to_owned).collect()
}

/// Of the lines `ID:CONTROLLERS:PATH` the path of the cpu controller's, or of version 2's.
fn membership(memberships: &str) -> Option<&str> {
    let lines = || memberships.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
    let of_cpu = lines().find(|(named, _)| named.split(',').any(|name| name == "cpu"));
    of_cpu.or_else(|| lines().find(|(named, _)| named.is_empty())).map(|(_, path)| path)
}

/// Whether any cgroup has a quota of CPU time.
pub(crate) fn any_has_quota() -> bool {
    cpu_root().is_some_and(|root| below(&root).iter().any(|folder| has_quota(folder)))
}

fn has_quota(folder: &Path) -> bool {
    let limited = |file: &str, none: &str| {
        let limit = fs::read_to_string(folder.join(file));
        limit.is_ok_and(|limit| limit.split_whitespace().next() != Some(none))
    };
    limited("cpu.max", "max") || limited("cpu.cfs_quota_us", "-1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hierarchy_that_shares_out_cpu_time() {
        let check = |mountinfo: &str, controllers: &str, expected: &str| {
            let mounts = parse_mounts(mountinfo, |_| controllers.to_owned());
            let cpu = mounts.into_iter().find(|mount| mount.cpu).map(|mount| mount.path);
            assert_eq!(cpu.as_deref(), Some(Path::new(expected)));
        };
        let second =
            "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate";
        check(second, "cpuset cpu io\n", "/sys/fs/cgroup");
        let hybrid = "20 1 0:20 / /proc rw - proc proc rw\n\
            30 23 0:26 / /sys/fs/cgroup/cpuacct rw - cgroup cgroup rw,cpuacct\n\
            31 23 0:27 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid - cgroup cgroup rw,cpu,cpuacct\n\
            32 23 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw";
        check(hybrid, "hugetlb\n", "/sys/fs/cgroup/cpu,cpuacct");
        assert_eq!(parse_mounts("nonsense\n- cgroup\n", |_| String::new()), []);
    }

    #[test]
    fn our_own_is_the_one_that_shares_out_cpu_time() {
        assert_eq!(membership("9:name=systemd:/x\n4:cpu,cpuacct:/a:b\n0::/c\n"), Some("/a:b"));
        assert_eq!(membership("2:cpuacct:/x\n0::/c"), Some("/c"));
        assert_eq!(membership("nonsense"), None);
    }

    #[test]
    fn what_is_no_cgroup_is_refused_by_its_name() {
        let error = Folder::find(Path::new("/tmp")).unwrap_err().to_string();
        assert!(error.starts_with("there is no cgroup '/tmp'"), "{error}");
    }
}
