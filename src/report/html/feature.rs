//! Owns a feature's own section: what was measured of it, over time and as distributions, its fields, its
//! sessions, and what its values were seen to do.

use super::chart::{self, WIDTH};
use super::markup::Markup;
use super::{anchor, badge, columns, instant, timeline};
use crate::model::outcome::{Measures, Quantiles};
use crate::model::series::Shape;
use crate::model::{FeatureOutcome, Outcome, Span, Timestamp};
use crate::report::advice::{sooner, thousands};
use crate::report::text::rounded;

const SHAPE_PX: f64 = 90.0;
/// The part of an interval that the drift's chart shows at least.
const SMALL_PART: i64 = 50;

pub fn section(page: &mut Markup, outcome: &Outcome, number: usize, feature: &FeatureOutcome) {
    let id = anchor(number);
    page.tag("section", &[("id", &id), ("class", "feature")], |page| {
        page.tag("h2", &[], |page| {
            page.text(&feature.name).text(" ");
            badge(page, Some(feature.verdict));
        });
        facts(page, feature);
        timeline::figure(page, outcome, feature);
        page.tag("div", &[("class", "shapes")], |page| shapes(page, feature));
        fields(page, &feature.measures);
        sessions(page, feature);
        proofs(page, feature);
    });
}

fn facts(page: &mut Markup, feature: &FeatureOutcome) {
    let m = &feature.measures;
    let mut facts: Vec<(&str, String)> = vec![
        ("aligned by", feature.align.into()),
        ("promised interval", feature.interval.to_string()),
        ("streams", format!("{} (REST {}, WebSocket {})", m.streams, m.streams_rest, m.streams_ws)),
        (
            "REST",
            format!(
                "{} polls, {} versions, {}",
                thousands(m.rest_polls),
                thousands(m.rest_versions),
                bytes(m.rest_bytes)
            ),
        ),
        (
            "WebSocket",
            format!(
                "{} messages, {} ticks, {}",
                thousands(m.ws_messages),
                thousands(m.ticks),
                bytes(m.ws_bytes)
            ),
        ),
        ("pairs", format!("{}, {} differ", thousands(m.pairs), thousands(m.mismatched_pairs))),
        ("missed ticks", thousands(m.missed_ticks)),
    ];
    if let (Some(period), Some(drift)) = (m.period_ws, m.drift) {
        facts.push(("measured period", format!("{} (drift {:+.2} %)", rounded(period), drift * 100.0)));
    }
    if let Some(gain) = m.freshness_median {
        facts.push(("fresher by", format!("median {} than REST", sooner(gain))));
    }
    if m.rest_errors + m.rest_skipped > 0 {
        facts.push((
            "polls failed, skipped",
            format!("{}, {}", thousands(m.rest_errors), thousands(m.rest_skipped)),
        ));
    }
    page.tag("dl", &[("class", "facts")], |page| {
        for (name, value) in &facts {
            page.tag("div", &[], |page| {
                page.element("dt", &[], name).element("dd", &[], value);
            });
        }
    });
}

fn bytes(count: u64) -> String {
    match count {
        0..10_000 => format!("{} B", thousands(count)),
        10_000..10_000_000 => format!("{} kB", thousands(count / 1_000)),
        _ => format!("{} MB", thousands(count / 1_000_000)),
    }
}

fn shapes(page: &mut Markup, feature: &FeatureOutcome) {
    let m = &feature.measures;
    let mut marks = vec![("promised", "promise", feature.interval)];
    marks.extend(m.period_ws.map(|period| ("measured", "measured", period)));
    shape(page, "Interval from tick to tick", &m.steps, &marks, None);
    drift(page, feature);
    let median = |q: &Quantiles| {
        if q.count > 0 { vec![("median", "measured", q.p50), ("p95", "promise", q.p95)] } else { Vec::new() }
    };
    shape(
        page,
        "Freshness gain: how much sooner than REST",
        &m.gains,
        &median(&m.freshness_gain),
        Some(&m.freshness_gain),
    );
    shape(page, "Latency above the stream's smallest", &m.delays, &median(&m.delay), Some(&m.delay));
}

/// How far arrivals ran from the promised grid, over time.
fn drift(page: &mut Markup, feature: &FeatureOutcome) {
    const NAME: &str = "Drift: arrivals against the promised grid";
    let m = &feature.measures;
    page.tag("figure", &[("class", "drift")], |page| {
        page.element("figcaption", &[], NAME);
        let mut offsets = m.timeline.offsets(m.streams_ws);
        if m.ticks < 2 || offsets.is_empty() {
            page.element("p", &[("class", "faint")], "not measured");
            return;
        }
        // From the grid itself on, also where one bin holds it all.
        offsets.insert(0, Span::ZERO);
        let values: Vec<i64> = offsets.iter().map(|offset| offset.0).collect();
        let (low, high) =
            (values.iter().min().copied().unwrap_or(0), values.iter().max().copied().unwrap_or(0));
        let last = values.last().copied().unwrap_or(0);
        // What is small beside the interval looks small.
        let greatest = high.max(low.saturating_neg()).max(feature.interval.0 / SMALL_PART);
        let measured = m.drift.map(|drift| format!(", drift {:+.2} %", drift * 100.0)).unwrap_or_default();
        let words = format!(
            "{NAME}: between {} and {}, {} at the end{measured}",
            signed(low),
            signed(high),
            signed(last)
        );
        chart::svg(page, "shape", &words, SHAPE_PX, |page| {
            chart::level(page, "promise", SHAPE_PX / 2.0);
            chart::swing(page, "trace", &values, greatest, SHAPE_PX);
        });
        let ends = [m.timeline.first(), m.timeline.bins().last().map(|(from, _)| from + m.timeline.width())];
        // Within a day the time tells enough.
        let days = matches!(ends, [Some(first), Some(last)] if last - first > Span::from_secs(86_400));
        let label = |at: Option<Timestamp>| {
            at.map(|at| instant(at).split_off(if days { 0 } else { 11 })).unwrap_or_default()
        };
        chart::axis(page, &ends.map(label));
        page.tag("p", &[("class", "legend")], |page| {
            page.element("span", &[("class", "promise")], &format!("promised {}", feature.interval))
                .text(" ");
            page.text(&format!("{} to {}, {} at the end", signed(low), signed(high), signed(last)));
            page.text(&format!("; the chart's height is ± {}", rounded(Span(greatest))));
        });
    });
}

/// `+1.2s`: later than promised.
fn signed(ns: i64) -> String {
    let sign = if ns < 0 { "−" } else { "+" };
    format!("{}{}", if ns == 0 { "" } else { sign }, rounded(Span(ns).abs()))
}

/// A distribution with marks on it, each a name, a class and a place.
fn shape(
    page: &mut Markup,
    name: &str,
    shape: &Shape,
    marks: &[(&str, &'static str, Span)],
    quantiles: Option<&Quantiles>,
) {
    page.tag("figure", &[], |page| {
        page.element("figcaption", &[], name);
        if shape.counts.is_empty() {
            page.element("p", &[("class", "faint")], "not measured");
            return;
        }
        // A little air, so that marks beside the bars are seen.
        let (mut low, mut high) = (shape.from, shape.from + shape.width * shape.counts.len() as i64);
        for (_, _, at) in marks {
            (low, high) = (low.min(*at - shape.width), high.max(*at + shape.width));
        }
        low = low.max(shape.from.min(Span::ZERO));
        let whole = (high - low).0.max(1) as f64;
        let x = |at: Span| (at - low).0 as f64 / whole * WIDTH;
        let values: u64 = shape.counts.iter().sum::<u64>() + shape.beyond;
        let legend: Vec<String> =
            marks.iter().map(|(name, _, at)| format!("{name} {}", rounded(*at))).collect();
        let words = format!("{name}: {} values, {}", thousands(values), legend.join(", "));
        let greatest = shape.counts.iter().copied().max().unwrap_or(0);
        chart::svg(page, "shape", &words, SHAPE_PX, |page| {
            let (left, right) = (x(shape.from), x(shape.from + shape.width * shape.counts.len() as i64));
            let place = format!("translate({left:.1} 0) scale({:.5} 1)", (right - left) / WIDTH);
            page.tag("g", &[("transform", &place)], |page| {
                chart::bars(page, "ws", &shape.counts, greatest, SHAPE_PX)
            });
            for (_, class, at) in marks {
                chart::mark(page, class, x(*at), SHAPE_PX);
            }
        });
        chart::axis(page, &[at_bin(low, shape.width).to_string(), at_bin(high, shape.width).to_string()]);
        page.tag("p", &[("class", "legend")], |page| {
            for ((_, class, _), words) in marks.iter().zip(&legend) {
                page.element("span", &[("class", class)], words).text(" ");
            }
            let max = quantiles.map(|q| format!(", max {}", rounded(q.max))).unwrap_or_default();
            let beyond = if shape.beyond > 0 {
                format!(", {} beyond", thousands(shape.beyond))
            } else {
                String::new()
            };
            page.text(&format!("{} values{beyond}{max}", thousands(values)));
        });
    });
}

/// An edge of a chart, no finer than its bins.
fn at_bin(span: Span, width: Span) -> Span {
    let step = 10_i64.pow(width.0.max(1).ilog10());
    Span(span.0 / step * step)
}

fn fields(page: &mut Markup, m: &Measures) {
    if m.fields.is_empty() {
        return;
    }
    page.tag("table", &[("class", "numbers")], |page| {
        page.element("caption", &[], "Fields compared");
        columns(page, ["field", "compared", "differed"]);
        let mut fields: Vec<_> = m.fields.iter().collect();
        fields.sort_by_key(|field| std::cmp::Reverse(field.differed));
        for field in fields {
            let class = if field.differed > 0 { "bad" } else { "" };
            page.tag("tr", &[("class", class)], |page| {
                page.element("th", &[("scope", "row")], &field.field);
                page.element("td", &[], &thousands(field.compared)).element(
                    "td",
                    &[],
                    &thousands(field.differed),
                );
            });
        }
    });
}

fn sessions(page: &mut Markup, feature: &FeatureOutcome) {
    if feature.sessions.is_empty() {
        return;
    }
    page.tag("table", &[("class", "numbers coverage")], |page| {
        page.element("caption", &[], "Market sessions");
        columns(page, ["session", "covered", "", "failing findings"]);
        for session in &feature.sessions {
            let part = session.covered.0 as f64 / session.length.0.max(1) as f64;
            let words = format!("{:.2} % of {}", part * 100.0, rounded(session.length));
            page.tag("tr", &[], |page| {
                page.element("th", &[("scope", "row")], &session.date());
                let full = if session.is_full(feature.required) { "full" } else { "" };
                page.element("td", &[("class", full)], &words);
                page.tag("td", &[], |page| {
                    chart::svg(page, "bar", &words, 10.0, |page| {
                        chart::bands(page, "up", [(0.0, part.clamp(0.0, 1.0) * WIDTH)].into_iter(), 10.0);
                    });
                });
                page.element("td", &[], &thousands(session.findings));
            });
        }
    });
}

fn proofs(page: &mut Markup, feature: &FeatureOutcome) {
    let unseen: Vec<_> = feature.proofs.iter().filter(|p| !p.is_proven()).map(|p| p.field.as_str()).collect();
    if !unseen.is_empty() {
        let words = format!("Not yet seen to change in pairs that match: {}.", unseen.join(", "));
        page.element("p", &[("class", "faint small")], &words);
    }
}
