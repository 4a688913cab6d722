//! `cargo xtask fuzz`: for a while, throws mutated bytes at every reader of bytes that are not ours.
//!
//! It begins with the committed inputs of `fuzz/corpus`, and keeps what it discovers in the target
//! folder, for the next time. libFuzzer does the work; with no sanitizer, since the readers are safe
//! Rust, it needs no other compiler than cronx does. What it finds lies in `fuzz/artifacts`.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use toml::Table;

use crate::{process, workspace};

/// For a person who wants to know at once; a night is better.
pub(crate) const SECONDS: u64 = 20;
/// For every change.
const CI_SECONDS: u64 = 10;
/// An input that takes longer, or more, is a finding.
const LIMITS: [&str; 2] = ["-timeout=10", "-rss_limit_mb=1024"];
/// What libFuzzer is built with.
const CXX: [&str; 3] = ["c++", "g++", "clang++"];

/// Every target, for as long as every change can wait.
pub(crate) fn ci() -> Result<()> {
    run(None, CI_SECONDS)
}

/// Runs one target, or all. Where there is no fuzzer to be had, says so and runs none.
pub(crate) fn run(wanted: Option<&str>, seconds: u64) -> Result<()> {
    let manifest = fs::read_to_string(workspace::root().join("fuzz/Cargo.toml"))?;
    let targets = chosen(targets(&manifest)?, wanted)?;
    if let Some(obstacle) = obstacle() {
        println!("skipped: {} fuzz targets were not run: {obstacle}", targets.len());
        return Ok(());
    }
    let folder = workspace::target()?.join("fuzz");
    process::run(&mut cargo_fuzz("build", &folder))?;
    for target in &targets {
        let mut command = fuzz(target, seconds, &folder)?;
        // Who asked for one target watches it; of many only a finding is of interest.
        let watched = if wanted.is_some() { process::run } else { quietly };
        watched(&mut command).with_context(|| {
            format!("{target} has a finding; the input is in fuzz/artifacts/{target}")
        })?;
    }
    println!("fuzz: {}: {seconds} s each, nothing found", targets.join(", "));
    Ok(())
}

/// The programs of the fuzz workspace, as its manifest names them.
fn targets(manifest: &str) -> Result<Vec<String>> {
    let manifest: Table = manifest.parse().context("fuzz/Cargo.toml is not TOML")?;
    let programs = manifest.get("bin").and_then(|programs| programs.as_array());
    let names = programs.into_iter().flatten().filter_map(|program| program["name"].as_str());
    Ok(names.map(str::to_owned).collect())
}

fn chosen(targets: Vec<String>, wanted: Option<&str>) -> Result<Vec<String>> {
    let Some(wanted) = wanted else { return Ok(targets) };
    if !targets.iter().any(|target| target == wanted) {
        bail!("there is no fuzz target {wanted:?}; there are {}", targets.join(", "));
    }
    Ok(vec![wanted.to_owned()])
}

/// Why nothing can be fuzzed here; the fuzzer's own cargo command is installed if it is missing.
fn obstacle() -> Option<String> {
    if !CXX.iter().any(|compiler| process::find(compiler).is_some()) {
        return Some("there is no C++ compiler to build libFuzzer with".to_owned());
    }
    if process::output(workspace::cargo().args(["fuzz", "--version"])).is_ok() {
        return None;
    }
    let installed = process::run(&mut workspace::install("cargo-fuzz"));
    installed.err().map(|error| format!("cargo-fuzz cannot be had: {error:#}"))
}

fn fuzz(target: &str, seconds: u64, folder: &Path) -> Result<Command> {
    // The first folder takes what is discovered; the second, which is committed, is only read.
    let discovered = folder.join("corpus").join(target);
    fs::create_dir_all(&discovered)?;
    let mut command = cargo_fuzz("run", folder);
    command.arg(target).arg(&discovered).arg(Path::new("fuzz/corpus").join(target));
    command.arg("--").args(LIMITS).arg(format!("-max_total_time={seconds}"));
    Ok(command)
}

fn cargo_fuzz(verb: &str, folder: &Path) -> Command {
    let mut command = workspace::cargo();
    command.args(["fuzz", verb, "--dev", "--sanitizer=none", "--target-dir"]).arg(folder);
    command
}

fn quietly(command: &mut Command) -> Result<()> {
    eprintln!("+ {}", process::show(command));
    process::output(command).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_names_the_targets() {
        let manifest = "[package]\nname = \"x\"\n[[bin]]\nname = \"a\"\n[[bin]]\nname = \"b\"\n";
        assert_eq!(targets(manifest).unwrap(), ["a", "b"]);
        assert!(targets("[[bin]").is_err());
    }

    #[test]
    fn one_target_or_all_but_never_none() {
        let all = || vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(chosen(all(), None).unwrap(), ["a", "b"]);
        assert_eq!(chosen(all(), Some("b")).unwrap(), ["b"]);
        let error = chosen(all(), Some("c")).unwrap_err().to_string();
        assert_eq!(error, "there is no fuzz target \"c\"; there are a, b");
    }

    #[test]
    fn every_target_has_a_corpus_and_a_program() {
        let room = workspace::root().join("fuzz");
        let manifest = fs::read_to_string(room.join("Cargo.toml")).unwrap();
        for target in targets(&manifest).unwrap() {
            assert!(room.join("fuzz_targets").join(format!("{target}.rs")).is_file(), "{target}");
            assert!(room.join("corpus").join(&target).is_dir(), "{target}");
        }
    }
}
