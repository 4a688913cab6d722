//! Three daemons on one PostgreSQL: one is killed, one is stopped for longer than its lease and wakes, one
//! ends in order. Every instant is begun, what is begun again has a larger fence, and a place that compares
//! fences and keys takes each instant once.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::daemon::{BOUND, CRONX, Daemon, eventually};
use cronx_servers::{needs, postgres};

const LEASE: Duration = Duration::from_secs(5);
/// Between two instants, milliseconds.
const PERIOD_MS: i64 = 500;
/// So many that each daemon is certain to have some.
const JOBS: usize = 12;

/// The jobs of all: each instant is a line of its daemon's in the file of the job.
fn jobs(folder: &Path) -> String {
    let mut text = format!("[daemon]\nlease = '{}s'\n", LEASE.as_secs());
    for number in 0..JOBS {
        // One write of a short line is whole or not there.
        let line = "$(date -d \"$CRONX_NOMINAL\" +%s%3N) $CRONX_FENCE $BY";
        let shell = format!("echo {line} >> {}", folder.join(number.to_string()).display());
        let more = "misfire = { fire-all = 1000 }\noverlap = 'allow'";
        let schedule = format!("@every {PERIOD_MS}ms");
        text += &super::job(&format!("job{number}"), &schedule, &shell, more);
    }
    text
}

fn start(text: &str, url: &str, name: &str) -> Daemon {
    Daemon::start_with(text, |command| _ = command.env("CRONX_LEDGER", url).env("BY", name))
}

/// An instant that was begun.
struct Begun {
    nominal_ms: i64,
    fence: u64,
    by: String,
}

fn begun(folder: &Path, number: usize) -> Vec<Begun> {
    let text = fs::read_to_string(folder.join(number.to_string())).unwrap_or_default();
    let line = |line: &str| {
        let [nominal, fence, by] = line.split(' ').collect::<Vec<_>>().try_into().ok()?;
        let (nominal_ms, fence) = (nominal.parse().ok()?, fence.parse().ok()?);
        Some(Begun { nominal_ms, fence, by: by.to_owned() })
    };
    text.lines().map(|text| line(text).unwrap_or_else(|| panic!("{text:?}"))).collect()
}

/// Who has begun the last instant of each job.
fn last(folder: &Path) -> BTreeMap<usize, String> {
    let last = |number| {
        let all = begun(folder, number);
        Some((number, all.into_iter().max_by_key(|begun| begun.nominal_ms)?.by))
    };
    (0..JOBS).filter_map(last).collect()
}

fn at_work(folder: &Path, names: &[&str]) {
    let wanted: BTreeSet<String> = names.iter().map(|name| (*name).to_owned()).collect();
    eventually("that all are at work", || {
        let last = last(folder);
        last.len() == JOBS && last.into_values().collect::<BTreeSet<_>>() == wanted
    });
}

/// Waits until others have what one had; within so long.
fn taken_over(folder: &Path, from: &str, most: Duration) {
    let since = Instant::now();
    while last(folder).values().any(|by| by == from) {
        assert!(since.elapsed() < BOUND, "{from} has still {:?}", last(folder));
        std::thread::sleep(Duration::from_millis(20));
    }
    let took = since.elapsed();
    assert!(took < most, "taken over from {from} after {took:?}");
}

/// All begun without a gap; what was begun more than once, by a larger fence each time. Gives how many were.
fn judge(folder: &Path, number: usize) -> usize {
    let mut fences: BTreeMap<i64, Vec<u64>> = BTreeMap::new();
    for Begun { nominal_ms, fence, .. } in begun(folder, number) {
        fences.entry(nominal_ms).or_default().push(fence);
    }
    let instants: Vec<i64> = fences.keys().copied().collect();
    let gaps = instants.windows(2).filter(|pair| pair[1] - pair[0] != PERIOD_MS).count();
    assert_eq!(gaps, 0, "job {number} lost instants: {instants:?}");
    for (nominal, fences) in &mut fences {
        let count = fences.len();
        fences.sort_unstable();
        fences.dedup();
        assert_eq!(fences.len(), count, "job {number}, {nominal}: a fence was given twice");
    }
    fences.values().filter(|fences| fences.len() > 1).count()
}

fn ours(daemon: &Daemon) -> BTreeSet<u64> {
    let status = daemon.status();
    let ours = status["ledger"]["ours"].as_array().unwrap();
    ours.iter().filter_map(Value::as_u64).collect()
}

#[test]
fn daemons_share_the_jobs_and_lose_none() {
    let test = "daemons_share_the_jobs_and_lose_none";
    let Some(server) = needs(test, postgres(), "PostgreSQL") else { return };
    let url = format!("postgres://cronx@127.0.0.1:{}/postgres", server.port);
    let folder = TempDir::new().unwrap();
    let (folder, text) = (folder.path(), jobs(folder.path()));
    let mut one = start(&text, &url, "one");
    one.says("shard 15 is ours: ");
    let mut two = start(&text, &url, "two");
    let mut three = start(&text, &url, "three");
    at_work(folder, &["one", "two", "three"]);
    one.says(" is given back");
    // Each shard is somebody's, and nobody else's.
    eventually("that all shards are somebody's", || {
        let all = [&one, &two, &three].map(ours);
        let count: usize = all.iter().map(BTreeSet::len).sum();
        count == 16 && all.iter().flatten().collect::<BTreeSet<_>>().len() == 16
    });
    let shards = two.status()["jobs"].as_array().unwrap().len();
    assert!(shards > 0 && shards < JOBS, "{shards}");

    one.signal(Signal::SIGKILL);
    one.ended();
    taken_over(folder, "one", 2 * LEASE);

    two.signal(Signal::SIGSTOP);
    taken_over(folder, "two", 2 * LEASE);
    two.signal(Signal::SIGCONT);
    two.says(" is lost: ");
    at_work(folder, &["two", "three"]);

    // It need not be missed first.
    three.signal(Signal::SIGTERM);
    taken_over(folder, "three", LEASE);
    assert!(three.ended().success(), "{}", three.text());
    two.signal(Signal::SIGTERM);
    assert!(two.ended().success(), "{}", two.text());

    let again: usize = (0..JOBS).map(|number| judge(folder, number)).sum();
    // What was at work when its daemon was killed or stopped, and nothing else.
    assert!(again <= 2 * JOBS, "{again} instants were begun again");
    let verified =
        Command::new(CRONX).args(["ledger", "verify", "--ledger", &url]).output().unwrap();
    assert!(verified.status.success(), "{verified:?}");
}
