//! Latency histograms as the Report carries them: three significant digits, nanoseconds, V2 deflate
//! in base64, as every HdrHistogram reader knows them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};

use crate::Error;

/// Significant decimal digits of every histogram of ours.
pub const DIGITS: u8 = 3;

/// Significant decimal digits of a block's histogram: it says how waits cluster, not how long they are.
pub const BLOCK_DIGITS: u8 = 1;

/// The waits that a quantile needs before it says more than the maximum does: the smallest n whose
/// 95 % interval for the quantile has an upper end below the largest value.
pub const CARRIES: [(f64, u64); 4] = [(0.5, 6), (0.9, 36), (0.99, 368), (0.999, 3688)];

/// An empty histogram that grows as needed.
///
/// # Panics
/// Never: the library takes three digits.
pub fn empty() -> Histogram<u64> {
    Histogram::new(DIGITS).expect("three digits are within the library's 0 to 5")
}

/// An empty histogram of a block.
///
/// # Panics
/// Never: the library takes one digit.
pub fn empty_block() -> Histogram<u64> {
    Histogram::new(BLOCK_DIGITS).expect("one digit is within the library's 0 to 5")
}

/// Whether `count` values can carry the quantile `q`.
pub fn carries(count: u64, q: f64) -> bool {
    CARRIES
        .iter()
        .filter(|(known, _)| q <= *known)
        .map(|(_, needed)| count >= *needed)
        .next()
        .unwrap_or(false)
}

/// The value at `q`, or `None` if so few values cannot carry it.
pub fn quantile(histogram: &Histogram<u64>, q: f64) -> Option<u64> {
    carries(histogram.len(), q).then(|| histogram.value_at_quantile(q))
}

/// Encodes as base64 of the V2 deflate form.
///
/// # Panics
/// Never: writing to memory does not fail.
pub fn encode(histogram: &Histogram<u64>) -> String {
    let mut bytes = Vec::new();
    V2DeflateSerializer::new()
        .serialize(histogram, &mut bytes)
        .expect("a vector takes every write and our histograms fit their format");
    STANDARD.encode(bytes)
}

/// Decodes what [`encode`] made.
pub fn decode(text: &str) -> Result<Histogram<u64>, Error> {
    let damaged = |reason: String| Error::Damaged { part: "histogram", reason };
    let bytes = STANDARD.decode(text).map_err(|e| damaged(e.to_string()))?;
    Deserializer::new().deserialize(&mut bytes.as_slice()).map_err(|e| damaged(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_survives_its_text() {
        let mut histogram = empty();
        for value in [1, 1_000, 123_456_789, 4_000_000_000] {
            histogram.record(value).unwrap();
        }
        assert_eq!(decode(&encode(&histogram)).unwrap(), histogram);
        assert!(decode("not base64!").is_err());
        assert!(decode("AAAA").is_err());
    }

    #[test]
    fn no_quantile_that_the_count_cannot_carry() {
        let mut histogram = empty();
        histogram.record_n(5, 367).unwrap();
        assert_eq!(quantile(&histogram, 0.99), None);
        histogram.record(5).unwrap();
        assert_eq!(quantile(&histogram, 0.99), Some(5));
        assert_eq!(quantile(&histogram, 0.999), None);
    }
}
