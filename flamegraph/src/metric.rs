//! One metric of a Report, its histogram decoded.

use cronx_recording::{MetricName, Report, histogram};
use hdrhistogram::Histogram;

use crate::Error;

/// The histogram of `name`. A metric of no values may leave its text empty.
pub(crate) fn histogram_of(report: &Report, name: MetricName) -> Result<Histogram<u64>, Error> {
    let metric = report.metrics.iter().find(|m| m.name == name);
    let all = &metric.ok_or(Error::NoMetric { metric: name })?.all;
    if all.count == 0 && all.histogram.is_empty() {
        return Ok(histogram::empty());
    }
    histogram::decode(&all.histogram).map_err(|source| Error::Histogram { metric: name, source })
}
