//! Where the reader runs: on CPUs that nobody recorded waits for, while there are such.

use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// How often it may move.
const EVERY: Duration = Duration::from_secs(1);

/// Chooses the reader's CPUs by where records came from lately.
#[derive(Debug)]
pub(crate) struct Seat {
    /// The CPUs that the reader may use at all; empty if that is not known.
    allowed: Vec<u32>,
    chosen: Vec<u32>,
    looked: Instant,
    /// Records of each CPU since.
    records: Vec<(u32, u64)>,
}

impl Seat {
    pub(crate) fn take() -> Self {
        let allowed = sched_getaffinity(Pid::from_raw(0)).map_or_else(
            |_| Vec::new(),
            |set| {
                (0..CpuSet::count())
                    .filter(|&n| set.is_set(n) == Ok(true))
                    .map(|n| n as u32)
                    .collect()
            },
        );
        Self { chosen: allowed.clone(), allowed, looked: Instant::now(), records: Vec::new() }
    }

    /// A record came from that CPU.
    pub(crate) fn count(&mut self, cpu: u32) {
        match self.records.iter_mut().find(|(known, _)| *known == cpu) {
            Some((_, count)) => *count += 1,
            None => self.records.push((cpu, 1)),
        }
    }

    /// Moves, if it is time and there is a better place.
    pub(crate) fn choose(&mut self) {
        if self.looked.elapsed() < EVERY {
            return;
        }
        let better = quiet(&self.allowed, &self.records);
        // It may fail where a cpuset changed meanwhile: then the reader stays where it is.
        if better != self.chosen && sched_setaffinity(Pid::from_raw(0), &set(&better)).is_ok() {
            self.chosen = better;
        }
        self.looked = Instant::now();
        self.records.clear();
    }
}

fn set(cpus: &[u32]) -> CpuSet {
    let mut set = CpuSet::new();
    for &cpu in cpus {
        let _ = set.set(cpu as usize);
    }
    set
}

/// The allowed CPUs with less than a hundredth of the busiest one's records; all where there is no
/// such difference.
fn quiet(allowed: &[u32], records: &[(u32, u64)]) -> Vec<u32> {
    let of = |cpu: u32| records.iter().find(|(known, _)| *known == cpu).map_or(0, |(_, n)| *n);
    let most = records.iter().map(|(_, count)| *count).max().unwrap_or(0);
    let quiet: Vec<u32> = allowed.iter().copied().filter(|&cpu| of(cpu) * 100 < most).collect();
    if quiet.is_empty() { allowed.to_vec() } else { quiet }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reader_goes_where_nobody_waits() {
        assert_eq!(quiet(&[0, 1], &[(1, 1_000), (0, 3)]), [0]);
        assert_eq!(quiet(&[0, 1], &[(1, 1_000), (0, 30)]), [0, 1]);
        assert_eq!(quiet(&[0, 1], &[]), [0, 1]);
        assert_eq!(quiet(&[1], &[(1, 1_000)]), [1], "it has nowhere else to go");
    }
}
