//! One recording as the gate sees it: a distribution, how it came in time, and what speaks against it.

mod foreign;

use cronx_recording::{Keyed, Quantiles, Report, Untrusted, histogram};
use hdrhistogram::Histogram;

use crate::Error;
use crate::fingerprint::Fingerprint;
use crate::flaw::{self, Flaw, Limits};
use crate::quantity::{Axis, Metric, Quantile, Quantity};
use crate::statistics::design::{self, Cluster};

pub use foreign::{Unit, of_hgrm, of_hlog};

/// What one recording says of a quantity.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// What to call it: a file, or a number in a series.
    pub name: Untrusted,
    /// What it is of, in words.
    pub quantity: String,
    /// Whether it is a foreign log, which says nothing of its machine.
    pub foreign: bool,
    /// When it began, nanoseconds since the Unix epoch; 0 where unknown.
    pub started_unix_ns: u64,
    /// On what it was recorded.
    pub fingerprint: Option<Fingerprint>,
    /// What is wrong with it.
    pub flaws: Vec<Flaw>,
    values: Histogram<u64>,
    max_ns: u64,
    blocks: Vec<Histogram<u64>>,
}

impl Evidence {
    /// Takes a quantity out of a Report. Somebody who never waited has no values: that is a flaw, and
    /// no error.
    pub fn of(
        report: &Report,
        name: impl Into<Untrusted>,
        quantity: &Quantity,
        limits: &Limits,
    ) -> Result<Self, Error> {
        let nothing = Quantiles::default();
        let quantiles = find(report, quantity)?.unwrap_or(&nothing);
        let decode = |text: &String| match text.as_str() {
            "" => Ok(histogram::empty_block()),
            text => histogram::decode(text),
        };
        let values = match quantiles.histogram.as_str() {
            "" => histogram::empty(),
            text => histogram::decode(text)?,
        };
        Ok(Self {
            name: name.into(),
            quantity: quantity.to_string(),
            foreign: false,
            started_unix_ns: report.provenance.started_unix_ns,
            fingerprint: Some(Fingerprint::of(report)),
            flaws: flaw::of_report(report, quantity.metric, limits),
            values,
            max_ns: quantiles.max_ns,
            blocks: quantiles.blocks.iter().map(decode).collect::<Result<_, _>>()?,
        })
    }

    /// How many values.
    pub fn count(&self) -> u64 {
        self.values.len()
    }

    /// The value at a quantile, nanoseconds.
    pub fn at(&self, quantile: Quantile) -> u64 {
        match quantile {
            Quantile::Max => self.max_ns,
            quantile => self.values.value_at_quantile(quantile.share()),
        }
    }

    /// The distribution.
    pub fn values(&self) -> &Histogram<u64> {
        &self.values
    }

    /// The longest, nanoseconds.
    pub fn max_ns(&self) -> u64 {
        self.max_ns
    }

    /// How many values there are, and how many of them reach `limit_ns`.
    pub fn reaching(&self, limit_ns: u64) -> Cluster {
        Cluster { events: self.count(), hits: reaching(&self.values, limit_ns) }
    }

    /// The same of each block.
    pub fn blocks_reaching(&self, limit_ns: u64) -> impl Iterator<Item = Cluster> {
        let of = move |block: &Histogram<u64>| Cluster {
            events: block.len(),
            hits: reaching(block, limit_ns),
        };
        self.blocks.iter().map(of)
    }

    /// How much less its values say of the share that reaches a limit, because they cluster.
    pub fn design(&self, limit_ns: u64) -> Option<f64> {
        let clusters: Vec<_> = self.blocks_reaching(limit_ns).collect();
        design::effect(&clusters)
    }
}

/// A bucket that holds the limit counts as reaching it.
fn reaching(histogram: &Histogram<u64>, limit_ns: u64) -> u64 {
    let steps = histogram.iter_recorded().filter(|step| step.value_iterated_to() >= limit_ns);
    steps.map(|step| step.count_at_value()).fold(0, u64::saturating_add)
}

/// The figures of a quantity; `None` for somebody who never waited.
fn find<'a>(report: &'a Report, quantity: &Quantity) -> Result<Option<&'a Quantiles>, Error> {
    let missing = || Error::NoMetric { metric: quantity.metric.name() };
    if let (Metric::Lateness, None) = (quantity.metric, &quantity.of) {
        let spans = report.spans.as_ref().filter(|spans| spans.lateness.count > 0);
        return spans.map(|spans| Some(&spans.lateness)).ok_or_else(missing);
    }
    let Metric::Report(name) = quantity.metric else { return Err(missing()) };
    let metric = report.metrics.iter().find(|metric| metric.name == name).ok_or_else(missing)?;
    let Some((axis, key)) = &quantity.of else { return Ok(Some(&metric.all)) };
    let rows = match axis {
        Axis::Process => &metric.by_process,
        Axis::Thread => &metric.by_thread,
        Axis::Cgroup => &metric.by_cgroup,
        Axis::Cpu => &metric.by_cpu,
    };
    let is = |row: &&Keyed| row.key.raw() == key;
    Ok(rows.iter().find(is).map(|row| &row.quantiles))
}

#[cfg(test)]
mod tests;
