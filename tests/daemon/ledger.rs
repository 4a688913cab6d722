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

/// Of each nominal instant, what was last said of it.
fn said(state: &Path) -> BTreeMap<String, String> {
    let mut runs = Command::new(CRONX);
    let runs = runs.args(["ledger", "runs", "--count", "10000", "--state"]).arg(state).output();
    let text = String::from_utf8(runs.unwrap().stdout).unwrap();
    let row = |line: &str| {
        let (key, said) = line.split_once("cronx/pay/")?.1.split_once("  ")?;
        Some((key.to_owned(), said.to_owned()))
    };
    text.lines().filter_map(row).collect()
}

/// Whether the key is of this instant, which has fewer digits.
fn is_of(key: &str, nominal: &str) -> bool {
    let rest = nominal.strip_suffix('Z').and_then(|digits| key.strip_prefix(digits));
    rest.is_some_and(|rest| rest.trim_start_matches(['.', '0']).starts_with('Z'))
}

/// A job behind a breaker that opens at its first failure, and stays open.
fn behind(file: &Path, more: &str) -> String {
    let shell = format!("echo $CRONX_NOMINAL >> {}; false", file.display());
    let breaker = "breaker = { consecutive = 1, wait = { first = '1h', most = '1h' } }";
    job("pay", "@every 100ms", &shell, &format!("{breaker}\n{more}"))
}

#[test]
fn what_a_breaker_rejected_is_decided_and_the_ledger_says_so() {
    let folder = TempDir::new().unwrap();
    let (state, file) = (folder.path().join("state"), folder.path().join("begun"));
    let text = behind(&file, "misfire = { fire-all = 1000 }");
    let begun = || fs::read_to_string(&file).unwrap_or_default();
    let rejected = |daemon: &Daemon| daemon.job("pay")["ended"]["rejected"].as_u64() >= Some(5);
    let mut daemon = start(&text, &state);
    eventually("rejections", || rejected(&daemon));
    daemon.signal(Signal::SIGKILL);
    daemon.ended();
    let mut before = said(&state);
    before.retain(|_, said| said == "rejected: job:pay, consecutive");
    assert!(before.len() >= 5, "{before:?}");
    assert_eq!(begun().lines().count(), 1);
    let mut daemon = start(&text, &state);
    eventually("the next", || rejected(&daemon));
    daemon.signal(Signal::SIGTERM);
    assert!(daemon.ended().success(), "{}", daemon.text());
    // The new daemon's breaker begins closed: one more has begun, and none that was rejected before.
    assert_eq!(begun().lines().count(), 2);
    let again = |key: &str| begun().lines().any(|nominal| is_of(key, nominal));
    assert!(!before.keys().any(|key| again(key)), "{before:?} {}", begun());
    let after = said(&state);
    assert!(before.iter().all(|(key, said)| after.get(key) == Some(said)), "{after:?}");
    let verified = look("verify", &state);
    assert!(verified.status.success(), "{verified:?}");
}

/// One whose job says that it waits for its breaker is still to be tried, by whoever comes after.
#[test]
fn what_is_to_wait_for_its_breaker_is_tried_after_a_restart() {
    let folder = TempDir::new().unwrap();
    let (state, file) = (folder.path().join("state"), folder.path().join("begun"));
    let retry = "retry = { attempts = 3, base = '1ms', cap = '1ms', rejected = true }";
    let text = behind(&file, &format!("{retry}\noverlap = 'skip'"));
    let begun = || fs::read_to_string(&file).unwrap_or_default();
    let mut daemon = start(&text, &state);
    let waits = |said: &String| said == "rejected: job:pay, consecutive";
    eventually("it is written", || said(&state).values().any(waits));
    daemon.signal(Signal::SIGKILL);
    daemon.ended();
    let nominal = begun();
    assert_eq!(nominal.lines().count(), 1);
    let (key, _) = said(&state).into_iter().find(|(_, said)| waits(said)).unwrap();
    assert!(is_of(&key, nominal.trim()), "{key} {nominal}");
    let mut daemon = start(&text, &state);
    eventually("the same once more", || begun().matches(nominal.trim()).count() == 2);
    daemon.signal(Signal::SIGTERM);
    assert!(daemon.ended().success(), "{}", daemon.text());
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
