//! A cgroup with a quota, made for one recording, of either version.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::cases::Quota;

/// Of every quota.
const PERIOD_US: u32 = 100_000;

/// Where the cpu controller is.
enum Root {
    First(PathBuf),
    Second(PathBuf),
}

/// It goes with the value.
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
    pub(super) fn make(quota: Quota) -> Result<Self> {
        let root = root().context("no cpu controller")?;
        let (Root::First(parent) | Root::Second(parent)) = &root;
        let path = parent.join(format!("cronx-score-{}", std::process::id()));
        fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
        let group = Self { path };
        group.limit(&root, quota.us)?;
        if quota.is_heavy {
            let (file, most) = match root {
                Root::First(_) => ("cpu.shares", "262144"),
                Root::Second(_) => ("cpu.weight", "10000"),
            };
            group.write(file, most)?;
        }
        Ok(group)
    }

    fn limit(&self, root: &Root, quota_us: u32) -> Result<()> {
        match root {
            Root::First(_) => {
                self.write("cpu.cfs_period_us", &PERIOD_US.to_string())?;
                self.write("cpu.cfs_quota_us", &quota_us.to_string())
            }
            Root::Second(_) => self.write("cpu.max", &format!("{quota_us} {PERIOD_US}")),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The kernel's own count of it since it was made, over all CPUs.
    pub(super) fn throttled_ns(&self) -> Result<u64> {
        parse(&fs::read_to_string(self.path.join("cpu.stat"))?)
            .context("cpu.stat has no throttled time")
    }

    fn write(&self, file: &str, value: &str) -> Result<()> {
        fs::write(self.path.join(file), value)
            .with_context(|| format!("cannot write {value} to {file}"))
    }
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
        // Who was in it may take a moment to be gone.
        for _ in 0..200 {
            if fs::remove_dir(&self.path).is_ok() {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        eprintln!("score: {} is still in use, and is left behind", self.path.display());
    }
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
