//! Owns what stands at the end of the page: connection, processes, the drill, waivers, signatures, and how to
//! come to the same result again.

use super::chart;
use super::markup::Markup;
use super::{columns, instant};
use crate::model::outcome::{Quantiles, Quantity};
use crate::model::{Outcome, Phase};
use crate::report::advice::{plural, thousands};
use crate::report::drill;
use crate::report::text::rounded;

/// Points of a line of samples.
const POINTS: usize = 300;
const LINE_PX: f64 = 60.0;

pub fn sections(page: &mut Markup, outcome: &Outcome) {
    connection(page, outcome);
    processes(page, outcome);
    drilled(page, outcome);
    waivers(page, outcome);
    signatures(page, outcome);
    reproduce(page, outcome);
}

fn facts(page: &mut Markup, facts: &[(&str, String)]) {
    page.tag("dl", &[("class", "facts")], |page| {
        for (name, value) in facts {
            page.tag("div", &[], |page| {
                page.element("dt", &[], name).element("dd", &[], value);
            });
        }
    });
}

fn connection(page: &mut Markup, outcome: &Outcome) {
    let link = &outcome.connection;
    let mut told = vec![
        ("opened, closed", format!("{}, {}", thousands(link.opens), thousands(link.closes))),
        ("failed attempts", thousands(link.errors)),
        ("open for", rounded(link.open_time).to_string()),
        ("frames", format!("{} ({} bytes)", thousands(link.frames), thousands(link.bytes))),
        ("of no declared type", thousands(link.unknown_frames)),
        ("malformed", thousands(link.malformed_frames)),
    ];
    if link.rtt.count > 0 {
        let Quantiles { p50, p95, max, .. } = link.rtt;
        told.push((
            "round trip",
            format!("median {}, p95 {}, max {}", rounded(p50), rounded(p95), rounded(max)),
        ));
    }
    if let Some(clock) = link.clock_offset {
        told.push((
            "the feed's clock",
            format!("{} ahead of ours, ± {}", rounded(clock.offset), rounded(clock.error)),
        ));
    }
    if link.self_stalls > 0 {
        told.push((
            "cutover held up",
            format!("{} for {}", plural(link.self_stalls as usize, "time"), link.self_stalled),
        ));
    }
    page.tag("section", &[], |page| {
        page.element("h2", &[], "Connection");
        facts(page, &told);
    });
}

fn processes(page: &mut Markup, outcome: &Outcome) {
    if outcome.processes.is_empty() {
        return;
    }
    page.tag("section", &[], |page| {
        page.element("h2", &[], "Resources");
        for process in &outcome.processes {
            let more = if process.restarts > 0 {
                format!(", {}", plural(process.restarts as usize, "restart"))
            } else {
                String::new()
            };
            page.element(
                "h3",
                &[],
                &format!("{} ({}{more})", process.process, plural(process.samples as usize, "sample")),
            );
            page.tag("div", &[("class", "shapes")], |page| {
                for quantity in Quantity::ALL {
                    let values = chart::thinned(process.values(quantity), POINTS);
                    let Some(greatest) = values.iter().copied().max() else { continue };
                    let words = format!("{}: at most {}", quantity.words(), quantity.amount(greatest as f64));
                    page.tag("figure", &[], |page| {
                        page.element("figcaption", &[], &words);
                        chart::svg(page, "shape", &words, LINE_PX, |page| {
                            chart::line(page, "trace", &values, greatest, LINE_PX);
                        });
                    });
                }
            });
        }
    });
}

fn drilled(page: &mut Markup, outcome: &Outcome) {
    let Some(result) = &outcome.drill else { return };
    page.tag("section", &[("id", "drill")], |page| {
        page.element("h2", &[], "Drill: what the gate can see");
        page.element("p", &[], &drill::totals(result));
        page.tag("div", &[("class", "scroll")], |page| {
            page.tag("table", &[], |page| {
                columns(page, ["feature", "class", "fields", "size", "mutants", "seen", "why"]);
                for line in drill::lines(result) {
                    page.tag("tr", &[], |page| {
                        page.element("td", &[], line.feature).element("td", &[], line.class);
                        page.element("td", &[], &line.fields.join(", ")).element(
                            "td",
                            &[],
                            &line.sizes.join(", "),
                        );
                        page.element("td", &[], &thousands(line.mutants));
                        let class = if matches!(line.seen, "missed" | "false_alarm") { "bad" } else { "" };
                        page.element("td", &[("class", class)], line.seen).element("td", &[], line.why);
                    });
                }
            });
        });
        if !result.not_drilled.is_empty() {
            let words =
                format!("{} were not tried; drill.json says why.", plural(result.not_drilled.len(), "class"));
            page.element("p", &[("class", "faint")], &words);
        }
    });
}

fn waivers(page: &mut Markup, outcome: &Outcome) {
    if outcome.waivers.is_empty() {
        return;
    }
    page.tag("section", &[], |page| {
        page.element("h2", &[], "Waivers");
        page.tag("div", &[("class", "scroll")], |page| {
            page.tag("table", &[], |page| {
                columns(page, ["of", "covered", "until", "owner", "reason"]);
                for waiver in &outcome.waivers {
                    page.tag("tr", &[], |page| {
                        let of = [waiver.feature.as_str(), &waiver.class, &waiver.field].join(" ");
                        let until = if waiver.expired {
                            format!("{} (past)", waiver.until)
                        } else {
                            waiver.until.clone()
                        };
                        page.element("td", &[], of.trim()).element("td", &[], &thousands(waiver.hits));
                        page.element("td", &[], &until).element("td", &[], &waiver.owner);
                        page.element("td", &[], &waiver.reason);
                    });
                }
            });
        });
    });
}

fn signatures(page: &mut Markup, outcome: &Outcome) {
    page.tag("section", &[("id", "sign-off")], |page| {
        page.element("h2", &[], "Sign-off");
        if outcome.reviewers.is_empty() {
            page.element("p", &[("class", "faint")], "The contract names no reviewers.");
            return;
        }
        page.tag("div", &[("class", "scroll")], |page| {
            page.tag("table", &[("class", "signatures")], |page| {
                columns(page, ["reviewer", "feature", "signed", "by hand (name, date)"]);
                for reviewer in &outcome.reviewers {
                    // With a key, the name is what stands before it.
                    let name = reviewer.split_whitespace().next().unwrap_or(reviewer);
                    for feature in &outcome.features {
                        let signed = |phase: Phase| {
                            outcome
                                .signed
                                .iter()
                                .find(|s| s.reviewer == name && s.feature == feature.name && s.phase == phase)
                        };
                        let signed: Vec<String> = Phase::ALL
                            .into_iter()
                            .filter_map(signed)
                            .map(|s| format!("{} ({})", instant(s.signed_at), s.phase.name()))
                            .collect();
                        page.tag("tr", &[], |page| {
                            page.element("td", &[], name).element("td", &[], &feature.name);
                            let words = if signed.is_empty() { "not yet".into() } else { signed.join(", ") };
                            page.element("td", &[], &words).element("td", &[], "");
                        });
                    }
                }
            });
        });
        page.element(
            "p",
            &[("class", "faint")],
            "Signatures are made with `cutover sign` and checked with `cutover verify`.",
        );
    });
}

fn reproduce(page: &mut Markup, outcome: &Outcome) {
    page.tag("section", &[("id", "reproduce")], |page| {
        page.element("h2", &[], "How to reproduce");
        page.element("p", &[], "The capture holds everything that came in, and the contract. Judged again it gives this report, byte for byte:");
        page.element("pre", &[], "cutover replay capture.jsonl");
        let mut told = vec![("tool", outcome.tool.clone())];
        for sha in &outcome.capture_sha256 {
            told.push(("capture, SHA-256 of its lines", sha.clone()));
        }
        told.push(("contract, SHA-256", outcome.contract_sha256.clone()));
        if outcome.other_contract {
            told.push(("contract", "not the one it was recorded with: give it with --contract".into()));
        }
        facts(page, &told);
    });
}
