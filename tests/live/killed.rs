//! Whatever ends it and however often it runs, cronx leaves nothing behind: no program, map or link
//! in the kernel, no child, no file with a name of its own making, no memory, no descriptor.

use std::collections::BTreeSet;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use cronx_collector::kernel::Kernel;
use cronx_collector::probes::{Object, Probes, Settings};

use crate::bench::{Neighbour, can_run, record, wait_until};

/// `cargo xtask test` does a few; CRONX_KILL_ROUNDS asks for more.
const KILL_ROUNDS: u64 = 12;
/// The same; CRONX_ATTACH_ROUNDS asks for more.
const ATTACH_ROUNDS: u64 = 10;

/// How many rounds a variable asks for.
fn rounds(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

/// Whom a round kills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Killed {
    Cronx,
    Load,
    Both,
}

#[test]
fn killed_at_any_moment_it_leaves_nothing_behind() {
    if !can_run("killed_at_any_moment_it_leaves_nothing_behind", &["bpftool", "sleep"]) {
        return;
    }
    let before = in_kernel();
    {
        let folder = tempfile::tempdir().unwrap();
        let _recording = start(folder.path());
        wait_until("the probes are seen, or their absence means nothing", || {
            !in_kernel().is_subset(&before)
        });
    }
    let whom = [Killed::Cronx, Killed::Load, Killed::Both];
    for round in 0..rounds("CRONX_KILL_ROUNDS", KILL_ROUNDS) {
        kill_one(whom[round as usize % whom.len()], random(round), &before);
    }
}

/// From before the first fork to well into the window.
fn kill_one(whom: Killed, random: u64, before: &BTreeSet<(&'static str, u64)>) {
    let folder = tempfile::tempdir().unwrap();
    let mut recording = start(folder.path());
    std::thread::sleep(Duration::from_micros(random % 600_000));
    let children = children(recording.0.id());
    if whom != Killed::Cronx {
        kill_load(&children);
    }
    if whom != Killed::Load {
        recording.0.kill().unwrap();
    }
    // A load that was not there yet to be killed runs on, and its recording with it.
    wait_until("it has ended", || {
        kill_load(&self::children(recording.0.id()));
        recording.0.try_wait().unwrap().is_some()
    });
    wait_until("nothing of ours is in the kernel", || in_kernel().is_subset(before));
    wait_until("no child is left", || children.iter().all(|child| !is_there(*child)));
    wait_until("no load is left", || !runs("27.1828"));
    check_files(folder.path(), whom);
}

/// The processes that a process has made.
fn children(parent: u32) -> Vec<u32> {
    let list = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
    list.unwrap_or_default().split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

fn is_there(pid: u32) -> bool {
    fs::exists(format!("/proc/{pid}")).unwrap()
}

/// The load among them, held or released: all but the keeper of statistics.
fn kill_load(children: &[u32]) {
    for &child in children {
        let comm = fs::read_to_string(format!("/proc/{child}/comm")).unwrap_or_default();
        if comm.trim() == "sleep" {
            // SAFETY: a process that a child of ours made; at worst it has just gone.
            unsafe { libc::kill(child as i32, libc::SIGKILL) };
        }
    }
}

/// The same process attaches and detaches again and again.
#[test]
fn attached_again_and_again_it_does_not_grow() {
    if !can_run("attached_again_and_again_it_does_not_grow", &[]) {
        return;
    }
    let attach = || {
        let kernel = Kernel::read().unwrap();
        let object = std::env::var("CRONX_PROBES").ok();
        let object = object.map(|name| {
            [Object::TpBtf, Object::Legacy].into_iter().find(|o| o.name() == name).unwrap()
        });
        let settings = Settings { ring_bytes: 64 << 10, object, ..Settings::default() };
        Probes::attach(&kernel, &settings).unwrap().settle().unwrap();
    };
    // The first rounds fill what is kept for good: the allocator's, the libraries'.
    (0..5).for_each(|_| attach());
    let before = (descriptors(), memory_kib());
    let rounds = rounds("CRONX_ATTACH_ROUNDS", ATTACH_ROUNDS);
    (0..rounds).for_each(|_| attach());
    let after = (descriptors(), memory_kib());
    println!("{rounds} rounds: {before:?} descriptors and KiB before, {after:?} after");
    assert_eq!(after.0, before.0, "descriptors");
    assert!(after.1 < before.1 + 2_048, "KiB: {} before, {} after", before.1, after.1);
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

fn memory_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
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

/// What was begun is there under its own name, or not at all. A recording whose load was killed came
/// to its end.
fn check_files(folder: &Path, whom: Killed) {
    for entry in fs::read_dir(folder).unwrap() {
        assert_eq!(entry.unwrap().file_name(), "out");
    }
    let Ok(files) = fs::read_dir(folder.join("out")) else { return };
    let files: BTreeSet<_> = files.map(|file| file.unwrap().file_name()).collect();
    let whole = ["blame.folded", "blame.svg", "capture.cronx", "latency.hgrm", "latency.hlog"];
    let whole = whole.iter().chain(&["report.json"]).map(Into::into).collect();
    assert!(files.is_subset(&whole), "{files:?}");
    assert!(whom != Killed::Load || files == whole, "{files:?} after the load was killed");
}

fn random(round: u64) -> u64 {
    RandomState::new().hash_one(round)
}
