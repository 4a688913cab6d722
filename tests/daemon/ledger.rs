//! What a daemon that is killed leaves behind, and the next one makes of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::job;
use crate::daemon::{CRONX, Daemon, eventually};

/// Between two instants, milliseconds.
const PERIOD_MS: i64 = 100;

/// A daemon whose ledger is in that folder.
fn start(text: &str, state: &Path) -> Daemon {
    Daemon::start_with(text, |command| {
        command.env_remove("CRONX_LEDGER").arg("--state").arg(state);
    })
}

/// How often each instant was begun, milliseconds since 1970: a line of `date` for each.
pub fn begun(file: &Path) -> BTreeMap<i64, u32> {
    let mut begun = BTreeMap::new();
    for line in fs::read_to_string(file).unwrap_or_default().lines() {
        *begun.entry(line.parse().unwrap()).or_default() += 1;
    }
    begun
}

/// Instants that are missing.
pub fn gaps(begun: &BTreeMap<i64, u32>) -> usize {
    let instants: Vec<i64> = begun.keys().copied().collect();
    instants.windows(2).filter(|pair| pair[1] - pair[0] != PERIOD_MS).count()
}

fn look(what: &str, state: &Path) -> Output {
    Command::new(CRONX).args(["ledger", what, "--state"]).arg(state).output().unwrap()
}

#[test]
fn a_daemon_that_is_killed_loses_no_instant() {
    let folder = TempDir::new().unwrap();
    let (state, file) = (folder.path().join("state"), folder.path().join("begun"));
    // One write of a short line is whole or not there.
    let shell = format!("date -d \"$CRONX_NOMINAL\" +%s%3N >> {}", file.display());
    let text =
        job("tick", "@every 100ms", &shell, "misfire = { fire-all = 1000 }\noverlap = 'allow'");
    for round in 1..=4 {
        let mut daemon = start(&text, &state);
        eventually("some more instants", || begun(&file).len() >= 5 * round);
        daemon.signal(Signal::SIGKILL);
        daemon.ended();
    }
    let mut daemon = start(&text, &state);
    let seen = begun(&file).len();
    eventually("what is left", || begun(&file).len() > seen + 5);
    daemon.signal(Signal::SIGTERM);
    assert!(daemon.ended().success(), "{}", daemon.text());
    let begun = begun(&file);
    assert_eq!(gaps(&begun), 0, "{begun:?}");
    // What was at work when its daemon was killed may have been begun again, and nothing else.
    assert!(begun.values().filter(|&&times| times > 1).count() < 5 * 8, "{begun:?}");
    let verified = look("verify", &state);
    assert!(verified.status.success(), "{verified:?}");
}

#[test]
fn what_is_written_can_be_looked_at() {
    let folder = TempDir::new().unwrap();
    let state = folder.path().join("state");
    let daemon = start(&job("tick", "@every 50ms", "true", ""), &state);
    eventually("a run", || daemon.succeeded("tick") > 0);
    let says = |what| String::from_utf8(look(what, &state).stdout).unwrap();
    assert!(says("status").contains(" tick\n"), "{}", says("status"));
    assert!(says("runs").contains("cronx/tick/"), "{}", says("runs"));
    assert!(says("verify").ends_with(" 0 findings\n"), "{}", says("verify"));
    // There is one writer.
    let jobs = folder.path().join("jobs.toml");
    fs::write(&jobs, job("tick", "@daily", "true", "")).unwrap();
    let mut other = Command::new(CRONX);
    other.args(["run", "--listen", "127.0.0.1:0", "--state"]).arg(&state).arg(&jobs);
    let other = other.env_remove("CRONX_LEDGER").output().unwrap();
    let says = String::from_utf8_lossy(&other.stderr);
    assert!(says.contains("is in use by another cronx"), "{says}");
    assert_eq!(other.status.code(), Some(2));
}
