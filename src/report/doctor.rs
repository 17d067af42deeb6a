//! Owns how what `doctor` found is shown: what came, each complaint with its cure, and the contract's changes. Must
//! not find anything itself.

use super::terminal::{Page, Style, wrapped};
use super::text::Layout;
use crate::doctor::{Complaint, Examined, Fitness, Weight};
use serde_json::{Value, json};
use similar::TextDiff;

/// A change of the contract: its text as it is, and as it would be.
#[derive(Debug, Clone, Copy)]
pub struct Change<'c> {
    pub name: &'c str,
    pub before: &'c str,
    pub after: &'c str,
}

impl Change<'_> {
    /// As `patch` reads it.
    fn unified(&self) -> String {
        let diff = TextDiff::from_lines(self.before, self.after);
        let (old, new) = (self.name.to_string(), format!("{} (proposed)", self.name));
        diff.unified_diff().context_radius(1).header(&old, &new).to_string()
    }
}

pub fn to_text(examined: &Examined, change: Option<Change<'_>>, layout: Layout) -> String {
    let mut page = Page::new(layout.colour);
    page.plain(&format!(
        "{} answers and {} messages in {}",
        examined.answers, examined.messages, examined.lasted
    ));
    page.end();
    for feature in &examined.features {
        page.plain("  ").put(Style::Strong, &feature.name).plain(&came(feature)).end();
    }
    page.end();
    for complaint in &examined.complaints {
        one(&mut page, complaint, layout.width);
    }
    if let Some(change) = change {
        page.put(Style::Strong, "The contract, changed so far as that can be said:").end();
        for line in change.unified().lines() {
            let style = match line.as_bytes().first() {
                _ if line.starts_with("---") || line.starts_with("+++") => Style::Faint,
                Some(b'+') => Style::Good,
                Some(b'-') => Style::Bad,
                _ => Style::Plain,
            };
            page.put(style, line).end();
        }
        page.end();
    }
    let count = |weight| examined.complaints.iter().filter(|c| c.weight == weight).count();
    let (faults, hints, limits) = (count(Weight::Fault), count(Weight::Hint), count(Weight::Limit));
    match faults {
        0 => page.put(Style::Good, "nothing to cure"),
        1 => page.put(Style::Bad, "1 thing to cure"),
        _ => page.put(Style::Bad, &format!("{faults} things to cure")),
    };
    page.plain(&format!(", {hints} to look at, {limits} that cannot be proven like this")).end();
    page.finish()
}

fn came(feature: &Fitness) -> String {
    let pace = match feature.period {
        Some(period) => format!(" every {:.1} s of {}", period.0 as f64 / 1e9, feature.promised),
        None => String::new(),
    };
    format!(
        ": {} answers with {} streams, {} messages with {}{pace}; {} pairs, {} equal",
        feature.answers,
        feature.streams_rest,
        feature.messages,
        feature.streams_ws,
        feature.pairs,
        feature.matched
    )
}

fn one(page: &mut Page, complaint: &Complaint, width: usize) {
    let style = match complaint.weight {
        Weight::Fault => Style::Bad,
        Weight::Hint => Style::Unsure,
        Weight::Limit => Style::Faint,
    };
    page.put(style, complaint.weight.name()).plain("  ").put(Style::Strong, &complaint.about);
    page.plain("  ").put(Style::Faint, complaint.code).end();
    for (mark, text) in [("found", &complaint.found), ("cure ", &complaint.cure)] {
        for (n, line) in wrapped(text, width.saturating_sub(10).max(20)).into_iter().enumerate() {
            page.put(Style::Faint, &if n == 0 { format!("  {mark}  ") } else { " ".repeat(9) });
            page.plain(&line).end();
        }
    }
    page.end();
}

pub fn to_json(examined: &Examined, change: Option<Change<'_>>) -> Value {
    let complaint = |complaint: &Complaint| {
        json!({
            "code": complaint.code,
            "weight": complaint.weight.name(),
            "about": complaint.about,
            "found": complaint.found,
            "cure": complaint.cure,
        })
    };
    let feature = |feature: &Fitness| {
        json!({
            "name": feature.name,
            "answers": feature.answers,
            "messages": feature.messages,
            "streams_rest": feature.streams_rest,
            "streams_ws": feature.streams_ws,
            "pairs": feature.pairs,
            "matched": feature.matched,
            "period_ns": feature.period.map(|period| period.0),
            "promised_ns": feature.promised.0,
        })
    };
    json!({
        "answers": examined.answers,
        "messages": examined.messages,
        "lasted_ns": examined.lasted.0,
        "features": examined.features.iter().map(feature).collect::<Vec<_>>(),
        "complaints": examined.complaints.iter().map(complaint).collect::<Vec<_>>(),
        "contract_diff": change.map(|change| change.unified()),
    })
}
