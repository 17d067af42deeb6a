//! The guesses as a contract: TOML with what speaks for each guess beside it. Must not guess.

use super::feature::{Draft, Field, LeftOver, Side};
use super::table::Form;
use super::{Endpoint, Known, Paired, Routed, SECOND, Seen};
use crate::contract::FieldType;
use crate::model::Span;
use std::fmt::Write;

/// What precedes the comment of a guess that somebody should look at.
pub const UNSURE: &str = "UNSURE: ";

pub fn contract(known: &Known, seen: &Seen, routed: &Routed, features: &[Paired]) -> String {
    let mut out = head(known, seen);
    connection(&mut out, known, routed);
    for feature in features {
        self::feature(&mut out, feature);
    }
    // Counted where it stands in comments; the head explains the word once.
    let unsure = out.matches(UNSURE).count();
    out.replacen("{unsure}", &unsure.to_string(), 1)
}

fn head(known: &Known, seen: &Seen) -> String {
    let mut out = format!(
        "# Guessed by `cutover init` from {}: {} REST answers and {} messages in {}.\n",
        remark(&known.from),
        seen.answers,
        seen.messages,
        seen.lasted,
    );
    out.push_str(
        "# What speaks for a guess stands beside it. Marked unsure, {unsure} times, is what needs your eye.\n\
         # What is promised only you can say: intervals, tolerances, flags, the market's calendar.\n",
    );
    for note in &seen.notes {
        let _ = writeln!(out, "# {}", remark(note));
    }
    out
}

fn connection(out: &mut String, known: &Known, routed: &Routed) {
    let _ = writeln!(out, "version = 1\n\n[rest]");
    let given = |out: &mut String, key: &str, value: &Option<String>, default: &str| {
        let (value, note) = match value {
            Some(value) => (value.as_str(), String::new()),
            None => (default, format!("   # {UNSURE}the recording does not say")),
        };
        let _ = writeln!(out, "{key} = {}{note}", quoted(value));
    };
    given(out, "base_url", &known.base_url, "http://127.0.0.1:8787");
    out.push_str(&known.rest_lines);
    out.push_str("\n[ws]\n");
    given(out, "url", &known.ws_url, "ws://127.0.0.1:8787/ws");
    let _ = writeln!(out, "type = {}   # {}", quoted(&pointer(&routed.at)), remark(&routed.evidence));
    if !routed.ignored.is_empty() {
        let kinds: Vec<String> = routed.ignored.iter().map(|(kind, _)| quoted(kind)).collect();
        let counts: Vec<String> =
            routed.ignored.iter().map(|(kind, count)| format!("{kind} ({count} messages)")).collect();
        let _ = writeln!(
            out,
            "# {UNSURE}nothing on REST was found to say what these say: {}",
            remark(&counts.join(", "))
        );
        let _ = writeln!(out, "ignore_types = [{}]", kinds.join(", "));
    }
    out.push_str(&known.ws_lines);
    out.push_str("\n[market]\ncalendar = \"24/7\"   # not guessed; an exchange's MIC, such as \"XNYS\", counts its hours only\n");
    out.push_str("\n[timing]\nsettle = \"2s\"\n");
}

fn feature(out: &mut String, Paired { endpoint, kind, draft }: &Paired) {
    let mut line = |key: &str, value: &str, note: &str, unsure: bool| {
        let _ = writeln!(out, "{key} = {value}{}", comment(note, unsure));
    };
    line("\n[[feature]]\nname", &quoted(&endpoint.name), &format!("{} pairs of records", draft.pairs), false);
    match endpoint.flag.as_str() {
        "" => {}
        flag => line("flag", &quoted(flag), "", false),
    }
    line("align", &quoted(draft.align.name()), &draft.align_evidence, false);
    line("interval", &quoted(&draft.pace.interval.to_string()), &draft.pace.evidence, draft.pace.unsure);
    if !draft.pace.periodic {
        line("cadence", "\"on-change\"", "", false);
    }
    let names = |fields: &[Field]| fields.iter().map(|f| quoted(&f.name)).collect::<Vec<_>>().join(", ");
    line("key", &format!("[{}]", names(&draft.key)), "", false);
    if let Some(time) = &draft.time {
        line("time", &quoted(&time.name), "", false);
    }
    let scope = draft.only.as_ref().map(|only| only.evidence.clone());
    let late =
        draft.late.map(|late| format!("within is a guess: bars were shown up to {late} after their end"));
    let notes: Vec<String> = scope.into_iter().chain(late).collect();
    line("rest", &rest(endpoint, draft), &notes.join("; "), !notes.is_empty());
    let mode = if draft.whole.is_some() { ", mode = \"snapshot\"" } else { "" };
    let whole = draft.whole.as_deref().unwrap_or_default();
    line(
        "ws",
        &format!("{{ type = {}{}{mode} }}", quoted(kind), records(&draft.ws)),
        whole,
        draft.whole.is_some(),
    );
    if endpoint.flag.is_empty() {
        let flag: String = endpoint
            .name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' })
            .collect();
        let _ = writeln!(
            out,
            "# flag = \"WS_FEATURE_{flag}\"   # the environment variable that switches it on, if there is one"
        );
    }
    out.push_str("[feature.fields]\n");
    for field in draft.key.iter().chain(&draft.time).chain(&draft.fields) {
        self::field(out, field);
    }
    left_over(out, &draft.rest_only, &draft.ws_only);
    if let Some(rows) = &draft.rows {
        let at = |path: &[String]| quoted(&path.iter().map(|p| escaped(p)).collect::<Vec<_>>().join("/"));
        let place = match rows.rest == rows.ws {
            true => at(&rows.rest),
            false => format!("{{ rest = {}, ws = {} }}", at(&rows.rest), at(&rows.ws)),
        };
        let _ = writeln!(out, "[feature.rows]\nat = {place}   # {} pairs of rows", rows.pairs);
        let _ = writeln!(out, "key = [{}]\n[feature.rows.fields]", names(&rows.key));
        for field in rows.key.iter().chain(&rows.fields) {
            self::field(out, field);
        }
        left_over(out, &rows.rest_only, &rows.ws_only);
    }
}

fn rest(endpoint: &Endpoint, draft: &Draft) -> String {
    let more: String = endpoint.more.iter().map(|member| format!(", {member}")).collect();
    let each: Vec<String> = endpoint
        .each
        .iter()
        .map(|(name, values)| format!("{} = [{}]", bare(name), values.join(", ")))
        .collect();
    let each = if each.is_empty() { String::new() } else { format!(", each = {{ {} }}", each.join(", ")) };
    let mode = if draft.whole.is_some() { ", mode = \"snapshot\"" } else { "" };
    let shows = draft.late.map(|late| {
        // A flush may take longer than those that were seen.
        let within = Span((late.0 + late.0 / 2).max(0) / SECOND * SECOND + SECOND);
        format!(", shows = \"latest-closed\", within = {}", quoted(&within.to_string()))
    });
    let shows = shows.unwrap_or_default();
    let only = draft.only.as_ref();
    let only = only.map(|only| format!(", only = {{ {} = {} }}", bare(&only.field), only.value));
    let only = only.unwrap_or_default();
    format!(
        "{{ path = {}, poll = {}{}{mode}{shows}{only}{each}{more} }}",
        quoted(&endpoint.path),
        quoted(&endpoint.poll.to_string()),
        records(&draft.rest)
    )
}

fn records(side: &Side) -> String {
    let at = pointer(&side.shape.at);
    let at = if at.is_empty() { String::new() } else { format!(", records = {}", quoted(&at)) };
    match &side.index {
        Some(index) if side.shape.form == Form::Map => format!("{at}, index = {}", quoted(index)),
        _ => at,
    }
}

fn field(out: &mut String, field: &Field) {
    let guess = &field.guess;
    let mut keys = vec![format!("type = {}", quoted(guess.kind.name()))];
    if guess.kind == FieldType::Enum {
        keys.push(format!(
            "values = [{}]",
            guess.values.iter().map(|v| quoted(v)).collect::<Vec<_>>().join(", ")
        ));
    }
    let mut text = |key: &str, value: &Option<String>| {
        keys.extend(value.iter().map(|value| format!("{key} = {}", quoted(value))));
    };
    text("tolerance", &guess.tolerance);
    text("forming", &guess.forming.map(String::from));
    text("rest", &field.rest);
    text("ws", &field.ws);
    keys.extend(field.lacks.map(|side| format!("{side} = false")));
    if guess.power != 0 {
        keys.push(format!("scale = {{ ws = {} }}", quoted(&power_of_ten(guess.power))));
    }
    keys.extend(guess.round.map(|places| format!("round = {places}")));
    if !guess.map.is_empty() {
        let words: Vec<String> =
            guess.map.iter().map(|(said, word)| format!("{} = {}", bare(said), quoted(word))).collect();
        keys.push(format!("map = {{ ws = {{ {} }} }}", words.join(", ")));
    }
    for (key, is_so, value) in [
        ("static", guess.is_static, "true"),
        ("optional", guess.optional, "true"),
        ("compare", !guess.compare, "false"),
    ] {
        if is_so {
            keys.push(format!("{key} = {value}"));
        }
    }
    let note = comment(&guess.evidence, guess.unsure);
    let _ = writeln!(out, "{} = {{ {} }}{note}", bare(&field.name), keys.join(", "));
}

fn power_of_ten(power: i8) -> String {
    let zeros = "0".repeat(usize::from(power.unsigned_abs()));
    if power < 0 { format!("0.{}1", &zeros[1..]) } else { format!("1{zeros}") }
}

/// Members of one side, ready to be declared, for a person to decide.
fn left_over(out: &mut String, rest: &[LeftOver], ws: &[LeftOver]) {
    for (side, other, left) in [("REST", "ws", rest), ("the WebSocket", "rest", ws)] {
        for LeftOver { source, kind, sample } in left {
            let name = source.rsplit('/').next().unwrap_or(source);
            let own = if other == "ws" { "rest" } else { "ws" };
            let from = if name == source { String::new() } else { format!(", {own} = {}", quoted(source)) };
            let line =
                format!("{} = {{ type = {}{from}, {other} = false }}", bare(name), quoted(kind.name()));
            let short: String = sample.chars().take(40).collect();
            let lost = if other == "ws" { ": lost after a cutover" } else { "" };
            let _ =
                writeln!(out, "# {}   # only {side} has it, e.g. {}{lost}", remark(&line), remark(&short));
        }
    }
}

fn comment(note: &str, unsure: bool) -> String {
    match (note, unsure) {
        ("", false) => String::new(),
        (note, false) => format!("   # {}", remark(note)),
        (note, true) => format!("   # {UNSURE}{}", remark(note)),
    }
}

pub fn remark_line(text: &str) -> String {
    format!("# {}\n", remark(text))
}

/// What a server sent must not end a comment.
fn remark(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn escaped(part: &str) -> String {
    part.replace('~', "~0").replace('/', "~1")
}

pub fn pointer(path: &[String]) -> String {
    path.iter().map(|part| format!("/{}", escaped(part))).collect()
}

/// A TOML basic string; JSON's are the same but for one code.
pub fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007F")
}

/// A TOML key, quoted where it must be.
pub fn bare(name: &str) -> String {
    let is_bare =
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    if is_bare { name.to_string() } else { quoted(name) }
}
