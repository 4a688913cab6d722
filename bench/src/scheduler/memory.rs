//! What one that waits takes: of the heap, by a count of what is asked for, and of the machine.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use cronx_scheduler::{Clock, Error as Refused, FakeClock, Options, Scheduler, SystemClock};

use super::hold::resident;
use super::{insist, lateness, nothing};
use crate::{Error, allocated};

pub(super) fn shot(count: u64) -> Result<Vec<u64>, Error> {
    each(count, |scheduler| {
        for _ in 0..count {
            insist(|| scheduler.after(Duration::from_hours(1), |_| async {}))?;
        }
        Ok(())
    })
}

pub(super) fn cron(count: u64) -> Result<Vec<u64>, Error> {
    each(count, |scheduler| lateness::crons(scheduler, count))
}

/// `HEAP RESIDENT`, bytes.
fn each(
    count: u64,
    fill: impl FnOnce(&Scheduler) -> Result<(), Refused>,
) -> Result<Vec<u64>, Error> {
    allocated::begin();
    // Its time stands still: what has fired has counts of its own.
    let clock = Arc::new(FakeClock::new(SystemClock.read().utc));
    let scheduler = Scheduler::start(Options { store: nothing(), clock, ..Options::default() })?;
    let (held, stays) = (allocated::held(), resident()?);
    fill(&scheduler)?;
    while scheduler.status().shards.iter().map(|shard| shard.jobs as u64).sum::<u64>() < count {
        // One that is due now: a shard that sleeps does not look for what can wait.
        let _ = scheduler.after(Duration::ZERO, |_| async {});
        thread::sleep(Duration::from_millis(5));
    }
    let held = (allocated::held() - held).max(0) as u64;
    Ok(vec![held / count, resident()?.saturating_sub(stays) / count])
}
