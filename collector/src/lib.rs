//! Kernel to Capture: every effect of the profiler lives here.
//!
//! The stages, in the order in which a recording calls them:
//!
//! 1. [`launch::hold`]: fork the load and stop it at a barrier
//! 2. [`kernel::Kernel::read`]: which kernel this is
//! 3. [`probes::Probes::attach`]: the object that fits it, loaded and at its hooks
//! 4. [`probes::Probes::settle`]: mark the load, let each CPU switch once, check our own name
//! 5. [`spans::Listener::load`]: the program that hears what programs announce of themselves
//! 6. [`privileges::drop_to`]: keep nothing that is not needed any more
//! 7. [`launch::Held::release`] and [`drain::drain`]: the load runs, the rings are emptied
//! 8. [`probes::Probes::stop`]: open waits, last slices, loss
//!
//! What it does not do: analyse, print, choose an output. It writes a Capture into what it is given.

pub mod btf;
mod cgroups;
pub mod clock;
pub mod doctor;
pub mod drain;
mod error;
pub mod host;
mod jit;
pub mod kernel;
pub mod launch;
pub mod notes;
pub mod perf_map;
pub mod privileges;
pub mod probes;
mod rings;
mod seat;
pub mod signals;
#[cfg(feature = "usdt")]
pub mod spans;
#[cfg(not(feature = "usdt"))]
#[path = "spans/none.rs"]
pub mod spans;
pub mod stats;
mod steal;
pub mod symbolize;
pub mod targets;
pub mod tracepoint_format;
mod trust;

pub use cgroups::Folder;
pub use cronx_abi::ABI_VERSION;
pub use error::Error;
