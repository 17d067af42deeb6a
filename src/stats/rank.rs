//! Two samples by their ranks: is one of them greater, whatever their distributions.

use super::normal::two_sided;

/// The median: the middle value, the mean of the two middle ones of an even number. `None` of nothing.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[middle]),
        _ => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
    }
}

/// What the test of Mann and Whitney says of two samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MannWhitney {
    /// Pairs in which the first sample's value is the greater one; an equal pair counts a half.
    pub u: f64,
    /// The two-sided probability of a `u` so far from its middle, were both samples of one distribution.
    pub p: f64,
}

/// Mann and Whitney, Annals of Mathematical Statistics 18 (1947) 50–60, by the normal approximation
/// with the correction for ties (Hollander & Wolfe, Nonparametric Statistical Methods, 4.1) and for
/// continuity; good from about eight values a side. `p` is 1 where a side is empty or all are equal.
pub fn mann_whitney(first: &[f64], second: &[f64]) -> MannWhitney {
    let (n, m) = (first.len() as f64, second.len() as f64);
    let mut all: Vec<(f64, bool)> =
        first.iter().map(|v| (*v, true)).chain(second.iter().map(|v| (*v, false))).collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut ranks_of_first, mut ties, mut before) = (0.0, 0.0, 0.0);
    for group in all.chunk_by(|a, b| a.0 == b.0) {
        let size = group.len() as f64;
        let rank = before + (size + 1.0) / 2.0;
        ranks_of_first += rank * group.iter().filter(|(_, of_first)| *of_first).count() as f64;
        ties += size * size * size - size;
        before += size;
    }
    let u = ranks_of_first - n * (n + 1.0) / 2.0;
    let total = n + m;
    let variance = n * m / 12.0 * (total + 1.0 - ties / (total * (total - 1.0)));
    if n == 0.0 || m == 0.0 || variance <= 0.0 {
        return MannWhitney { u, p: 1.0 };
    }
    let distance = ((u - n * m / 2.0).abs() - 0.5).max(0.0);
    MannWhitney { u, p: two_sided(distance / variance.sqrt()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expect: f64) {
        assert!((found - expect).abs() < 1e-9, "{found} is not {expect}");
    }

    #[test]
    fn medians() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    /// The ages of the documentation of SciPy's `mannwhitneyu`, `method="asymptotic"`.
    #[test]
    fn the_published_example() {
        let found = mann_whitney(&[19.0, 22.0, 16.0, 29.0, 24.0], &[20.0, 11.0, 17.0, 12.0]);
        close(found.u, 17.0);
        close(found.p, 0.111_346_886_533_140_41);
    }

    /// By hand: u = 3·3 − … with two groups of ties; variance 16/12·(9 − 30/56).
    #[test]
    fn ties_shrink_the_variance() {
        let found = mann_whitney(&[1.0, 2.0, 2.0, 3.0], &[2.0, 3.0, 3.0, 4.0]);
        // Greater pairs: 3 > 2, and four halves more (2 = 2 twice, 3 = 3 twice).
        close(found.u, 1.0 + 4.0 * 0.5);
        let variance: f64 = 16.0 / 12.0 * (9.0 - (24.0 + 24.0) / 56.0);
        close(found.p, crate::stats::normal::two_sided(4.5 / variance.sqrt()));
    }

    #[test]
    fn nothing_to_tell_apart_is_no_evidence() {
        assert_eq!(mann_whitney(&[], &[1.0]).p, 1.0);
        assert_eq!(mann_whitney(&[5.0; 40], &[5.0; 40]).p, 1.0);
        let far = mann_whitney(&[1.0; 30], &[2.0; 30]);
        assert!(far.u == 0.0 && far.p < 1e-12, "{far:?}");
    }
}
