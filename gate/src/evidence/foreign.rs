//! Latency logs of others: what a load generator measured itself, as HdrHistogram's tools write it.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use cronx_recording::{Untrusted, histogram};
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

use super::Evidence;
use crate::Error;
use crate::quantity::{Metric, Quantity};

/// What a foreign log counts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Nanoseconds, as histograms in interval logs mostly have it.
    Nanoseconds,
    /// Microseconds.
    Microseconds,
    /// Milliseconds, as percentile tables mostly have it.
    Milliseconds,
}

impl Unit {
    /// Nanoseconds in it.
    const fn ns(self) -> f64 {
        match self {
            Self::Nanoseconds => 1.0,
            Self::Microseconds => 1e3,
            Self::Milliseconds => 1e6,
        }
    }

    /// A whole number of nanoseconds; `None` for what is no length of time.
    fn to_ns(self, value: f64) -> Option<u64> {
        let ns = value * self.ns();
        // Longer than any machine makes anybody wait (13 days).
        (ns.is_finite() && (0.0..2_f64.powi(50)).contains(&ns)).then(|| ns.round() as u64)
    }
}

const HLOG: &str = "an HdrHistogram interval log";
const HGRM: &str = "a percentile table of HdrHistogram";

/// Reads an interval log: its intervals without a tag are merged, and each is a block.
pub fn of_hlog(
    bytes: &[u8],
    name: impl Into<Untrusted>,
    quantity: &Quantity,
    unit: Unit,
) -> Result<Evidence, Error> {
    demand_latency(quantity)?;
    let (mut values, mut blocks, mut intervals) = (histogram::empty(), Vec::new(), 0);
    for (number, entry) in (1..).zip(IntervalLogIterator::new(bytes)) {
        let entry = entry.map_err(|_| unreadable(number, "it cannot be parsed".to_owned()))?;
        let LogEntry::Interval(interval) = entry else { continue };
        intervals += 1;
        if interval.tag().is_some() {
            continue;
        }
        let decoded = decode(interval.encoded_histogram()).map_err(|r| unreadable(number, r))?;
        let mut block = histogram::empty_block();
        for step in decoded.iter_recorded() {
            let value_ns = unit
                .to_ns(step.value_iterated_to() as f64)
                .ok_or_else(|| unreadable(number, "a value is no length of time".to_owned()))?;
            record(&mut values, value_ns, step.count_at_value());
            record(&mut block, value_ns, step.count_at_value());
        }
        blocks.push(block);
    }
    if intervals == 0 {
        return Err(Error::NotALog { what: HLOG });
    }
    Ok(evidence(name, quantity, values, blocks))
}

fn unreadable(line: usize, reason: String) -> Error {
    Error::Log { line, what: HLOG, reason }
}

fn decode(encoded: &str) -> Result<Histogram<u64>, String> {
    let bytes = STANDARD.decode(encoded).map_err(|error| error.to_string())?;
    Deserializer::new().deserialize(&mut bytes.as_slice()).map_err(|error| error.to_string())
}

fn record(histogram: &mut Histogram<u64>, value_ns: u64, count: u64) {
    let recorded = histogram.record_n(value_ns, count);
    recorded.expect("it grows, and a unit takes nothing longer than 2^50 ns");
}

/// Reads a percentile table, `VALUE PERCENTILE TOTALCOUNT 1/(1-PERCENTILE)`: between two lines all
/// values are taken to be the later line's. It knows nothing of time, so it has no blocks.
pub fn of_hgrm(
    text: &str,
    name: impl Into<Untrusted>,
    quantity: &Quantity,
    unit: Unit,
) -> Result<Evidence, Error> {
    demand_latency(quantity)?;
    let (mut values, mut counted, mut lines) = (histogram::empty(), 0, 0);
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') || line.starts_with("Value") {
            continue;
        }
        let refuse = |reason: &str| Error::Log { line: number, what: HGRM, reason: reason.into() };
        let (value_ns, total) = row(line, unit).ok_or_else(|| refuse("it has no such columns"))?;
        let more = u64::checked_sub(total, counted).ok_or_else(|| refuse("the count falls"))?;
        record(&mut values, value_ns, more);
        (counted, lines) = (total, lines + 1);
    }
    if lines == 0 {
        return Err(Error::NotALog { what: HGRM });
    }
    Ok(evidence(name, quantity, values, Vec::new()))
}

fn row(line: &str, unit: Unit) -> Option<(u64, u64)> {
    let mut columns = line.split_whitespace();
    let value: f64 = columns.next()?.parse().ok()?;
    let percentile: f64 = columns.next()?.parse().ok()?;
    let total = columns.next()?.parse().ok()?;
    (0.0..=1.0).contains(&percentile).then_some(())?;
    Some((unit.to_ns(value)?, total))
}

/// It holds one metric, and nobody's in particular.
fn demand_latency(quantity: &Quantity) -> Result<(), Error> {
    if quantity.metric != Metric::Latency {
        return Err(Error::NoMetric { metric: quantity.metric.name() });
    }
    match &quantity.of {
        Some((axis, _)) => Err(Error::NoAxis { axis: axis.name() }),
        None => Ok(()),
    }
}

fn evidence(
    name: impl Into<Untrusted>,
    quantity: &Quantity,
    values: Histogram<u64>,
    blocks: Vec<Histogram<u64>>,
) -> Evidence {
    Evidence {
        name: name.into(),
        quantity: quantity.to_string(),
        foreign: true,
        started_unix_ns: 0,
        fingerprint: None,
        flaws: Vec::new(),
        max_ns: values.max(),
        values,
        blocks,
    }
}
