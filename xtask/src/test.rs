//! `cargo xtask test`: every test, and a word on each live one that was skipped.
//!
//! Every cargo command here selects the whole workspace, so that each dependency is built once,
//! with one set of features.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::apt::{self, Need};
use crate::{process, workspace};

/// Witnesses and loads of the live tests, and servers that tests start for themselves.
pub(crate) const NEEDS: [Need; 12] = [
    Need { program: "runqlat", package: "libbpf-tools" },
    Need { program: "perf", package: "linux-perf" },
    Need { program: "hackbench", package: "rt-tests" },
    Need { program: "cyclictest", package: "rt-tests" },
    Need { program: "stress-ng", package: "stress-ng" },
    Need { program: "useradd", package: "passwd" },
    Need { program: "bpftool", package: "bpftool" },
    Need { program: "mariadbd", package: "mariadb-server-core" },
    Need { program: "pg_createcluster", package: "postgresql" },
    Need { program: "redis-server", package: "redis-server" },
    Need { program: "nats-server", package: "nats-server" },
    // It comes with the header, whose folder is another on each machine.
    Need { program: "dtrace", package: "systemtap-sdt-dev" },
];

const LEGACY: [&str; 3] = ["--test-threads=1", "--skip", "gate"];

/// Stores of the ledger's and sinks of its journal that need a server.
pub(crate) const SERVERS: &str = "cronx-ledger/archive,cronx-ledger/kafka,cronx-ledger/mariadb,cronx-ledger/nats,\
    cronx-ledger/postgres,cronx-ledger/redis,cronx-ledger/saga";

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
    apt::provide(&apt::BUILD)?;
    prepare();
    let demanded = demand || env::var("CI").is_ok_and(|value| value == "true");
    let live =
        Live { skipped: workspace::target()?.join("skipped-tests.txt"), demanded, probes: "" };
    forget(&live.skipped)?;
    // The tests run the command and the actors, and build neither.
    cargo(&live, &["build", "--workspace", "--bins"], &[])?;
    cargo(&live, &["test", "--workspace", "--lib", "--bins"], &[])?;
    cargo(&live, &["test", "--workspace", "--doc"], &[])?;
    cargo(&live, &["test", "--workspace", "--features", SERVERS, "--test", "ledger"], &[])?;
    if workspace::has_integration_tests()? {
        // One kernel, one at a time: a live test would see its neighbour's load. With each object in
        // turn: the kernel here may take both, others take only one.
        // What a gate makes of recordings does not depend on who made them.
        let both: [(&str, &str, &[&str]); 2] =
            [("tp_btf", "*", &["--test-threads=1"]), ("legacy", "live", &LEGACY)];
        for (probes, tests, to_tests) in both {
            println!("\nlive tests with the probes {probes}");
            let words = ["test", "--workspace", "--test", tests];
            cargo(&Live { probes, ..live.clone() }, &words, to_tests)?;
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

/// Where the kernel's classic tracepoints are described.
pub(crate) fn mount_tracefs() -> Result<()> {
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

/// The closing lines: every reason once, with the tests that it kept from running, and how many they
/// were.
fn summary(skipped: &str) -> String {
    let mut by_reason: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (test, reason) in skipped.lines().filter_map(|line| line.split_once(": ")) {
        by_reason.entry(reason).or_default().push(test);
    }
    let closing = match by_reason.values().map(Vec::len).sum() {
        0 => "all tests passed, none was skipped".to_owned(),
        1 => "all other tests passed, 1 was skipped".to_owned(),
        count => format!("all other tests passed, {count} were skipped"),
    };
    let told = by_reason.iter().map(|(reason, tests)| {
        format!("skipped {}: {reason}\n  {}\n", tests.len(), tests.join(", "))
    });
    told.collect::<String>() + &closing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_counts_what_was_skipped() {
        assert_eq!(summary("\n"), "all tests passed, none was skipped");
        assert_eq!(
            summary("runqlat_agrees: no runqlat\nload_is_user: no useradd\n"),
            "skipped 1: no runqlat\n  runqlat_agrees\n\
             skipped 1: no useradd\n  load_is_user\nall other tests passed, 2 were skipped"
        );
    }
}
