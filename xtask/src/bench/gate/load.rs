//! The load: threads that wake before everybody but a neighbour, whose bursts are their tail.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// A burst of the base's neighbour: short, since all that wait in one burst are one cluster, and a
/// thousand waits in few clusters are little evidence.
pub(super) const BURST_US: u32 = 500;
/// Fifteen thousand waits and more.
const SECONDS: &str = "1.2";

/// A tenth of the time is burst, and the time between two is no multiple of the threads' period.
const fn every_us(burst_us: u32) -> u32 {
    burst_us * 10 - 27
}

/// As a shell command. The neighbour is a process of the load, and ends with its shell. Both are
/// real-time, so that nobody else on the machine is in the tail.
pub(super) fn command(actor: &Path, burst_us: u32, clock: &Path) -> String {
    let (actor, clock, every_us) = (actor.display(), clock.display(), every_us(burst_us));
    format!(
        "'{actor}' gauge --cpu 0 --threads 0 --burst-us {burst_us} --every-us {every_us} \
         --burst-fifo 2 --burst-name neighbour --seconds 600 & \
         '{actor}' --fifo 1 gauge --cpu 0 --seconds {SECONDS} --clock '{clock}'"
    )
}

/// What the trials are of, for whoever asks whether two are of the same.
pub(super) fn spoken() -> String {
    command(Path::new("actor"), BURST_US, Path::new("clock"))
}

/// Candidate over base, each the median of what the load's own clock said in its recordings.
pub(super) fn realised(scratch: &Path) -> Result<f64> {
    let median = |name: &str| -> Result<f64> {
        let said = fs::read_to_string(scratch.join(name))
            .with_context(|| format!("the {name}'s own clock says nothing"))?;
        let first = |line: &str| line.split(' ').next()?.parse::<f64>().ok();
        let mut p99s: Vec<_> = said.lines().filter_map(first).collect();
        p99s.sort_by(f64::total_cmp);
        p99s.get(p99s.len() / 2).copied().context("a clock that never ran")
    };
    Ok(median("candidate")? / median("base")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_realised_ratio_is_of_medians() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("base"), "100 5\n90 5\n900 5\n").unwrap();
        assert!(realised(folder.path()).is_err());
        fs::write(folder.path().join("candidate"), "150 5\n10 5\n160 5\n").unwrap();
        assert!((realised(folder.path()).unwrap() - 1.5).abs() < 1e-9);
    }
}
