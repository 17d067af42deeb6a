//! Owns what charts are drawn from, as `report.json` has it: each list of counts on one line.

use super::{Instant, NotAReport};
use crate::model::Span;
use crate::model::series::{Bin, Shape, Timeline};
use serde::de::Deserializer;
use serde::ser::{Error, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Records of each side over time.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Bins {
    first: Instant,
    width_ns: i64,
    rest: Numbers<u64>,
    ws: Numbers<u64>,
    /// How much later than promised the steps that ended in a bin were, over all streams; reports of before
    /// have none.
    #[serde(default)]
    late_ns: Numbers<i64>,
}

/// A distribution: the first bin begins at `from_ns`, `beyond` values lie beyond the last.
#[derive(Serialize, Deserialize, Default)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Bars {
    from_ns: i64,
    width_ns: i64,
    counts: Numbers<u64>,
    beyond: u64,
}

#[derive(Default)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Numbers<T>(Vec<T>);

impl<T: Serialize> Serialize for Numbers<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = serde_json::to_string(&self.0).map_err(S::Error::custom)?;
        RawValue::from_string(text).map_err(S::Error::custom)?.serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Numbers<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Numbers<T>, D::Error> {
        Vec::deserialize(deserializer).map(Numbers)
    }
}

impl Bins {
    pub fn of(timeline: &Timeline) -> Option<Bins> {
        let side = |count: fn(Bin) -> u64| Numbers(timeline.bins().map(|(_, bin)| count(bin)).collect());
        Some(Bins {
            first: Instant(timeline.first()?),
            width_ns: timeline.width().0,
            rest: side(|bin| bin.rest),
            ws: side(|bin| bin.ws),
            late_ns: Numbers(timeline.bins().map(|(_, bin)| bin.late.0).collect()),
        })
    }

    pub fn outcome(self) -> Result<Timeline, NotAReport> {
        let late = self.late_ns.0.iter().copied().chain(std::iter::repeat(0));
        let bins = self.rest.0.iter().zip(&self.ws.0).zip(late);
        let bins = bins.map(|((rest, ws), late)| Bin { rest: *rest, ws: *ws, late: Span(late) }).collect();
        let count = self.rest.0.len();
        let even = self.ws.0.len() == count && [0, count].contains(&self.late_ns.0.len());
        let timeline = Timeline::of_bins(self.first.0, Span(self.width_ns), bins).filter(|_| even);
        timeline.ok_or_else(|| NotAReport::Malformed("a `timeline` has bins that no timeline has".into()))
    }
}

impl Bars {
    pub fn of(shape: &Shape) -> Bars {
        Bars {
            from_ns: shape.from.0,
            width_ns: shape.width.0,
            counts: Numbers(shape.counts.clone()),
            beyond: shape.beyond,
        }
    }

    pub fn outcome(self) -> Shape {
        Shape {
            from: Span(self.from_ns),
            width: Span(self.width_ns),
            counts: self.counts.0,
            beyond: self.beyond,
        }
    }
}
