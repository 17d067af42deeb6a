//! What charts are drawn from: counts over time, and the shape of a distribution. Bounded, whatever the run.

use super::time::{Span, Timestamp};

/// Bins that a timeline has at most; a longer run has wider ones.
const MOST_BINS: i64 = 240;
const NARROWEST: Span = Span::from_secs(1);

/// Records that each side brought, in bins of one width. Widths are 1 s, 2 s, 4 s, … and bins stand on a grid
/// of their width, so that two timelines add up exactly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeline {
    width: Span,
    /// Number of the first bin on the grid.
    first: i64,
    bins: Vec<Bin>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bin {
    pub rest: u64,
    pub ws: u64,
    /// How much later than promised the steps from tick to tick that ended here were, over all streams.
    pub late: Span,
}

impl Bin {
    fn add(&mut self, other: Bin) {
        self.rest += other.rest;
        self.ws += other.ws;
        self.late = Span(self.late.0.saturating_add(other.late.0));
    }
}

impl Default for Timeline {
    fn default() -> Timeline {
        Timeline { width: NARROWEST, first: 0, bins: Vec::new() }
    }
}

impl Timeline {
    /// The bin of an instant, to be counted in.
    pub fn at(&mut self, at: Timestamp) -> &mut Bin {
        loop {
            let number = at.0.div_euclid(self.width.0);
            if self.bins.is_empty() {
                self.first = number;
            }
            let from = self.first.min(number);
            let until = (self.first + self.bins.len() as i64).max(number + 1);
            if until - from > MOST_BINS {
                self.coarsen();
                continue;
            }
            if from < self.first {
                self.bins.splice(..0, std::iter::repeat_n(Bin::default(), (self.first - from) as usize));
                self.first = from;
            }
            self.bins.resize((until - from) as usize, Bin::default());
            return &mut self.bins[(number - from) as usize];
        }
    }

    /// Bins twice as wide.
    fn coarsen(&mut self) {
        let first = self.first.div_euclid(2);
        let mut bins: Vec<Bin> = Vec::with_capacity(self.bins.len() / 2 + 1);
        for (bin, number) in self.bins.iter().zip(self.first..) {
            let place = (number.div_euclid(2) - first) as usize;
            bins.resize(bins.len().max(place + 1), Bin::default());
            bins[place].add(*bin);
        }
        self.width = self.width * 2;
        (self.first, self.bins) = (first, bins);
    }

    /// Adds what another one counted.
    pub fn add(&mut self, other: &Timeline) {
        while self.width < other.width {
            self.coarsen();
        }
        for (from, bin) in other.bins() {
            self.at(from).add(bin);
        }
    }

    pub fn width(&self) -> Span {
        self.width
    }

    /// Where the first bin begins; none where nothing was counted.
    pub fn first(&self) -> Option<Timestamp> {
        (!self.bins.is_empty()).then(|| Timestamp(self.first.saturating_mul(self.width.0)))
    }

    /// Each bin with its beginning.
    pub fn bins(&self) -> impl Iterator<Item = (Timestamp, Bin)> + '_ {
        self.bins.iter().zip(self.first..).map(|(bin, number)| (Timestamp(number * self.width.0), *bin))
    }

    /// A step from tick to tick ended at this instant, later by so much than promised.
    pub fn stepped(&mut self, at: Timestamp, late: Span) {
        if late != Span::ZERO {
            self.at(at).add(Bin { late, ..Bin::default() });
        }
    }

    /// How far arrivals have run from the grid of the promised interval by the end of each bin: the mean of so
    /// many streams. Within a stream what jitters does not add up, what drifts does; a break is no step.
    pub fn offsets(&self, streams: u64) -> Vec<Span> {
        let mut sum = 0_i64;
        let offset = |bin: &Bin| {
            sum = sum.saturating_add(bin.late.0);
            Span(sum / i64::try_from(streams.max(1)).unwrap_or(i64::MAX))
        };
        self.bins.iter().map(offset).collect()
    }

    /// As it was written; none where no timeline looks like that.
    pub fn of_bins(first: Timestamp, width: Span, bins: Vec<Bin>) -> Option<Timeline> {
        let steps = width.0.checked_div(NARROWEST.0).filter(|steps| steps * NARROWEST.0 == width.0)?;
        let fits = steps > 0 && steps.count_ones() == 1 && bins.len() as i64 <= MOST_BINS;
        (fits && first.0 % width.0 == 0).then(|| Timeline { width, first: first.0 / width.0, bins })
    }
}

/// A distribution in bins of one width: what a histogram looks like, not what is judged by.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shape {
    /// Where the first bin begins.
    pub from: Span,
    pub width: Span,
    pub counts: Vec<u64>,
    /// Values beyond the last bin.
    pub beyond: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn total(timeline: &Timeline) -> (u64, u64, i64) {
        timeline
            .bins()
            .fold((0, 0, 0), |sum, (_, bin)| (sum.0 + bin.rest, sum.1 + bin.ws, sum.2 + bin.late.0))
    }

    proptest! {
        #[test]
        fn every_count_stands_in_its_bin_and_halves_add_up(
            seconds in prop::collection::vec(0_i64..200_000, 0..120), split in 0_usize..120,
        ) {
            let count = |seconds: &[i64]| {
                let mut timeline = Timeline::default();
                for at in seconds {
                    timeline.at(Timestamp(at * 1_000_000_000)).ws += 1;
                    timeline.stepped(Timestamp(at * 1_000_000_000), Span(at % 7 - 3));
                }
                timeline
            };
            let whole = count(&seconds);
            let late: i64 = seconds.iter().map(|at| at % 7 - 3).sum();
            prop_assert_eq!(total(&whole), (0, seconds.len() as u64, late));
            prop_assert_eq!(whole.offsets(1).last().copied().unwrap_or(Span::ZERO), Span(late));
            prop_assert!(whole.bins.len() as i64 <= MOST_BINS);
            for (from, bin) in whole.bins() {
                let inside = |at: &&i64| (from.0..from.0 + whole.width.0).contains(&(**at * 1_000_000_000));
                prop_assert_eq!(bin.ws, seconds.iter().filter(inside).count() as u64);
            }
            let (head, tail) = seconds.split_at(split.min(seconds.len()));
            let mut sum = count(head);
            sum.add(&count(tail));
            prop_assert_eq!(sum, whole);
        }
    }

    #[test]
    fn only_what_was_written_is_read() {
        let mut timeline = Timeline::default();
        timeline.at(Timestamp(7_000_000_000)).rest += 1;
        timeline.at(Timestamp(900_000_000_000)).ws += 2;
        let bins: Vec<Bin> = timeline.bins().map(|(_, bin)| bin).collect();
        let (first, width) = (timeline.first().unwrap(), timeline.width());
        assert_eq!(Timeline::of_bins(first, width, bins.clone()), Some(timeline));
        for width in [Span::ZERO, Span(-1), Span(3_000_000_000), Span(1)] {
            assert_eq!(Timeline::of_bins(first, width, bins.clone()), None);
        }
        assert_eq!(Timeline::of_bins(Timestamp(1), width, bins), None);
    }
}
