//! Owns the findings on the page: by class, feature and field with their counts, each with its worst samples
//! and both sides' records beside each other. Must not show more than a person reads; findings.csv has all.

use super::markup::Markup;
use super::{columns, instant};
use crate::model::{Finding, Outcome, Severity};
use crate::report::advice::thousands;
use crate::report::diff::{self, Side};
use crate::report::terminal::shortened;
use crate::report::text::{title, when};
use crate::report::worst::{self, Group};

/// Groups that are shown, and samples and lines of each.
const GROUPS: usize = 60;
const SAMPLES: usize = 3;
const LINES: usize = 24;
const VALUE_COLUMNS: usize = 200;

pub fn section(page: &mut Markup, outcome: &Outcome) {
    let groups = worst::groups(outcome);
    page.tag("section", &[("id", "findings")], |page| {
        page.element("h2", &[], "Findings");
        let total = outcome.findings_fail + outcome.findings_warn + outcome.findings_info;
        if total == 0 && groups.is_empty() {
            page.element("p", &[], "None: nothing deviated from what the contract promises.");
            return;
        }
        let counts = format!(
            "{} failing, {} warnings, {} for information; by class, feature and field:",
            thousands(outcome.findings_fail),
            thousands(outcome.findings_warn),
            thousands(outcome.findings_info)
        );
        page.element("p", &[("class", "counts")], &counts);
        filter(page);
        // The first that shows both sides is open: it tells the most.
        let has_records = |group: &Group<'_>| {
            group.sample.is_some_and(|s| !s.rest_record.is_empty() && !s.ws_record.is_empty())
        };
        let open = groups.iter().position(has_records).unwrap_or(0);
        for (number, group) in groups.iter().take(GROUPS).enumerate() {
            show(page, outcome, number == open, group);
        }
        if groups.len() > GROUPS {
            let words = format!("{} more groups stand in findings.csv.", groups.len() - GROUPS);
            page.element("p", &[("class", "faint")], &words);
        }
    });
}

fn filter(page: &mut Markup) {
    page.tag(
        "div",
        &[("class", "filter"), ("role", "search"), ("aria-label", "Filter of findings")],
        |page| {
            page.tag("label", &[], |page| {
                page.text("Filter ");
                let attributes = [
                    ("type", "search"),
                    ("id", "filter"),
                    ("placeholder", "class, feature, field, stream …"),
                    ("autocomplete", "off"),
                ];
                page.begin("input", &attributes);
            });
            page.tag("label", &[], |page| {
                page.text("at least ");
                page.tag("select", &[("id", "severity")], |page| {
                    for severity in [Severity::Info, Severity::Warn, Severity::Fail] {
                        page.element("option", &[("value", severity.name())], severity.name());
                    }
                });
            });
            page.element("output", &[("id", "shown"), ("aria-live", "polite")], "");
        },
    );
}

fn show(page: &mut Markup, outcome: &Outcome, is_open: bool, group: &Group<'_>) {
    let severity = group.severity.name();
    // By its name the page knows it again when a new result comes.
    let name = group.name();
    let closed = [("class", "finding"), ("data-severity", severity), ("data-name", &name)];
    let open = [closed[0], closed[1], closed[2], ("open", "")];
    page.tag("details", if is_open { &open } else { &closed }, |page| {
        page.tag("summary", &[], |page| {
            let class = if group.waived { "info" } else { severity };
            page.element("span", &[("class", "severity"), ("data-is", class)], severity).text(" ");
            page.element("strong", &[], &title(group));
            if let Some(when) = when(group) {
                page.element("small", &[("class", "more")], &when);
            }
        });
        let of_group = |f: &&Finding| {
            f.class == group.class && f.feature.as_deref() == group.feature && f.field == group.field
        };
        let others = outcome
            .samples
            .iter()
            .filter(of_group)
            .filter(|f| !group.sample.is_some_and(|s| std::ptr::eq(s, *f)));
        let samples: Vec<_> = group.sample.into_iter().chain(others).take(SAMPLES).collect();
        if samples.is_empty() {
            page.element("p", &[("class", "faint")], "No sample was kept; findings.csv has them.");
        }
        samples.into_iter().for_each(|finding| sample(page, finding));
    });
}

fn sample(page: &mut Markup, finding: &Finding) {
    page.tag("div", &[("class", "sample")], |page| {
        page.tag("dl", &[("class", "facts")], |page| {
            let event = finding.event_time.map(|at| at.to_string()).unwrap_or_default();
            let drop = if finding.during_drop { "yes" } else { "" };
            let facts = [
                ("stream", &*finding.stream),
                ("row", &finding.row),
                ("event time", &event),
                ("seen", &instant(finding.at)),
                ("REST", &finding.rest),
                ("WebSocket", &finding.ws),
                ("difference", &finding.delta),
                ("during a drop", drop),
                ("detail", &finding.detail),
            ];
            for (name, value) in facts.into_iter().filter(|(_, value)| !value.is_empty()) {
                page.tag("div", &[], |page| {
                    page.element("dt", &[], name).element("dd", &[], &shortened(value, VALUE_COLUMNS));
                });
            }
        });
        records(page, finding);
    });
}

/// Both records beside each other, as far as they differ.
fn records(page: &mut Markup, finding: &Finding) {
    let pairs = diff::beside(&diff::records(&finding.rest_record, &finding.ws_record));
    if pairs.is_empty() {
        return;
    }
    page.tag("table", &[("class", "diff")], |page| {
        columns(page, ["REST", "WebSocket"]);
        for (rest, ws) in pairs.iter().take(LINES) {
            page.tag("tr", &[], |page| {
                for (line, class) in [(rest, "minus"), (ws, "plus")] {
                    let class = match line.as_ref().map(|line| line.side) {
                        Some(Side::Both) => "same",
                        Some(Side::Header) => "skip-lines",
                        Some(_) => class,
                        None => "empty",
                    };
                    let text =
                        line.as_ref().map(|line| line.text.get(1..).unwrap_or_default()).unwrap_or_default();
                    let text = if class == "skip-lines" { "⋯" } else { text };
                    page.element("td", &[("class", class)], &shortened(text, VALUE_COLUMNS));
                }
            });
        }
        if pairs.len() > LINES {
            page.tag("tr", &[], |page| {
                let words = format!("{} more lines; report.json has both records", pairs.len() - LINES);
                page.element("td", &[("colspan", "2"), ("class", "faint")], &words);
            });
        }
    });
}
