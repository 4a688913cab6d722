//! `cargo xtask test`: every test, and a word on each live one that was skipped.
//!
//! Every cargo command here selects the whole workspace, so that each dependency is built once,
//! with one set of features.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::apt::{self, Need};
use crate::{process, workspace};

/// Witnesses and loads of the live tests.
const NEEDS: [Need; 6] = [
    Need { program: "runqlat", package: "libbpf-tools" },
    Need { program: "perf", package: "linux-perf" },
    Need { program: "hackbench", package: "rt-tests" },
    Need { program: "cyclictest", package: "rt-tests" },
    Need { program: "stress-ng", package: "stress-ng" },
    Need { program: "useradd", package: "passwd" },
];

const TRACEFS: &str = "/sys/kernel/tracing";

/// What live tests are told: where to write down a skip, whether one is a failure, and which probes
/// to use.
#[derive(Clone)]
struct Live {
    skipped: PathBuf,
    demanded: bool,
    probes: &'static str,
}

/// Runs every test. With `demand`, or where CI=true, a skipped live test is a failure.
pub(crate) fn run(demand: bool) -> Result<()> {
    prepare();
    let demanded = demand || env::var("CI").is_ok_and(|value| value == "true");
    let live =
        Live { skipped: workspace::target()?.join("skipped-tests.txt"), demanded, probes: "" };
    forget(&live.skipped)?;
    // The tests run the command and the actors, and build neither.
    cargo(&live, &["build", "--workspace", "--bins"], &[])?;
    cargo(&live, &["test", "--workspace", "--lib", "--bins"], &[])?;
    cargo(&live, &["test", "--workspace", "--doc"], &[])?;
    if workspace::has_integration_tests()? {
        // One kernel, one at a time: a live test would see its neighbour's load. With each object in
        // turn: the kernel here may take both, others take only one.
        for probes in ["tp_btf", "legacy"] {
            println!("\nlive tests with the probes {probes}");
            let words = ["test", "--workspace", "--test", "*"];
            cargo(&Live { probes, ..live.clone() }, &words, &["--test-threads=1"])?;
        }
    }
    close(&live)
}

fn cargo(live: &Live, words: &[&str], to_tests: &[&str]) -> Result<()> {
    let mut command = workspace::cargo();
    command.args(words).env("CRONX_SKIPPED", &live.skipped);
    if !live.probes.is_empty() {
        command.env("CRONX_PROBES", live.probes);
    }
    if live.demanded {
        command.env("CRONX_LIVE", "demand");
    }
    if !to_tests.is_empty() {
        command.arg("--").args(to_tests);
    }
    process::run(&mut command)
}

/// What live tests need, as far as it can be had: what cannot is a skip that gives its reason.
fn prepare() {
    if let Err(error) = apt::provide(&NEEDS) {
        eprintln!("live tests may be skipped: {error:#}");
    }
    if let Err(error) = mount_tracefs() {
        eprintln!("live tests may be skipped: {error:#}");
    }
}

fn mount_tracefs() -> Result<()> {
    if Path::new(TRACEFS).join("events").is_dir() {
        return Ok(());
    }
    if !process::is_root() {
        bail!("{TRACEFS} cannot be read; root can: mount -t tracefs tracefs {TRACEFS}");
    }
    process::run(Command::new("mount").args(["-t", "tracefs", "tracefs", TRACEFS]))
}

fn forget(skipped: &Path) -> Result<()> {
    if let Some(folder) = skipped.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(skipped, "").with_context(|| format!("cannot write {}", skipped.display()))
}

fn close(live: &Live) -> Result<()> {
    let skipped = fs::read_to_string(&live.skipped)?;
    println!("\n{}", summary(&skipped));
    if live.demanded && !skipped.trim().is_empty() {
        bail!("live tests were demanded, and some were skipped");
    }
    Ok(())
}

/// The closing lines: every skip with its reason, and how many there were.
fn summary(skipped: &str) -> String {
    let reasons: Vec<_> = skipped.lines().filter(|line| !line.trim().is_empty()).collect();
    let closing = match reasons.len() {
        0 => "all tests passed, none was skipped".to_owned(),
        1 => "all other tests passed, 1 was skipped".to_owned(),
        count => format!("all other tests passed, {count} were skipped"),
    };
    let lines = reasons.iter().map(|reason| format!("skipped: {reason}\n"));
    lines.collect::<String>() + &closing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_counts_what_was_skipped() {
        assert_eq!(summary("\n"), "all tests passed, none was skipped");
        assert_eq!(
            summary("runqlat_agrees: no runqlat\nload_is_user: no useradd\n"),
            "skipped: runqlat_agrees: no runqlat\nskipped: load_is_user: no useradd\n\
             all other tests passed, 2 were skipped"
        );
    }
}
