//! Threads that begin at once, each on its CPU, and the time until the last is done.

use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use crate::Error;

/// Which CPUs, and how many threads on each.
#[derive(Debug, clap::Args)]
pub(crate) struct Field {
    /// The CPUs to run on.
    #[arg(long, value_delimiter = ',', required = true)]
    cpus: Vec<usize>,
    /// Threads on each; from the second on somebody always waits.
    #[arg(long, default_value_t = 1)]
    threads: usize,
}

impl Field {
    /// Runs `body` in each thread, and says how long all of them took.
    pub(crate) fn run(&self, body: impl Fn() -> Result<(), Error> + Sync) -> Result<(), Error> {
        let start = &Barrier::new(self.cpus.len() * self.threads + 1);
        let body = &body;
        let begun = thread::scope(|scope| {
            let cpus = self.cpus.iter().flat_map(|&cpu| std::iter::repeat_n(cpu, self.threads));
            let runners: Vec<_> = cpus
                .map(|cpu| scope.spawn(move || begin(cpu, start).and_then(|()| body())))
                .collect();
            start.wait();
            let begun = Instant::now();
            let ends = runners.into_iter().map(|runner| runner.join().expect("no runner panics"));
            ends.collect::<Result<(), _>>().map(|()| begun)
        })?;
        println!("wall_ns {}\ncpu_ns {}", begun.elapsed().as_nanos(), cpu_ns());
        Ok(())
    }
}

/// Whoever cannot run must not leave the others waiting for him.
fn begin(cpu: usize, start: &Barrier) -> Result<(), Error> {
    let pinned = pin(cpu);
    start.wait();
    pinned
}

/// Runs the calling thread on one CPU alone.
fn pin(cpu: usize) -> Result<(), Error> {
    // SAFETY: a set of CPUs is plain data, and the call only reads it.
    let done = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set)
    };
    if done == 0 { Ok(()) } else { Err(Error::last(format!("CPU {cpu} is not ours to run on"))) }
}

/// CPU time of this process and all its threads.
fn cpu_ns() -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes one timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}
