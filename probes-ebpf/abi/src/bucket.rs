//! Log-linear buckets: 64 to each octave, so that none is wider than 1/64 of its values.

/// Buckets of an octave, and the values that have a bucket each of their own.
const OF_OCTAVE: u64 = 1 << OCTAVE_BITS;
const OCTAVE_BITS: u32 = 6;

/// How many there are: enough for 68 seconds in nanoseconds. What is longer is in the last.
pub const COUNT: usize = 2048;

/// The bucket of a value. Without the instruction that finds the highest bit, which BPF has not.
#[inline(always)]
pub const fn of(value: u64) -> usize {
    let shift = highest_bit(value | OF_OCTAVE) - OCTAVE_BITS;
    if shift as usize >= COUNT / OF_OCTAVE as usize - 1 {
        return COUNT - 1;
    }
    // The value keeps its highest 7 bits, the first of which counts one octave more.
    ((shift as u64 * OF_OCTAVE) + (value >> shift)) as usize
}

/// The least value of a bucket, and the least of the next.
pub const fn bounds(bucket: usize) -> (u64, u64) {
    let (bucket, linear) = (bucket as u64, 2 * OF_OCTAVE);
    if bucket < linear {
        return (bucket, bucket + 1);
    }
    let shift = bucket / OF_OCTAVE - 1;
    let start = (bucket - shift * OF_OCTAVE) << shift;
    (start, start + (1 << shift))
}

#[inline(always)]
const fn highest_bit(mut value: u64) -> u32 {
    let mut at = 0;
    let mut step = 32;
    while step > 0 {
        if value >> step != 0 {
            value >>= step;
            at += step;
        }
        step /= 2;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_within_the_bounds_of_its_bucket() {
        let around = (0..36).flat_map(|bit| (0..200).map(move |n| (1_u64 << bit) + n * 7));
        for value in around {
            let (from, to) = bounds(of(value));
            assert!((from..to).contains(&value), "{value} is not in {from}..{to}");
            assert!((to - from) * OF_OCTAVE <= from.max(OF_OCTAVE), "{from}..{to} is wide");
        }
    }

    #[test]
    fn buckets_follow_one_another_and_the_last_takes_the_rest() {
        for bucket in 1..COUNT {
            assert_eq!(bounds(bucket - 1).1, bounds(bucket).0);
            assert_eq!(of(bounds(bucket).0), bucket);
        }
        assert_eq!(of(u64::MAX), COUNT - 1);
        assert_eq!(of(bounds(COUNT - 1).1), COUNT - 1);
    }
}
