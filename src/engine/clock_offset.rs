//! How far the feed's clock stands from ours (SPEC §5.7), bounded by what was seen; nothing is judged by it.
//!
//! Let θ be the feed's clock minus ours. A version with event time e came to be at e − θ on our clock. It was
//! seen by us at a, so e − θ ≤ a: θ ≥ e − a, from every message and every answer that brought it. A poll sent
//! at s' still showed an older version, so this one was not published before s'; taking it that REST shows a
//! version within a settle of its event time, e − θ + settle ≥ s': θ ≤ e − s' + settle. All such bounds hold
//! at once: the estimate is the middle of what is left, its error half of it. Where nothing is left (the clocks
//! drift apart, REST caches for longer, an event time is wrong) there is no estimate.

use crate::model::outcome::ClockOffset;
use crate::model::{Span, Timestamp};

#[derive(Debug, Clone, Copy, Default)]
pub struct OffsetBounds {
    least: Option<Span>,
    greatest: Option<Span>,
}

impl OffsetBounds {
    /// A version was here at `at`.
    pub fn seen(&mut self, event: Timestamp, at: Timestamp) {
        self.least = self.least.max(Some(event - at));
    }

    /// A poll sent at `sent` did not show the version yet.
    pub fn unseen(&mut self, event: Timestamp, sent: Timestamp, settle: Span) {
        let bound = event - sent + settle;
        self.greatest = Some(self.greatest.map_or(bound, |greatest| greatest.min(bound)));
    }

    /// What both allow.
    pub fn and(self, other: OffsetBounds) -> OffsetBounds {
        let greatest = match (self.greatest, other.greatest) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        OffsetBounds { least: self.least.max(other.least), greatest }
    }

    pub fn estimate(self) -> Option<ClockOffset> {
        let (least, greatest) = (self.least?, self.greatest?);
        (least <= greatest).then(|| {
            let width = greatest - least;
            ClockOffset { offset: least + width.half(), error: width - width.half() }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp(seconds * 1_000_000_000)
    }

    #[test]
    fn bounds_meet_around_the_offset() {
        let settle = Span::from_secs(2);
        let mut bounds = OffsetBounds::default();
        // The feed's clock is 60 s ahead; the message is under way for 1 s.
        bounds.seen(at(160), at(101));
        assert_eq!(bounds.estimate(), None, "no poll told that it was not there before");
        bounds.unseen(at(160), at(99), settle);
        let estimate = bounds.estimate().unwrap();
        assert_eq!((estimate.offset, estimate.error), (Span::from_secs(61), Span::from_secs(2)));
        // A tighter one of another feature.
        let mut other = OffsetBounds::default();
        other.seen(at(260), at(200));
        assert_eq!(bounds.and(other).estimate().unwrap().error, Span::from_millis(1_500));
        // REST that showed a version long after its event time contradicts.
        bounds.unseen(at(360), at(320), settle);
        assert_eq!(bounds.estimate(), None);
    }
}
