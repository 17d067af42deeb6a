//! Owns the result as text for a terminal: verdict, table, worst findings with their diffs, next
//! steps, and the verdict once more where the eye rests when the run has scrolled by.
//! Must not judge, nor know whether there is a terminal: width and colour are passed in.

use super::advice::{self, plural, thousands};
use super::diff::{self, DiffLine, Side};
use super::terminal::{Page, Style, clean, shortened};
use super::worst::{self, Group};
use crate::model::{CheckResult, FeatureOutcome, Finding, Outcome, Phase, Severity, Span, Verdict};
use comfy_table::{ColumnConstraint, ContentArrangement, Table, presets};

/// How the text is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Columns.
    pub width: usize,
    pub colour: bool,
}

impl Layout {
    /// Narrower than this nothing reads well; lines may then be broken by the terminal.
    const NARROWEST: usize = 60;
    /// Wider than this the eye loses the line.
    const WIDEST: usize = 160;

    pub(super) fn columns(self) -> usize {
        self.width.clamp(Layout::NARROWEST, Layout::WIDEST)
    }
}

/// Groups of findings shown whole; the others are named in one line.
const GROUPS: usize = 5;
/// Lines of one diff.
const DIFF_LINES: usize = 24;

/// The whole text, with a line break at its end. `again` is what a `cutover watch` that follows needs to go on as this
/// run did: nothing, or options with a space before them.
pub fn to_text(outcome: &Outcome, layout: Layout, again: &str) -> String {
    let columns = layout.columns();
    let mut page = Page::new(layout.colour);
    header(&mut page, outcome, columns);
    verdict(&mut page, outcome, columns);
    remarks(&mut page, outcome, columns);
    table(&mut page, outcome, columns);
    not_asked(&mut page, outcome, columns);
    findings(&mut page, outcome, columns);
    next_steps(&mut page, outcome, again, columns);
    page.end();
    verdict(&mut page, outcome, columns);
    page.finish()
}

fn style(verdict: Verdict) -> Style {
    match verdict {
        Verdict::Pass => Style::Good,
        Verdict::Inconclusive => Style::Unsure,
        Verdict::Fail => Style::Bad,
    }
}

fn header(page: &mut Page, outcome: &Outcome, columns: usize) {
    let when = match (outcome.first, outcome.last) {
        (Some(first), Some(last)) => {
            format!("{} to {} ({})", first.whole_millis(), last.whole_millis(), rounded(last - first))
        }
        _ => "nothing".into(),
    };
    let seen = plural(outcome.observations as usize, "observation");
    page.put(Style::Strong, &outcome.tool).end();
    page.paragraph(Style::Faint, "seen ", &format!("{when}, {seen}"), columns);
    for (feed, address) in &outcome.feeds {
        page.put(Style::Faint, &shortened(&clean(&format!("{feed:<4} {address}")), columns)).end();
    }
    page.end();
}

fn verdict(page: &mut Page, outcome: &Outcome, columns: usize) {
    let mark = outcome.verdict.name();
    for (i, line) in advice::headlines(outcome).iter().enumerate() {
        let indent = mark.len() + 2;
        let lines = super::terminal::wrapped(&clean(line), columns - indent);
        for (j, line) in lines.iter().enumerate() {
            if i + j == 0 {
                page.put(style(outcome.verdict), mark).plain("  ");
            } else {
                page.plain(&" ".repeat(indent));
            }
            page.put(if i == 0 { Style::Strong } else { Style::Plain }, line).end();
        }
    }
}

fn remarks(page: &mut Page, outcome: &Outcome, columns: usize) {
    for remark in &outcome.notes {
        page.paragraph(Style::Unsure, "! ", remark, columns);
    }
    page.end();
}

/// From this width on limits have a column; below, a column of words would be all line breaks.
const LIMIT_COLUMN_FROM: usize = 120;

fn table(page: &mut Page, outcome: &Outcome, columns: usize) {
    if outcome.features.is_empty() {
        return;
    }
    let wide = columns >= LIMIT_COLUMN_FROM;
    let several = advice::asked_phases(outcome).len() > 1;
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(columns as u16);
    table.set_header(row(wide, "feature, check".into(), "verdict".into(), "observed".into(), "limit"));
    for feature in &outcome.features {
        let name = shortened(&clean(&feature.name), NAME_COLUMNS).into_owned();
        table.add_row(row(wide, name, feature.verdict.name().into(), measured(feature), ""));
        for check in feature.checks.iter().filter(|check| check.verdict.is_some()) {
            let seen = if wide { seen(check) } else { seen_and_limit(check) };
            table.add_row(row(wide, format!("  {}", label(check, several)), said(check), seen, &check.limit));
        }
    }
    // Names and verdicts are never broken.
    table.set_constraints([ColumnConstraint::ContentWidth, ColumnConstraint::ContentWidth]);
    paint(page, &table, outcome, columns);
    if !wide {
        limits(page, outcome, columns);
    }
}

/// A check's name, with its phase where several are asked.
fn label(check: &CheckResult, several_phases: bool) -> String {
    if several_phases { format!("{} ({})", check.check, check.phase.name()) } else { check.check.to_string() }
}

fn row(wide: bool, name: String, verdict: String, observed: String, limit: &str) -> Vec<String> {
    let mut cells = vec![name, verdict, observed];
    if wide {
        cells.push(clean(limit).into_owned());
    }
    cells
}

/// Where limits have no column, a check that did not pass names its own.
fn seen_and_limit(check: &CheckResult) -> String {
    match check.verdict {
        Some(Verdict::Pass) => seen(check),
        _ => format!("{}\nlimit: {}", seen(check), clean(&check.limit)),
    }
}

/// Each check's limit once, with the features it holds for where they differ.
fn limits(page: &mut Page, outcome: &Outcome, columns: usize) {
    let mut limits: Vec<(&str, &str, Vec<&str>)> = Vec::new();
    for feature in &outcome.features {
        for check in feature.checks.iter().filter(|check| check.verdict.is_some()) {
            let same =
                |(name, limit, _): &&mut (&str, &str, _)| *name == check.check && *limit == check.limit;
            match limits.iter_mut().find(same) {
                // Asked for in a second phase.
                Some((_, _, features)) if features.contains(&&*feature.name) => {}
                Some((_, _, features)) => features.push(&feature.name),
                None => limits.push((check.check, &check.limit, vec![&feature.name])),
            }
        }
    }
    page.end().put(Style::Strong, "Limits").end();
    for (check, limit, features) in &limits {
        let differs = limits.iter().filter(|(other, ..)| other == check).count() > 1;
        let whose = if differs { format!(" ({})", features.join(", ")) } else { String::new() };
        page.paragraph(Style::Faint, &format!(" {check:<15}  "), &format!("{limit}{whose}"), columns);
    }
}

/// Columns of a feature's name in the table; a longer one is cut.
const NAME_COLUMNS: usize = 24;

/// What was measured of a feature besides its checks; how much sooner than REST it told, above all.
fn measured(feature: &FeatureOutcome) -> String {
    let m = &feature.measures;
    let mut parts = vec![plural(m.ws_messages as usize, "message"), plural(m.pairs as usize, "pair")];
    if let Some(gain) = m.freshness_median {
        parts.push(format!("median {} (p95 {})", advice::sooner(gain), advice::sooner(m.freshness_gain.p95)));
    }
    parts.join(", ")
}

fn said(check: &CheckResult) -> String {
    let verdict = check.verdict.map_or("", Verdict::name);
    if check.waived > 0 { format!("{verdict} ({} waived)", check.waived) } else { verdict.to_string() }
}

/// What was observed; with its confidence, and with what is lacking where it is no PASS.
fn seen(check: &CheckResult) -> String {
    let note = if check.verdict == Some(Verdict::Pass) { "" } else { check.note.as_str() };
    let parts = [check.observed.as_str(), check.confidence.as_str(), note];
    let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).map(clean).collect();
    parts.join("; ")
}

/// Colours the verdicts of the laid-out table: the table itself must not count escape codes as text.
fn paint(page: &mut Page, table: &Table, outcome: &Outcome, columns: usize) {
    let lines: Vec<String> = table.lines().collect();
    let column = lines.first().and_then(|line| line.find("verdict")).unwrap_or(0);
    let names: Vec<_> =
        outcome.features.iter().map(|f| shortened(&clean(&f.name), NAME_COLUMNS).into_owned()).collect();
    for (i, line) in lines.iter().enumerate() {
        let text = line.trim_end();
        let (name, rest) = text.split_at(text.char_indices().nth(column).map_or(text.len(), |(at, _)| at));
        let feature = names.iter().any(|feature| name.trim_end().strip_prefix(' ') == Some(feature));
        if feature && i > 1 {
            page.end();
        }
        page.put(if feature || i == 0 { Style::Strong } else { Style::Plain }, name);
        verdict_cell(page, rest);
        page.end();
        if i == 0 {
            page.put(Style::Faint, &"─".repeat(columns)).end();
        }
    }
}

fn verdict_cell(page: &mut Page, text: &str) {
    let verdicts = [Verdict::Inconclusive, Verdict::Fail, Verdict::Pass];
    match verdicts.into_iter().find(|verdict| text.starts_with(verdict.name())) {
        Some(verdict) => page.put(style(verdict), verdict.name()).plain(&text[verdict.name().len()..]),
        None => page.plain(text),
    };
}

/// The checks that this run was not asked for, by phase: one name may stand in two phases.
fn not_asked(page: &mut Page, outcome: &Outcome, columns: usize) {
    let mut phases = Vec::new();
    for phase in Phase::ALL {
        let mut names: Vec<&str> = Vec::new();
        let missing = |c: &&CheckResult| c.phase == phase && c.verdict.is_none();
        for check in outcome.features.iter().flat_map(|f| &f.checks).filter(missing) {
            if !names.contains(&check.check) {
                names.push(check.check);
            }
        }
        if !names.is_empty() {
            phases.push(format!("{} ({})", phase.name(), names.join(", ")));
        }
    }
    if !phases.is_empty() {
        page.end().paragraph(Style::Faint, "not asked: ", &phases.join("; "), columns);
    }
}

fn findings(page: &mut Page, outcome: &Outcome, columns: usize) {
    // What is merely worth knowing (info) stands in findings.csv.
    let groups: Vec<_> = worst::groups(outcome).into_iter().filter(|g| g.severity > Severity::Info).collect();
    let total = outcome.findings_fail + outcome.findings_warn + outcome.findings_info;
    if total == 0 && groups.is_empty() {
        return;
    }
    let counts =
        [(outcome.findings_fail, "fail"), (outcome.findings_warn, "warn"), (outcome.findings_info, "info")];
    let counts: Vec<_> =
        counts.iter().filter(|(n, _)| *n > 0).map(|(n, s)| format!("{} {s}", thousands(*n))).collect();
    page.end().put(Style::Strong, &format!("Findings: {}", counts.join(", "))).end();
    for (i, group) in groups.iter().take(GROUPS).enumerate() {
        page.end();
        show(page, i + 1, group, columns);
    }
    if groups.len() > GROUPS {
        let others: Vec<_> =
            groups[GROUPS..].iter().map(|g| format!("{} ({})", g.name(), thousands(g.findings))).collect();
        page.end().paragraph(Style::Plain, "besides: ", &others.join("; "), columns);
    }
}

fn show(page: &mut Page, number: usize, group: &Group<'_>, columns: usize) {
    let tone = match group.severity {
        _ if group.waived => Style::Faint,
        Severity::Fail => Style::Bad,
        _ => Style::Unsure,
    };
    page.paragraph(tone, &format!("{number}. "), &title(group), columns);
    if let Some(when) = when(group) {
        page.paragraph(Style::Faint, "   ", &when, columns);
    }
    if let Some(finding) = group.sample {
        example(page, finding, columns);
        show_diff(page, &diff::records(&finding.rest_record, &finding.ws_record), columns);
    }
}

pub(super) fn title(group: &Group<'_>) -> String {
    let more = if group.exact { "" } else { " or more" };
    let waived = if group.waived { " (waived)" } else { "" };
    format!("{}: {}{more}{waived}", group.name(), thousands(group.findings))
}

/// `in 4 streams, 2 episodes, from … to …`; nothing for what happened once, which says when itself.
pub(super) fn when(group: &Group<'_>) -> Option<String> {
    let (first, last) = (group.first?, group.last?);
    if group.findings == 1 {
        return None;
    }
    let mut parts = Vec::new();
    // A finding of the connection belongs to no stream.
    if group.streams > 0 && group.feature.is_some() {
        // An episode knows its own streams only, so several are told by the widest of them.
        let most = if group.episodes > 1 { "up to " } else { "" };
        parts.push(format!("in {most}{}", plural(group.streams as usize, "stream")));
    }
    if group.episodes > 0 {
        parts.push(plural(group.episodes as usize, "episode"));
    }
    let (first, last) = (first.whole_millis(), last.whole_millis());
    parts.push(if first == last { format!("at {first}") } else { format!("from {first} to {last}") });
    Some(parts.join(", "))
}

fn example(page: &mut Page, finding: &Finding, columns: usize) {
    let mut place = Vec::new();
    for part in [&*finding.stream, finding.row.as_str()] {
        if !part.is_empty() {
            place.push(shortened(&clean(part), 120).into_owned());
        }
    }
    let seen = format!("seen {}", finding.at.whole_millis());
    place.push(match finding.event_time {
        Some(time) => format!("event time {time}, {seen}"),
        None => seen,
    });
    page.paragraph(Style::Plain, "   ", &place.join(", "), columns);
    let value = |text: &str| {
        if text.is_empty() { "(none)".to_string() } else { shortened(&clean(text), 200).into_owned() }
    };
    if !(finding.rest.is_empty() && finding.ws.is_empty()) {
        let delta = match clean(&finding.delta) {
            delta if delta.is_empty() => String::new(),
            delta => format!(", difference {delta}"),
        };
        let values = format!("REST {}, WebSocket {}{delta}", value(&finding.rest), value(&finding.ws));
        page.paragraph(Style::Strong, "   ", &values, columns);
    }
    if !finding.detail.is_empty() {
        page.paragraph(Style::Plain, "   ", &shortened(&clean(&finding.detail), 400), columns);
    }
    // Neither the drop itself nor what says so already needs the remark.
    let said = finding.feature.is_none() || finding.detail.contains("connection was down");
    if finding.during_drop && !said {
        page.plain("   during a connection drop").end();
    }
}

fn show_diff(page: &mut Page, lines: &[DiffLine], columns: usize) {
    for line in lines.iter().take(DIFF_LINES) {
        let tone = match line.side {
            Side::Both => Style::Plain,
            Side::Rest => Style::Bad,
            Side::Ws => Style::Good,
            Side::Header => Style::Faint,
        };
        let text = clean(&line.text);
        page.plain("   ").put(tone, &shortened(&text, columns - 3)).end();
    }
    if lines.len() > DIFF_LINES {
        let rest = plural(lines.len() - DIFF_LINES, "more line");
        page.put(Style::Faint, &format!("   … {rest}; both records stand in report.json")).end();
    }
}

fn next_steps(page: &mut Page, outcome: &Outcome, again: &str, columns: usize) {
    let steps = advice::steps(outcome, again);
    if steps.is_empty() {
        return;
    }
    page.end().put(Style::Strong, "What to do next").end();
    for step in &steps {
        page.paragraph(Style::Plain, " - ", step, columns);
    }
}

/// A span to three digits: what a person reads, not what is compared.
pub(super) fn rounded(span: Span) -> Span {
    let mut step: i64 = 1;
    while span.0.saturating_abs() / step >= 1000 {
        step *= 10;
    }
    // Whole seconds stay whole: `615s` rather than `620s`.
    let step = step.min(1_000_000_000);
    Span((span.0 / step).saturating_mul(step))
}

#[cfg(test)]
mod tests;
