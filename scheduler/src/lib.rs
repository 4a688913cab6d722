//! Jobs on time: so far the wheel that their timers are in.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test fails by panicking"))]

#[cfg(test)]
mod allocations;
pub mod wheel;
