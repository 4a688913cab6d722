//! A seed to a Capture and the true tiles of its waits.
//!
//! ```text
//! model    a little kernel: CPUs, queues, wake-ups, interrupts, quotas; chance decides
//!   | hook     what each hook sees, call by call    | journal   what really happened
//! probes   the records that the probes would write  truth   the tiles of each wait, as they were
//! ```
//!
//! The probes never see the journal and the truth never sees a record, so that where blame of the
//! records equals the truth, it is not because both made the same mistake. [`damage`] takes evidence
//! away again.
//!
//! What it does not do: analyse. It knows nothing of blame, which is held against it.
//!
//! ```
//! let scenario = cronx_sim::simulate(7, cronx_sim::STEPS);
//! assert_eq!(scenario.capture, cronx_sim::simulate(7, cronx_sim::STEPS).capture);
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test fails by panicking"))]

mod capture;
pub mod damage;
mod hook;
mod model;
mod phenomenon;
mod probes;
mod random;
mod truth;

pub use capture::{Scenario, simulate};
pub use phenomenon::{Counts, Phenomenon};
pub use random::Random;
pub use truth::{Leeway, TrueTile, TrueWait, Truth, Who};

/// Events of a scenario that is long enough to have most things in it.
pub const STEPS: u64 = 400;
