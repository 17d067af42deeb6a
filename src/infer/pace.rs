//! How often a feed speaks of an entity: every so often, or when something changes. Must not look at values
//! but the bucket's time.

use super::keys::{Columns, key_of};
use super::table::Table;
use crate::model::{Span, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone, PartialEq)]
pub struct Pace {
    pub interval: Span,
    pub periodic: bool,
    pub evidence: String,
    pub unsure: bool,
}

/// Buckets are whole seconds wide, and begin where a clock with hands would count one.
const SECOND: i64 = 1_000_000_000;

/// Steps between messages from which a pace can be told.
const ENOUGH: usize = 4;

/// The messages' own pace. Without one the poll's, as what must be noticed within it.
pub fn of_messages(ws: &Table, key: &[Columns], poll: Span) -> Pace {
    let mut arrivals: BTreeMap<Vec<String>, Vec<Timestamp>> = BTreeMap::new();
    for (i, record) in ws.records.iter().enumerate() {
        let times = arrivals.entry(key_of(ws, i, key.iter().map(|c| c.1))).or_default();
        if times.last() != Some(&record.at) {
            times.push(record.at);
        }
    }
    let mut gaps: Vec<i64> =
        arrivals.values().flat_map(|times| times.windows(2).map(|pair| (pair[1] - pair[0]).0)).collect();
    gaps.sort_unstable();
    let Some(&median) = gaps.get(gaps.len() / 2).filter(|_| gaps.len() >= ENOUGH) else {
        return Pace {
            interval: poll,
            periodic: false,
            evidence: format!("only {} steps between messages, so REST's poll stands here", gaps.len()),
            unsure: true,
        };
    };
    let regular: Vec<i64> =
        gaps.iter().copied().filter(|gap| gap * 4 >= median * 3 && gap * 4 <= median * 5).collect();
    if regular.len() * 5 < gaps.len() * 4 {
        return Pace {
            interval: poll,
            periodic: false,
            evidence: format!(
                "{} steps from {} to {}, so no pace; the interval is REST's poll",
                gaps.len(),
                rounded(gaps[0]),
                rounded(gaps[gaps.len() - 1])
            ),
            unsure: false,
        };
    }
    let mean = regular.iter().sum::<i64>() / regular.len() as i64;
    let evidence = format!(
        "{} of {} steps between messages are {} on average",
        regular.len(),
        gaps.len(),
        rounded(mean)
    );
    Pace { interval: plausible(mean), periodic: true, evidence, unsure: gaps.len() < 2 * ENOUGH }
}

/// The width of buckets: the smallest common step of their times.
pub fn of_buckets(table: &Table, time: usize) -> Option<Pace> {
    let starts: BTreeSet<i64> =
        table.records.iter().filter_map(|record| record.cell(time).instant).map(|t| t.0).collect();
    let starts: Vec<i64> = starts.into_iter().collect();
    let width = starts.windows(2).map(|pair| pair[1] - pair[0]).min()?;
    let fits = width % SECOND == 0 && starts.iter().all(|start| start % width == 0);
    fits.then(|| Pace {
        interval: Span(width),
        periodic: true,
        evidence: format!("{} buckets start {} apart", starts.len(), Span(width)),
        unsure: starts.len() < 3,
    })
}

/// How often REST was asked.
pub fn of_polls(sent: impl Iterator<Item = Timestamp>) -> Option<Span> {
    let sent: Vec<Timestamp> = sent.collect();
    let mut gaps: Vec<i64> =
        sent.windows(2).map(|pair| (pair[1] - pair[0]).0).filter(|gap| *gap > 0).collect();
    gaps.sort_unstable();
    gaps.get(gaps.len() / 2).map(|median| plausible(*median))
}

/// What somebody may have set, where it is near; else four digits of what was measured.
fn plausible(nanos: i64) -> Span {
    const MILLIS: [i64; 24] = [
        100, 200, 250, 500, 1000, 1500, 2000, 2500, 3000, 4000, 5000, 6000, 10_000, 12_000, 15_000, 20_000,
        30_000, 45_000, 60_000, 120_000, 300_000, 600_000, 900_000, 3_600_000,
    ];
    let set = MILLIS.iter().map(|ms| ms * 1_000_000).min_by_key(|set| (set - nanos).abs());
    set.filter(|set| (set - nanos).abs() * 50 <= nanos).map_or_else(|| rounded(nanos), Span)
}

/// To four digits, and no finer than a millisecond.
fn rounded(nanos: i64) -> Span {
    let mut unit = 1_000_000;
    while nanos / unit >= 10_000 {
        unit *= 10;
    }
    Span(((nanos + unit / 2) / unit * unit).max(unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_one_that_somebody_may_have_set() {
        let ms = |ms: i64| ms * 1_000_000;
        assert_eq!(plausible(ms(9_960)), Span::from_secs(10));
        assert_eq!(plausible(ms(1_034)), Span::from_millis(1_034));
        assert_eq!(plausible(ms(17_437)), Span::from_millis(17_440));
        assert_eq!(plausible(10), Span::from_millis(1));
    }

    #[test]
    fn polls_are_measured_by_their_starts() {
        let at = |s: i64| Timestamp(Span::from_secs(s).0);
        assert_eq!(of_polls([0, 5, 10, 17, 20].map(at).into_iter()), Some(Span::from_secs(5)));
        assert_eq!(of_polls([0].map(at).into_iter()), None);
    }
}
