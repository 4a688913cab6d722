//! Report to pictures: a flamegraph of blame, and the latency distribution in the two text forms
//! that other tools read.
//!
//! What it does not do: open a file, read a clock, measure. Everything is a function from a
//! [`Report`](cronx_recording::Report) and a `Write`; the same Report gives the same bytes.
//!
//! | function | file | for |
//! |---|---|---|
//! | [`write_svg`] | `blame.svg` | a browser |
//! | [`write_diff_svg`] | `diff.svg` | a browser: two sides |
//! | [`write_lateness_svg`] | `lateness.svg` | a browser |
//! | [`write_folded`] | `blame.folded` | flamegraph tools |
//! | [`write_hgrm`] | `latency.hgrm` | percentile plotters |
//! | [`write_hlog`] | `latency.hlog` | `HdrHistogram` log readers |
//!
//! ```
//! assert_eq!(cronx_flamegraph::units::duration(3_104_000), "3.10 ms");
//! ```

mod differential;
mod error;
#[cfg(test)]
mod fixture;
mod folded;
mod hgrm;
mod hlog;
mod lateness;
mod metric;
mod svg;
pub mod units;

pub use differential::write_diff_svg;
pub use error::Error;
pub use folded::write_folded;
pub use hgrm::write_hgrm;
pub use hlog::write_hlog;
pub use lateness::write_lateness_svg;
pub use svg::write_svg;
