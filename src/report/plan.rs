//! Owns how a plan is shown: text for a terminal, and JSON. Must not compute what it shows.

use super::advice::{plural, thousands};
use super::terminal::{clean, wrapped};
use crate::checks::plan::{CONFIDENCE, FeaturePlan, Item, Plan, Wait};
use crate::contract::Cadence;
use crate::model::{Phase, Span};
use serde_json::{Value, json};

/// Text in lines of at most `columns`.
pub fn to_text(plan: &Plan, columns: usize) -> String {
    let mut text = String::new();
    let claim = format!(
        "Under {} wrong, with {} % confidence, needs {} clean pairs, and so with ticks and messages: the \
         one-sided bound of Clopper and Pearson. One that is not clean makes it longer. `watch \
         --until-proven`, which looks all the time, needs {} clean pairs of each feature. Times are market \
         time while both sides keep the promised intervals, with {} a feature; nothing was measured.",
        percent(plan.assumed.rate),
        CONFIDENCE * 100.0,
        thousands(plan.clean),
        thousands(plan.until_proven),
        plural(plan.assumed.streams as usize, "stream"),
    );
    paragraph(&mut text, "", &claim, columns);
    for feature in &plan.features {
        text.push('\n');
        one_feature(&mut text, plan, feature, columns);
    }
    text.push('\n');
    overall(&mut text, plan, columns);
    text
}

fn one_feature(text: &mut String, plan: &Plan, feature: &FeaturePlan, columns: usize) {
    let sent = match feature.cadence {
        Cadence::Periodic => format!("every {}", feature.interval),
        Cadence::OnChange => "on change".into(),
    };
    let head = format!(
        "{}: aligned by {}, sent {sent}, polled every {}, {} ({} a session)",
        feature.name,
        feature.align.name(),
        feature.poll,
        feature.calendar,
        in_hours(feature.session),
    );
    paragraph(text, "", &head, columns);
    for (what, list) in
        [("compares ", &feature.compared), ("leaves out ", &feature.uncompared), ("sums ", &feature.sums)]
    {
        if !list.is_empty() {
            paragraph(text, &format!("  {what}"), &list.join(", "), columns);
        }
    }
    let several = plan.assumed.streams > 1;
    let all = if several { "all" } else { "takes" };
    let head = ["    check", "needs", "takes", &format!("< {}", percent(plan.assumed.rate)), all];
    let mut rows = vec![head.map(String::from).to_vec()];
    if several {
        rows[0].push("each".into());
    }
    let mut phase = None;
    for item in &feature.items {
        if phase.replace(item.phase) != Some(item.phase) {
            rows.push(vec![format!("  {}", item.phase.name())]);
        }
        let mut row = vec![format!("    {}", item.check), item.needs.clone(), wait(item.judged)];
        if let Some(claim) = item.claim {
            row.extend([thousands(claim.needs), wait(claim.all)]);
            row.extend(several.then(|| wait(claim.one)));
        }
        rows.push(row);
    }
    table(text, &rows);
    let judged = said(feature, feature.judged(Phase::BeforeEnabling));
    let claimed = said(feature, feature.claimed(Phase::BeforeEnabling));
    let rate = percent(plan.assumed.rate);
    let proven = said(feature, feature.proven(Phase::BeforeEnabling));
    let line = format!("before enabling: judged {judged}; under {rate} {claimed}; until proven: {proven}");
    paragraph(text, "  ", &line, columns);
}

/// `after 8h 20m, 1.3 sessions`
fn said(feature: &FeaturePlan, span: Option<Span>) -> String {
    match span {
        None => "when enough has changed".into(),
        Some(span) => {
            let sessions = match feature.sessions(span) {
                few if few < 0.1 => "under 0.1".into(),
                sessions => format!("{sessions:.1}"),
            };
            format!("after {}, {sessions} sessions", in_hours(span))
        }
    }
}

fn overall(text: &mut String, plan: &Plan, columns: usize) {
    let slowest = |time: fn(&FeaturePlan, Phase) -> Option<Span>| {
        // Where one feature cannot say how long it takes, all together cannot.
        let key = |f: &&FeaturePlan| time(f, Phase::BeforeEnabling).map_or(i64::MAX, |span| span.0);
        let slowest = plan.features.iter().max_by_key(key);
        slowest
            .map(|f| format!("{} ({})", said(f, time(f, Phase::BeforeEnabling)), f.name))
            .unwrap_or_default()
    };
    let rate = percent(plan.assumed.rate);
    let judged = format!("all features before enabling: judged {}", slowest(FeaturePlan::judged));
    paragraph(text, "", &judged, columns);
    let claimed = format!("all features under {rate}: {}", slowest(FeaturePlan::claimed));
    paragraph(text, "", &claimed, columns);
    let sessions = plan.features.iter().flat_map(|f| &f.items).filter_map(|item| match item.judged {
        Wait::Sessions(n) => Some(n),
        _ => None,
    });
    if let Some(most) = sessions.max() {
        let sessions = plural(most as usize, "full market session");
        paragraph(text, "", &format!("all features before deleting: {sessions}"), columns);
    }
}

fn wait(wait: Wait) -> String {
    match wait {
        Wait::Market(span) => in_hours(span),
        Wait::Sessions(n) => plural(n as usize, "session"),
        Wait::Unknown => "-".into(),
        Wait::Nothing => "at once".into(),
    }
}

/// `55s`, `8m 20s`, `8h 20m`: the two largest units, rounded up, so that nothing is promised too early.
fn in_hours(span: Span) -> String {
    let seconds = (span.0.max(0) as u64).div_ceil(1_000_000_000);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 if seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
        60..3600 => format!("{}m {}s", seconds / 60, seconds % 60),
        _ => match seconds.div_ceil(60) {
            minutes if minutes.is_multiple_of(60) => format!("{}h", thousands(minutes / 60)),
            minutes => format!("{}h {}m", thousands(minutes / 60), minutes % 60),
        },
    }
}

/// `0.1 %`
fn percent(rate: f64) -> String {
    format!("{} %", (rate * 1e8).round() / 1e6)
}

/// `mark` opens the first line; the others stand two columns further in.
fn paragraph(text: &mut String, mark: &str, words: &str, columns: usize) {
    let lead = " ".repeat(mark.len() - mark.trim_start().len());
    let all = format!("{}{}", mark.trim_start(), clean(words));
    for (i, line) in wrapped(&all, columns.saturating_sub(lead.len() + 2)).iter().enumerate() {
        let further = if i == 0 { "" } else { "  " };
        text.push_str(&format!("{lead}{further}{line}\n"));
    }
}

/// Left-aligned columns; what stands alone in its row may reach into the next column.
fn table(text: &mut String, rows: &[Vec<String>]) {
    let full = rows.iter().filter(|row| row.len() > 1);
    let widest = |i: usize| full.clone().filter_map(|row| row.get(i)).map(|cell| cell.chars().count()).max();
    for row in rows {
        let cell = |(i, cell): (usize, &String)| {
            let width = if row.len() > 1 { widest(i).unwrap_or(0) } else { 0 };
            format!("{cell:width$}  ")
        };
        let line: String = row.iter().enumerate().map(cell).collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
}

/// One document, spans in whole nanoseconds (`_ns`), `null` where nobody can say how long.
pub fn to_json(plan: &Plan) -> String {
    let features: Vec<Value> = plan
        .features
        .iter()
        .map(|f| {
            json!({
                "feature": f.name,
                "align": f.align.name(),
                "cadence": if f.cadence == Cadence::Periodic { "periodic" } else { "on-change" },
                "interval_ns": f.interval.0,
                "poll_ns": f.poll.0,
                "calendar": f.calendar,
                "session_ns": f.session.0,
                "key": f.key,
                "compared": f.compared,
                "not_compared": f.uncompared,
                "invariants": f.sums,
                "checks": f.items.iter().map(item_json).collect::<Vec<_>>(),
                "before_enabling": {
                    "judged_ns": f.judged(Phase::BeforeEnabling).map(|span| span.0),
                    "until_proven_ns": f.proven(Phase::BeforeEnabling).map(|span| span.0),
                    "claimed_ns": f.claimed(Phase::BeforeEnabling).map(|span| span.0),
                },
            })
        })
        .collect();
    let json = json!({
        "schema": 1,
        "rate": plan.assumed.rate,
        "confidence": CONFIDENCE,
        "clean": plan.clean,
        "until_proven": plan.until_proven,
        "streams": plan.assumed.streams,
        "features": features,
    });
    format!("{json:#}\n")
}

fn item_json(item: &Item) -> Value {
    let claim = item.claim.map(|claim| {
        json!({
            "needs": claim.needs,
            "unit": claim.unit,
            "one_stream": wait_json(claim.one),
            "all_streams": wait_json(claim.all),
        })
    });
    json!({
        "check": item.check,
        "phase": item.phase.name(),
        "needs": item.needs,
        "judged": wait_json(item.judged),
        "claim": claim,
    })
}

fn wait_json(wait: Wait) -> Value {
    match wait {
        Wait::Market(span) => json!({ "market_ns": span.0 }),
        Wait::Sessions(n) => json!({ "sessions": n }),
        Wait::Nothing => json!({ "market_ns": 0 }),
        Wait::Unknown => Value::Null,
    }
}
