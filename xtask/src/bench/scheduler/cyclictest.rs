//! The kernel's part of lateness: a thread that sleeps to an instant, and what rt-tests says of it.
//!
//! One thread of the usual policy, every millisecond, with a timer slack of 1 ns as a shard has it.

use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use nix::sys::prctl;

use crate::process;

/// Microseconds that are told apart; what is above counts as so many.
const MOST_US: u32 = 50_000;

/// P50 P99 P99.9 and the worst.
pub(super) type Figures = [f64; 4];

/// Lets it run for so long.
pub(super) fn start(seconds: u64) -> Result<Child> {
    let mut command = Command::new("cyclictest");
    command.env("PATH", process::search_path());
    command.args([
        "--quiet",
        "--default-system",
        "--policy=other",
        "--threads=1",
        "--interval=1000",
    ]);
    command.arg(format!("--histogram={MOST_US}")).arg(format!("--duration={seconds}"));
    // A program begins with the slack of who started it.
    let slack = prctl::get_timerslack().context("cannot ask for the timer slack")?;
    prctl::set_timerslack(1).context("cannot set the timer slack")?;
    let child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    prctl::set_timerslack(slack as u64).context("cannot set the timer slack")?;
    child.with_context(|| format!("cannot run `{}`", process::show(&command)))
}

/// What it found, nanoseconds.
pub(super) fn end(child: Child) -> Result<Figures> {
    let output = child.wait_with_output().context("cyclictest is gone")?;
    ensure!(output.status.success(), "cyclictest failed: {}", output.status);
    let said = String::from_utf8_lossy(&output.stdout);
    figures(&said).with_context(|| format!("cyclictest says no histogram: {said}"))
}

/// Lines of microseconds and how many took so long; comments tell what was beyond, and the worst.
fn figures(said: &str) -> Option<Figures> {
    let counts = said.lines().filter(|line| !line.starts_with(['#', '/'])).filter_map(|line| {
        let mut numbers = line.split_whitespace().map(str::parse::<u64>);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    });
    let mut counts: Vec<_> = counts.collect();
    let comment = |name: &str| {
        let line = said.lines().find_map(|line| line.strip_prefix("# ")?.strip_prefix(name));
        line?.trim().parse::<u64>().ok()
    };
    counts.push((u64::from(MOST_US), comment("Histogram Overflows:")?));
    let all: u64 = counts.iter().map(|(_, count)| count).sum();
    let at = |share: f64| {
        let mut left = (all as f64 * share).ceil();
        let found = counts.iter().find(|(_, count)| {
            left -= *count as f64;
            left <= 0.0
        });
        found.map(|(us, _)| *us as f64 * 1e3)
    };
    Some([at(0.5)?, at(0.99)?, at(0.999)?, comment("Max Latencies:")? as f64 * 1e3])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_has_quantiles() {
        let said = "# Histogram\n000000 000000\n000040 000050\n000041 000048\n000900 000001\n\
                    # Total: 000000099\n# Max Latencies: 60123\n# Histogram Overflows: 00001\n";
        assert_eq!(figures(said), Some([40_000.0, 900_000.0, 50_000_000.0, 60_123_000.0]));
        assert_eq!(figures("usage: cyclictest"), None);
    }
}
