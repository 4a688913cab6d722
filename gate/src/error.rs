use std::io;

/// Why the gate cannot be asked that, or not of this.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such metric.
    #[error("there is no metric '{given}': {known}")]
    UnknownMetric {
        /// What was asked for.
        given: String,
        /// What there is.
        known: String,
    },
    /// A Report has no such metric.
    #[error("it has no metric {metric}")]
    NoMetric {
        /// Which.
        metric: &'static str,
    },
    /// There is no such axis.
    #[error("there is no axis '{given}': process, thread, cgroup, cpu")]
    UnknownAxis {
        /// What was asked for.
        given: String,
    },
    /// A log of latencies says nothing of threads.
    #[error("a latency log has no {axis}")]
    NoAxis {
        /// Which.
        axis: &'static str,
    },
    /// There is no such quantile.
    #[error("there is no quantile '{given}': p50, p90, p99, p99.9, max")]
    UnknownQuantile {
        /// What was asked for.
        given: String,
    },
    /// The longest of all is a single wait, and no two recordings agree on it.
    #[error("max can have a budget, and cannot be compared: give p50, p90, p99 or p99.9")]
    MaxCompared,
    /// What is asked for is not written as it should be.
    #[error("'{given}' is not {expected}")]
    Syntax {
        /// What was written.
        given: String,
        /// The form.
        expected: &'static str,
    },
    /// A limit is not a time.
    #[error("'{given}' is not a time above nothing: a number and ns, us, ms or s, as 500us or 2ms")]
    Limit {
        /// What was written.
        given: String,
    },
    /// A histogram inside a Report or a log does not decode.
    #[error(transparent)]
    Recording(#[from] cronx_recording::Error),
    /// A foreign log cannot be understood.
    #[error("line {line} is no line of {what}: {reason}")]
    Log {
        /// From 1.
        line: usize,
        /// What was expected.
        what: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// A foreign log holds nothing at all.
    #[error("it is not {what}: it has no line of one")]
    NotALog {
        /// What was expected.
        what: &'static str,
    },
    /// Reading failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}
