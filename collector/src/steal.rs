//! When the hypervisor had a CPU, as far as the kernel counts it: the steal column of `/proc/stat`,
//! looked at again and again.

use std::fs;
use std::time::{Duration, Instant};

use cronx_recording::Stolen;

use crate::clock::now_ns;

/// How often it is looked at: ten of the kernel's ticks.
const EVERY: Duration = Duration::from_millis(100);

/// Entries kept: far more than a recording has that anybody would look at twice.
const ENTRIES_MAX: usize = 1 << 16;

/// A tick of `/proc/stat` (`USER_HZ` is 100 on every Linux).
const TICK_NS: u64 = 10_000_000;

/// Watches the counters.
#[derive(Debug)]
pub(crate) struct Watch {
    ticks: Vec<(u32, u64)>,
    looked_ns: u64,
    looked: Instant,
    stolen: Vec<Stolen>,
}

impl Watch {
    pub(crate) fn start() -> Self {
        Self { ticks: now(), looked_ns: now_ns(), looked: Instant::now(), stolen: Vec::new() }
    }

    /// Looks, if it is time.
    pub(crate) fn look(&mut self) {
        if self.looked.elapsed() < EVERY {
            return;
        }
        let (ticks, at_ns) = (now(), now_ns());
        self.stolen.extend(between(&self.ticks, &ticks, (self.looked_ns, at_ns)));
        self.stolen.truncate(ENTRIES_MAX);
        (self.ticks, self.looked_ns, self.looked) = (ticks, at_ns, Instant::now());
    }

    pub(crate) fn finish(self) -> Vec<Stolen> {
        self.stolen
    }
}

fn now() -> Vec<(u32, u64)> {
    parse(&fs::read_to_string("/proc/stat").unwrap_or_default())
}

/// Of each line `cpuN user nice system idle iowait irq softirq steal ...` the CPU and the last.
fn parse(stat: &str) -> Vec<(u32, u64)> {
    let line = |line: &str| {
        let mut words = line.strip_prefix("cpu")?.split_whitespace();
        Some((words.next()?.parse().ok()?, words.nth(7)?.parse().ok()?))
    };
    // The line of all CPUs together begins with a blank, and its first number is no CPU's.
    stat.lines().filter(|line| !line.starts_with("cpu ")).filter_map(line).collect()
}

/// What grew.
fn between(before: &[(u32, u64)], after: &[(u32, u64)], window: (u64, u64)) -> Vec<Stolen> {
    let grown = |&(cpu, ticks): &(u32, u64)| {
        let (_, earlier) = before.iter().find(|(other, _)| *other == cpu)?;
        let stolen_ns = ticks.checked_sub(*earlier).filter(|&n| n > 0)? * TICK_NS;
        Some(Stolen { cpu, from_ns: window.0, to_ns: window.1, stolen_ns })
    };
    after.iter().filter_map(grown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grew_was_stolen() {
        let before =
            parse("cpu  1 0 0 0 0 0 0 9 0 0\ncpu0 1 0 0 0 0 0 0 4 0 0\ncpu1 1 2 3 4 5 6 7 5");
        assert_eq!(before, [(0, 4), (1, 5)]);
        let after = [(0, 4), (1, 7), (2, 3)];
        let stolen = Stolen { cpu: 1, from_ns: 10, to_ns: 20, stolen_ns: 20_000_000 };
        assert_eq!(between(&before, &after, (10, 20)), [stolen]);
    }
}
