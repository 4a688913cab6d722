//! The latency histograms as an `HdrHistogram` interval log: one interval, the whole window.

use std::io::Write;
use std::time::{Duration, UNIX_EPOCH};

use cronx_recording::{MetricName, Report};
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{
    IntervalLogWriterBuilder, IntervalLogWriterError, Tag,
};

use crate::Error;
use crate::metric::histogram_of;

/// The column of the maximum, which people read, is in milliseconds; the histograms hold
/// nanoseconds.
const MAX_DIVISOR: f64 = 1e6;

/// Writes wake-to-run without a tag, which is what readers look at unless told otherwise, then
/// placement and run-queue latency under the tags `placement` and `run_queue`.
pub fn write_hlog(report: &Report, mut out: impl Write) -> Result<(), Error> {
    let start = UNIX_EPOCH + Duration::from_nanos(report.provenance.started_unix_ns);
    let mut serializer = V2DeflateSerializer::new();
    // Base and start alike: then no reader has to guess whether the interval's time is absolute.
    let mut log = IntervalLogWriterBuilder::new()
        .add_comment("[Histogram log format version 1.3]")
        .add_comment("[wake-to-run in nanoseconds; tagged: placement, run_queue]")
        .with_start_time(start)
        .with_base_time(start)
        .with_max_value_divisor(MAX_DIVISOR)
        .begin_log_with(&mut out, &mut serializer)?;
    let window = Duration::from_nanos(report.provenance.duration_ns);
    for (metric, tag) in [
        (MetricName::WakeToRun, None),
        (MetricName::Placement, Tag::new(MetricName::Placement.name())),
        (MetricName::RunQueue, Tag::new(MetricName::RunQueue.name())),
    ] {
        let histogram = histogram_of(report, metric)?;
        log.write_histogram(&histogram, Duration::ZERO, window, tag).map_err(|e| match e {
            IntervalLogWriterError::IoError(e) => Error::Io(e),
            IntervalLogWriterError::SerializeError(e) => {
                Error::Encode { metric, reason: e.to_string() }
            }
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
