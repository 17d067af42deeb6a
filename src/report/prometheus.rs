//! Owns where a running run stands as Prometheus text (exposition format 0.0.4), for a scraper.
//! Must not judge; a gauge whose value is not known yet is left out, never 0.

use crate::model::outcome::{FeatureProgress, Progress};
use crate::model::text::is_control;
use std::fmt::Write;

pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What is told of each feature: name, type, help, and its value.
type FeatureMetric = (&'static str, &'static str, &'static str, fn(&FeatureProgress) -> Option<f64>);

const OF_FEATURES: [FeatureMetric; 7] = [
    ("cutover_ws_messages_total", "counter", "Messages of the feature over the WebSocket.", |f| {
        Some(f.messages as f64)
    }),
    ("cutover_pairs_total", "counter", "Records compared, REST against WebSocket.", |f| Some(f.pairs as f64)),
    ("cutover_mismatched_pairs_total", "counter", "Pairs that differ.", |f| Some(f.mismatches as f64)),
    ("cutover_failing_findings_total", "counter", "Findings that fail a check.", |f| {
        Some(f.findings_fail as f64)
    }),
    ("cutover_promised_interval_seconds", "gauge", "The promised interval.", |f| {
        Some(f.interval.as_secs_f64())
    }),
    ("cutover_last_message_age_seconds", "gauge", "Since the last message.", |f| {
        f.age.map(|age| age.as_secs_f64())
    }),
    ("cutover_interval_drift_ratio", "gauge", "Worst drift of a stream against the promise.", |f| f.drift),
];

pub fn to_text(progress: &Progress) -> String {
    let mut out = String::new();
    let whole = [
        (
            "cutover_ws_connected",
            "gauge",
            "1 while a WebSocket connection is open.",
            f64::from(progress.connected),
        ),
        ("cutover_ws_opens_total", "counter", "WebSocket connections opened.", progress.opens as f64),
    ];
    for (name, kind, help, value) in whole {
        head(&mut out, name, kind, help);
        let _ = writeln!(out, "{name} {value}");
    }
    for (name, kind, help, value) in OF_FEATURES {
        head(&mut out, name, kind, help);
        for feature in &progress.features {
            if let Some(value) = value(feature) {
                let _ = writeln!(out, "{name}{{feature=\"{}\"}} {value}", label(&feature.name));
            }
        }
    }
    out
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

/// A label's value; backslash, quote and line break are the only ones that the format escapes.
fn label(text: &str) -> String {
    let kept = text.chars().filter(|c| *c == '\n' || !is_control(*c));
    kept.fold(String::new(), |mut out, c| {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Span;

    fn progress() -> Progress {
        let feature = FeatureProgress {
            name: "posi\"tions".into(),
            messages: 12,
            pairs: 11,
            age: None,
            interval: Span::from_secs(10),
            drift: Some(-0.0015),
            mismatches: 2,
            findings_fail: 3,
            failed: true,
        };
        Progress {
            at: None,
            connected: true,
            since: None,
            opens: 2,
            features: vec![feature],
            last_finding: None,
        }
    }

    #[test]
    fn each_metric_has_a_head_and_what_is_known() {
        let text = to_text(&progress());
        for line in [
            "# TYPE cutover_ws_connected gauge\ncutover_ws_connected 1\n",
            "cutover_ws_opens_total 2\n",
            "# TYPE cutover_pairs_total counter\ncutover_pairs_total{feature=\"posi\\\"tions\"} 11\n",
            "cutover_mismatched_pairs_total{feature=\"posi\\\"tions\"} 2\n",
            "cutover_failing_findings_total{feature=\"posi\\\"tions\"} 3\n",
            "cutover_interval_drift_ratio{feature=\"posi\\\"tions\"} -0.0015\n",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        assert!(!text.contains("age_seconds{"), "what is not known is not 0\n{text}");
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (_, value) = line.rsplit_once(' ').unwrap();
            assert!(value.parse::<f64>().is_ok(), "{line}");
        }
    }
}
