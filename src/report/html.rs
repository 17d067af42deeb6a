//! Owns `report.html`: the whole result as one page that asks nothing of a network. Verdict and checklist
//! stand first, then each feature with its charts, the findings, and how to reproduce it all.
//! Must not judge, and must not let anything a server sent become markup, style or script.
//!
//! Its only script is the program's own and knows no data: theme, filter, and opening all for print. Style and
//! script are named by their hashes in the page's content security policy, which allows nothing else.

mod chart;
mod checks;
mod evidence;
mod feature;
mod findings;
mod markup;
mod timeline;

use super::advice;
use super::text::rounded;
use crate::model::{Outcome, Timestamp, Verdict};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use markup::Markup;

pub const FILE: &str = "report.html";

const STYLE: &str = include_str!("html/page.css");
const SCRIPT: &str = include_str!("html/page.js");
/// Of the page that follows a run: takes the new result whenever there is one.
const FOLLOWING: &str = concat!(include_str!("html/page.js"), include_str!("html/follow.js"));

/// The whole file.
pub fn to_html(outcome: &Outcome) -> Vec<u8> {
    let title = format!("{}: {}", outcome.tool, outcome.verdict);
    page(&title, SCRIPT, "default-src 'none'", |page| {
        page.tag("div", &[("id", "result")], |page| write_result(page, outcome));
    })
    .into_bytes()
}

/// The page of a run that goes on: the same, but it takes each `result` from the events at `/events` of the
/// server it came from.
pub fn to_live_html(tool: &str) -> String {
    page(&format!("{tool}: running"), FOLLOWING, "default-src 'none'; connect-src 'self'", |page| {
        page.element("p", &[("id", "state"), ("role", "status")], "waiting for the run …");
        page.tag("div", &[("id", "result")], |_| {});
    })
}

/// What of the page changes while a run goes on: everything below its head.
pub fn result(outcome: &Outcome) -> String {
    let mut page = Markup::default();
    write_result(&mut page, outcome);
    page.finish()
}

fn page(title: &str, script: &'static str, policy: &str, inside: impl FnOnce(&mut Markup)) -> String {
    let mut page = Markup::default();
    page.own("<!doctype html>\n");
    let policy = format!(
        "{policy}; style-src {}; script-src {}; base-uri 'none'; form-action 'none'",
        source(STYLE),
        source(script)
    );
    page.tag("html", &[("lang", "en")], |page| {
        page.tag("head", &[], |page| {
            page.begin("meta", &[("charset", "utf-8")]);
            page.begin("meta", &[("http-equiv", "Content-Security-Policy"), ("content", &policy)]);
            page.begin("meta", &[("name", "viewport"), ("content", "width=device-width, initial-scale=1")]);
            page.begin("meta", &[("name", "color-scheme"), ("content", "light dark")]);
            page.element("title", &[], title);
            page.tag("style", &[], |page| {
                page.own(STYLE);
            });
        });
        page.tag("body", &[], |page| {
            page.element("a", &[("class", "skip"), ("href", "#checks")], "Skip to the checklist");
            inside(page);
            page.tag("script", &[], |page| {
                page.own(script);
            });
        });
    });
    page.finish()
}

/// How a policy names the one text that it allows.
fn source(text: &str) -> String {
    let hash = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    format!("'sha256-{}'", BASE64_STANDARD.encode(hash))
}

fn write_result(page: &mut Markup, outcome: &Outcome) {
    head(page, outcome);
    page.tag("main", &[], |page| {
        verdict(page, outcome);
        checks::section(page, outcome);
        for (number, feature) in outcome.features.iter().enumerate() {
            feature::section(page, outcome, number, feature);
        }
        findings::section(page, outcome);
        evidence::sections(page, outcome);
    });
    page.tag("footer", &[], |page| {
        page.text(&format!(
            "{}. Times are UTC; every finding stands in findings.csv, every number in report.json.",
            outcome.tool
        ));
    });
}

fn head(page: &mut Markup, outcome: &Outcome) {
    page.tag("header", &[], |page| {
        page.tag("div", &[("class", "what")], |page| {
            page.element("strong", &[], &outcome.tool);
            page.element("span", &[("class", "faint")], &watched(outcome));
            for (feed, address) in &outcome.feeds {
                page.element("span", &[("class", "faint feed")], &format!("{feed} {address}"));
            }
        });
        page.tag("button", &[("type", "button"), ("id", "theme"), ("aria-label", "Light or dark")], |page| {
            page.text("◐ theme");
        });
    });
}

/// `2025-12-19T14:30:00Z to … (10m), 1,234 observations`
fn watched(outcome: &Outcome) -> String {
    let seen = advice::plural(outcome.observations as usize, "observation");
    match (outcome.first, outcome.last) {
        (Some(first), Some(last)) => {
            format!("{} to {} ({}), {seen}", instant(first), instant(last), rounded(last - first))
        }
        _ => format!("nothing was seen, {seen}"),
    }
}

/// To the second, as a person reads it.
fn instant(at: Timestamp) -> String {
    let whole = Timestamp(at.0 - at.0.rem_euclid(1_000_000_000)).to_string();
    whole.replace('T', " ").trim_end_matches('Z').to_string()
}

fn verdict(page: &mut Markup, outcome: &Outcome) {
    page.tag("section", &[("class", tone("verdict", outcome.verdict)), ("aria-label", "Verdict")], |page| {
        page.tag("h1", &[], |page| badge(page, Some(outcome.verdict)));
        page.tag("div", &[], |page| {
            for (i, line) in advice::headlines(outcome).iter().enumerate() {
                page.element("p", &[("class", if i == 0 { "headline" } else { "" })], line);
            }
            for note in &outcome.notes {
                page.element("p", &[("class", "remark")], &format!("! {note}"));
            }
        });
    });
    let steps = advice::steps(outcome, &advice::again(outcome));
    if !steps.is_empty() {
        page.tag("section", &[("class", "next"), ("aria-label", "What to do next")], |page| {
            page.element("h2", &[], "What to do next");
            page.tag("ul", &[], |page| {
                for step in &steps {
                    page.element("li", &[], step);
                }
            });
        });
    }
}

/// A class that goes with a verdict.
fn tone(what: &'static str, verdict: Verdict) -> &'static str {
    match (what, verdict) {
        ("verdict", Verdict::Pass) => "verdict pass",
        ("verdict", Verdict::Inconclusive) => "verdict unsure",
        ("verdict", Verdict::Fail) => "verdict fail",
        (_, Verdict::Pass) => "badge pass",
        (_, Verdict::Inconclusive) => "badge unsure",
        (_, Verdict::Fail) => "badge fail",
    }
}

/// A verdict in its colour, with a sign for those who see none.
fn badge(page: &mut Markup, verdict: Option<Verdict>) {
    let Some(verdict) = verdict else {
        page.element("span", &[("class", "faint")], "not asked");
        return;
    };
    let sign = match verdict {
        Verdict::Pass => "✓ ",
        Verdict::Inconclusive => "? ",
        Verdict::Fail => "✗ ",
    };
    page.tag("span", &[("class", tone("badge", verdict))], |page| {
        page.element("span", &[("aria-hidden", "true")], sign).text(verdict.name());
    });
}

/// A table's head: paper shows it again on each page that the table goes on.
fn columns<'a>(page: &mut Markup, names: impl IntoIterator<Item = &'a str>) {
    page.tag("thead", &[], |page| {
        page.tag("tr", &[], |page| {
            for name in names {
                page.element("th", &[("scope", "col")], name);
            }
        });
    });
}

/// `f2`: what a link to the third feature points at; a feature's own name may be anything.
fn anchor(number: usize) -> String {
    format!("f{number}")
}

#[cfg(test)]
mod tests;
