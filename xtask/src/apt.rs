//! Installs Debian packages, where that is possible; else says which ones.

use std::fs;
use std::process::Command;

use anyhow::{Result, bail};

use crate::process;

/// What a build of cronx takes beside Rust and a C compiler: its libbpf is built with it.
pub(crate) const BUILD: [Need; 4] = [
    Need { program: "make", package: "make" },
    Need { program: "pkg-config", package: "pkg-config" },
    Need { program: "/usr/include/libelf.h", package: "libelf-dev" },
    Need { program: "/usr/include/zlib.h", package: "zlib1g-dev" },
];

/// A program or a file, and the Debian package that has it.
#[derive(Clone, Copy)]
pub(crate) struct Need {
    pub(crate) program: &'static str,
    pub(crate) package: &'static str,
}

/// Installs the packages of those programs that are not here. Does nothing if all are.
pub(crate) fn provide(needs: &[Need]) -> Result<()> {
    let missing = packages(needs, |program| process::find(program).is_some());
    if missing.is_empty() { Ok(()) } else { install(&missing) }
}

/// Each package once, in order, of the programs that are not here.
fn packages(needs: &[Need], here: impl Fn(&str) -> bool) -> Vec<&'static str> {
    let mut packages: Vec<_> =
        needs.iter().filter(|need| !here(need.program)).map(|need| need.package).collect();
    packages.dedup();
    packages
}

/// Installs packages. Fails in one sentence where this is not root's session on a Debian.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    let words = packages.join(" ");
    if process::find("apt-get").is_none() {
        bail!("install what Debian calls {words}: there is no apt-get here to do it");
    }
    if !process::is_root() {
        bail!("not root, so run this first: sudo apt-get install --no-install-recommends {words}");
    }
    if !have_lists() {
        update()?;
    }
    // Lists that are old name files that are gone; one fresh look decides.
    attempt(packages).or_else(|_| update().and_then(|()| attempt(packages)))
}

/// Whether apt knows the package at all.
pub(crate) fn knows(package: &str) -> bool {
    if !have_lists() && process::is_root() && process::find("apt-get").is_some() {
        let _ = update();
    }
    let policy = process::output(Command::new("apt-cache").args(["policy", package]));
    policy.is_ok_and(|text| text.contains("Candidate:") && !text.contains("Candidate: (none)"))
}

/// A place that this machine's apt fetches from.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mirror {
    pub(crate) site: String,
    /// What the archive there calls itself.
    pub(crate) label: String,
}

/// The places that this machine's apt fetches from.
pub(crate) fn mirrors() -> Result<Vec<Mirror>> {
    if process::find("apt-get").is_none() {
        bail!("there is no apt-get here, and what is wanted are Debian's packages");
    }
    // An archive's name for itself stands in its list.
    if !have_lists() && process::is_root() {
        update()?;
    }
    let targets = ["indextargets", "--format", "$(SITE) $(LABEL)", "Created-By: Packages"];
    Ok(parse_mirrors(&process::output(apt().args(targets))?))
}

fn parse_mirrors(targets: &str) -> Vec<Mirror> {
    let mirror = |line: &str| {
        let (site, label) = line.split_once(' ')?;
        Some(Mirror { site: site.to_owned(), label: label.to_owned() })
    };
    targets.lines().filter_map(mirror).collect()
}

fn attempt(packages: &[&str]) -> Result<()> {
    process::run(apt().args(["install", "-y", "--no-install-recommends"]).args(packages))
}

fn update() -> Result<()> {
    process::run(apt().arg("update"))
}

fn apt() -> Command {
    let mut command = Command::new("apt-get");
    // Somebody else may be installing: wait for him.
    command.env("DEBIAN_FRONTEND", "noninteractive").args(["-o", "DPkg::Lock::Timeout=600"]);
    command
}

fn have_lists() -> bool {
    let Ok(lists) = fs::read_dir("/var/lib/apt/lists") else { return false };
    lists.flatten().any(|list| list.file_name().to_string_lossy().contains("_Packages"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_named_once_and_only_if_missing() {
        let needs = [
            Need { program: "hackbench", package: "rt-tests" },
            Need { program: "cyclictest", package: "rt-tests" },
            Need { program: "perf", package: "linux-perf" },
        ];
        assert_eq!(packages(&needs, |program| program == "perf"), ["rt-tests"]);
        assert!(packages(&needs, |_| true).is_empty());
    }

    #[test]
    fn a_mirror_is_a_site_and_what_it_calls_itself() {
        let mirror = |site: &str, label: &str| Mirror { site: site.into(), label: label.into() };
        assert_eq!(
            parse_mirrors("a://b/c Debian\nd://e Debian Backports\n"),
            [mirror("a://b/c", "Debian"), mirror("d://e", "Debian Backports")]
        );
    }
}
