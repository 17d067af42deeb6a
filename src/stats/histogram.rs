//! Counts of spans in bins, exact in count, one bin wide in value; memory grows with the spread only.

use crate::model::Span;
use crate::model::outcome::Quantiles;

/// Bins of one fixed width, kept sorted; few are in use because what is measured is narrow.
#[derive(Debug, Clone)]
pub struct Histogram {
    width: i64,
    bins: Vec<(i64, u64)>,
    count: u64,
    max: i64,
}

impl Histogram {
    /// `width` is the resolution.
    pub fn new(width: Span) -> Histogram {
        Histogram { width: width.0.max(1), bins: Vec::new(), count: 0, max: i64::MIN }
    }

    pub fn add(&mut self, value: Span) {
        self.add_times(value, 1);
    }

    pub fn add_times(&mut self, value: Span, count: u64) {
        self.add_many(value.0.div_euclid(self.width), count);
        self.max = self.max.max(value.0);
    }

    fn add_many(&mut self, bin: i64, count: u64) {
        self.count += count;
        // Where most bins are in use, a bin stands as far from the first as its number does.
        let guess = self.bins.first().and_then(|(first, _)| usize::try_from(bin - first).ok());
        if let Some((found, n)) = guess.and_then(|i| self.bins.get_mut(i))
            && *found == bin
        {
            *n += count;
            return;
        }
        match self.bins.binary_search_by_key(&bin, |b| b.0) {
            Ok(i) => self.bins[i].1 += count,
            Err(i) => self.bins.insert(i, (bin, count)),
        }
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    /// Values (bin centres) with their counts, ascending.
    pub fn values(&self) -> impl Iterator<Item = (Span, u64)> + '_ {
        self.bins.iter().map(|&(bin, count)| (Span(bin * self.width + self.width / 2), count))
    }

    /// Adds another histogram of any width.
    pub fn merge(&mut self, other: &Histogram) {
        for (value, count) in other.values() {
            self.add_many(value.0.div_euclid(self.width), count);
        }
        self.max = self.max.max(other.max);
    }

    /// Nearest-rank quantiles (bin centres; the greatest value is exact).
    pub fn quantiles(&self) -> Quantiles {
        if self.count == 0 {
            return Quantiles::default();
        }
        let at = |q: f64| {
            let rank = ((q * self.count as f64).ceil() as u64).clamp(1, self.count);
            let mut seen = 0;
            let bin = self.bins.iter().find(|(_, n)| {
                seen += n;
                seen >= rank
            });
            Span(bin.map_or(0, |(bin, _)| bin * self.width + self.width / 2).min(self.max))
        };
        Quantiles { count: self.count, p50: at(0.50), p95: at(0.95), p99: at(0.99), max: Span(self.max) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_nearest_rank() {
        let mut h = Histogram::new(Span(1));
        (1..=100).for_each(|v| h.add(Span(v)));
        let q = h.quantiles();
        assert_eq!((q.p50, q.p95, q.p99, q.max), (Span(50), Span(95), Span(99), Span(100)));
        let mut wide = Histogram::new(Span(10));
        wide.merge(&h);
        assert_eq!(wide.count(), 100);
        assert_eq!(wide.quantiles().max, Span(100));
        assert_eq!(Histogram::new(Span(1)).quantiles(), Quantiles::default());
    }
}
