//! Owns how one finding is explained: both sides on one timeline, what differs, and the rule that decided. Must
//! not judge: what it shows was found by the engine, and is only put in order here.

mod rule;

use super::diff::{self, Side};
use super::terminal::{Page, Style, clean, shortened, wrapped};
use super::text::Layout;
use crate::contract::{Align, Contract};
use crate::engine::trace::{Seen, What};
use crate::model::{Class, Finding, Severity, Span, Timestamp};
use serde_json::{Value, json};

/// Lines of a record on the timeline; the records that were compared follow whole.
const RECORD_LINES: usize = 3;

#[derive(Debug)]
pub struct Explanation<'e> {
    pub contract: &'e Contract,
    /// Its number among all findings of the capture, from 1.
    pub number: u64,
    pub finding: &'e Finding,
    /// What the same pair differs in, this finding included.
    pub alike: &'e [Finding],
    pub seen: &'e [Seen],
    pub left_out: u64,
    /// Sessions' events within the window: `XNYS opens`.
    pub sessions: &'e [(Timestamp, String)],
}

/// The window that matters for a finding: what may have decided, and a little of what followed.
pub fn window(contract: &Contract, finding: &Finding) -> (Timestamp, Timestamp) {
    let feature = contract.features.iter().find(|f| Some(&f.name) == finding.feature.as_ref());
    let interval = feature.map_or(Span::from_secs(10), |f| f.interval);
    let settle = feature.map_or(contract.settle, |f| f.settle);
    let around = interval * 2 + settle * 2;
    // A bar is judged after its bucket, a gap is told at its end.
    let bucket = finding.event_time.filter(|_| feature.is_some_and(|f| f.align == Align::Bucket));
    let gap = named_instant(&finding.detail, "from=").filter(|_| finding.class == Class::Gap);
    let first = [Some(finding.at), bucket, gap].into_iter().flatten().min().unwrap_or(finding.at);
    let last = bucket.map_or(finding.at, |event| finding.at.max(event + interval));
    let (before, after) = match (bucket, feature) {
        (Some(_), Some(f)) => (settle, settle * 3 + f.rest.poll),
        _ => (around, around),
    };
    (first.saturating_sub(before), last.saturating_add(after))
}

/// An instant in a detail: `from=2025-12-19T14:30:00Z to=…`.
fn named_instant(detail: &str, name: &str) -> Option<Timestamp> {
    let word = detail.split_whitespace().find_map(|word| word.strip_prefix(name))?;
    Timestamp::parse_rfc3339(word)
}

impl Explanation<'_> {
    fn align(&self) -> Option<Align> {
        let feature = self.contract.features.iter().find(|f| Some(&f.name) == self.finding.feature.as_ref());
        feature.map(|f| f.align)
    }

    /// Until when the other side had time, where the class has such a deadline.
    fn deadline(&self) -> Option<(Timestamp, &'static str)> {
        let finding = self.finding;
        let feature = self.contract.features.iter().find(|f| Some(&f.name) == finding.feature.as_ref())?;
        let settle = feature.settle;
        let waits = matches!(
            finding.class,
            Class::ValueMismatch | Class::TornRead | Class::MissingRow | Class::ExtraRow | Class::MissingOnWs
        );
        match feature.align {
            _ if !waits => None,
            Align::Time => Some((finding.at + settle, "deadline: received + settle")),
            Align::Arrival => {
                Some((finding.at + feature.interval + settle, "deadline: received + P + settle"))
            }
            Align::Bucket => {
                let later = self.seen.iter().find(|seen| match seen.what {
                    What::Poll { event_time, .. } => event_time > finding.event_time,
                    _ => false,
                });
                later.map(|seen| (seen.at + settle, "deadline: a settle after REST showed a later bucket"))
            }
        }
    }

    /// Everything in the order of time, what is computed beside what was seen.
    fn timeline(&self) -> Vec<(Timestamp, Line<'_>)> {
        let mut lines: Vec<_> = self.seen.iter().map(|seen| (seen.at, Line::Seen(seen))).collect();
        lines.extend(self.sessions.iter().map(|(at, words)| (*at, Line::Said(words))));
        lines.extend(self.deadline().map(|(at, words)| (at, Line::Said(words))));
        // What happened at one instant keeps its order.
        lines.sort_by_key(|(at, _)| *at);
        lines
    }

    /// Whether these are the records that the finding is about.
    fn decided(&self, what: &What) -> bool {
        let finding = self.finding;
        match what {
            What::Poll { record: Some(record), .. } => *record == finding.rest_record,
            What::Message { record, .. } => *record == finding.ws_record,
            _ => false,
        }
    }
}

enum Line<'e> {
    Seen(&'e Seen),
    Said(&'e str),
}

/// Text in lines of the layout's width.
pub fn to_text(explanation: &Explanation<'_>, layout: Layout) -> String {
    let mut page = Page::new(layout.colour);
    head(&mut page, explanation, layout.width);
    differences(&mut page, explanation, layout.width);
    timeline(&mut page, explanation, layout.width);
    records(&mut page, explanation, layout.width);
    let (section, words) = rule::of(explanation.finding.class, explanation.align());
    page.put(Style::Strong, &format!("rule (SPEC {section})")).end();
    page.paragraph(Style::Plain, "  ", words, layout.width);
    if let Some(feature) =
        explanation.contract.features.iter().find(|f| Some(&f.name) == explanation.finding.feature.as_ref())
    {
        let promised = format!(
            "here P = {}, settle = {}, aligned by {}",
            feature.interval,
            explanation.contract.settle,
            feature.align.name()
        );
        page.paragraph(Style::Faint, "  ", &promised, layout.width);
    }
    page.finish()
}

fn head(page: &mut Page, explanation: &Explanation<'_>, width: usize) {
    let finding = explanation.finding;
    let style = if finding.severity == Severity::Fail { Style::Bad } else { Style::Unsure };
    page.put(style, &format!("{} ({})", finding.class, finding.severity.name()));
    page.plain(&format!("  finding {}", explanation.number)).end();
    let of = [
        finding.feature.as_deref().unwrap_or("the connection"),
        &finding.stream,
        &finding.row,
        &finding.field,
    ];
    let of: Vec<&str> = of.into_iter().filter(|part| !part.is_empty()).collect();
    page.paragraph(Style::Plain, "  ", &of.join("  "), width);
    let event = finding.event_time.map(|t| format!(", event time {t}")).unwrap_or_default();
    page.paragraph(Style::Plain, "  ", &format!("at {}{event}", finding.at), width);
    let mut remarks: Vec<&str> = vec![&finding.detail];
    remarks.extend(finding.during_drop.then_some("during a drop"));
    remarks.extend(finding.waived.then_some("waived by the contract"));
    for remark in remarks.into_iter().filter(|remark| !remark.is_empty()) {
        for line in wrapped(&clean(remark), width.saturating_sub(2)) {
            page.plain("  ").plain(&shortened(&line, width.saturating_sub(2))).end();
        }
    }
    page.end();
}

fn differences(page: &mut Page, explanation: &Explanation<'_>, width: usize) {
    let valued = |f: &&Finding| !(f.rest.is_empty() && f.ws.is_empty());
    let rows: Vec<[String; 4]> = explanation
        .alike
        .iter()
        .filter(valued)
        .map(|f| {
            let place = [&*f.row, &*f.field].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>();
            let side =
                |value: &str| if value.is_empty() { "-".to_string() } else { clean(value).into_owned() };
            [clean(&place.join(" ")).into_owned(), side(&f.rest), side(&f.ws), clean(&f.delta).into_owned()]
        })
        .collect();
    if rows.is_empty() {
        return;
    }
    let head = ["what differs", "REST", "WebSocket", "delta"].map(String::from);
    // Each column gets what it needs, up to its share of the width.
    let most = (width.saturating_sub(10)) / 4;
    let all = || std::iter::once(&head).chain(&rows);
    let widths: Vec<usize> = (0..4)
        .map(|i| all().map(|row| super::terminal::width(&row[i])).max().unwrap_or(0).min(most))
        .collect();
    for (number, row) in all().enumerate() {
        let style = if number == 0 { Style::Strong } else { Style::Plain };
        let cells = row.iter().zip(&widths).enumerate().map(|(i, (cell, width))| {
            let cell = shortened(cell, *width);
            let pad = width.saturating_sub(super::terminal::width(&cell));
            format!("{}{cell}{}", if i == 0 && number > 0 { "  " } else { "" }, " ".repeat(pad + 2))
        });
        let first = if number == 0 { "  " } else { "" };
        let line: String = cells.collect();
        // The head's first cell is not indented, the others stand over their columns.
        let line = if number == 0 {
            line.replacen("what differs", &format!("what differs{first}"), 1)
        } else {
            line
        };
        page.put(style, line.trim_end()).end();
    }
    page.end();
}

fn timeline(page: &mut Page, explanation: &Explanation<'_>, width: usize) {
    page.put(Style::Strong, "timeline (UTC; > the records that were compared)").end();
    for (at, line) in explanation.timeline() {
        let offset = at.since(explanation.finding.at);
        let lead = format!("{:>9}  ", format!("{:+.3}s", offset.as_secs_f64()));
        match line {
            Line::Said(words) => {
                page.put(Style::Faint, &format!("  {lead}"));
                page.put(Style::Unsure, &shortened(&format!("{} {words}", clock(at)), width - 13)).end();
            }
            Line::Seen(seen) => {
                let decided = explanation.decided(&seen.what);
                let mark = if decided { "> " } else { "  " };
                page.put(Style::Faint, &format!("{mark}{lead}"));
                let (words, record) = in_words(seen, &explanation.finding.stream);
                page.put(if decided { Style::Strong } else { Style::Plain }, &shortened(&words, width - 13))
                    .end();
                if let Some(record) = record {
                    for line in chunks(&clean(record), width.saturating_sub(13)) {
                        page.plain(&" ".repeat(13)).put(Style::Faint, &line).end();
                    }
                }
            }
        }
    }
    if explanation.left_out > 0 {
        page.paragraph(Style::Unsure, "  ", &format!("and {} more, not shown", explanation.left_out), width);
    }
    page.end();
}

fn in_words<'s>(seen: &'s Seen, stream: &str) -> (String, Option<&'s str>) {
    let of = |event: &Option<Timestamp>| event.map(|t| format!(" of {}", clock(t))).unwrap_or_default();
    let again = match seen.again {
        0 => String::new(),
        1 => format!(", again at {}", clock(seen.until)),
        n => format!(", {n} times more until {}", clock(seen.until)),
    };
    let window = |sent: Timestamp| format!("[{}, {}]", clock(sent), clock(seen.at));
    match &seen.what {
        What::Poll { sent, event_time, record: Some(record) } => {
            (format!("REST {}{}{again}", window(*sent), of(event_time)), Some(record))
        }
        What::Poll { sent, record: None, .. } => {
            let without = if stream.is_empty() { "" } else { " without this stream" };
            (format!("REST {}{without}{again}", window(*sent)), None)
        }
        What::PollFailed { sent, why } => {
            (format!("REST {} gave nothing: {why}{again}", window(*sent)), None)
        }
        What::Message { event_time, record } => {
            (format!("WS   {}{}{again}", clock(seen.at), of(event_time)), Some(record))
        }
        What::Frame { text } => {
            (format!("WS   {} a frame that no feature takes", clock(seen.at)), Some(text))
        }
        What::Happened(words) => (format!("{} {words}", clock(seen.at)), None),
    }
}

/// A raw record in lines as wide as there is room, cut after `RECORD_LINES`: JSON need not have a space in it.
fn chunks(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let line = lines.last_mut().expect("it begins with one");
        line.push(c);
        if super::terminal::width(line) < columns.max(20) {
            continue;
        }
        if rest.as_str().is_empty() {
            break;
        }
        if lines.len() == RECORD_LINES {
            let last = format!("{}…", lines.pop().unwrap_or_default());
            lines.push(shortened(&last, columns.max(20)).into_owned());
            break;
        }
        lines.push(String::new());
    }
    lines
}

/// `14:30:00.125`
fn clock(t: Timestamp) -> String {
    let text = t.whole_millis().to_string();
    let time = text.split_once('T').map_or(text.as_str(), |(_, time)| time);
    let time = time.trim_end_matches('Z');
    if time.contains('.') { time.into() } else { format!("{time}.000") }
}

fn records(page: &mut Page, explanation: &Explanation<'_>, width: usize) {
    let finding = explanation.finding;
    if finding.rest_record.is_empty() || finding.ws_record.is_empty() {
        return;
    }
    let lines = diff::records(&finding.rest_record, &finding.ws_record);
    if lines.is_empty() {
        return;
    }
    page.put(Style::Strong, "both records").end();
    for line in lines {
        let style = match line.side {
            Side::Both => Style::Plain,
            Side::Rest | Side::Ws => Style::Strong,
            Side::Header => Style::Faint,
        };
        page.plain("  ").put(style, &shortened(&clean(&line.text), width.saturating_sub(2))).end();
    }
    page.end();
}

/// One document: the finding, what differs, the timeline with whole records, the rule.
pub fn to_json(explanation: &Explanation<'_>) -> String {
    let (section, words) = rule::of(explanation.finding.class, explanation.align());
    let timeline: Vec<Value> = explanation
        .timeline()
        .into_iter()
        .map(|(at, line)| match line {
            Line::Said(words) => json!({ "at": at.to_string(), "kind": "event", "text": words }),
            Line::Seen(seen) => seen_json(explanation, seen),
        })
        .collect();
    let alike = explanation.alike.iter().map(|f| {
        json!({ "class": f.class.name(), "row": f.row, "field": f.field, "rest": f.rest, "ws": f.ws, "delta": f.delta })
    });
    let f = explanation.finding;
    let json = json!({
        "schema": 1,
        "number": explanation.number,
        "finding": {
            "class": f.class.name(),
            "severity": f.severity.name(),
            "feature": f.feature.as_deref(),
            "stream": &*f.stream,
            "row": f.row,
            "field": f.field,
            "event_time": f.event_time.map(|t| t.to_string()),
            "at": f.at.to_string(),
            "rest": f.rest,
            "ws": f.ws,
            "delta": f.delta,
            "during_drop": f.during_drop,
            "waived": f.waived,
            "detail": f.detail,
            "rest_record": f.rest_record,
            "ws_record": f.ws_record,
        },
        "differs": alike.collect::<Vec<_>>(),
        "timeline": timeline,
        "left_out": explanation.left_out,
        "rule": { "spec": section, "text": words },
    });
    format!("{json:#}\n")
}

fn seen_json(explanation: &Explanation<'_>, seen: &Seen) -> Value {
    let time = |t: &Option<Timestamp>| t.map(|t| t.to_string());
    let mut json = match &seen.what {
        What::Poll { sent, event_time, record } => json!({
            "kind": "rest", "sent_at": sent.to_string(), "event_time": time(event_time), "record": record,
        }),
        What::PollFailed { sent, why } => {
            json!({ "kind": "rest_error", "sent_at": sent.to_string(), "text": why })
        }
        What::Message { event_time, record } => {
            json!({ "kind": "ws", "event_time": time(event_time), "record": record })
        }
        What::Frame { text } => json!({ "kind": "frame", "text": text }),
        What::Happened(words) => json!({ "kind": "event", "text": words }),
    };
    json["at"] = seen.at.to_string().into();
    if seen.again > 0 {
        json["again"] = seen.again.into();
        json["until"] = seen.until.to_string().into();
    }
    if explanation.decided(&seen.what) {
        json["compared"] = true.into();
    }
    json
}
