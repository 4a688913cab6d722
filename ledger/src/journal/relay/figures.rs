//! What a relay has done, and how far behind it is, in numbers.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Figures of one relay. They are read while it goes on.
#[derive(Debug, Default)]
pub struct Figures {
    lag_positions: AtomicU64,
    lag_ns: AtomicU64,
    sent: AtomicU64,
    dead: AtomicU64,
    failures: AtomicU64,
}

impl Figures {
    pub(super) fn lag(&self, positions: u64, age: Duration) {
        self.lag_positions.store(positions, Relaxed);
        self.lag_ns.store(u64::try_from(age.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }

    pub(super) fn count(&self, sent: usize, dead: usize) {
        self.sent.fetch_add(sent as u64, Relaxed);
        self.dead.fetch_add(dead as u64, Relaxed);
    }

    pub(super) fn fail(&self) {
        self.failures.fetch_add(1, Relaxed);
    }

    /// Positions that are not behind it: at least as many as events.
    pub fn lag_positions(&self) -> u64 {
        self.lag_positions.load(Relaxed)
    }

    /// The age of the first event that the sink has not; nothing if it has all.
    pub fn lag_age(&self) -> Duration {
        Duration::from_nanos(self.lag_ns.load(Relaxed))
    }

    /// All of them, by the names that a metric has after `cronx_`: two gauges, and three counters.
    pub fn named(&self) -> [(&'static str, f64); 5] {
        [
            ("relay_lag_positions", self.lag_positions() as f64),
            ("relay_lag_seconds", self.lag_age().as_secs_f64()),
            ("relay_sent", self.sent.load(Relaxed) as f64),
            ("relay_dead_letters", self.dead.load(Relaxed) as f64),
            ("relay_failures", self.failures.load(Relaxed) as f64),
        ]
    }
}
