//! A cgroup with a quota, made for one recording, of either version.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

/// Of every quota.
const PERIOD_US: u32 = 100_000;

/// Where the cpu controller is.
enum Root {
    First(PathBuf),
    Second(PathBuf),
}

/// A cgroup that comes before everybody else, and in it one with a quota and one without, so that
/// the two have the CPU to themselves. It goes with the value.
pub(super) struct Group {
    path: PathBuf,
}

/// Why there is none to be had, if so.
pub(super) fn obstacle() -> Option<String> {
    root().is_none().then(|| "no cgroup file system with the cpu controller is mounted".to_owned())
}

fn root() -> Option<Root> {
    let first = ["/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct"].map(PathBuf::from);
    if let Some(path) = first.into_iter().find(|path| path.join("cpu.cfs_quota_us").exists()) {
        return Some(Root::First(path));
    }
    let second = PathBuf::from("/sys/fs/cgroup");
    let controllers = fs::read_to_string(second.join("cgroup.subtree_control")).ok()?;
    controllers.split_whitespace().any(|name| name == "cpu").then_some(Root::Second(second))
}

impl Group {
    pub(super) fn make(quota_us: u32) -> Result<Self> {
        let root = root().context("no cpu controller")?;
        let (Root::First(parent) | Root::Second(parent)) = &root;
        let group = Self { path: parent.join(format!("cronx-score-{}", std::process::id())) };
        make(&group.path)?;
        match root {
            Root::First(_) => write(&group.path, "cpu.shares", "262144")?,
            Root::Second(_) => {
                write(&group.path, "cpu.weight", "10000")?;
                write(&group.path, "cgroup.subtree_control", "+cpu")?;
            }
        }
        make(&group.limited())?;
        make(&group.beside())?;
        limit(&root, &group.limited(), quota_us)?;
        Ok(group)
    }

    /// The one with a quota.
    pub(super) fn limited(&self) -> PathBuf {
        self.path.join("limited")
    }

    /// The one without.
    pub(super) fn beside(&self) -> PathBuf {
        self.path.join("beside")
    }

    /// The kernel's own count of it since it was made, over all CPUs.
    pub(super) fn throttled_ns(&self) -> Result<u64> {
        let stat = fs::read_to_string(self.limited().join("cpu.stat"))?;
        parse(&stat).context("cpu.stat has no throttled time")
    }
}

fn make(folder: &Path) -> Result<()> {
    fs::create_dir(folder).with_context(|| format!("cannot make {}", folder.display()))
}

fn limit(root: &Root, group: &Path, quota_us: u32) -> Result<()> {
    match root {
        Root::First(_) => {
            write(group, "cpu.cfs_period_us", &PERIOD_US.to_string())?;
            write(group, "cpu.cfs_quota_us", &quota_us.to_string())
        }
        Root::Second(_) => write(group, "cpu.max", &format!("{quota_us} {PERIOD_US}")),
    }
}

fn write(group: &Path, file: &str, value: &str) -> Result<()> {
    fs::write(group.join(file), value).with_context(|| format!("cannot write {value} to {file}"))
}

/// Nanoseconds in version 1, microseconds in version 2.
fn parse(stat: &str) -> Option<u64> {
    let number = |name: &str| -> Option<u64> {
        stat.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
    };
    number("throttled_time ").or_else(|| Some(number("throttled_usec ")? * 1_000))
}

impl Drop for Group {
    fn drop(&mut self) {
        for folder in [self.limited(), self.beside(), self.path.clone()] {
            remove(&folder);
        }
    }
}

/// Who was in it may take a moment to be gone.
fn remove(folder: &Path) {
    for _ in 0..200 {
        if !folder.exists() || fs::remove_dir(folder).is_ok() {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    eprintln!("score: {} is still in use, and is left behind", folder.display());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_count_in_their_own_unit() {
        assert_eq!(parse("nr_periods 3\nthrottled_time 1234\n"), Some(1_234));
        assert_eq!(parse("nr_throttled 3\nthrottled_usec 7\n"), Some(7_000));
        assert_eq!(parse("usage_usec 3\n"), None);
    }
}
