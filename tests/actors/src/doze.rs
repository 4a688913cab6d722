//! Wake-ups of a thread that has not yet gone to sleep.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use crate::log::{self, Log};

/// Sleeps for a nanosecond many times: the timer is over before the thread has left its CPU, and
/// the wake-up finds it running.
#[derive(Debug, clap::Args)]
pub struct Doze {
    /// The CPU to run on.
    #[arg(long)]
    cpu: usize,
    /// Such sleeps between two real ones.
    #[arg(long, default_value_t = 20)]
    dozes: usize,
    /// A real sleep.
    #[arg(long, default_value_t = 1_000)]
    period_us: u64,
    /// For how long.
    #[arg(long)]
    seconds: f64,
    /// Its name.
    #[arg(long, default_value = "victim")]
    name: String,
    /// Where to write who it was.
    #[arg(long)]
    log: PathBuf,
}

impl Doze {
    pub fn run(&self) {
        crate::pin(self.cpu);
        crate::name(&self.name);
        // SAFETY: takes numbers only. Otherwise a sleep is as long as the slack.
        unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1) };
        let mut log = Log::open(&self.log);
        let until = Instant::now() + Duration::from_secs_f64(self.seconds);
        while Instant::now() < until {
            (0..self.dozes).for_each(|_| thread::sleep(Duration::from_nanos(1)));
            log.spin_until(log::now_ns() + 100_000);
            thread::sleep(Duration::from_micros(self.period_us));
        }
        log.close();
    }
}
