//! The percentile distribution of wake-to-run, as `HdrHistogram`'s own tools print it.

use std::io::Write;

use cronx_recording::{MetricName, Report};
use hdrhistogram::Histogram;

use crate::Error;
use crate::metric::histogram_of;

/// The unit of every value written: milliseconds, the unit such files have by custom.
const NS_PER_MS: f64 = 1e6;

/// Lines from each quantile to half-way between it and 1.
const TICKS_PER_HALF_DISTANCE: u32 = 5;

/// Writes value in milliseconds, percentile, how many values up to it, and 1/(1-percentile).
///
/// The last line, of the maximum, has no fourth column: it would be infinite.
pub fn write_hgrm(report: &Report, mut out: impl Write) -> Result<(), Error> {
    let histogram = histogram_of(report, MetricName::WakeToRun)?;
    let titles = ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"];
    writeln!(out, "{:>12} {:>14} {:>10} {:>14}\n", titles[0], titles[1], titles[2], titles[3])?;
    write_steps(&histogram, &mut out)?;
    write_footer(&histogram, &mut out)
}

fn write_steps(histogram: &Histogram<u64>, out: &mut impl Write) -> Result<(), Error> {
    let mut total = 0;
    for step in histogram.iter_quantiles(TICKS_PER_HALF_DISTANCE) {
        total += step.count_since_last_iteration();
        let (value, reached) =
            (step.value_iterated_to() as f64 / NS_PER_MS, step.quantile_iterated_to());
        write!(out, "{value:12.3} {reached:14.12} {total:10}")?;
        if reached < 1.0 {
            write!(out, " {:14.2}", 1.0 / (1.0 - reached))?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn write_footer(histogram: &Histogram<u64>, out: &mut impl Write) -> Result<(), Error> {
    let (mean, deviation) = (histogram.mean() / NS_PER_MS, histogram.stdev() / NS_PER_MS);
    let max = histogram.max() as f64 / NS_PER_MS;
    let (count, buckets) = (histogram.len(), histogram.buckets());
    let sub_buckets = (2 * 10_u64.pow(u32::from(histogram.sigfig()))).next_power_of_two();
    writeln!(out, "#[Mean    = {mean:12.3}, StdDeviation   = {deviation:12.3}]")?;
    writeln!(out, "#[Max     = {max:12.3}, Total count    = {count:12}]")?;
    writeln!(out, "#[Buckets = {buckets:12}, SubBuckets     = {sub_buckets:12}]")?;
    Ok(())
}

#[cfg(test)]
mod tests;
