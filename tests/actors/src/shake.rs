//! A thread that is interrupted from another CPU, over and over.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::log::{self, Log};

/// One thread spins on its CPU, and another asks for memory barriers, each of which interrupts it.
#[derive(Debug, clap::Args)]
pub struct Shake {
    /// The CPU that is interrupted.
    #[arg(long)]
    cpu: usize,
    /// The CPU from which.
    #[arg(long)]
    from: usize,
    /// Between two interrupts: with none, a virtual CPU does little but take them, which no log sees.
    #[arg(long, default_value_t = 30)]
    pause_us: u64,
    /// Where to write what it did.
    #[arg(long)]
    log: PathBuf,
}

/// Of `enum membarrier_cmd`.
const PRIVATE_EXPEDITED: i32 = 1 << 3;
const REGISTER_PRIVATE_EXPEDITED: i32 = 1 << 4;

/// Interrupts are shorter than the doings of tasks, and longer than two blocks.
const GAP_NS: u64 = 1_500;

static OVER: AtomicBool = AtomicBool::new(false);

impl Shake {
    pub fn run(&self) {
        assert_eq!(barrier(REGISTER_PRIVATE_EXPEDITED), 0, "this kernel has membarrier");
        thread::scope(|scope| {
            scope.spawn(|| self.shake());
            self.spin();
        });
    }

    fn spin(&self) {
        crate::pin(self.cpu);
        crate::name("shaken");
        let mut log = Log::open(&self.log).with_gap_ns(GAP_NS);
        log.spin_until(u64::MAX);
        OVER.store(true, Ordering::Relaxed);
        log.close();
    }

    fn shake(&self) {
        crate::pin(self.from);
        crate::name("shaker");
        while !OVER.load(Ordering::Relaxed) {
            barrier(PRIVATE_EXPEDITED);
            log::dally(Duration::from_micros(self.pause_us));
        }
    }
}

fn barrier(command: i32) -> i64 {
    // SAFETY: takes numbers only.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) }
}
