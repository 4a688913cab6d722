//! A load that waits for the word, and stays when it is done, so that its observer can attach before
//! it begins and be asked before it is gone.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};

use super::stage::Stage;
use super::workload::{OBSERVER_CPU, TOOL, Timing, Workload};
use crate::process;

/// Runs its arguments once it reads a word, says that they are done, and ends when its input does.
const HOLD: &str = r#"read go || exit; "$@" </dev/null; echo "done $?"; read end"#;
const DONE: &str = "done ";

/// A shell that holds the load; the load is its child.
pub(super) struct Held<'a> {
    workload: &'a Workload,
    shell: Child,
    /// There until it shall end.
    words: Option<ChildStdin>,
    said: BufReader<ChildStdout>,
}

impl<'a> Held<'a> {
    pub(super) fn start(workload: &'a Workload, stage: &Stage) -> Result<Self> {
        let mut command = Command::new("taskset");
        command.args(["-c", OBSERVER_CPU, "sh", "-c", HOLD, "sh", "taskset", "-c", workload.cpus]);
        for &word in workload.words {
            if word == TOOL {
                command.arg(&stage.tool)
            } else {
                command.arg(word)
            };
        }
        command.env("PATH", process::search_path()).stdin(Stdio::piped()).stdout(Stdio::piped());
        stage.say(&command);
        let mut shell = command.spawn().context("cannot run taskset")?;
        let words = shell.stdin.take();
        let said = shell.stdout.take().context("a child with no output")?;
        Ok(Self { workload, shell, words, said: BufReader::new(said) })
    }

    /// The process whose descendants are the load.
    pub(super) fn pid(&self) -> u32 {
        self.shell.id()
    }

    /// Lets it run, to its end.
    pub(super) fn run(&mut self) -> Result<Timing> {
        let words = self.words.as_mut().context("a child with no input")?;
        words.write_all(b"go\n").context("the load is gone")?;
        let mut said = String::new();
        let status = loop {
            let line = said.len();
            if self.said.read_line(&mut said)? == 0 {
                bail!("{} ended before it said its time: {said}", self.workload.name);
            }
            if let Some(status) = said[line..].strip_prefix(DONE) {
                break status.trim();
            }
        };
        if status != "0" {
            bail!("{} failed with status {status}: {said}", self.workload.name);
        }
        let timing = self.workload.timing(&said);
        timing.with_context(|| format!("{} does not say its time: {said}", self.workload.name))
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        // If it is still at the load it ends after that.
        drop(self.words.take());
        let _ = self.shell.wait();
    }
}
