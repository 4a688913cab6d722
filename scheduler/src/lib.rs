//! Jobs on time: so far the wheel that their timers are in, and the schedules.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test fails by panicking"))]

#[cfg(test)]
mod allocations;
mod error;
mod instant;
mod spec;
pub mod wheel;

pub use error::Error;
pub use instant::{Mono, Utc};
pub use spec::{Dst, Fold, Gap, Mapped, Outcome as CivilOutcome, Spec};
