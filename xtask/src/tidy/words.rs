//! Words that must not stand in some sources, and words that must not stand anywhere.

use super::{File, Finding, Tree, source};

/// Everything right of the Capture is a function over plain data; so is what a scheduler or a ledger decides.
const PURE: [&str; 13] = [
    "recording/",
    "blame/",
    "flamegraph/",
    "gate/",
    "scheduler/src/wheel",
    "scheduler/src/spec",
    "scheduler/src/policy",
    "scheduler/src/roster",
    "scheduler/src/store/course",
    "ledger/src/key",
    "ledger/src/claim",
    "ledger/src/act",
    "scheduler/src/breaker",
];
const EFFECTS: [&str; 13] = [
    "aya",
    "libbpf_rs",
    "tokio",
    "std::fs",
    "fs::",
    "std::thread",
    "thread::spawn",
    "std::process",
    "std::net",
    "std::env",
    "SystemTime",
    "std::time::Instant",
    "::now(",
];

/// These talk to a person (a bench's programs to xtask); the rest return what they know.
const TALKERS: [&str; 4] = ["src/", "bench/", "daemon/", "xtask/"];
const TALK: [&str; 6] = ["print!", "println!", "eprint!", "eprintln!", "dbg!", "process::exit"];

/// Never tracked. In two pieces, or this file would be its own finding.
const NOWHERE: [&str; 3] = [concat!("/roo", "t/"), concat!("TO", "DO"), concat!("FIX", "ME")];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let shipped = tree.production().into_iter().flat_map(code);
    shipped.chain(tree.files.iter().flat_map(nowhere)).collect()
}

fn code(file: &File) -> Vec<Finding> {
    let code = source::production(&file.text);
    let mut findings = Vec::new();
    if begins(file, &PURE) {
        findings.extend(found(file, &code, &EFFECTS, "is an effect, and this room is pure"));
    }
    if !begins(file, &TALKERS) {
        findings.extend(found(file, &code, &TALK, "is for the command and xtask alone"));
    }
    findings
}

fn begins(file: &File, folders: &[&str]) -> bool {
    folders.iter().any(|folder| file.path.starts_with(folder))
}

fn found(file: &File, code: &str, words: &[&str], why: &str) -> Vec<Finding> {
    let places = words
        .iter()
        .flat_map(|word| source::words(code, word).into_iter().map(move |at| (at, word)));
    places
        .map(|(at, word)| file.finding(source::line(code, at), format!("`{word}` {why}")))
        .collect()
}

/// Files that programs write have words that are not ours.
const WRITTEN: [&str; 2] = ["Cargo.lock", ".svg"];

fn nowhere(file: &File) -> Vec<Finding> {
    if WRITTEN.iter().any(|ending| file.path.ends_with(ending)) {
        return Vec::new();
    }
    found(file, &file.text, &NOWHERE, "is never committed")
}
