//! What the host kept for itself.

use std::fs;

use anyhow::{Context, Result};

/// Hundredths of a second that the host kept from this machine's CPUs since it started.
pub(super) fn stolen_ticks() -> Result<u64> {
    let stat = fs::read_to_string("/proc/stat").context("cannot read /proc/stat")?;
    stolen(&stat).context("/proc/stat has no steal")
}

/// The eighth figure of the line of all CPUs.
fn stolen(stat: &str) -> Option<u64> {
    stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace().nth(7)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steal_is_the_eighth_figure() {
        assert_eq!(stolen("cpu  1 2 3 4 5 6 7 887 0 0\ncpu0 1"), Some(887));
        assert_eq!(stolen("cpu0 1"), None);
    }
}
