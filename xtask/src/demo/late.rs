//! The other half of the demo: a scheduler under load, beside the same neighbour, recorded by `cronx
//! run --record`, and what the lateness of its firings went to.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::{Stage, give_to_caller};
use crate::process;

/// Long enough for a P99.
const SECONDS: u64 = 6;

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
pub(super) fn run(stage: &Stage) -> Result<()> {
    let output = stage.output.join("scheduler");
    give_to_caller(&output)?;
    let jobs = stage.output.join("jobs.toml");
    fs::write(&jobs, JOBS).with_context(|| format!("cannot write {}", jobs.display()))?;
    let mut command = Command::new(&stage.cronx);
    command.arg("run").arg(&jobs).args(["--record", "--force", "-o"]).arg(&output);
    eprintln!("+ {} &", process::show(&command));
    let mut child =
        command.spawn().with_context(|| format!("cannot run {}", stage.cronx.display()))?;
    thread::sleep(Duration::from_secs(SECONDS));
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
    Ok(format!("of the {total_ms:.1} ms that {count} firings were late, {}", parts.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_is_a_sentence() {
        let report = serde_json::json!({ "spans": { "firings": { "count": 3, "total_ns": 2_000_000,
            "parts": [{ "part": "worker_waits", "length_ns": 1_500_000 },
                      { "part": "timer", "length_ns": 500_000 }] } } });
        assert_eq!(
            verdict(&report).unwrap(),
            "of the 2.0 ms that 3 firings were late, 75 % was worker waits, 25 % was timer"
        );
        assert!(verdict(&serde_json::json!({ "spans": null })).is_err());
    }
}
