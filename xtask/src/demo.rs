//! `cargo xtask demo`: a real load beside a real neighbour, and whom the report blames.
//!
//! The load is threads that a timer wakes; the neighbour spins on the same CPU. Then a scheduler is
//! recorded beside it, and its lateness explained ([`late`]). Where this kernel
//! cannot be recorded, the same report is shown from a committed Capture, and said to be that.

mod late;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::apt::{self, Need};
use crate::{process, workspace};

const NEEDS: [Need; 2] = [
    Need { program: "stress-ng", package: "stress-ng" },
    // zstd is C.
    Need { program: "cc", package: "gcc" },
];

/// A recording of this very demo, made where the kernel allows it.
const COMMITTED: &str = "tests/captures/neighbour.cronx";
/// Longer than the load, should we die before we end it.
const NEIGHBOUR_SECONDS: u32 = 60;

/// What a recording leaves.
const FILES: [&str; 3] = ["report.json", "blame.svg", "capture.cronx"];

/// The programs that we built, and where the report goes.
struct Stage {
    cronx: PathBuf,
    actor: PathBuf,
    output: PathBuf,
}

/// Records, reports, and says whether the neighbour was found.
pub(crate) fn run() -> Result<()> {
    let mut obstacles: Vec<_> =
        apt::provide(&NEEDS).err().map(|error| format!("{error:#}")).into_iter().collect();
    apt::provide(&apt::BUILD)?;
    let stage = build()?;
    obstacles.extend(doctor(&stage.cronx)?);
    if obstacles.is_empty() { live(&stage) } else { committed(&stage, &obstacles) }
}

/// One release build, of what is measured; the neighbour need not be fast.
fn build() -> Result<Stage> {
    process::run(workspace::cargo().args(["build", "--release", "--package=cronx"]))?;
    process::run(workspace::cargo().args(["build", "--package=cronx-actors"]))?;
    let target = workspace::target()?;
    Ok(Stage {
        cronx: target.join("release/cronx"),
        actor: target.join("debug/cronx-actor"),
        output: target.join("demo"),
    })
}

/// What stands between this kernel and a recording; nothing if nothing does.
fn doctor(cronx: &Path) -> Result<Vec<String>> {
    // Its status is 1 where something is missing: the answer is on its output either way.
    let answer = Command::new(cronx)
        .args(["doctor", "--json"])
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run {}", cronx.display()))?;
    let answer =
        serde_json::from_slice(&answer.stdout).context("`cronx doctor` printed no JSON")?;
    Ok(obstacles(&answer))
}

fn obstacles(doctor: &Value) -> Vec<String> {
    if doctor["record"].as_bool() == Some(true) {
        return Vec::new();
    }
    let missing = doctor["missing"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let missing: Vec<_> = missing.map(str::to_owned).collect();
    if missing.is_empty() { vec!["this kernel cannot be recorded".to_owned()] } else { missing }
}

fn live(stage: &Stage) -> Result<()> {
    let cpu = last_cpu(&fs::read_to_string("/proc/self/status")?)?;
    let neighbour = Neighbour::start(&stage.actor, cpu)?;
    give_to_caller(&stage.output)?;
    process::run(&mut record(stage, cpu))?;
    let report = left(&stage.output)?;
    let first = Culprit::first_of_tail(&report)?;
    let verdict = first.verdict(&neighbour.name, neighbour.child.id());
    println!("{verdict}");
    if !first.is(&neighbour.name, neighbour.child.id()) {
        bail!(
            "something else was busier on CPU {cpu} than the neighbour that the demo started; \
             close it, and run the demo again"
        );
    }
    late::run(stage, cpu)
}

/// Threads of stress-ng that sleep for random times, all on the neighbour's CPU.
fn record(stage: &Stage, cpu: u32) -> Command {
    let mut command = Command::new(&stage.cronx);
    command.args(["record", "--force", "-o"]).arg(&stage.output);
    command.args(["--", "stress-ng", "-q", "--nanosleep", "1", "-t", "5"]);
    command.args(["--taskset", &cpu.to_string()]).env("PATH", process::search_path());
    command
}

/// Under sudo the recording is the caller's, and so must the folder be.
fn give_to_caller(folder: &Path) -> Result<()> {
    let id = |name: &str| std::env::var(name).ok()?.parse::<u32>().ok();
    let (Some(uid), Some(gid)) = (id("SUDO_UID"), id("SUDO_GID")) else { return Ok(()) };
    fs::create_dir_all(folder)?;
    std::os::unix::fs::chown(folder, Some(uid), Some(gid))
        .with_context(|| format!("cannot give {} to user {uid}", folder.display()))
}

/// Reads the report, once all that should lie beside it does.
fn left(output: &Path) -> Result<Value> {
    println!("\nthe files are in {}:", output.display());
    for name in FILES {
        let path = output.join(name);
        let size = fs::metadata(&path).with_context(|| format!("no {}", path.display()))?.len();
        println!("  {name} ({size} bytes)");
    }
    let report = fs::read(output.join("report.json"))?;
    serde_json::from_slice(&report).context("report.json is not JSON")
}

fn committed(stage: &Stage, obstacles: &[String]) -> Result<()> {
    let reason = obstacles.join("; ");
    println!("\nthis machine cannot be recorded as it is:");
    for obstacle in obstacles {
        println!("  {obstacle}");
    }
    println!("not recorded here: what follows is the report of a committed Capture, {COMMITTED}\n");
    let mut report = Command::new(&stage.cronx);
    report.current_dir(workspace::root()).args(["report", COMMITTED, "--force", "-o"]);
    process::run(report.arg(&stage.output))?;
    let capture = workspace::root().join(COMMITTED);
    fs::copy(&capture, stage.output.join("capture.cronx"))
        .with_context(|| format!("cannot copy {}", capture.display()))?;
    println!("\nnot recorded here: {reason}");
    println!("the files are in {}", stage.output.display());
    Ok(())
}

/// The highest CPU that we may run on: the lowest has the most of other work.
fn last_cpu(status: &str) -> Result<u32> {
    let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let last = allowed.and_then(|cpus| cpus.trim().rsplit([',', '-']).next()?.parse().ok());
    last.context("/proc/self/status names no CPU that we may run on")
}

/// A program that spins on one CPU; it ends when this goes.
struct Neighbour {
    child: Child,
    name: String,
}

impl Neighbour {
    fn start(actor: &Path, cpu: u32) -> Result<Self> {
        let mut command = Command::new(actor);
        command.args(["hog", "--cpu", &cpu.to_string()]);
        command.args(["--seconds", &NEIGHBOUR_SECONDS.to_string()]);
        eprintln!("+ {} &", process::show(&command));
        let child = command.spawn().with_context(|| format!("cannot run {}", actor.display()))?;
        let name = actor.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { child, name })
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        // It may have ended by itself; nothing else can go wrong with our own child.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Who made the tail wait longest, as report.json has it.
struct Culprit {
    class: String,
    name: String,
    process: String,
    tgid: u64,
    waited_ns: u64,
    tail_ns: u64,
}

impl Culprit {
    fn first_of_tail(report: &Value) -> Result<Self> {
        let tail = &report["tail"];
        let first = tail["culprits"].get(0).context("report.json has no culprit of the tail")?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Ok(Self {
            class: text(&first["class"]),
            name: text(&first["culprit"]["name"]),
            process: text(&first["culprit"]["process"]),
            tgid: first["culprit"]["tgid"].as_u64().unwrap_or_default(),
            waited_ns: first["waited_ns"].as_u64().unwrap_or_default(),
            tail_ns: tail["waited_ns"].as_u64().unwrap_or_default(),
        })
    }

    /// By process where it has our numbers, else (a pid namespace) by the program's name.
    fn is(&self, name: &str, pid: u32) -> bool {
        self.class == "foreign" && (self.tgid == u64::from(pid) || self.process == name)
    }

    fn verdict(&self, name: &str, pid: u32) -> String {
        let share = 100.0 * self.waited_ns as f64 / self.tail_ns.max(1) as f64;
        if self.is(name, pid) {
            return format!(
                "the tail's first culprit is the neighbour: {} ({}, process {}), \
                 {share:.0} % of the time that the slowest waits waited",
                self.name.escape_default(),
                self.process.escape_default(),
                self.tgid
            );
        }
        format!(
            "the tail's first culprit is not the neighbour {name} (process {pid}): \
             it is {} {}, {share:.0} %",
            self.class.escape_default(),
            self.name.escape_default()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(class: &str, process: &str, tgid: u32) -> Value {
        serde_json::json!({ "tail": { "waited_ns": 200, "culprits": [{
            "class": class, "waited_ns": 150,
            "culprit": { "name": "hog", "process": process, "tid": tgid, "tgid": tgid },
        }]}})
    }

    #[test]
    fn the_neighbour_is_known_by_its_process_or_its_name() {
        let first = |class, process, tgid| {
            Culprit::first_of_tail(&report(class, process, tgid)).unwrap().is("cronx-actor", 7)
        };
        assert!(first("foreign", "x", 7));
        assert!(first("foreign", "cronx-actor", 8));
        assert!(!first("foreign", "x", 8));
        assert!(!first("irq", "cronx-actor", 7));
    }

    #[test]
    fn the_verdict_is_a_sentence() {
        let first = Culprit::first_of_tail(&report("foreign", "cronx-actor", 7)).unwrap();
        assert_eq!(
            first.verdict("cronx-actor", 7),
            "the tail's first culprit is the neighbour: hog (cronx-actor, process 7), \
             75 % of the time that the slowest waits waited"
        );
        assert!(first.verdict("other", 9).contains("is not the neighbour other (process 9)"));
    }

    #[test]
    fn a_report_without_a_tail_is_an_error() {
        assert!(Culprit::first_of_tail(&serde_json::json!({ "tail": null })).is_err());
    }

    #[test]
    fn the_doctor_says_what_is_missing() {
        let answer = |text: &str| obstacles(&serde_json::from_str(text).unwrap());
        assert!(answer(r#"{"record": true, "missing": []}"#).is_empty());
        assert_eq!(answer(r#"{"record": false, "missing": ["no BTF"]}"#), ["no BTF"]);
        assert_eq!(answer("{}").len(), 1);
    }

    #[test]
    fn the_load_gets_the_last_cpu_that_is_allowed() {
        assert_eq!(last_cpu("Name:\tx\nCpus_allowed_list:\t0-3,5\n").unwrap(), 5);
        assert_eq!(last_cpu("Cpus_allowed_list:\t0\n").unwrap(), 0);
        assert!(last_cpu("").is_err());
    }
}
