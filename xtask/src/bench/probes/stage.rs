//! What the runs are made with: programs that we built, a folder for what they leave, and a process
//! that does nothing.

use std::cell::Cell;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;

use anyhow::{Context, Result, bail};

use crate::apt::{self, Need};
use crate::bench::{self, journal::Subject};
use crate::{process, test, workspace};

const NEEDS: [Need; 7] = [
    Need { program: "perf", package: "linux-perf" },
    Need { program: "hackbench", package: "rt-tests" },
    Need { program: "runqlat", package: "libbpf-tools" },
    Need { program: "runqslower", package: "libbpf-tools" },
    Need { program: "bpftrace", package: "bpftrace" },
    Need { program: "taskset", package: "util-linux" },
    Need { program: "setpriv", package: "util-linux" },
];

pub(super) struct Stage {
    pub(super) cronx: PathBuf,
    /// The program of `bench/`.
    pub(super) tool: PathBuf,
    /// For what a run leaves; emptied before the next.
    pub(super) scratch: PathBuf,
    /// For what stays.
    pub(super) results: PathBuf,
    idle: Child,
    served: Cell<u32>,
    quiet: Cell<bool>,
}

impl Stage {
    /// Installs what is missing, and builds.
    pub(super) fn set() -> Result<Self> {
        demand()?;
        apt::provide(&NEEDS)?;
        // Classic tracepoints, for bpftrace and perf.
        test::mount_tracefs()?;
        let results = bench::results()?;
        process::run(workspace::cargo().args(["build", "--release", "--package=cronx"]))?;
        let tool = bench::tool()?;
        Ok(Self {
            cronx: workspace::target()?.join("release/cronx"),
            tool,
            scratch: results.join("scratch"),
            results,
            idle: idle()?,
            served: Cell::new(0),
            quiet: Cell::new(false),
        })
    }

    /// Takes away what the run before left.
    pub(super) fn clear(&self) -> Result<()> {
        if self.scratch.exists() {
            fs::remove_dir_all(&self.scratch)?;
        }
        fs::create_dir_all(&self.scratch)
            .with_context(|| format!("cannot make {}", self.scratch.display()))
    }

    /// Where cronx leaves its recording.
    pub(super) fn recording(&self) -> PathBuf {
        self.scratch.join("recording")
    }

    /// A process that does nothing.
    pub(super) fn idle(&self) -> u32 {
        self.idle.id()
    }

    /// Says what is run, as long as that is news.
    pub(super) fn say(&self, command: &Command) {
        if !self.quiet.get() {
            eprintln!("+ {}", process::show(command));
        }
    }

    /// From now on the same is run again and again.
    pub(super) fn hush(&self) {
        self.quiet.set(true);
    }

    /// A number that was not given before.
    pub(super) fn next(&self) -> u32 {
        self.served.replace(self.served.get() + 1)
    }

    /// Rounds of this kernel, this cronx, this bench and these loads.
    pub(super) fn subject(&self, loads: &str) -> Result<Subject> {
        Subject::of(loads, &[&self.cronx, &self.tool])
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // It ends with us in any case: its input does.
        let _ = self.idle.kill();
        let _ = self.idle.wait();
    }
}

fn demand() -> Result<()> {
    if !process::is_root() {
        bail!("probes are root's: run this as root");
    }
    if thread::available_parallelism()?.get() < 2 {
        bail!("this takes two CPUs: one for the load, one for who observes it");
    }
    Ok(())
}

fn idle() -> Result<Child> {
    let mut cat = Command::new("cat");
    cat.stdin(Stdio::piped()).spawn().context("cannot run cat")
}
