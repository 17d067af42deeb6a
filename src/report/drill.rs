//! Owns the drill's table in its forms: `drill.json`, the text for a terminal, the section of
//! `summary.md` and of `report.json`. Must not judge, nor know how mutants are made.

use super::advice::{plural, thousands};
use super::terminal::{Page, Style, clean, shortened};
use super::text::Layout;
use crate::model::drill::{Drill, DrilledMutant, DrilledSlice, NotDrilled, Seen};
use crate::model::{Class, Outcome};
use comfy_table::{ColumnConstraint, ContentArrangement, Table, presets};
use serde::Serialize;

pub const FILE: &str = "drill.json";

/// History: 1, the first. A member may be added under the same number; renaming or removing one, or
/// changing what it means, takes the next.
pub const SCHEMA: u32 = 1;

/// Wrong answers told in words; the others are in the table.
const IN_WORDS: usize = 10;
/// Columns of field names; longer lists are cut.
const FIELD_COLUMNS: usize = 34;

/// Mutants of one class that were answered alike: one line of the table.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Line<'d> {
    pub feature: &'d str,
    pub class: &'static str,
    pub fields: Vec<&'d str>,
    pub seen: &'static str,
    pub sizes: Vec<&'d str>,
    pub mutants: u64,
    /// Of the first of them.
    pub why: &'d str,
    #[serde(skip)]
    answer: Seen,
}

/// All lines: by feature, class, and answer; fields and sizes that behave alike share one.
pub fn lines(drill: &Drill) -> Vec<Line<'_>> {
    let mut lines: Vec<Line<'_>> = Vec::new();
    for one in by_field(drill) {
        let alike = |line: &&mut Line<'_>| {
            (line.feature, line.class, line.answer, &line.sizes)
                == (one.feature, one.class, one.answer, &one.sizes)
                && kind_of(line.why) == kind_of(one.why)
        };
        match lines.iter_mut().find(alike) {
            Some(line) => {
                line.mutants += one.mutants;
                line.fields.extend(one.fields);
            }
            None => lines.push(one),
        }
    }
    lines
}

/// What a reason says, without its numbers and names.
fn kind_of(why: &str) -> String {
    why.chars().filter(|c| c.is_ascii_alphabetic() || *c == ' ').collect()
}

fn by_field(drill: &Drill) -> Vec<Line<'_>> {
    let mut lines: Vec<Line<'_>> = Vec::new();
    for mutant in &drill.mutants {
        let place = |line: &&mut Line<'_>| {
            line.feature == &*mutant.feature
                && line.class == mutant.class.name()
                && line.fields == [mutant.field.as_str()]
                && line.answer == mutant.seen
                && kind_of(line.why) == kind_of(&mutant.why)
        };
        match lines.iter_mut().find(place) {
            Some(line) => {
                line.mutants += 1;
                if !line.sizes.contains(&mutant.size.as_str()) {
                    line.sizes.push(&mutant.size);
                }
            }
            None => lines.push(Line {
                feature: &mutant.feature,
                class: mutant.class.name(),
                fields: vec![&mutant.field],
                seen: mutant.seen.name(),
                sizes: vec![&mutant.size],
                mutants: 1,
                why: &mutant.why,
                answer: mutant.seen,
            }),
        }
    }
    lines
}

/// `142 mutants: 118 caught, 20 explained, 4 not seen`.
pub fn totals(drill: &Drill) -> String {
    let word = |seen: Seen| match seen {
        Seen::Caught => "caught",
        Seen::Held => "held back for want of evidence",
        Seen::Reported => "told without failing",
        Seen::Quiet => "rightly let pass",
        Seen::Explained => "not seen for a reason",
        Seen::Missed => "not seen",
        Seen::FalseAlarm => "alarmed without cause",
    };
    let counts: Vec<String> = Seen::ALL
        .into_iter()
        .map(|seen| (seen, drill.count(seen)))
        .filter(|(_, count)| *count > 0)
        .map(|(seen, count)| format!("{} {}", thousands(count), word(seen)))
        .collect();
    let all = plural(drill.mutants.len(), "mutant");
    if counts.is_empty() { all } else { format!("{all}: {}", counts.join(", ")) }
}

/// What speaks against the gate, in words, with what to change.
fn wrongs(drill: &Drill) -> Vec<String> {
    let told = |m: &DrilledMutant| {
        let field = if m.field.is_empty() { String::new() } else { format!(" of {}", m.field) };
        let whom = if m.stream.is_empty() { String::new() } else { format!(" in {}", m.stream) };
        let answer = if m.seen == Seen::Missed { "was not seen" } else { "raised an alarm" };
        format!(
            "{}: {}{field}, {} ({}){whom} at {}, {answer}: {}",
            m.feature, m.class, m.size, m.change, m.at, m.why
        )
    };
    drill.mutants.iter().filter(|m| m.seen.is_wrong()).map(told).collect()
}

// ---- text ----

/// The whole text, with a line break at its end.
pub fn to_text(drill: &Drill, layout: Layout) -> String {
    let columns = layout.columns();
    let mut page = Page::new(layout.colour);
    for slice in &drill.slices {
        page.paragraph(Style::Faint, "drilled ", &slice_words(slice), columns);
    }
    page.end();
    headline(&mut page, drill, columns);
    page.end();
    let mut feature = "";
    let lines = lines(drill);
    for line in &lines {
        if line.feature != feature {
            feature = line.feature;
            page.put(Style::Strong, feature).end();
            table(&mut page, lines.iter().filter(|l| l.feature == feature), columns);
            not_drilled(&mut page, drill, feature, columns);
            page.end();
        }
    }
    headline(&mut page, drill, columns);
    page.finish()
}

fn headline(page: &mut Page, drill: &Drill, columns: usize) {
    let style = if drill.is_clean() { Style::Good } else { Style::Bad };
    page.paragraph(style, "", &totals(drill), columns);
    let wrongs = wrongs(drill);
    for wrong in wrongs.iter().take(IN_WORDS) {
        page.paragraph(Style::Bad, "! ", wrong, columns);
    }
    if wrongs.len() > IN_WORDS {
        page.paragraph(Style::Bad, "! ", &format!("and {} more", wrongs.len() - IN_WORDS), columns);
    }
}

fn slice_words(slice: &DrilledSlice) -> String {
    let (first, last) = (slice.first.whole_millis(), slice.last.whole_millis());
    format!("{}: {first} to {last}, {}", slice.feature, plural(slice.observations as usize, "observation"))
}

fn table<'l>(page: &mut Page, lines: impl Iterator<Item = &'l Line<'l>>, columns: usize) {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(columns as u16);
    table.set_header(["  class", "fields", "", "seen", "which, and why"]);
    let mut before = ("", Vec::new());
    for line in lines {
        let again = before == (line.class, line.fields.clone());
        before = (line.class, line.fields.clone());
        let fields = shortened(&clean(&line.fields.join(", ")), FIELD_COLUMNS).into_owned();
        let (class, fields) =
            if again { (String::new(), String::new()) } else { (format!("  {}", line.class), fields) };
        let why = if line.why.is_empty() { String::new() } else { format!(" - {}", line.why) };
        let which = clean(&format!("{}{why}", line.sizes.join("; "))).into_owned();
        table.add_row([class, fields, line.mutants.to_string(), line.answer.name().replace('_', " "), which]);
    }
    let whole = ColumnConstraint::ContentWidth;
    table.set_constraints([whole, whole, whole, whole]);
    for line in table.lines() {
        let wrong =
            [Seen::Missed, Seen::FalseAlarm].iter().any(|s| has_word(&line, &s.name().replace('_', " ")));
        page.put(if wrong { Style::Bad } else { Style::Plain }, &line).end();
    }
}

fn has_word(line: &str, word: &str) -> bool {
    line.contains(&format!(" {word} "))
}

fn not_drilled(page: &mut Page, drill: &Drill, feature: &str, columns: usize) {
    for (why, what) in reasons(drill, feature) {
        page.paragraph(Style::Faint, "  not tried: ", &format!("{} ({why})", what.join(", ")), columns);
    }
}

/// What was not tried in a feature, by the reason.
fn reasons<'d>(drill: &'d Drill, feature: &str) -> Vec<(&'d str, Vec<String>)> {
    let mut reasons: Vec<(&str, Vec<String>)> = Vec::new();
    for not in drill.not_drilled.iter().filter(|n| *n.feature == *feature) {
        let what = if not.field.is_empty() {
            not.class.to_string()
        } else {
            format!("{} of {}", not.class, not.field)
        };
        match reasons.iter_mut().find(|(why, _)| *why == not.why) {
            Some((_, list)) => list.push(what),
            None => reasons.push((&not.why, vec![what])),
        }
    }
    reasons
}

// ---- Markdown ----

/// The section of `summary.md`.
pub fn to_markdown(drill: &Drill, escaped: impl Fn(&str) -> String) -> String {
    let mut text = format!("\n## What this gate can see\n\n{}\n", escaped(&totals(drill)));
    for wrong in wrongs(drill).iter().take(IN_WORDS) {
        text.push_str(&format!("- **{}**\n", escaped(wrong)));
    }
    text.push_str(
        "\n| feature | class | fields | mutants | seen | which | why |\n|---|---|---|---|---|---|---|\n",
    );
    for line in lines(drill) {
        let seen = if line.answer.is_wrong() { format!("**{}**", line.seen) } else { line.seen.to_string() };
        text.push_str(&format!(
            "| {} | {} | {} | {} | {seen} | {} | {} |\n",
            escaped(line.feature),
            line.class,
            escaped(&line.fields.join(", ")),
            line.mutants,
            escaped(&line.sizes.join("; ")),
            escaped(line.why),
        ));
    }
    for slice in &drill.slices {
        text.push_str(&format!("\nDrilled {}.\n", escaped(&slice_words(slice))));
    }
    text
}

// ---- JSON ----

/// What `report.json` holds of a drill.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Section<'d> {
    seed: u64,
    places: u64,
    totals: Totals,
    slices: Vec<Slice<'d>>,
    lines: Vec<Line<'d>>,
    not_drilled: Vec<Not<'d>>,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Totals {
    mutants: u64,
    caught: u64,
    held: u64,
    reported: u64,
    quiet: u64,
    explained: u64,
    missed: u64,
    false_alarm: u64,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Slice<'d> {
    feature: &'d str,
    first: String,
    last: String,
    observations: u64,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Not<'d> {
    feature: &'d str,
    class: &'static str,
    field: &'d str,
    why: &'d str,
}

#[derive(Debug, Serialize)]
struct File<'d> {
    schema: u32,
    tool: &'d str,
    clean: bool,
    contract_sha256: &'d str,
    capture_sha256: &'d [String],
    #[serde(flatten)]
    section: Section<'d>,
    mutants: Vec<Mutant<'d>>,
}

#[derive(Debug, Serialize)]
struct Mutant<'d> {
    feature: &'d str,
    class: &'static str,
    field: &'d str,
    size: &'d str,
    change: &'d str,
    stream: &'d str,
    row: &'d str,
    event_time: Option<String>,
    at: String,
    seen: &'static str,
    by: Vec<&'static str>,
    checks: &'d [&'static str],
    why: &'d str,
}

impl<'d> Section<'d> {
    pub fn of(drill: &'d Drill) -> Section<'d> {
        let slice = |s: &'d DrilledSlice| Slice {
            feature: &s.feature,
            first: s.first.to_string(),
            last: s.last.to_string(),
            observations: s.observations,
        };
        let not = |n: &'d NotDrilled| Not {
            feature: &n.feature,
            class: n.class.name(),
            field: &n.field,
            why: &n.why,
        };
        Section {
            seed: drill.seed,
            places: drill.places,
            totals: Totals {
                mutants: drill.mutants.len() as u64,
                caught: drill.count(Seen::Caught),
                held: drill.count(Seen::Held),
                reported: drill.count(Seen::Reported),
                quiet: drill.count(Seen::Quiet),
                explained: drill.count(Seen::Explained),
                missed: drill.count(Seen::Missed),
                false_alarm: drill.count(Seen::FalseAlarm),
            },
            slices: drill.slices.iter().map(slice).collect(),
            lines: lines(drill),
            not_drilled: drill.not_drilled.iter().map(not).collect(),
        }
    }
}

impl<'d> Mutant<'d> {
    fn of(m: &'d DrilledMutant) -> Mutant<'d> {
        Mutant {
            feature: &m.feature,
            class: m.class.name(),
            field: &m.field,
            size: &m.size,
            change: &m.change,
            stream: &m.stream,
            row: &m.row,
            event_time: m.event_time.map(|t| t.to_string()),
            at: m.at.to_string(),
            seen: m.seen.name(),
            by: m.by.iter().map(|class: &Class| class.name()).collect(),
            checks: &m.checks,
            why: &m.why,
        }
    }
}

/// The whole `drill.json`: the table, and each mutant.
pub fn to_json(outcome: &Outcome, drill: &Drill) -> Vec<u8> {
    let file = File {
        schema: SCHEMA,
        tool: &outcome.tool,
        clean: drill.is_clean(),
        contract_sha256: &outcome.contract_sha256,
        capture_sha256: &outcome.capture_sha256,
        section: Section::of(drill),
        mutants: drill.mutants.iter().map(Mutant::of).collect(),
    };
    super::json::indented(&file)
}
