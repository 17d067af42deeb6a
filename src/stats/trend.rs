//! Does a series rise: a test and a slope that outliers and steps do not move.

use super::normal::upper;
use super::rank::median;

/// P(such a rise or a greater one) of a series without a trend: Mann, Econometrica 13 (1945) 245–259, with
/// Kendall's variance for ties and the correction for continuity (Gilbert, Statistical Methods for
/// Environmental Pollution Monitoring, 1987, 16.4). One-sided; 1 where there is nothing to compare.
pub fn mann_kendall_rise(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mut s = 0.0;
    for (i, earlier) in values.iter().enumerate() {
        for later in &values[i + 1..] {
            s += match later.total_cmp(earlier) {
                std::cmp::Ordering::Greater => 1.0,
                std::cmp::Ordering::Equal => 0.0,
                std::cmp::Ordering::Less => -1.0,
            };
        }
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let ties: f64 = sorted
        .chunk_by(|a, b| a == b)
        .map(|group| group.len() as f64)
        .map(|t| t * (t - 1.0) * (2.0 * t + 5.0))
        .sum();
    let variance = (n * (n - 1.0) * (2.0 * n + 5.0) - ties) / 18.0;
    if variance <= 0.0 {
        return 1.0;
    }
    let s = if s > 0.0 {
        s - 1.0
    } else if s < 0.0 {
        s + 1.0
    } else {
        s
    };
    upper(s / variance.sqrt())
}

/// The median of the slopes of all pairs: Sen, Journal of the American Statistical Association 63 (1968)
/// 1379–1389. Points are (x, y); `None` without two different x.
pub fn theil_sen(points: &[(f64, f64)]) -> Option<f64> {
    let mut slopes = Vec::with_capacity(points.len() * points.len() / 2);
    for (i, (x0, y0)) in points.iter().enumerate() {
        slopes.extend(points[i + 1..].iter().filter(|(x, _)| x != x0).map(|(x, y)| (y - y0) / (x - x0)));
    }
    median(&slopes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rise_is_told_from_noise() {
        // n = 10, strictly rising: S = 45, variance 125, z = 44/√125.
        let rising: Vec<f64> = (0..10).map(f64::from).collect();
        assert!((mann_kendall_rise(&rising) - upper(44.0 / 125_f64.sqrt())).abs() < 1e-15);
        let falling: Vec<f64> = rising.iter().rev().copied().collect();
        assert!(mann_kendall_rise(&falling) > 0.999);
        assert!(mann_kendall_rise(&[5.0, 1.0, 4.0, 2.0, 3.0, 5.0, 2.0, 4.0, 1.0, 3.0]) > 0.3);
        assert_eq!(mann_kendall_rise(&[7.0; 20]), 1.0);
        assert_eq!(mann_kendall_rise(&[]), 1.0);
        assert_eq!(mann_kendall_rise(&[1.0]), 1.0);
    }

    /// Gilbert's rule for ties: 10 values with a group of two and one of three, by hand.
    #[test]
    fn ties_shrink_the_variance() {
        let values = [1.0, 2.0, 2.0, 3.0, 4.0, 4.0, 4.0, 5.0, 6.0, 7.0];
        let variance: f64 = (10.0 * 9.0 * 25.0 - 2.0 * 9.0 - 3.0 * 2.0 * 11.0) / 18.0;
        assert!((mann_kendall_rise(&values) - upper((41.0 - 1.0) / variance.sqrt())).abs() < 1e-15);
    }

    /// Sen's own example (1968, section 6): x = 1, 2, 3, 4, 10, 12, 18 and y = 9, 15, 19, 20, 45, 55, 78 give 4.
    #[test]
    fn the_slope_of_sens_example() {
        let points =
            [(1.0, 9.0), (2.0, 15.0), (3.0, 19.0), (4.0, 20.0), (10.0, 45.0), (12.0, 55.0), (18.0, 78.0)];
        assert_eq!(theil_sen(&points), Some(4.0));
        assert_eq!(theil_sen(&points[..1]), None);
    }
}
