//! A thread whose CPU is changed while it waits for another.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::thread;
use std::time::Duration;

use crate::log::{self, Log};
use crate::place;

/// A victim that always wants to run, and a thread that moves it from one CPU to the other.
#[derive(Debug, clap::Args)]
pub struct Flip {
    /// The CPUs to choose from, in turn.
    #[arg(long, value_delimiter = ',', default_value = "0,1")]
    cpus: Vec<usize>,
    /// Time between two moves.
    #[arg(long, default_value_t = 4_000)]
    every_us: u64,
    /// For how long.
    #[arg(long)]
    seconds: f64,
    /// The victim's name.
    #[arg(long, default_value = "victim")]
    name: String,
    /// Where to write what was done.
    #[arg(long)]
    log: PathBuf,
}

/// The thread to move, once it is there.
static VICTIM: AtomicI32 = AtomicI32::new(0);
static OVER: AtomicBool = AtomicBool::new(false);

impl Flip {
    pub fn run(&self) {
        thread::scope(|scope| {
            scope.spawn(|| self.be_moved());
            scope.spawn(|| self.move_it());
            thread::sleep(Duration::from_secs_f64(self.seconds));
            OVER.store(true, Ordering::Relaxed);
        });
    }

    fn be_moved(&self) {
        crate::name(&self.name);
        let mut log = Log::open(&self.log);
        // SAFETY: takes nothing.
        VICTIM.store(unsafe { libc::gettid() }, Ordering::Relaxed);
        while !OVER.load(Ordering::Relaxed) {
            log.spin_until(log::now_ns() + 1_000_000);
        }
        log.close();
    }

    /// Before everybody else, so that the instant that it writes down is the move's own.
    fn move_it(&self) {
        place::policy(libc::SCHED_FIFO, 50);
        crate::name("mover");
        let mut log = Log::open(&self.log);
        for &cpu in self.cpus.iter().cycle() {
            if OVER.load(Ordering::Relaxed) {
                break;
            }
            let victim = VICTIM.load(Ordering::Relaxed);
            if victim != 0 {
                log.place(cpu, |cpu| crate::pin_thread(victim, cpu));
            }
            thread::sleep(Duration::from_micros(self.every_us));
        }
        log.close();
    }
}
