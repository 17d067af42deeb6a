//! Mutants of the pace: the whole slice runs slower, faster or unsteadily, so that both sides still
//! say the same at the same instants and nothing but the pace is wrong.

use super::mutant::{Expect, Mutant, Place, Range};
use super::stage::StreamSights;
use super::tape::Warp;
use crate::contract::{Align, Cadence};
use crate::model::{Class, Span, Timestamp};
use std::collections::BTreeMap;

/// How far from a limit its two sides are tried, as a share of it.
const MARGIN: f64 = 0.05;

pub fn add(range: &mut Range<'_>) {
    let feature = range.stage.feature();
    for class in [Class::IntervalDrift, Class::Jitter] {
        if feature.cadence == Cadence::OnChange {
            range.not(class, "", "`cadence = \"on-change\"`: there is no pace to keep");
        } else if range.stage.clean.periods.is_empty() {
            range.not(class, "", "no stream of the slice has enough ticks");
        } else if class == Class::IntervalDrift {
            drifts(range);
        } else {
            jitters(range);
        }
    }
}

fn drifts(range: &mut Range<'_>) {
    let stage = range.stage;
    let limit = stage.feature().limits.drift;
    let promised = stage.feature().interval.0 as f64;
    let (first, last) = stage.bounds();
    let against = |slower: bool, rest_too: bool| {
        let shares = stage.clean.periods.iter().flat_map(|(_, period, rest)| {
            let own = period.0 as f64 / promised;
            let rest = rest.filter(|_| rest_too).map(|rest| period.0 as f64 / rest.0 as f64);
            [Some(own), rest].into_iter().flatten()
        });
        shares.reduce(|a, b| if slower { a.max(b) } else { a.min(b) }).unwrap_or(1.0)
    };
    for slower in [true, false] {
        let sign = if slower { 1.0 } else { -1.0 };
        for beyond in [false, true] {
            let share = limit * if beyond { 1.0 + MARGIN } else { 1.0 - MARGIN };
            let (direction, side) =
                (if slower { "slower" } else { "faster" }, if beyond { "beyond" } else { "within" });
            let size = format!("just {side} the limit, {direction}");
            let scale = (1.0 + sign * share) / against(slower, !beyond);
            // The untouched slice may be nearer to the limit than that.
            if scale <= 0.0 || (scale - 1.0) * sign <= 0.0 {
                range.not(Class::IntervalDrift, "", format!("{size}: the stream runs at its limit already"));
                continue;
            }
            let end = first + Span(((last - first).0 as f64 * scale) as i64);
            let Some(warp) = Warp::new(vec![(first, first), (last, end)]) else { continue };
            let change = format!("all arrivals {:+.3} %", (scale - 1.0) * 100.0);
            push(range, Class::IntervalDrift, size, change, warp, beyond, percent(limit));
        }
    }
}

fn percent(share: f64) -> String {
    format!("the limit is {} %", (share * 1e6).round() / 1e4)
}

fn push(
    range: &mut Range<'_>,
    class: Class,
    size: String,
    change: String,
    warp: Warp,
    beyond: bool,
    limit: String,
) {
    let mut edits = range.edits();
    edits.warp(warp);
    let expect = if beyond { Expect::Seen } else { Expect::Within(limit) };
    let place = Place { at: range.stage.bounds().0, ..Place::default() };
    range.push(Mutant { class, field: String::new(), size, change, place, expect, edits });
}

fn jitters(range: &mut Range<'_>) {
    let stage = range.stage;
    let (limit, interval) = (stage.feature().limits.jitter, stage.feature().interval);
    let bound = limit * interval.0 as f64;
    let own = stage.clean.outcome.measures.jitter.max.0 as f64;
    let Some(stream) = stage.streams.iter().filter(|s| !s.rest.is_empty()).max_by_key(|s| s.ws.len()) else {
        return;
    };
    let ticks = ticks(stream, stage.feature().align, interval);
    for beyond in [false, true] {
        let size = format!("just {} the limit", if beyond { "beyond" } else { "within" });
        // What strays by itself adds to it.
        let swing = if beyond { bound * (1.0 + MARGIN) + own } else { bound * (1.0 - MARGIN) - own };
        let half = Span((swing / 2.0) as i64);
        let anchors =
            ticks.iter().enumerate().map(|(i, at)| (*at, *at + if i % 2 == 0 { half } else { -half }));
        match Warp::new(anchors.collect()).filter(|_| half > Span::ZERO) {
            Some(warp) => {
                let change = format!("every other tick {} later, the others as much earlier", half);
                push(range, Class::Jitter, size, change, warp, beyond, percent(limit));
            }
            None => {
                let why = match half > Span::ZERO {
                    true => format!("{size}: ticks would overtake each other"),
                    false => format!("{size}: the stream strays as far already"),
                };
                range.not(Class::Jitter, "", why);
            }
        }
    }
}

/// When the stream ticked: each version once, a bar with its last message.
fn ticks(stream: &StreamSights, align: Align, interval: Span) -> Vec<Timestamp> {
    let mut arrivals: Vec<Timestamp> = match align {
        Align::Bucket => {
            let mut last: BTreeMap<Timestamp, Timestamp> = BTreeMap::new();
            for sight in &stream.ws {
                if let Some(event) = sight.event {
                    last.insert(event, sight.at);
                }
            }
            last.into_values().collect()
        }
        Align::Time | Align::Arrival => stream.ws.iter().map(|s| s.at).collect(),
    };
    arrivals.sort_unstable();
    let mut ticks: Vec<Timestamp> = Vec::new();
    for at in arrivals {
        if ticks.last().is_none_or(|last| (at - *last).0 * 2 >= interval.0) {
            ticks.push(at);
        }
    }
    ticks
}
