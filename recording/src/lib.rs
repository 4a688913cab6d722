//! The two files of cronx and their types: the [`Capture`] (raw evidence) and the [`Report`] (its
//! analysis), and the strings in them that nobody may trust.
//!
//! What it does not do: open a file, read a clock, analyse. Readers and writers take `Read` and
//! `Write`.
//!
//! ```
//! use cronx_recording::Untrusted;
//!
//! let name = Untrusted::from("a\u{1b}]0;x\u{7}");
//! assert_eq!(name.terminal().to_string(), r"a\x1b]0;x\x07");
//! ```

mod capture;
mod error;
pub mod histogram;
mod report;
mod untrusted;

pub use capture::{
    Capture, CaptureHeader, CaptureWriter, Counted, CpuRecords, CpuTrailer, Events, Frame, Host,
    Listened, LoadEnd, Probed, Runs, Spared, Stolen, Symbols, Target, Trailer,
};
pub use error::Error;
pub use report::{
    Announced, Anomalies, Boundary, Budget, Censored, Class, ClassBlame, Culprit, CulpritBlame,
    Explained, Fold, Health, Keyed, Link, Metric, MetricName, Miss, Part, PartReport, PartShare,
    Provenance, PutOff, Quantiles, Rejected, Report, SCHEMA, ShareInterval, Spans, SparedWaits,
    Tail, TileReport, WhatIf,
};
pub use untrusted::Untrusted;
