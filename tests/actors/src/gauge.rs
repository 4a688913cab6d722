//! A load that measures itself: how late its threads run, by its own clock.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::place;

/// Threads that wake at fixed instants and write down how late they were, and a thread that burns their
/// CPU in between. With no threads it is the neighbour alone.
#[derive(Debug, clap::Args)]
pub struct Gauge {
    /// The CPU to run on.
    #[arg(long)]
    cpu: usize,
    /// How many threads wake.
    #[arg(long, default_value_t = 4)]
    threads: u64,
    /// Time between two instants of a thread.
    #[arg(long, default_value_t = 250)]
    period_us: u64,
    /// How long the burning thread burns; 0 for none.
    #[arg(long, default_value_t = 0)]
    burst_us: u64,
    /// Time between two bursts. No multiple of the period, or each burst would find the threads at the
    /// same place.
    #[arg(long, default_value_t = 9_973)]
    every_us: u64,
    /// The nice value of the burning thread.
    #[arg(long, allow_hyphen_values = true)]
    burst_nice: Option<i32>,
    /// The slice of every thread, where the kernel takes one (6.12): who asks for a shorter one comes
    /// before whoever runs.
    #[arg(long, value_parser = clap::value_parser!(u64).range(100..=100_000))]
    slice_us: Option<u64>,
    /// The real-time priority of the burning thread.
    #[arg(long, conflicts_with = "burst_nice")]
    burst_fifo: Option<i32>,
    /// Burn only while this file is there.
    #[arg(long)]
    gate: Option<PathBuf>,
    /// For how long.
    #[arg(long)]
    seconds: f64,
    /// The name of the threads that wake.
    #[arg(long, default_value = "gauge")]
    name: String,
    /// The name of the thread that burns.
    #[arg(long, default_value = "burner")]
    burst_name: String,
    /// A file to append to: P99 of how late the threads were, nanoseconds, and how many times they
    /// woke.
    #[arg(long)]
    clock: Option<PathBuf>,
}

impl Gauge {
    pub fn run(&self) {
        // Otherwise an instant is as much later as the slack.
        // SAFETY: takes numbers only.
        unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1) };
        // Threads begin as who made them.
        crate::pin(self.cpu);
        self.take_slice(0);
        let start_ns = now_ns();
        let late = thread::scope(|scope| {
            if self.burst_us > 0 {
                scope.spawn(move || self.burn(start_ns));
            }
            let each: Vec<_> =
                (0..self.threads).map(|n| scope.spawn(move || self.wake(start_ns, n))).collect();
            each.into_iter().flat_map(|one| one.join().unwrap_or_default()).collect::<Vec<_>>()
        });
        if let Some(clock) = &self.clock {
            append(clock, late);
        }
    }

    fn end_ns(&self, start_ns: u64) -> u64 {
        start_ns + (self.seconds * 1e9) as u64
    }

    /// How late it was each time. An instant that is past when it could be waited for is let go.
    fn wake(&self, start_ns: u64, number: u64) -> Vec<u64> {
        crate::name(&self.name);
        let period_ns = self.period_us * 1_000;
        let mut late = Vec::new();
        let mut due_ns = start_ns + period_ns + period_ns * number / self.threads;
        while due_ns < self.end_ns(start_ns) {
            sleep_until(due_ns);
            let woken_ns = now_ns();
            late.push(woken_ns.saturating_sub(due_ns));
            due_ns += period_ns * ((woken_ns.saturating_sub(due_ns)) / period_ns + 1);
        }
        late
    }

    fn take_slice(&self, nice: i32) {
        if let Some(slice_us) = self.slice_us {
            place::slice(slice_us * 1_000, nice);
        }
    }

    fn burn(&self, start_ns: u64) {
        crate::name(&self.burst_name);
        if let Some(nice) = self.burst_nice {
            // SAFETY: takes numbers only.
            let done = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) };
            assert_eq!(done, 0, "a nice value below nothing is root's to give");
        }
        self.take_slice(self.burst_nice.unwrap_or_default());
        if let Some(priority) = self.burst_fifo {
            place::policy(libc::SCHED_FIFO, priority);
        }
        let mut due_ns = start_ns;
        while due_ns < self.end_ns(start_ns) {
            sleep_until(due_ns);
            let until_ns = due_ns + self.burst_us * 1_000;
            let wanted = self.gate.as_deref().is_none_or(Path::exists);
            while wanted && now_ns() < until_ns {
                std::hint::spin_loop();
            }
            due_ns += self.every_us * 1_000;
        }
    }
}

fn now_ns() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes one struct of ours.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32).as_nanos() as u64
}

fn sleep_until(at_ns: u64) {
    let at = libc::timespec {
        tv_sec: (at_ns / 1_000_000_000) as libc::time_t,
        tv_nsec: (at_ns % 1_000_000_000) as libc::c_long,
    };
    let none = std::ptr::null_mut();
    // SAFETY: reads one struct of ours.
    unsafe {
        libc::clock_nanosleep(libc::CLOCK_MONOTONIC, libc::TIMER_ABSTIME, &raw const at, none);
    }
}

/// Nearest rank: the smallest value that 99 % do not exceed.
fn append(clock: &Path, mut late: Vec<u64>) {
    late.sort_unstable();
    let rank = (late.len() * 99).div_ceil(100);
    let p99 = rank.checked_sub(1).map_or(0, |at| late[at]);
    let mut file = File::options().create(true).append(true).open(clock).expect("a file to append");
    writeln!(file, "{p99} {}", late.len()).expect("a line more");
}
