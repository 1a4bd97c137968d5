//! Counter-based random numbers: a draw depends on its seed and its counters alone.

/// Increment of `SplitMix64`: 2⁶⁴ over the golden ratio, odd.
pub(crate) const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// Finaliser of `SplitMix64`: inputs that differ in one bit give outputs that share nothing.
///
/// Source: Steele, Lea & Flood, OOPSLA 2014.
pub(crate) fn mixed(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    // First outputs of the reference implementation (prng.di.unimi.it/splitmix64.c) for seed 0: its state is a
    // multiple of the increment.
    #[test]
    fn the_finaliser_is_the_published_one() {
        assert_eq!(mixed(GOLDEN), 0xe220_a839_7b1d_cdaf);
        assert_eq!(mixed(GOLDEN.wrapping_mul(2)), 0x6e78_9e6a_a1b9_65f4);
    }
}
