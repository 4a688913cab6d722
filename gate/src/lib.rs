//! Reports to a verdict: pass, regression, or inconclusive.
//!
//! The unit of evidence is the recording, not the wait. Waits of one moment have one cause, and two
//! recordings of the same program differ more than their many waits let hope; so a budget counts
//! effective waits, and a comparison takes one number of each recording.
//!
//! | module | decides |
//! |---|---|
//! | [`budget`] | whether a quantile is below a limit |
//! | [`stored`] | a candidate's recordings against a baseline's |
//! | [`ab`] | a candidate against a base, recorded in turns until it is clear |
//!
//! Before any verdict come the [`flaw`]s: what makes a recording, or a set of them, unfit to decide
//! anything. [`evidence`] takes the numbers out of a Report or a foreign histogram log, [`statistics`]
//! knows no Report, and [`growth`] says whose blame grew.
//!
//! What it does not do: record, open a file, read a clock, print, exit.
//!
//! ```
//! use cronx_gate::budget::Budget;
//!
//! let budget: Budget = r#"wake_to_run{process="nginx"}.p99 < 2ms"#.parse()?;
//! assert_eq!(budget.limit_ns, 2_000_000);
//! assert!("wake_to_run.p98 < 2ms".parse::<Budget>().is_err());
//! # Ok::<(), cronx_gate::Error>(())
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test fails by panicking"))]

pub mod ab;
pub mod budget;
pub mod comparison;
mod error;
pub mod evidence;
pub mod fingerprint;
pub mod flaw;
pub mod growth;
pub mod quantity;
pub mod statistics;
pub mod stored;
pub mod verdict;

#[cfg(test)]
mod fixture;

pub use error::Error;
pub use verdict::{Decision, Verdict};
