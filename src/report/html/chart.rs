//! Owns charts as inline SVG. They stretch with the page, so text never stands in them: labels are HTML
//! around them, and each chart says in words what it shows.

use super::markup::Markup;
use std::fmt::Write as _;

/// Units across every chart; heights are given in pixels.
pub const WIDTH: f64 = 1000.0;

/// A chart that is as wide as there is room.
pub fn svg(
    page: &mut Markup,
    class: &'static str,
    words: &str,
    height: f64,
    inside: impl FnOnce(&mut Markup),
) {
    let size = format!("0 0 {WIDTH} {height}");
    let attributes = [
        ("class", class),
        ("viewBox", &*size),
        ("preserveAspectRatio", "none"),
        ("role", "img"),
        ("aria-label", words),
    ];
    page.tag("svg", &attributes, |page| {
        page.element("title", &[], words);
        inside(page);
    });
}

/// Bars that stand on the lower edge; of equal width from edge to edge, in the unit of the greatest.
pub fn bars(page: &mut Markup, class: &'static str, values: &[u64], greatest: u64, height: f64) {
    let each = WIDTH / values.len().max(1) as f64;
    let mut path = String::new();
    for (i, value) in values.iter().enumerate().filter(|(_, value)| **value > 0) {
        // What is there is seen, however little it is.
        let tall = (*value as f64 / greatest.max(1) as f64 * height).clamp(1.5, height);
        let (from, top) = (i as f64 * each, height - tall);
        let _ = write!(path, "M{from:.1} {height:.0}V{top:.1}h{each:.1}V{height:.0}z");
    }
    page.tag("path", &[("class", class), ("d", &path)], |_| {});
}

/// Bands over the whole height, in units across; what is too narrow to be seen is widened.
pub fn bands(page: &mut Markup, class: &'static str, bands: impl Iterator<Item = (f64, f64)>, height: f64) {
    let mut path = String::new();
    let mut drawn = f64::NEG_INFINITY;
    for (from, to) in bands {
        let (from, to) = (from.clamp(0.0, WIDTH), to.clamp(0.0, WIDTH));
        let (from, to) = if to - from < 3.0 { ((from - 1.5).max(0.0), from + 1.5) } else { (from, to) };
        if to <= drawn {
            continue;
        }
        drawn = to;
        let _ = write!(path, "M{from:.1} 0H{to:.1}V{height:.0}H{from:.1}z");
    }
    page.tag("path", &[("class", class), ("d", &path)], |_| {});
}

/// An upright line.
pub fn mark(page: &mut Markup, class: &'static str, x: f64, height: f64) {
    if (0.0..=WIDTH).contains(&x) {
        page.tag("path", &[("class", class), ("d", &format!("M{x:.1} 0V{height:.0}"))], |_| {});
    }
}

/// A level line.
pub fn level(page: &mut Markup, class: &'static str, y: f64) {
    page.tag("path", &[("class", class), ("d", &format!("M0 {y:.1}H{WIDTH}"))], |_| {});
}

/// A line through values at equal distances, from 0 at the lower edge to the greatest.
pub fn line(page: &mut Markup, class: &'static str, values: &[u64], greatest: u64, height: f64) {
    let each = WIDTH / values.len().saturating_sub(1).max(1) as f64;
    let mut path = String::new();
    for (i, value) in values.iter().enumerate() {
        let y = height - *value as f64 / greatest.max(1) as f64 * height;
        let _ = write!(path, "{}{:.1} {y:.1}", if i == 0 { 'M' } else { 'L' }, i as f64 * each);
    }
    page.tag("path", &[("class", class), ("d", &path)], |_| {});
}

/// A line through values at equal distances, on both sides of 0, which stands in the middle.
pub fn swing(page: &mut Markup, class: &'static str, values: &[i64], greatest: i64, height: f64) {
    let each = WIDTH / values.len().saturating_sub(1).max(1) as f64;
    let mut path = String::new();
    for (i, value) in values.iter().enumerate() {
        let y = height / 2.0 * (1.0 - *value as f64 / greatest.max(1) as f64);
        let _ = write!(path, "{}{:.1} {y:.1}", if i == 0 { 'M' } else { 'L' }, i as f64 * each);
    }
    page.tag("path", &[("class", class), ("d", &path)], |_| {});
}

/// At most so many values: each the greatest of those it stands for.
pub fn thinned(values: &[u64], most: usize) -> Vec<u64> {
    let each = values.len().div_ceil(most).max(1);
    values.chunks(each).map(|chunk| chunk.iter().copied().max().unwrap_or(0)).collect()
}

/// A row of labels below a chart, from edge to edge.
pub fn axis(page: &mut Markup, labels: &[String]) {
    page.tag("div", &[("class", "axis"), ("aria-hidden", "true")], |page| {
        for label in labels {
            page.element("span", &[], label);
        }
    });
}
