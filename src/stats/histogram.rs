//! Counts of spans in bins, exact in count, one bin wide in value; memory grows with the spread only.

use crate::model::Span;
use crate::model::outcome::Quantiles;
use crate::model::series::Shape;

/// Bins in a row, at most, before values farther out are counted aside.
const ROW: usize = 512;

/// Values that wait for the row.
const LATEST: usize = 5;

/// Bins of a shape.
const SHAPE_BINS: i64 = 48;

/// Bins of one fixed width. What is measured is narrow, so most bins stand in a row, small and close together:
/// each stream has one of these.
#[derive(Debug, Clone)]
pub struct Histogram {
    width: i64,
    /// Counts of the bins `first`, `first + 1`, …
    row: Vec<u32>,
    first: i64,
    /// Sorted by bin: values that lie too far out for the row, and counts that are too great for it.
    aside: Vec<(i64, u64)>,
    count: u64,
    max: i64,
    /// Bins of the latest values, which the row does not count yet: they stand here, beside what each value touches
    /// anyway, and the row somewhere else.
    latest: [i64; LATEST],
    /// How many of these there are.
    waiting: u8,
}

impl Histogram {
    /// `width` is the resolution.
    pub fn new(width: Span) -> Histogram {
        let width = width.0.max(1);
        Histogram {
            width,
            row: Vec::new(),
            first: 0,
            aside: Vec::new(),
            count: 0,
            max: i64::MIN,
            latest: [0; LATEST],
            waiting: 0,
        }
    }

    pub fn add(&mut self, value: Span) {
        if usize::from(self.waiting) == LATEST {
            self.waiting = 0;
            for bin in self.latest {
                self.add_many(bin, 1);
            }
        }
        self.latest[usize::from(self.waiting)] = value.0.div_euclid(self.width);
        self.waiting += 1;
        self.count += 1;
        self.max = self.max.max(value.0);
    }

    pub fn add_times(&mut self, value: Span, count: u64) {
        self.add_many(value.0.div_euclid(self.width), count);
        self.count += count;
        self.max = self.max.max(value.0);
    }

    fn add_many(&mut self, bin: i64, count: u64) {
        let counted = self.add_to_row(bin, count) || (self.widen(bin) && self.add_to_row(bin, count));
        if !counted {
            match self.aside.binary_search_by_key(&bin, |b| b.0) {
                Ok(i) => self.aside[i].1 += count,
                Err(i) => self.aside.insert(i, (bin, count)),
            }
        }
    }

    /// Whether the bin stands in the row, and its count fits.
    fn add_to_row(&mut self, bin: i64, count: u64) -> bool {
        let place = usize::try_from(bin.wrapping_sub(self.first)).ok().filter(|_| bin >= self.first);
        let Some(known) = place.and_then(|place| self.row.get_mut(place)) else { return false };
        match u32::try_from(count).ok().and_then(|count| known.checked_add(count)) {
            Some(sum) => *known = sum,
            None => return false,
        }
        true
    }

    /// Makes the row reach to this bin, unless that is too far.
    fn widen(&mut self, bin: i64) -> bool {
        if self.row.is_empty() {
            self.first = bin;
        }
        let from = self.first.min(bin);
        let until = (i128::from(self.first) + self.row.len() as i128).max(i128::from(bin) + 1);
        let length = (until - i128::from(from)) as u128;
        if length > ROW as u128 {
            return false;
        }
        self.row.splice(..0, std::iter::repeat_n(0, (self.first - from) as usize));
        self.row.resize(length as usize, 0);
        self.first = from;
        true
    }

    /// Bins in use with their counts, ascending.
    fn bins(&self) -> Vec<(i64, u64)> {
        let row = self.row.iter().zip(self.first..).filter(|(n, _)| **n > 0);
        let mut bins: Vec<(i64, u64)> = row.map(|(n, bin)| (bin, u64::from(*n))).collect();
        bins.extend_from_slice(&self.aside);
        bins.extend(self.latest.iter().take(self.waiting.into()).map(|bin| (*bin, 1)));
        bins.sort_unstable_by_key(|b| b.0);
        bins.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            kept.1 += if same { later.1 } else { 0 };
            same
        });
        bins
    }

    /// What it looks like, from the least value to a little over the 99th percentile.
    pub fn shape(&self) -> Shape {
        let bins = self.bins();
        let Some((first, _)) = bins.first() else { return Shape::default() };
        let last = self.quantiles().p99.0.div_euclid(self.width);
        // Bins of the shape hold whole bins, so that none is split.
        let each = (last.saturating_sub(*first) / SHAPE_BINS + 1).max(1);
        let mut shape = Shape {
            from: Span(first.saturating_mul(self.width)),
            width: Span(each.saturating_mul(self.width)),
            counts: Vec::new(),
            beyond: 0,
        };
        for (bin, count) in &bins {
            let place = bin.saturating_sub(*first) / each;
            if place >= SHAPE_BINS {
                shape.beyond += count;
                continue;
            }
            shape.counts.resize(shape.counts.len().max(place as usize + 1), 0);
            shape.counts[place as usize] += count;
        }
        shape
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    /// Values (bin centres) with their counts, ascending.
    pub fn values(&self) -> impl Iterator<Item = (Span, u64)> + '_ {
        let centre = |bin: i64| Span(bin.saturating_mul(self.width).saturating_add(self.width / 2));
        self.bins().into_iter().map(move |(bin, count)| (centre(bin), count))
    }

    /// Adds another histogram of any width.
    pub fn merge(&mut self, other: &Histogram) {
        for (value, count) in other.values() {
            self.add_many(value.0.div_euclid(self.width), count);
        }
        self.count += other.count;
        self.max = self.max.max(other.max);
    }

    /// Nearest-rank quantiles (bin centres; the greatest value is exact).
    pub fn quantiles(&self) -> Quantiles {
        if self.count == 0 {
            return Quantiles::default();
        }
        let bins = self.bins();
        let at = |q: f64| {
            let rank = ((q * self.count as f64).ceil() as u64).clamp(1, self.count);
            let mut seen = 0;
            let bin = bins.iter().find(|(_, n)| {
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
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn every_value_is_counted_wherever_it_lies(
            values in prop::collection::vec(
                (prop_oneof![-300_i64..300, -5_000_i64..5_000, any::<i64>()], prop_oneof![1_u64..4, Just(u64::from(u32::MAX))]),
                0..80,
            ),
        ) {
            let mut expected: BTreeMap<i64, u64> = BTreeMap::new();
            let mut histogram = Histogram::new(Span(1));
            for (value, count) in &values {
                *expected.entry(*value).or_default() += count;
                match count {
                    1 => histogram.add(Span(*value)),
                    _ => histogram.add_times(Span(*value), *count),
                }
            }
            let found: Vec<(i64, u64)> = histogram.values().map(|(span, count)| (span.0, count)).collect();
            prop_assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
            prop_assert_eq!(histogram.count(), values.iter().map(|v| v.1).sum::<u64>());
        }
    }

    #[test]
    fn a_shape_counts_everything_once() {
        let mut h = Histogram::new(Span(10));
        assert_eq!(h.shape(), Shape::default());
        (0..1000).for_each(|v| h.add(Span(v)));
        h.add_times(Span(1_000_000), 3);
        let shape = h.shape();
        assert_eq!((shape.from, shape.width, shape.beyond), (Span(0), Span(30), 3));
        assert_eq!(shape.counts.iter().sum::<u64>() + shape.beyond, h.count());
        assert_eq!(shape.counts[0], 30);
    }

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
