//! Tails of the normal distribution.

use std::f64::consts::{PI, SQRT_2};

/// P(|Z| ≥ z) of a standard normal Z.
pub fn two_sided(z: f64) -> f64 {
    complementary_error(z.abs() / SQRT_2)
}

/// P(Z ≥ z) of a standard normal Z.
pub fn upper(z: f64) -> f64 {
    let tail = two_sided(z) / 2.0;
    if z < 0.0 { 1.0 - tail } else { tail }
}

/// erfc(x) for x ≥ 0: the series DLMF 7.6.2 where it converges fast, else the continued fraction 7.9.2.
fn complementary_error(x: f64) -> f64 {
    let bell = (-x * x).exp();
    if x < 2.5 {
        let (mut term, mut sum) = (x, x);
        for n in 1..200 {
            term *= 2.0 * x * x / f64::from(2 * n + 1);
            sum += term;
            if term < sum * 1e-17 {
                break;
            }
        }
        return 1.0 - 2.0 / PI.sqrt() * bell * sum;
    }
    // From the inside out; 60 levels are beyond double precision from 2.5 on.
    let inner = (1..=60).rev().fold(x, |below, n| x + f64::from(n) / 2.0 / below);
    bell / PI.sqrt() / inner
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Abramowitz & Stegun, Handbook of Mathematical Functions, table 26.1, and well-known quantiles.
    #[test]
    fn the_tables_of_the_normal_distribution() {
        for (z, tail) in [
            (0.0, 0.5),
            (1.0, 0.158_655_253_931_457_05),
            (1.959_963_984_540_054, 0.025),
            (2.575_829_303_548_901, 0.005),
            (3.0, 0.001_349_898_031_630_094_6),
            (3.6, 0.000_159_108_590_157_533_6),
            (5.0, 2.866_515_718_791_939e-7),
            (8.0, 6.220_960_574_271_785e-16),
        ] {
            assert!((upper(z) / tail - 1.0).abs() < 1e-9, "{z}: {}", upper(z));
            assert!((upper(-z) - (1.0 - tail)).abs() < 1e-12, "{z}");
        }
    }
}
