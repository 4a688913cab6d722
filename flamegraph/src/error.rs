use std::io;

use cronx_recording::MetricName;

/// Why a picture could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The sink refused.
    #[error("cannot write: {0}")]
    Io(#[from] io::Error),
    /// The Report lacks one of its three metrics.
    #[error("the report has no metric {}", metric.name())]
    NoMetric {
        /// Which.
        metric: MetricName,
    },
    /// A metric's histogram cannot be read.
    #[error("the report's histogram of {} cannot be read: {source}", metric.name())]
    Histogram {
        /// Whose.
        metric: MetricName,
        /// What is wrong with it.
        source: cronx_recording::Error,
    },
    /// A histogram cannot be written in the form of the log.
    #[error("cannot encode the histogram of {}: {reason}", metric.name())]
    Encode {
        /// Whose.
        metric: MetricName,
        /// The library's own words.
        reason: String,
    },
    /// The folds of the Report sum to more than 64 bits hold: no recording is that long.
    #[error("the report's folds sum to more than {} ns", u64::MAX)]
    TooLong,
}
