use std::hint::black_box;
use std::time::{Duration, Instant};

/// Burns a CPU in code of its own, so that a profiler finds a function with a name to find.
#[derive(Debug, clap::Args)]
pub struct Hog {
    /// The CPU to burn.
    #[arg(long)]
    cpu: usize,
    /// For how long.
    #[arg(long)]
    seconds: f64,
    /// Its name as a thread.
    #[arg(long, default_value = "compactor")]
    name: String,
}

impl Hog {
    pub fn run(&self) {
        crate::pin(self.cpu);
        crate::name(&self.name);
        let until = Instant::now() + Duration::from_secs_f64(self.seconds);
        let mut sum = 0;
        while Instant::now() < until {
            sum = compact_segments(sum);
        }
        black_box(sum);
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
