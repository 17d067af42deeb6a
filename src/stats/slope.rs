//! A period from ticks: least squares of arrival over index, one slope, one intercept per segment.

use crate::model::Timestamp;

/// Ticks of one uninterrupted segment, relative to its first.
#[derive(Debug, Clone, Default)]
pub struct Segment {
    origin: Option<Timestamp>,
    n: i128,
    sum_index: i128,
    sum_time: i128,
    sum_index2: i128,
    sum_product: i128,
}

impl Segment {
    /// Adds the tick with this index (from the segment's start) and instant.
    pub fn add(&mut self, index: i64, at: Timestamp) {
        let origin = *self.origin.get_or_insert(at);
        let (i, t) = (i128::from(index), i128::from((at - origin).0));
        self.n += 1;
        self.sum_index += i;
        self.sum_time += t;
        self.sum_index2 += i * i;
        self.sum_product += i * t;
    }
}

/// Segments pooled within-group: slope = Σ cov / Σ var (the fixed-effects estimator; see any text
/// on analysis of covariance, e.g. Snedecor & Cochran, Statistical Methods, ch. 18).
#[derive(Debug, Clone, Default)]
pub struct Slope {
    covariance: f64,
    variance: f64,
}

impl Slope {
    pub fn add(&mut self, segment: &Segment) {
        if segment.n < 2 {
            return;
        }
        // Exact integers up to here; n·Σxy − Σx·Σy is n times the centred sum.
        let n = segment.n as f64;
        self.covariance +=
            (segment.n * segment.sum_product - segment.sum_index * segment.sum_time) as f64 / n;
        self.variance += (segment.n * segment.sum_index2 - segment.sum_index * segment.sum_index) as f64 / n;
    }

    /// Nanoseconds per index; `None` without two ticks in any segment.
    pub fn period_ns(&self) -> Option<f64> {
        (self.variance > 0.0).then(|| self.covariance / self.variance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slope_over_segments_with_their_own_intercepts() {
        let mut slope = Slope::default();
        for start in [0_i64, 1_000_003] {
            let mut segment = Segment::default();
            for i in 0..5 {
                segment.add(i, Timestamp(start + i * 10));
            }
            slope.add(&segment);
        }
        assert_eq!(slope.period_ns(), Some(10.0));
        assert_eq!(Slope::default().period_ns(), None);
    }
}
