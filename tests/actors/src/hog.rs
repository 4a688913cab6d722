use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::log::{self, Log};

/// Burns a CPU in code of its own, so that a profiler finds a function with a name to find.
#[derive(Debug, clap::Args)]
pub struct Hog {
    /// The CPU to burn; any, if not given.
    #[arg(long)]
    cpu: Option<usize>,
    /// For how long.
    #[arg(long)]
    seconds: f64,
    /// Its name as a thread.
    #[arg(long, default_value = "compactor")]
    name: String,
    /// Where to write when it ran; it ends when it is asked to, too.
    #[arg(long)]
    log: Option<PathBuf>,
    /// It became this program at that instant, CLOCK_MONOTONIC.
    #[arg(long)]
    since_ns: Option<u64>,
}

impl Hog {
    pub fn run(&self) {
        if let Some(cpu) = self.cpu {
            crate::pin(cpu);
        }
        crate::name(&self.name);
        if let Some(log) = &self.log {
            return self.run_logged(log);
        }
        let until = Instant::now() + Duration::from_secs_f64(self.seconds);
        let mut sum = 0;
        while Instant::now() < until {
            sum = compact_segments(sum);
        }
        black_box(sum);
    }

    fn run_logged(&self, into: &Path) {
        let mut log = match self.since_ns {
            Some(since_ns) => Log::open_brief(into, since_ns),
            None => Log::open(into),
        };
        log.spin_until(log::now_ns() + (self.seconds * 1e9) as u64);
        log.close();
    }
}

/// About a millisecond of arithmetic; large enough that the clock is read seldom, since a sample in
/// the clock's code has no caller to show.
#[inline(never)]
fn compact_segments(seed: u64) -> u64 {
    let mut sum = seed;
    for n in 0..1_000_000_u64 {
        sum = black_box(sum.rotate_left(5) ^ n);
    }
    sum
}
