//! Live tests: the command, on this kernel, on real loads, beside real witnesses.
//!
//! Where the kernel or a program that a test needs is not there, the test says why and does nothing;
//! `cargo xtask test` counts those. With `CRONX_LIVE=demand` such a skip is a failure. They disturb
//! one another, so they run one at a time.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bench;
mod gate;
mod gate_action;
mod gate_refusals;
mod hostile;
mod inherited;
#[cfg(target_arch = "x86_64")]
mod jit;
mod killed;
mod lateness;
mod loads;
mod loss;
mod neighbour;
mod planted;
mod refusals;
mod signals;
mod spans;
mod targets;
mod witnesses;
