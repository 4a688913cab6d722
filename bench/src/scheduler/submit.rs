//! What two threads need to hand over a one-shot.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use cronx_scheduler::Scheduler;
use hdrhistogram::Histogram;

use super::{nothing, start};
use crate::Error;

/// Requests of each thread before those that count: a process that has run for a while has its memory.
const BEFORE: u64 = 50_000;

/// Of the next hour, so that the shard has no reason to hurry.
pub(super) fn flood(count: u64) -> Result<Vec<u64>, Error> {
    let scheduler = start(nothing())?;
    let ask = || scheduler.after(Duration::from_hours(1), |_| async {});
    // Each thread has memory of its own. These are taken back, and their room is that of the next.
    let warm_up = || {
        let before: Vec<_> = (0..BEFORE).filter_map(|_| ask().ok()).collect();
        before.iter().for_each(|job| _ = job.cancel());
        drop(before);
        settle(&scheduler);
    };
    produce(count.min(BEFORE), warm_up, || {
        let start = Instant::now();
        let asked = ask().is_ok();
        let took = start.elapsed();
        if !asked {
            thread::yield_now();
        }
        asked.then_some(took)
    })
}

/// Each due before all others, with a pause in which the shard goes to sleep.
pub(super) fn wake(count: u64) -> Result<Vec<u64>, Error> {
    let scheduler = start(nothing())?;
    let began = Instant::now();
    produce(
        count,
        || {},
        || {
            thread::sleep(Duration::from_micros(500));
            let delay = Duration::from_hours(1).saturating_sub(began.elapsed() * 10);
            let start = Instant::now();
            let asked = scheduler.after(delay, |_| async {}).is_ok();
            asked.then(|| start.elapsed())
        },
    )
}

/// Until the shard has done all that it was asked: what is cancelled wakes it.
fn settle(scheduler: &Scheduler) {
    while scheduler.status().shards.iter().any(|shard| shard.jobs > 0) {
        thread::sleep(Duration::from_millis(5));
    }
}

/// P50 and P99 of what two threads measure.
fn produce(
    count: u64,
    warm_up: impl Fn() + Sync,
    ask: impl Fn() -> Option<Duration> + Sync,
) -> Result<Vec<u64>, Error> {
    let warm = Barrier::new(2);
    let produce = || {
        warm_up();
        warm.wait();
        let mut took = Histogram::<u64>::new(3).map_err(|error| error.to_string())?;
        for _ in 0..count {
            if let Some(each) = ask() {
                took.record(each.as_nanos() as u64).map_err(|error| error.to_string())?;
            }
        }
        Ok(took)
    };
    let both: Result<Vec<_>, String> = thread::scope(|scope| {
        let producers = [scope.spawn(produce), scope.spawn(produce)];
        let joined = producers.map(|producer| producer.join());
        joined.into_iter().map(|took| took.unwrap_or_else(|_| Err("it panicked".into()))).collect()
    });
    let mut sum = super::histogram()?;
    for took in both.map_err(Error::Scheduler)? {
        sum.add(took).map_err(|error| Error::Scheduler(error.to_string()))?;
    }
    Ok(vec![sum.value_at_quantile(0.5), sum.value_at_quantile(0.99)])
}
