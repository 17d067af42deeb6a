//! Owns `summary.md`: the result in short Markdown, for a pull request or a chat.
//! Must not let what a server sent become Markdown or HTML.

use super::advice;
use super::drill;
use super::terminal::clean;
use super::text::rounded;
use super::worst;
use crate::model::{Outcome, Severity, Verdict};

pub const FILE: &str = "summary.md";

/// Groups of findings that are named.
const GROUPS: usize = 5;

/// The whole file.
pub fn to_markdown(outcome: &Outcome) -> Vec<u8> {
    let mut text = format!("# {}: {}\n\n", escaped(&outcome.tool), outcome.verdict);
    for line in advice::headlines(outcome) {
        text.push_str(&format!("{}\n", escaped(&line)));
    }
    if outcome.interrupted {
        text.push_str("\n**Interrupted:** the run did not reach its end.\n");
    }
    for note in &outcome.notes {
        text.push_str(&format!("\n> {}\n", escaped(note)));
    }
    text.push_str(&checks(outcome));
    text.push_str(&gains(outcome));
    text.push_str(&findings(outcome));
    if let Some(drill) = &outcome.drill {
        text.push_str(&drill::to_markdown(drill, escaped));
    }
    text.push_str(&steps(outcome));
    text.push_str(&evidence(outcome));
    text.into_bytes()
}

fn checks(outcome: &Outcome) -> String {
    let mut text = String::from(
        "\n| feature | phase | check | verdict | observed | limit |\n|---|---|---|---|---|---|\n",
    );
    for feature in &outcome.features {
        for check in &feature.checks {
            let Some(verdict) = check.verdict else { continue };
            let mark =
                if verdict == Verdict::Pass { verdict.name().into() } else { format!("**{verdict}**") };
            let waived = if check.waived > 0 { format!(" ({} waived)", check.waived) } else { String::new() };
            let (feature, observed, limit) =
                (escaped(&feature.name), escaped(&check.observed), escaped(&check.limit));
            text.push_str(&format!(
                "| {feature} | {} | {} | {mark}{waived} | {observed} | {limit} |\n",
                check.phase.name(),
                check.check
            ));
        }
    }
    text
}

/// Why one cuts over at all: how much sooner the WebSocket tells, and what either side costs.
fn gains(outcome: &Outcome) -> String {
    let mut text = String::new();
    for feature in &outcome.features {
        let m = &feature.measures;
        let Some(gain) = m.freshness_median else { continue };
        text.push_str(&format!(
            "- {}: median {} than REST (p95 {}); REST {} requests, {} bytes; WebSocket {} messages, {} bytes\n",
            escaped(&feature.name),
            advice::sooner(gain),
            advice::sooner(m.freshness_gain.p95),
            advice::thousands(m.rest_polls),
            advice::thousands(m.rest_bytes),
            advice::thousands(m.ws_messages),
            advice::thousands(m.ws_bytes),
        ));
    }
    if let Some(clock) = outcome.connection.clock_offset {
        let (offset, error) = (rounded(clock.offset), rounded(clock.error));
        text.push_str(&format!("- the feed's clock minus ours: {offset} ± {error}\n"));
    }
    if outcome.connection.rtt.count > 0 {
        let rtt = &outcome.connection.rtt;
        text.push_str(&format!(
            "- WebSocket round trip: median {}, p95 {}\n",
            rounded(rtt.p50),
            rounded(rtt.p95)
        ));
    }
    if text.is_empty() { text } else { format!("\n## What the WebSocket gains\n\n{text}") }
}

fn findings(outcome: &Outcome) -> String {
    let groups = worst::groups(outcome);
    let mut text = String::new();
    for group in groups.iter().filter(|group| group.severity > Severity::Info).take(GROUPS) {
        let more = if group.exact { "" } else { " or more" };
        let waived = if group.waived { " (waived)" } else { "" };
        let values = match group.sample {
            Some(f) if !(f.rest.is_empty() && f.ws.is_empty()) => {
                format!(", e.g. REST {}, WebSocket {}", escaped(&f.rest), escaped(&f.ws))
            }
            _ => String::new(),
        };
        let count = advice::thousands(group.findings);
        text.push_str(&format!("- {}: {count}{more}{waived}{values}\n", escaped(&group.name())));
    }
    if text.is_empty() { text } else { format!("\n## Worst findings\n\n{text}") }
}

fn steps(outcome: &Outcome) -> String {
    let steps = advice::steps(outcome, &advice::again(outcome));
    if steps.is_empty() {
        return String::new();
    }
    let lines: String = steps.iter().map(|step| format!("- {}\n", escaped(step))).collect();
    format!("\n## What to do next\n\n{lines}")
}

fn evidence(outcome: &Outcome) -> String {
    let span = match (outcome.first, outcome.last) {
        (Some(first), Some(last)) => format!("{first} to {last}"),
        _ => "nothing observed".into(),
    };
    format!(
        "\nEvidence: {span}, {} observations, capture `{}`, contract `{}`.\n",
        advice::thousands(outcome.observations),
        escaped(&outcome.capture_sha256.join(" ")),
        escaped(&outcome.contract_sha256)
    )
}

/// Text that stays text: no markup, no HTML, no table cell's end, no control codes, no endless line.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in super::terminal::shortened(&clean(text), 300).chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\\' | '|' | '`' | '*' | '[' | ']' | '#' | '!' | '~' => out.extend(['\\', c]),
            // `_` marks up only at a word's edge; names such as value_mismatch stay readable.
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn text(outcome: &Outcome) -> String {
        String::from_utf8(to_markdown(outcome)).unwrap()
    }

    #[test]
    fn it_says_verdict_checks_findings_and_steps() {
        let text = text(&sample::failing());
        assert!(
            text.starts_with("# cutover 0.1.0: FAIL\n\n1 of 4 features fails: positions (values-match)\n")
        );
        assert!(text.contains(
            "| positions | before-enabling | values-match | **FAIL** (2 waived) | 24 of 1,204 pairs differ |"
        ));
        assert!(
            text.contains("## What the WebSocket gains\n\n- account_balance: median 4.91s sooner than REST")
        );
        assert!(text.contains("- value_mismatch in positions, field pnl: 26, e.g. REST 1200.00, WebSocket"));
        assert!(text.contains("- do not enable WS_FEATURE_POSITIONS"));
        assert!(text.ends_with("capture `c0ffee`, contract `abc123`.\n"));
    }

    #[test]
    fn hostile_text_is_no_markup() {
        let text = text(&sample::hostile());
        assert!(!text.contains("<script>") && text.contains("&lt;script&gt;"));
        assert!(!text.chars().any(|c| crate::model::text::is_control(c) && c != '\n'));
        let rows = text
            .lines()
            .filter(|line| line.starts_with("| "))
            .map(|line| line.replace("\\|", "").matches('|').count());
        assert!(rows.into_iter().all(|bars| bars == 7), "{text}");
    }
}
