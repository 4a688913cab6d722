//! The other half of the demo: a scheduler under load, on the neighbour's CPU and after a while under a
//! quota, recorded by `cronx run --record`, and what the lateness of its firings went to.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::{Stage, give_to_caller};
use crate::process;

/// Long enough for a P99, without a quota and with one.
const EACH: Duration = Duration::from_secs(4);

/// A job every few milliseconds, and one that has the CPU at the same time.
const JOBS: &str = r#"[daemon]
listen = "127.0.0.1:0"

[job.tick]
schedule = "@every 20ms"
command = ["true"]

[job.report]
schedule = "@every 1s"
command = ["sh", "-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done"]
"#;

/// Records it, and says which part had most of the lateness.
pub(super) fn run(stage: &Stage, cpu: u32) -> Result<()> {
    let output = stage.output.join("scheduler");
    give_to_caller(&output)?;
    let jobs = stage.output.join("jobs.toml");
    fs::write(&jobs, JOBS).with_context(|| format!("cannot write {}", jobs.display()))?;
    let quota = Quota::set().inspect_err(|error| println!("without a quota: {error:#}")).ok();
    let mut command = Command::new("taskset");
    command.args(["-c", &cpu.to_string()]).arg(&stage.cronx);
    command.arg("run").arg(&jobs).args(["--record", "--force", "-o"]).arg(&output);
    eprintln!("+ {} &", process::show(&command));
    let mut child =
        command.spawn().with_context(|| format!("cannot run {}", stage.cronx.display()))?;
    thread::sleep(EACH);
    if let Err(error) = quota.as_ref().map_or(Ok(()), |quota| quota.take_in(child.id())) {
        println!("without a quota: {error:#}");
    }
    thread::sleep(EACH);
    // As a person would with Ctrl-C: the scheduler is drained, and the report made.
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).context("cannot end the recording")?;
    let status = child.wait()?;
    let report = fs::read(output.join("report.json"))
        .with_context(|| format!("the recording left no report ({status})"))?;
    let report = serde_json::from_slice(&report).context("report.json is not JSON")?;
    println!("{}", verdict(&report)?);
    Ok(())
}

/// `of the 31 ms that 300 firings were late, 61 % was worker waits, 20 % timer, ...`
fn verdict(report: &Value) -> Result<String> {
    let firings = &report["spans"]["firings"];
    let number = |value: &Value| value.as_u64().unwrap_or_default();
    let (count, total_ns) = (number(&firings["count"]), number(&firings["total_ns"]));
    if count == 0 {
        bail!("no firing was explained: {}", report["spans"]);
    }
    let part = |part: &Value| {
        let share = 100.0 * number(&part["length_ns"]) as f64 / total_ns.max(1) as f64;
        let name = part["part"].as_str().unwrap_or_default().replace('_', " ");
        format!("{share:.0} % was {}", name.escape_default())
    };
    let parts: Vec<_> =
        firings["parts"].as_array().into_iter().flatten().take(4).map(part).collect();
    let total_ms = total_ns as f64 / 1e6;
    Ok(format!(
        "of the {total_ms:.1} ms that {count} firings were late, {}; {}",
        parts.join(", "),
        waited(firings)
    ))
}

/// `they waited 300.0 ms for neighbour-12, 200.0 ms throttled`
fn waited(firings: &Value) -> String {
    let cause = |blame: &Value| {
        let text = |value: &Value| value.as_str().unwrap_or_default().escape_default().to_string();
        let ms = blame["waited_ns"].as_u64().unwrap_or_default() as f64 / 1e6;
        let (name, class) = (text(&blame["culprit"]["name"]), text(&blame["class"]));
        if name.is_empty() {
            format!("{ms:.1} ms {class}")
        } else {
            format!("{ms:.1} ms for {name}")
        }
    };
    let culprits = firings["culprits"].as_array().into_iter().flatten();
    let causes: Vec<_> = culprits.take(3).map(cause).collect();
    if causes.is_empty() {
        "none waited".to_owned()
    } else {
        format!("they waited {}", causes.join(", "))
    }
}

/// A cgroup with a twentieth of a CPU; it goes with the value.
struct Quota(PathBuf);

impl Quota {
    /// With nobody in it. Refills are recorded where some cgroup has a quota when a recording begins.
    fn set() -> Result<Self> {
        let hierarchies = [
            ("/sys/fs/cgroup/cpu", "cpu.cfs_quota_us", "5000"),
            ("/sys/fs/cgroup", "cpu.max", "5000 100000"),
        ];
        for (root, file, limit) in hierarchies {
            let folder = Path::new(root).join(format!("cronx-demo-{}", std::process::id()));
            if fs::create_dir(&folder).is_err() {
                continue;
            }
            let quota = Self(folder);
            // Where there is no such controller, the file would be made.
            if quota.0.join(file).exists() {
                fs::write(quota.0.join(file), limit).context("cannot set a quota")?;
                return Ok(quota);
            }
        }
        bail!("no cgroup with a quota can be made here")
    }

    /// Takes in the scheduler that this process records.
    fn take_in(&self, recorder: u32) -> Result<()> {
        let scheduler = scheduler(recorder).context("there is no scheduler")?;
        let members = self.0.join("cgroup.procs");
        fs::write(members, scheduler.to_string()).context("cannot give it a quota")
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        // Who was in it has ended; if not, an empty folder is left.
        let _ = fs::remove_dir(&self.0);
    }
}

/// The child of that process which is `cronx run`: what it forked to help it record still has its own words.
fn scheduler(recorder: u32) -> Option<u32> {
    let path = format!("/proc/{recorder}/task/{recorder}/children");
    let children = fs::read_to_string(path).ok()?;
    let mut children = children.split_whitespace().filter_map(|pid| pid.parse().ok());
    children.find(|pid: &u32| {
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words: Vec<_> = words.split(|byte| *byte == 0).collect();
        words.get(1) == Some(&&b"run"[..]) && !words.contains(&&b"--record"[..])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_is_a_sentence() {
        let report = serde_json::json!({ "spans": { "firings": { "count": 3, "total_ns": 2_000_000,
            "parts": [{ "part": "worker_waits", "length_ns": 1_500_000 },
                      { "part": "timer", "length_ns": 500_000 }],
            "culprits": [{ "class": "foreign", "culprit": { "name": "hog" }, "waited_ns": 1_000_000 },
                         { "class": "throttled", "culprit": { "name": "" }, "waited_ns": 500_000 }] } } });
        assert_eq!(
            verdict(&report).unwrap(),
            "of the 2.0 ms that 3 firings were late, 75 % was worker waits, 25 % was timer; \
             they waited 1.0 ms for hog, 0.5 ms throttled"
        );
        assert!(verdict(&serde_json::json!({ "spans": null })).is_err());
    }
}
