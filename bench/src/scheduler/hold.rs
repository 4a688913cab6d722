//! The hold model: each timer that is due is planned again, so that the number of live ones stays.
//!
//! The next instant comes after the one that was planned, whenever that one was served: what is held up
//! thins out nothing.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use cronx_scheduler::{Options, Scheduler};
use hdrhistogram::Histogram;

use super::{histogram, insist, nothing, quantiles, runtime, start};
use crate::Error;

/// Due a second.
const RATE: u64 = 9_000;
/// What filling takes, each.
const FILL_NS: u64 = 2_000;
/// After this each is due again, where as many as possible are wanted.
const AT_ONCE: Duration = Duration::from_millis(10);

/// What the timers share.
struct Timers {
    late: Mutex<Histogram<u64>>,
    period: Duration,
    /// When the first of them is due.
    start: Instant,
}

impl Timers {
    fn new(count: u64) -> Result<Self, Error> {
        let period = Duration::from_nanos(count * 1_000_000_000 / RATE);
        let start = Instant::now() + Duration::from_nanos(count * FILL_NS);
        Ok(Self { late: Mutex::new(histogram()?), period, start })
    }

    fn note(&self, due: Instant) {
        let late_ns = due.elapsed().as_nanos() as u64;
        let _ = self.late.lock().unwrap_or_else(PoisonError::into_inner).record(late_ns);
    }

    /// When each of so many is due first, spread over the period.
    fn first(&self, count: u64) -> impl Iterator<Item = Instant> + use<> {
        let (start, period_ns) = (self.start, self.period.as_nanos());
        // Weyl's sequence by the golden ratio: in no order, and evenly.
        let step_ns = (self.period.as_nanos() as f64 * 0.618_033_988_75) as u128 | 1;
        (0..count).map(move |n| {
            start + Duration::from_nanos((u128::from(n) * step_ns % period_ns) as u64)
        })
    }

    /// Lets it get under way, then measures.
    fn measure(&self, measured: Duration) -> Result<Vec<u64>, Error> {
        let left = self.start.saturating_duration_since(Instant::now());
        thread::sleep(left + Duration::from_secs(1));
        *self.late.lock().unwrap_or_else(PoisonError::into_inner) = histogram()?;
        thread::sleep(measured);
        let late = self.late.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok([late.len()].into_iter().chain(quantiles(&late)).collect())
    }
}

/// Ours.
pub(super) fn cronx(count: u64, measured: Duration) -> Result<Vec<u64>, Error> {
    let scheduler = Arc::new(start(nothing())?);
    let timers = Arc::new(Timers::new(count)?);
    for due in timers.first(count) {
        plan(&scheduler, &timers, due)?;
    }
    timers.measure(measured)
}

fn plan(scheduler: &Arc<Scheduler>, timers: &Arc<Timers>, due: Instant) -> Result<(), Error> {
    insist(|| {
        let (again, timers) = (Arc::clone(scheduler), Arc::clone(timers));
        scheduler.after(due.saturating_duration_since(Instant::now()), move |_| async move {
            timers.note(due);
            // It is refused only when all is over.
            let _ = plan(&again, &timers, due + timers.period);
        })
    })?;
    Ok(())
}

/// A task for each.
pub(super) fn tokio(count: u64, measured: Duration) -> Result<Vec<u64>, Error> {
    let runtime = runtime()?;
    let timers = Arc::new(Timers::new(count)?);
    for mut due in timers.first(count) {
        let timers = Arc::clone(&timers);
        runtime.spawn(async move {
            loop {
                tokio::time::sleep_until(due.into()).await;
                timers.note(due);
                due += timers.period;
            }
        });
    }
    let numbers = timers.measure(measured);
    runtime.shutdown_background();
    numbers
}

/// Of timers that are due again and again.
#[derive(Default)]
struct Fired {
    all: AtomicU64,
    misses: AtomicU64,
}

/// As many firings as can be, of a scheduler as it is if nothing else is said.
pub(super) fn spin(count: u64, measured: Duration, objective: Duration) -> Result<Vec<u64>, Error> {
    let options = Options { store: nothing(), objective, ..Options::default() };
    let scheduler = Arc::new(Scheduler::start(options)?);
    let fired = Arc::new(Fired::default());
    for _ in 0..count {
        again(&scheduler, &fired, objective)?;
    }
    thread::sleep(Duration::from_secs(1));
    let read = || [&fired.all, &fired.misses].map(|count| count.load(Ordering::Relaxed));
    let (before, from) = (read(), Instant::now());
    thread::sleep(measured);
    let (after, seconds) = (read(), from.elapsed().as_secs_f64());
    let [all, misses] = [after[0] - before[0], after[1] - before[1]];
    let of_a_million = misses * 1_000_000 / all.max(1);
    Ok(vec![(all as f64 / seconds) as u64, resident()? >> 20, of_a_million])
}

fn again(scheduler: &Arc<Scheduler>, fired: &Arc<Fired>, objective: Duration) -> Result<(), Error> {
    insist(|| {
        let (again_by, fired) = (Arc::clone(scheduler), Arc::clone(fired));
        let due = Instant::now() + AT_ONCE;
        scheduler.after(AT_ONCE, move |_| async move {
            fired.all.fetch_add(1, Ordering::Relaxed);
            if due.elapsed() > objective {
                fired.misses.fetch_add(1, Ordering::Relaxed);
            }
            // It is refused only when all is over.
            let _ = again(&again_by, &fired, objective);
        })
    })?;
    Ok(())
}

/// Bytes of this process that are in memory.
pub(super) fn resident() -> Result<u64, Error> {
    let path = "/proc/self/statm";
    let text = fs::read_to_string(path)
        .map_err(|source| Error::System { what: format!("cannot read {path}"), source })?;
    let pages = text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    // SAFETY: takes a number only.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as u64;
    Ok(pages.unwrap_or_default() * page)
}
