//! Bursts at equal distances, with sleep between them.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use crate::log::{self, Log};

/// Burns a CPU for a while, sleeps, and burns it again.
#[derive(Debug, clap::Args)]
pub struct Burst {
    /// The CPU to burn.
    #[arg(long)]
    cpu: usize,
    /// The length of a burst.
    #[arg(long, default_value_t = 3_000)]
    busy_us: u64,
    /// The sleep after it.
    #[arg(long, default_value_t = 7_000)]
    sleep_us: u64,
    /// Its name as a thread.
    #[arg(long, default_value = "burst")]
    name: String,
    /// Where to write what it did.
    #[arg(long)]
    log: PathBuf,
}

impl Burst {
    pub fn run(&self) {
        crate::pin(self.cpu);
        crate::name(&self.name);
        let mut log = Log::open(&self.log);
        while !log::is_asked_to_stop() {
            log.spin_until(log::now_ns() + self.busy_us * 1_000);
            log.pass();
            thread::sleep(Duration::from_micros(self.sleep_us));
        }
        log.close();
    }
}
