use std::hint::black_box;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use crate::log::Log;

/// Threads that wake by a timer, work a little, and sleep again.
#[derive(Debug, clap::Args)]
pub struct Timers {
    /// The CPU to run on; any, if not given.
    #[arg(long)]
    cpu: Option<usize>,
    /// How many threads.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Time between two wake-ups.
    #[arg(long, default_value_t = 1_000)]
    period_us: u64,
    /// Work after each.
    #[arg(long, default_value_t = 50)]
    work_us: u64,
    /// For how long.
    #[arg(long)]
    seconds: f64,
    /// How long to do nothing first, so that observers can attach.
    #[arg(long, default_value_t = 0.0)]
    after: f64,
    /// How long the threads stay, asleep, when they are done, so that observers can read them.
    #[arg(long, default_value_t = 0.0)]
    linger: f64,
    /// Their name.
    #[arg(long, default_value = "timer")]
    name: String,
    /// Where to write who they were, and how long they waited.
    #[arg(long)]
    log: Option<PathBuf>,
}

impl Timers {
    pub fn run(&self) {
        thread::sleep(Duration::from_secs_f64(self.after));
        let until = Instant::now() + Duration::from_secs_f64(self.seconds);
        thread::scope(|scope| {
            for _ in 0..self.threads {
                scope.spawn(|| self.wake_until(until));
            }
        });
    }

    fn wake_until(&self, until: Instant) {
        if let Some(cpu) = self.cpu {
            crate::pin(cpu);
        }
        crate::name(&self.name);
        let log = self.log.as_deref().map(Log::open);
        while Instant::now() < until {
            thread::sleep(Duration::from_micros(self.period_us));
            let done = Instant::now() + Duration::from_micros(self.work_us);
            while Instant::now() < done {
                black_box(());
            }
        }
        if let Some(log) = log {
            log.close();
        }
        thread::sleep(Duration::from_secs_f64(self.linger));
    }
}
