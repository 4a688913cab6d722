//! Killed at any moment, cronx leaves nothing behind: no program, map or link in the kernel, no
//! child, no file with a name of its own making.

use std::collections::BTreeSet;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::bench::{Neighbour, can_run, record, wait_until};

/// `cargo xtask test` does a few; CRONX_KILL_ROUNDS asks for more.
const ROUNDS: u64 = 12;

#[test]
fn killed_at_any_moment_it_leaves_nothing_behind() {
    if !can_run("killed_at_any_moment_it_leaves_nothing_behind", &["bpftool", "sleep"]) {
        return;
    }
    let rounds = std::env::var("CRONX_KILL_ROUNDS").ok().and_then(|n| n.parse().ok());
    let before = in_kernel();
    {
        let folder = tempfile::tempdir().unwrap();
        let _recording = start(folder.path());
        wait_until("the probes are seen, or their absence means nothing", || {
            !in_kernel().is_subset(&before)
        });
    }
    for round in 0..rounds.unwrap_or(ROUNDS) {
        let folder = tempfile::tempdir().unwrap();
        let mut recording = start(folder.path());
        // From before the first fork to well into the window.
        std::thread::sleep(Duration::from_micros(random(round) % 600_000));
        recording.0.kill().unwrap();
        recording.0.wait().unwrap();
        wait_until("nothing of ours is in the kernel", || in_kernel().is_subset(&before));
        wait_until("no load is left", || !runs("27.1828"));
        check_files(folder.path());
    }
}

fn start(folder: &Path) -> Neighbour {
    let mut command = record();
    command.arg("-o").arg(folder.join("out")).args(["--", "sleep", "27.1828"]);
    Neighbour::start(command.stderr(Stdio::null()))
}

/// Ids of every program, map and link in the kernel.
fn in_kernel() -> BTreeSet<(&'static str, u64)> {
    let list = |kind: &'static str| {
        let listed = Command::new("bpftool").args(["-j", kind, "list"]).output().unwrap();
        let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
        let objects = listed.as_array().cloned().unwrap_or_default();
        objects.into_iter().filter_map(move |object| Some((kind, object["id"].as_u64()?)))
    };
    ["prog", "map", "link"].into_iter().flat_map(list).collect()
}

/// Whether a process with that argument is there.
fn runs(argument: &str) -> bool {
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let mut lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    lines.any(|line| line.split(|&byte| byte == 0).any(|word| word == argument.as_bytes()))
}

/// What was begun is there under its own name, or not at all.
fn check_files(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        assert_eq!(entry.unwrap().file_name(), "out");
    }
    let Ok(files) = fs::read_dir(folder.join("out")) else { return };
    for file in files {
        assert_eq!(file.unwrap().file_name(), "capture.cronx");
    }
}

fn random(round: u64) -> u64 {
    RandomState::new().hash_one(round)
}
