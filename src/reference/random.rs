//! Seeded numbers: a hash for values that must be pure functions of (seed, stream, version), and a
//! small generator for sequences. Owns no state beyond its seed; never asks the system for entropy.
//!
//! Both are SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014;
//! the finaliser is Stafford's variant 13). Not for secrets.

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// One million: rates are held as parts per million, so that no float decides a strike.
pub const MILLION: u64 = 1_000_000;

/// SplitMix64's finaliser: a bijection that spreads every input bit.
pub const fn mix(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A number that depends on all three and on nothing else.
pub const fn hash(seed: u64, what: u64, index: i64) -> u64 {
    mix(mix(seed.wrapping_add(what.wrapping_mul(GOLDEN))).wrapping_add((index as u64).wrapping_mul(GOLDEN)))
}

/// A sequence of numbers from a seed.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(mix(seed ^ GOLDEN))
    }

    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// A number in `0..bound`; 0 for an empty range. The bias of the multiplication is below 2⁻³².
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    pub fn chance(&mut self, parts_per_million: u64) -> bool {
        self.below(MILLION) < parts_per_million
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_seed_same_numbers_and_bounds_hold() {
        let (mut a, mut b) = (Random::new(7), Random::new(7));
        for _ in 0..1000 {
            let x = a.below(10);
            assert!(x < 10);
            assert_eq!(x, b.below(10));
        }
        assert_eq!(a.below(0), 0);
        assert_ne!(Random::new(7).next_u64(), Random::new(8).next_u64());
        assert_ne!(hash(1, 2, 3), hash(1, 3, 2));
    }
}
