//! Many at once: when does the last one start?

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use cronx_scheduler::{Clock, SystemClock};

use super::{insist, nothing, runtime, start};
use crate::Error;

/// What each of them does.
#[derive(Default)]
struct Seen {
    last: AtomicU64,
    count: AtomicU64,
}

impl Seen {
    fn start(&self) {
        self.last.fetch_max(SystemClock.mono().0, Ordering::Relaxed);
        self.count.fetch_add(1, Ordering::Release);
    }

    /// When the last of so many has started.
    fn last(&self, count: u64) -> u64 {
        while self.count.load(Ordering::Acquire) < count {
            thread::sleep(Duration::from_millis(1));
        }
        self.last.load(Ordering::Relaxed)
    }
}

/// From the instant at which all of them are due.
pub(super) fn due(count: u64) -> Result<u64, Error> {
    let scheduler = start(nothing())?;
    let seen = Arc::new(Seen::default());
    let due = SystemClock.mono() + Duration::from_secs(2);
    for _ in 0..count {
        insist(|| {
            let seen = Arc::clone(&seen);
            let delay = due.since(SystemClock.mono());
            scheduler.after(delay, move |_| async move { seen.start() })
        })?;
    }
    Ok(seen.last(count).saturating_sub(due.0))
}

/// As many tasks that do the same, from the first spawn on.
pub(super) fn spawned(count: u64) -> Result<u64, Error> {
    let runtime = runtime()?;
    let seen = Arc::new(Seen::default());
    let start = SystemClock.mono();
    for _ in 0..count {
        let seen = Arc::clone(&seen);
        runtime.spawn(async move { seen.start() });
    }
    Ok(seen.last(count).saturating_sub(start.0))
}
