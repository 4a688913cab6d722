//! Where the engine's time comes from: a trait, the system's clocks, and one that a test moves.

mod fake;
mod system;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

pub use fake::FakeClock;
pub use system::SystemClock;

use crate::{Error, Mono, Utc};

/// All clocks at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// CLOCK_MONOTONIC: what passes while the machine is awake.
    pub mono: Mono,
    /// CLOCK_REALTIME: what people and schedules go by; it can be stepped.
    pub utc: Utc,
    /// CLOCK_BOOTTIME, nanoseconds: as the first, and on while the machine sleeps.
    pub boot_ns: u64,
}

/// Tells the time, and lets shards sleep by it.
pub trait Clock: Send + Sync + 'static {
    /// All clocks, now.
    fn read(&self) -> Reading;

    /// The one that timers go by, now.
    fn mono(&self) -> Mono {
        self.read().mono
    }

    /// The one that people read, now.
    fn utc(&self) -> Utc {
        self.read().utc
    }

    /// Ends once so much of the first has passed: what a run's timeout waits for. It is polled by a thread
    /// of tokio's that has timers.
    fn after(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(tokio::time::sleep(time))
    }

    /// What one shard sleeps with.
    fn sleeper(&self) -> Result<Box<dyn Sleeper>, Error>;
}

/// What one shard sleeps with. Waking for no reason is allowed.
pub trait Sleeper: Send {
    /// Sleeps until that instant, until it is notified, or until the clock is stepped or the machine
    /// wakes; without an instant, until one of the others.
    fn sleep(&mut self, until: Option<Mono>);

    /// What wakes it.
    fn notifier(&self) -> Arc<dyn Notify>;
}

/// Wakes a sleeper. A notification that comes while nobody sleeps is kept for the next sleep.
pub trait Notify: Send + Sync {
    /// Does so, and never blocks.
    fn notify(&self);
}

#[cfg(test)]
mod tests;
