//! The whole scheduler at work: how late it starts what is due, and how fast it takes what is asked.
//!
//! Lateness counts from the instant that was planned, never from when somebody came to ask for it: what
//! is held up holds up nothing that is counted from.

mod burst;
mod crons;
mod hold;
mod lateness;
mod memory;
mod submit;

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use cronx_scheduler::{Error as Refused, Memory, Options, Scheduler, Store};
use hdrhistogram::Histogram;

use crate::Error;

/// What is done with a scheduler.
#[derive(Debug, clap::Args)]
pub(crate) struct AtWork {
    #[arg(long)]
    load: Load,
    /// Whose scheduler, where rivals can do the same.
    #[arg(long, default_value = "cronx")]
    which: Which,
    /// Jobs, timers, or requests.
    #[arg(long)]
    count: u64,
    /// For how long it is measured.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Above this a firing is a miss, milliseconds; where as many as possible are wanted.
    #[arg(long, default_value_t = 10)]
    objective_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Which {
    Cronx,
    /// A task with a timer for each, and no scheduler.
    Tokio,
    TokioCronScheduler,
    ApalisCron,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Load {
    /// One-shots at random nanoseconds of 111 seconds: how many fired, then P50 P99 P99.9 and the worst of
    /// their lateness as popped, and as started.
    Shots,
    /// Cron jobs, 60 % of them once a minute, the others once an hour: the same.
    Cron,
    /// One-shots that are due in one instant, or as many bare tasks: when the last one starts.
    Burst,
    /// Requests of two threads to a shard that is kept awake: P50 P99.
    Flood,
    /// Requests of two threads, each of which has to wake the shard: P50 P99.
    Wake,
    /// So many live timers all the time and 9,000 due a second: how many fired, P50 P99 P99.9 and the worst.
    Hold,
    /// So many live timers all the time, each due again at once: firings a second, resident MiB,
    /// and misses of a million.
    Spin,
    /// Jobs due every second: how many instants, P50 P99 P99.9 and the worst, and how many were lost.
    Seconds,
    /// Bytes of heap and resident bytes of each one-shot that waits.
    ShotMemory,
    /// The same of a cron job.
    CronMemory,
}

impl AtWork {
    /// Prints numbers; times in nanoseconds.
    pub(crate) fn run(&self) -> Result<(), Error> {
        let Self { load, which, count, seconds, objective_ms } = *self;
        let measured = Duration::from_secs(seconds);
        let numbers = match load {
            Load::Shots => lateness::shots(count, measured)?,
            Load::Cron => lateness::cron(count, measured)?,
            Load::Burst if which == Which::Tokio => vec![burst::spawned(count)?],
            Load::Burst => vec![burst::due(count)?],
            Load::Flood => submit::flood(count)?,
            Load::Wake => submit::wake(count)?,
            Load::Hold if which == Which::Tokio => hold::tokio(count, measured)?,
            Load::Hold => hold::cronx(count, measured)?,
            Load::Spin => hold::spin(count, measured, Duration::from_millis(objective_ms))?,
            Load::Seconds => crons::run(which, count, measured)?,
            Load::ShotMemory => memory::shot(count)?,
            Load::CronMemory => memory::cron(count)?,
        };
        println!("{}", numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
        Ok(())
    }
}

/// One with room for a load that comes at once.
fn start(store: Arc<dyn Store>) -> Result<Scheduler, Error> {
    Ok(Scheduler::start(Options { intake: 1 << 20, queue: 1 << 17, store, ..Options::default() })?)
}

/// A store that keeps nothing.
fn nothing() -> Arc<dyn Store> {
    Arc::new(Memory::new(0))
}

/// As often as the intake is full.
fn insist<T>(mut ask: impl FnMut() -> Result<T, Refused>) -> Result<T, Refused> {
    loop {
        match ask() {
            Err(Refused::Full { .. }) => thread::yield_now(),
            done => return done,
        }
    }
}

fn histogram() -> Result<Histogram<u64>, Error> {
    Histogram::new(3).map_err(|error| Error::Scheduler(error.to_string()))
}

/// P50 P99 P99.9 and the worst.
fn quantiles(histogram: &Histogram<u64>) -> [u64; 4] {
    let at = |quantile| histogram.value_at_quantile(quantile);
    [at(0.5), at(0.99), at(0.999), histogram.max()]
}

fn runtime() -> Result<tokio::runtime::Runtime, Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|source| Error::System { what: "a runtime".to_owned(), source })
}
