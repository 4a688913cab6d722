//! `cargo xtask ci`: everything that a change has to pass, in order, to the first failure.

use std::time::Instant;

use anyhow::{Context, Result};

use crate::{apt, ebpf, fuzz, process, score, test, tidy, vm, workspace};

/// A name for its heading, and the step.
type Step = (&'static str, fn() -> Result<()>);

const STEPS: [Step; 9] = [
    ("format", format),
    ("clippy", clippy),
    ("tidy", tidy::run),
    ("deny", deny),
    ("test", || test::run(true)),
    ("score", || score::run(true, &[])),
    ("vm", vm::short),
    ("fuzz", fuzz::ci),
    ("ebpf", kernel_programs),
];

/// The kernel programs' own workspace.
const PROBES: &str = "--manifest-path=probes-ebpf/Cargo.toml";

/// Runs every step. Nothing here is out of a person's reach.
pub(crate) fn run() -> Result<()> {
    let start = Instant::now();
    for (name, step) in STEPS {
        println!("\n== {name}");
        let start = Instant::now();
        step().with_context(|| format!("{name} failed, and what comes after it was not run"))?;
        println!("== {name}: {:.1} s", start.elapsed().as_secs_f64());
    }
    println!("\nci passed in {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}

fn format() -> Result<()> {
    cargo(&["fmt", "--all", "--check"])?;
    cargo(&["fmt", "--check", "--manifest-path=fuzz/Cargo.toml"])?;
    cargo(&["fmt", "--check", "--manifest-path=bench/Cargo.toml"])?;
    if has_probes() { cargo(&["fmt", "--check", PROBES]) } else { Ok(()) }
}

fn clippy() -> Result<()> {
    apt::provide(&apt::BUILD)?;
    let whole = workspace::WHOLE;
    cargo(&[&["clippy"], &whole[..], &["--all-targets", "--", "-Dwarnings"]].concat())
}

fn deny() -> Result<()> {
    if process::output(workspace::cargo().args(["deny", "--version"])).is_err() {
        process::run(&mut workspace::install("cargo-deny"))?;
    }
    println!("advisories are left out: they need the network, and change without a change here");
    let all = ["--workspace", "--all-features"];
    cargo(&[&["deny"], &all[..], &["check", "licenses", "bans", "sources"]].concat())?;
    if has_probes() { deny_probes() } else { Ok(()) }
}

/// The same list for fewer crates, so that some of it is never met there.
fn deny_probes() -> Result<()> {
    let unmet = ["-A", "license-not-encountered", "-A", "license-exception-not-encountered"];
    let words = ["deny", PROBES, "--config=deny.toml", "check"];
    cargo(&[&words[..], &unmet, &["licenses", "bans", "sources"]].concat())
}

fn kernel_programs() -> Result<()> {
    ebpf::install()?;
    ebpf::check()
}

fn has_probes() -> bool {
    workspace::root().join("probes-ebpf/Cargo.toml").is_file()
}

fn cargo(words: &[&str]) -> Result<()> {
    process::run(workspace::cargo().args(words))
}
