//! Numbers that look random and are not: the same in every process, on every machine.

/// FNV-1a, then mixed: of any bytes.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let fold = |state: u64, byte: &u8| (state ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    mix(bytes.iter().fold(0xcbf2_9ce4_8422_2325, fold))
}

/// A step of SplitMix64 (Steele, Lea and Flood, 2014): every bit in turns every bit out.
pub(crate) fn mix(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// `hash` as a share of `whole`, below it.
pub(crate) fn share(hash: u64, whole: u64) -> u64 {
    ((u128::from(hash) * u128::from(whole)) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_the_same_number_for_ever() {
        assert_eq!(hash(b""), mix(0xcbf2_9ce4_8422_2325));
        assert_eq!(hash(b"report"), hash(b"report"));
        assert_ne!(hash(b"report"), hash(b"reports"));
    }

    #[test]
    fn shares_are_spread_and_stay_below() {
        let shares: Vec<u64> = (0..1000).map(|n| share(mix(n), 10)).collect();
        assert!((0..10).all(|share| shares.iter().filter(|&&s| s == share).count() > 50));
        assert_eq!((share(u64::MAX, 10), share(u64::MAX, 0)), (9, 0));
    }
}
