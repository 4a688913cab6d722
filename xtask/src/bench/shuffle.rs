//! An order that nobody chose, and that can be had again.

/// A permutation of `0..count`, drawn from the seed for the round of that name.
pub(super) fn order(count: usize, seed: u64, round: &str) -> Vec<usize> {
    let mut state = round.bytes().fold(seed, |state, byte| mix(state ^ u64::from(byte)));
    let mut order: Vec<_> = (0..count).collect();
    // Fisher and Yates, from the end.
    for last in (1..count).rev() {
        state = mix(state);
        order.swap(last, (state % (last as u64 + 1)) as usize);
    }
    order
}

/// A step of SplitMix64 (Steele, Lea and Flood, 2014): every bit in turns every bit out.
fn mix(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_has_each_once_and_can_be_had_again() {
        let drawn = order(10, 7, "pipe 1");
        let mut sorted = drawn.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..10).collect::<Vec<_>>());
        assert_eq!(order(10, 7, "pipe 1"), drawn);
        assert_ne!(order(10, 7, "pipe 2"), drawn);
        assert_ne!(order(10, 8, "pipe 1"), drawn);
        assert!(order(0, 7, "").is_empty());
    }

    #[test]
    fn each_place_is_equally_likely() {
        let mut first = [0_u32; 5];
        for seed in 0..5000 {
            first[order(5, seed, "x")[0]] += 1;
        }
        assert!(first.iter().all(|&count| (900..1100).contains(&count)), "{first:?}");
    }
}
