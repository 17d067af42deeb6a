//! Owns a feature's timeline: market hours, connection, both feeds and findings as lanes over one time.

use super::chart::{self, WIDTH};
use super::instant;
use super::markup::Markup;
use crate::model::outcome::Episode;
use crate::model::series::Bin;
use crate::model::{FeatureOutcome, Outcome, Severity, Span, Timestamp};
use crate::report::advice::{plural, thousands};
use crate::report::text::rounded;

const FEED_PX: f64 = 44.0;
const BAND_PX: f64 = 14.0;
/// Labels on the axis of time.
const LABELS: i64 = 3;

/// The time that all lanes share.
struct Axis {
    from: Timestamp,
    to: Timestamp,
}

impl Axis {
    fn x(&self, at: Timestamp) -> f64 {
        let whole = (self.to.0.saturating_sub(self.from.0)).max(1) as f64;
        at.0.saturating_sub(self.from.0) as f64 / whole * WIDTH
    }

    fn bands<'a>(
        &'a self,
        times: impl Iterator<Item = (Timestamp, Timestamp)> + 'a,
    ) -> impl Iterator<Item = (f64, f64)> + 'a {
        times
            .filter(|(from, to)| *to >= self.from && *from <= self.to)
            .map(|(from, to)| (self.x(from), self.x(to)))
    }
}

pub fn figure(page: &mut Markup, outcome: &Outcome, feature: &FeatureOutcome) {
    let (Some(first), Some(last)) = (outcome.first, outcome.last) else { return };
    let timeline = &feature.measures.timeline;
    let Some(began) = timeline.first() else {
        page.element("p", &[("class", "faint")], "No timeline: neither side brought a record.");
        return;
    };
    let end = timeline.bins().last().map_or(last, |(from, _)| from + timeline.width());
    let axis = Axis { from: first.min(began), to: last.max(end) };
    page.tag("figure", &[("class", "timeline")], |page| {
        page.element("figcaption", &[], "Timeline");
        market(page, feature, &axis);
        connection(page, outcome, &axis);
        feeds(page, feature, &axis);
        findings(page, outcome, feature, &axis);
        lane(page, "", "", |page| {
            let label =
                |i: i64| {
                    let at = axis.from + Span((axis.to - axis.from).0 / (LABELS - 1) * i);
                    instant(at).split_off(
                        if outcome.last.is_some_and(|l| (l - first).0 > 72_000_000_000_000) { 0 } else { 11 },
                    )
                };
            chart::axis(page, &(0..LABELS).map(label).collect::<Vec<_>>());
        });
    });
}

fn lane(page: &mut Markup, name: &str, more: &str, inside: impl FnOnce(&mut Markup)) {
    page.tag("div", &[("class", "lane")], |page| {
        page.tag("div", &[("class", "name")], |page| {
            page.text(name);
            page.element("small", &[], more);
        });
        page.tag("div", &[("class", "track")], inside);
    });
}

fn market(page: &mut Markup, feature: &FeatureOutcome, axis: &Axis) {
    let hours = feature.sessions.iter().map(|session| (session.open, session.close));
    let words = format!("market hours: {}", plural(feature.sessions.len(), "session"));
    lane(page, "market hours", "", |page| {
        chart::svg(page, "band", &words, BAND_PX, |page| {
            chart::bands(page, "hours", axis.bands(hours), BAND_PX)
        });
    });
}

fn connection(page: &mut Markup, outcome: &Outcome, axis: &Axis) {
    let link = &outcome.connection;
    let words =
        format!("connection: {}, open for {}", plural(link.opens as usize, "open"), rounded(link.open_time));
    let open = link.open.iter().copied();
    lane(page, "connection", "", |page| {
        chart::svg(page, "band down", &words, BAND_PX, |page| {
            chart::bands(page, "up", axis.bands(open), BAND_PX)
        });
    });
}

/// Records of both sides, each in the unit of its own greatest: how regular they are is what is seen.
fn feeds(page: &mut Markup, feature: &FeatureOutcome, axis: &Axis) {
    let m = &feature.measures;
    let width = m.timeline.width();
    let side = |count: fn(Bin) -> u64| -> Vec<u64> { m.timeline.bins().map(|(_, bin)| count(bin)).collect() };
    let (left, right) = (
        m.timeline.first().map_or(0.0, |first| axis.x(first)),
        m.timeline.bins().last().map_or(WIDTH, |(from, _)| axis.x(from + width)),
    );
    for (name, class, values, total) in [
        ("REST", "rest", side(|bin| bin.rest), m.rest_records),
        ("WebSocket", "ws", side(|bin| bin.ws), m.ws_records),
    ] {
        let promised = promised_in_a_bin(feature).filter(|_| class == "ws");
        let greatest = values.iter().copied().max().unwrap_or(0).max(promised.unwrap_or(0.0).ceil() as u64);
        let silent = values.iter().filter(|value| **value == 0).count();
        let words = format!(
            "{name}: {} records in bins of {width}, at most {} in one, {silent} of {} bins without any",
            thousands(total),
            thousands(greatest),
            values.len()
        );
        lane(page, name, &format!("{} records", thousands(total)), |page| {
            chart::svg(page, "feed", &words, FEED_PX, |page| {
                let shift = format!("translate({left:.1} 0) scale({:.5} 1)", (right - left) / WIDTH);
                page.tag("g", &[("transform", &shift)], |page| {
                    chart::bars(page, class, &values, greatest, FEED_PX)
                });
                if let Some(promised) = promised {
                    chart::level(page, "promise", FEED_PX * (1.0 - promised / greatest.max(1) as f64));
                }
            });
        });
    }
}

/// Records that the promised interval means for a bin: the line that the bars of a feed without drift reach.
/// None where bins are too narrow to show it, or where nothing is promised.
fn promised_in_a_bin(feature: &FeatureOutcome) -> Option<f64> {
    let m = &feature.measures;
    let intervals = m.timeline.width().0 as f64 / feature.interval.0.max(1) as f64;
    (intervals >= 2.0 && m.ticks > 0).then_some(intervals * m.streams_ws as f64)
}

fn findings(page: &mut Markup, outcome: &Outcome, feature: &FeatureOutcome, axis: &Axis) {
    let of = |severity: Severity| -> Vec<&Episode> {
        let concerns = |e: &&Episode| e.feature.as_deref().is_none_or(|name| *name == *feature.name);
        let mut found: Vec<_> =
            outcome.episodes.iter().filter(concerns).filter(|e| e.class.severity() == severity).collect();
        found.sort_by_key(|e| (e.first, e.last));
        found
    };
    for (name, class, severity) in [("failing", "fail", Severity::Fail), ("warnings", "warn", Severity::Warn)]
    {
        let episodes = of(severity);
        let count: u64 = episodes.iter().map(|e| e.findings).sum();
        let words = format!("{name} findings: {} in {}", thousands(count), plural(episodes.len(), "episode"));
        let more = if count == 0 { "none".into() } else { thousands(count) };
        lane(page, name, &more, |page| {
            chart::svg(page, "band", &words, BAND_PX, |page| {
                chart::bands(page, class, axis.bands(episodes.iter().map(|e| (e.first, e.last))), BAND_PX);
            });
        });
    }
}
