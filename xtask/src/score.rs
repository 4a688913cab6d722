//! `cargo xtask score`: how often blame is right.
//!
//! Builds the command, the actors and the program that plays them (`tests/score`), and runs that. The
//! figures are in `target/score.json`.

use std::process::Command;

use anyhow::{Result, bail};

use crate::apt::{self, Need};
use crate::{process, workspace};

const NEEDS: [Need; 3] = [
    // zstd is C.
    Need { program: "cc", package: "gcc" },
    Need { program: "taskset", package: "util-linux" },
    Need { program: "kill", package: "procps" },
];

/// Plays the cases; fails where a bar does not hold.
pub(crate) fn run(short: bool, cases: &[String]) -> Result<()> {
    if !process::is_root() {
        bail!("causes are injected as root: run this as root, on a machine that is yours");
    }
    apt::provide(&NEEDS)?;
    workspace::build()?;
    let target = workspace::target()?;
    let built = target.join("debug");
    let mut score = Command::new(built.join("cronx-score"));
    score.arg("--programs").arg(&built).arg("--output").arg(target.join("score.json"));
    score.args(short.then_some("--short")).args(cases);
    process::run(&mut score)
}
