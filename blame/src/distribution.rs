//! A histogram, and beside it what it would round.

use cronx_abi::bucket;
use cronx_recording::histogram::{carries, empty, empty_block, encode, quantile};
use cronx_recording::{Counted, Quantiles};
use hdrhistogram::Histogram;

pub(crate) struct Distribution {
    histogram: Histogram<u64>,
    sum_ns: u64,
    max_ns: u64,
    /// By the number of the block, as far as there are any.
    blocks: Vec<Option<Histogram<u64>>>,
}

impl Default for Distribution {
    fn default() -> Self {
        Self { histogram: empty(), sum_ns: 0, max_ns: 0, blocks: Vec::new() }
    }
}

impl Distribution {
    pub(crate) fn record(&mut self, value_ns: u64) {
        self.record_n(value_ns, 1);
        self.sum_ns = self.sum_ns.saturating_add(value_ns);
        self.max_ns = self.max_ns.max(value_ns);
    }

    /// The same of a value whose block is known.
    pub(crate) fn record_in(&mut self, block: usize, value_ns: u64) {
        self.record(value_ns);
        if self.blocks.len() <= block {
            self.blocks.resize_with(block + 1, || None);
        }
        let histogram = self.blocks[block].get_or_insert_with(empty_block);
        histogram.record(value_ns).expect("it grows, and no wait is longer than 2^50 ns");
    }

    /// Adds what the kernel counted: each bucket at its middle, sum and maximum as they are.
    pub(crate) fn merge(&mut self, counted: &Counted) {
        for (&number, &count) in &counted.counts {
            let (from_ns, to_ns) = bucket::bounds(number as usize);
            self.record_n(from_ns.midpoint(to_ns).min(counted.max_ns), count);
        }
        self.sum_ns = self.sum_ns.saturating_add(counted.sum_ns);
        self.max_ns = self.max_ns.max(counted.max_ns);
    }

    fn record_n(&mut self, value_ns: u64, count: u64) {
        let recorded = self.histogram.record_n(value_ns, count);
        recorded.expect("it grows, and no wait is longer than 2^50 ns");
    }

    /// `None` if so few values cannot carry it.
    pub(crate) fn at(&self, q: f64) -> Option<u64> {
        quantile(&self.histogram, q)
    }

    pub(crate) fn quantiles(&self) -> Quantiles {
        Quantiles {
            count: self.histogram.len(),
            sum_ns: self.sum_ns,
            p50_ns: self.at(0.5),
            p90_ns: self.at(0.9),
            p99_ns: self.at(0.99),
            p999_ns: self.at(0.999),
            max_ns: self.max_ns,
            histogram: encode(&self.histogram),
            blocks: self.blocks(),
        }
    }

    fn blocks(&self) -> Vec<String> {
        if !carries(self.histogram.len(), 0.99) {
            return Vec::new();
        }
        let text = |block: &Option<_>| block.as_ref().map(encode).unwrap_or_default();
        self.blocks.iter().map(text).collect()
    }
}
