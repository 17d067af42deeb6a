//! Owns the checklist: the verdicts at a glance, then every item with what was observed, its limit, the
//! evidence and the rule in words.

use super::markup::Markup;
use super::{anchor, badge, columns};
use crate::model::{CheckResult, FeatureOutcome, Outcome, Phase, Verdict};

pub fn section(page: &mut Markup, outcome: &Outcome) {
    page.tag("section", &[("id", "checks"), ("tabindex", "-1")], |page| {
        page.element("h2", &[], "Checklist");
        glance(page, outcome);
        for (number, feature) in outcome.features.iter().enumerate() {
            items(page, number, feature);
        }
    });
}

/// Feature by phase.
fn glance(page: &mut Markup, outcome: &Outcome) {
    page.tag("div", &[("class", "scroll")], |page| {
        page.tag("table", &[("class", "glance")], |page| {
            columns(page, std::iter::once("feature").chain(Phase::ALL.map(Phase::name)));
            for (number, feature) in outcome.features.iter().enumerate() {
                page.tag("tr", &[], |page| {
                    page.tag("th", &[("scope", "row")], |page| {
                        page.element("a", &[("href", &format!("#{}", anchor(number)))], &feature.name);
                    });
                    for phase in Phase::ALL {
                        page.tag("td", &[], |page| badge(page, of_phase(feature, phase)));
                    }
                });
            }
        });
    });
}

fn of_phase(feature: &FeatureOutcome, phase: Phase) -> Option<Verdict> {
    let asked = feature.checks.iter().filter(|c| c.phase == phase);
    asked.filter_map(|c| c.verdict).max()
}

fn items(page: &mut Markup, number: usize, feature: &FeatureOutcome) {
    page.tag("h3", &[], |page| {
        page.element("a", &[("href", &format!("#{}", anchor(number)))], &feature.name);
        page.text(" ");
        badge(page, Some(feature.verdict));
        if !feature.flag.is_empty() {
            let state = match feature.flag_on {
                Some(true) => " on",
                Some(false) => " off",
                None => "",
            };
            page.element("small", &[("class", "faint")], &format!(" {}{state}", feature.flag));
        }
    });
    for phase in Phase::ALL {
        let of_phase: Vec<_> = feature.checks.iter().filter(|check| check.phase == phase).collect();
        let asked: Vec<_> = of_phase.iter().copied().filter(|check| check.verdict.is_some()).collect();
        if asked.is_empty() {
            let names: Vec<_> = of_phase.iter().map(|check| check.check).collect();
            if !names.is_empty() {
                let words = format!("{}: not asked ({})", phase.name(), names.join(", "));
                page.element("p", &[("class", "faint small")], &words);
            }
            continue;
        }
        page.tag("table", &[("class", "cards")], |page| {
            page.element("caption", &[], phase.name());
            columns(page, ["check", "verdict", "observed", "limit", "evidence"]);
            asked.iter().for_each(|check| item(page, check));
        });
    }
}

fn item(page: &mut Markup, check: &CheckResult) {
    page.tag("tr", &[], |page| {
        page.tag("th", &[("scope", "row")], |page| {
            page.text(check.check);
            page.element("small", &[("class", "rule")], &check.rule);
        });
        page.tag("td", &[("data-label", "verdict")], |page| {
            badge(page, check.verdict);
            if check.waived > 0 {
                page.element("small", &[], &format!(" ({} waived)", check.waived));
            }
        });
        page.tag("td", &[("data-label", "observed")], |page| {
            page.text(&check.observed);
            for more in [&check.confidence, &check.note].into_iter().filter(|words| !words.is_empty()) {
                page.element("small", &[("class", "more")], more);
            }
        });
        page.element("td", &[("data-label", "limit")], &check.limit);
        page.element("td", &[("data-label", "evidence")], &check.evidence);
    });
}
