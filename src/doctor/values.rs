//! Whether the two sides say the same: streams, values, pace, clocks, and what cannot be told as they are.

use super::shape::quoted;
use super::words::{counted, some};
use super::{Case, Complaint, Edit, Place, Weight};
use crate::contract::{Align, Cadence, Feature};
use crate::model::{Class, Finding, Span};
use std::collections::BTreeMap;

/// Time zones differ by whole quarters of an hour.
const QUARTER: i64 = 900 * 1_000_000_000;
/// Clocks that are further apart are not merely drifting.
const CLOSE: Span = Span::from_secs(2);

/// Streams that one side has and the other has not.
pub fn sides(case: &Case<'_>, index: usize, out: &mut Vec<Complaint>) {
    let feature = &case.contract.features[index];
    let streams = &case.streams[index];
    let alone = |rest: bool| -> Vec<String> {
        streams.iter().filter(|s| s.rest == rest && s.ws != rest).map(|s| s.label.clone()).collect()
    };
    let (rest_only, ws_only) = (alone(true), alone(false));
    let both = streams.iter().filter(|s| s.rest && s.ws).count();
    if case.outcome.features[index].measures.ws_messages == 0
        || case.outcome.features[index].measures.rest_records == 0
    {
        return;
    }
    let alike = |label: &String, other: &String| {
        let bare = |text: &String| {
            text.chars().filter(|c| c.is_alphanumeric() || *c == '=').collect::<String>().to_lowercase()
        };
        label != other && bare(label) == bare(other)
    };
    if let Some((a, b)) = rest_only.iter().find_map(|a| Some((a, ws_only.iter().find(|b| alike(a, b))?))) {
        let steps = steps_to_alike(a, b);
        let key = feature.key.iter().find(|key| value_of(a, key) != value_of(b, key));
        let edits = key.map(|key| Edit {
            place: Place::Field(feature.name.to_string(), key.clone()),
            key: "normal".into(),
            value: steps.clone(),
        });
        let found = format!("one stream has two names: {a} on REST, {b} on the WebSocket");
        let cure = format!("make them alike: normal = {steps}");
        return case.complain(
            out,
            "key-written-otherwise",
            Weight::Fault,
            &feature.name,
            (found, cure),
            edits.into_iter().collect(),
        );
    }
    if both == 0 && !rest_only.is_empty() && !ws_only.is_empty() {
        let found = format!(
            "no key is on both sides: REST has {}, the WebSocket {}",
            some(&rest_only, 3),
            some(&ws_only, 3)
        );
        let cure = "the key's fields do not mean the same: other places (`rest`, `ws`), a `map` from one to the other, or another `key`";
        return case.complain(
            out,
            "key-disjoint",
            Weight::Fault,
            &feature.name,
            (found, cure.into()),
            Vec::new(),
        );
    }
    if !ws_only.is_empty() {
        let found = format!(
            "{} of the WebSocket that REST does not show: {}",
            counted(ws_only.len(), "stream"),
            some(&ws_only, 4)
        );
        let cure = "if they are another user's, the server sends everybody's data to everybody: stop there. If REST \
                    shows a part on purpose, say which with `only` of `ws`, or follow its pages (`pages`)";
        case.complain(out, "ws-strangers", Weight::Fault, &feature.name, (found, cure.into()), Vec::new());
    }
    if !rest_only.is_empty() && feature.cadence == Cadence::Periodic {
        let found = format!(
            "{} of REST that did not come over the WebSocket: {}",
            counted(rest_only.len(), "stream"),
            some(&rest_only, 4)
        );
        let cure = "either they are not sent, or they are out of scope there (inactive ones, closed ones): then say so with \
                    `only` of `rest`, as in only = { is_active = true }";
        case.complain(
            out,
            "ws-lacks-streams",
            Weight::Fault,
            &feature.name,
            (found, cure.into()),
            Vec::new(),
        );
    }
}

/// The value of one key field in `country=USA,symbol=/ES`.
fn value_of(label: &str, key: &str) -> Option<String> {
    label.split(',').find_map(|part| part.strip_prefix(&format!("{key}=")).map(str::to_string))
}

fn steps_to_alike(a: &str, b: &str) -> String {
    let mut steps = Vec::new();
    if a.to_lowercase() != a || b.to_lowercase() != b {
        let cased = |text: &str| text.chars().filter(|c| c.is_alphabetic()).any(char::is_uppercase);
        if cased(value_part(a)) != cased(value_part(b)) {
            steps.push("\"upper\"".to_string());
        }
    }
    for odd in ['/', '-', '.', '_', ' ', ':'] {
        if value_part(a).contains(odd) != value_part(b).contains(odd) {
            let starts = value_part(a).starts_with(odd) || value_part(b).starts_with(odd);
            steps.push(if starts { format!("\"strip:{odd}\"") } else { format!("\"replace:{odd}:\"") });
        }
    }
    if steps.is_empty() {
        steps.push("\"trim\"".to_string());
    }
    format!("[{}]", steps.join(", "))
}

fn value_part(label: &str) -> &str {
    label.split_once('=').map_or(label, |(_, value)| value)
}

/// Values that differ, field by field.
pub fn values(case: &Case<'_>, feature: &Feature, out: &mut Vec<Complaint>) {
    let mut by_field: BTreeMap<&str, Vec<&Finding>> = BTreeMap::new();
    for finding in case.found(feature, Class::ValueMismatch) {
        by_field.entry(&finding.field).or_default().push(finding);
    }
    for (field, findings) in by_field {
        let sample = findings[0];
        let found = format!(
            "`{field}` differs in {}: REST {}, the WebSocket {}",
            counted(findings.len(), "pair"),
            sample.rest,
            sample.ws
        );
        let place = || Place::Field(feature.name.to_string(), field.to_string());
        let numbers: Vec<(f64, f64)> =
            findings.iter().filter_map(|f| Some((f.rest.parse().ok()?, f.ws.parse().ok()?))).collect();
        let all = numbers.len() == findings.len();
        if let Some(places) = rounding(&findings).filter(|_| all) {
            let edit = Edit { place: place(), key: "round".into(), value: places.to_string() };
            let cure = format!("one side has fewer places: round = {places}");
            case.complain(out, "value-rounded", Weight::Fault, &feature.name, (found, cure), vec![edit]);
            continue;
        }
        if let Some(factor) = scale(&numbers).filter(|_| all) {
            let edit =
                Edit { place: place(), key: "scale".into(), value: format!("{{ ws = \"{factor}\" }}") };
            let cure = format!("they are the same in other units: scale = {{ ws = \"{factor}\" }}");
            case.complain(out, "value-scaled", Weight::Fault, &feature.name, (found, cure), vec![edit]);
            continue;
        }
        let same_word = findings.iter().all(|f| f.rest.to_lowercase() == f.ws.to_lowercase());
        if same_word {
            let edit = Edit { place: place(), key: "normal".into(), value: "[\"upper\"]".into() };
            let cure = "the same word in other letters: normal = [\"upper\"], or a `map`".to_string();
            case.complain(out, "value-words", Weight::Fault, &feature.name, (found, cure), vec![edit]);
            continue;
        }
        let cure = format!(
            "`cutover explain` shows both sides on one timeline; a field that is the sender's own stamp has `compare = false` (`{field}`)"
        );
        case.complain(out, "value-differs", Weight::Fault, &feature.name, (found, cure), Vec::new());
    }
}

/// Places after which all of these are equal, where one side has no more than that.
fn rounding(findings: &[&Finding]) -> Option<u32> {
    let places = |text: &str| text.split_once('.').map_or(0, |(_, digits)| digits.len());
    let rest = findings.iter().map(|f| places(&f.rest)).max()?;
    let ws = findings.iter().map(|f| places(&f.ws)).max()?;
    let least = rest.min(ws) as u32;
    let round = |text: &str| {
        let number: bigdecimal::BigDecimal = text.parse().ok()?;
        Some(number.with_scale_round(i64::from(least), bigdecimal::RoundingMode::HalfEven))
    };
    let equal = |f: &&Finding| matches!((round(&f.rest), round(&f.ws)), (Some(a), Some(b)) if a == b);
    (rest != ws && findings.iter().all(equal)).then_some(least)
}

/// A power of ten that makes the WebSocket's numbers REST's.
fn scale(numbers: &[(f64, f64)]) -> Option<&'static str> {
    const FACTORS: [(&str, f64); 6] = [
        ("0.01", 0.01),
        ("100", 100.0),
        ("0.001", 0.001),
        ("1000", 1000.0),
        ("0.0001", 0.0001),
        ("10000", 10000.0),
    ];
    let fits = |factor: f64| numbers.iter().all(|(rest, ws)| (ws * factor - rest).abs() <= rest.abs() * 1e-9);
    let nonzero = numbers.iter().any(|(rest, ws)| *rest != 0.0 && *ws != 0.0);
    FACTORS.iter().find(|(_, factor)| nonzero && fits(*factor)).map(|(text, _)| *text)
}

pub fn repeats(case: &Case<'_>, feature: &Feature, out: &mut Vec<Complaint>) {
    let twice: Vec<&Finding> = case.found(feature, Class::Duplicate).collect();
    let messages =
        case.outcome.features.iter().find(|f| f.name == feature.name).map_or(0, |f| f.measures.ws_records);
    if twice.len() as u64 * 4 >= messages && twice.len() > 1 {
        let found = format!("{} of {messages} records came twice, {} apart", twice.len(), twice[0].delta);
        let cure = "something sends everything twice: two schedulers or two workers (a lock that is off, a reloader)";
        case.complain(out, "ws-twice", Weight::Fault, &feature.name, (found, cure.into()), Vec::new());
    }
}

/// The stream is ahead of REST: within a settle a race, and no finding.
pub fn races(case: &Case<'_>, index: usize, out: &mut Vec<Complaint>) {
    let feature = &case.contract.features[index];
    let (behind, polls) = (case.behind[index], case.outcome.features[index].measures.pairs);
    // One may be a coincidence.
    if behind >= 2 {
        let found = format!(
            "{behind} answers, of {polls} that were compared, showed what was before a message that had come"
        );
        let cure = "within `settle` that is a race, and no finding; if it is often, REST answers from a cache, or messages are \
                    sent before their transaction is committed: send on commit, for a rollback would leave a phantom";
        case.complain(out, "ws-ahead", Weight::Hint, &feature.name, (found, cure.into()), Vec::new());
    }
}

pub fn pace(case: &Case<'_>, index: usize, out: &mut Vec<Complaint>) {
    let feature = &case.contract.features[index];
    let measures = &case.outcome.features[index].measures;
    let Some(period) =
        measures.period_ws.filter(|_| feature.cadence == Cadence::Periodic && measures.ticks >= 4)
    else {
        return;
    };
    let ratio = period.0 as f64 / feature.interval.0 as f64;
    if (ratio - 1.0).abs() > feature.limits.drift.max(0.1) {
        // Of messages that come much too often only some count as ticks; the guess has looked at all.
        let guess = case.guessed(feature).filter(|guess| guess.cadence == Cadence::Periodic);
        let period = guess.map_or(period, |guess| guess.interval);
        let seconds = (period.0 as f64 / 1e8).round() / 10.0;
        let interval = format!("{seconds}s");
        let edit = Edit {
            place: Place::Feature(feature.name.to_string()),
            key: "interval".into(),
            value: quoted(&interval),
        };
        let found =
            format!("a message every {interval}, and the contract promises one every {}", feature.interval);
        let cure = format!(
            "if that is how it is meant: interval = {}; else the producer is not what it should be",
            quoted(&interval)
        );
        let edits = if seconds > 0.0 { vec![edit] } else { Vec::new() };
        case.complain(out, "pace", Weight::Fault, &feature.name, (found, cure), edits);
    }
}

/// What cannot be proven as the endpoints are.
pub fn limits(case: &Case<'_>, index: usize, out: &mut Vec<Complaint>) {
    let feature = &case.contract.features[index];
    let measures = &case.outcome.features[index].measures;
    if measures.ws_messages == 0 || measures.rest_records == 0 {
        return;
    }
    if feature.rest.poll > feature.interval && feature.cadence == Cadence::Periodic {
        let found = format!(
            "REST is polled every {}, and messages come every {}",
            feature.rest.poll, feature.interval
        );
        let cure =
            "versions between two polls are never compared: poll as often as the front end may see them"
                .to_string();
        case.complain(out, "limit-poll", Weight::Limit, &feature.name, (found, cure), Vec::new());
    }
    if feature.align == Align::Time && measures.pairs == 0 {
        let guess = case.guessed(feature).map(|guess| guess.align).filter(|align| *align != Align::Time);
        let edits = guess.map(|align| Edit {
            place: Place::Feature(feature.name.to_string()),
            key: "align".into(),
            value: quoted(align.name()),
        });
        let found = "no event time of REST is one of the WebSocket's".to_string();
        let cure = "a stamp of the reply, or of the sender, is no event time: align = \"arrival\" without `time`; or the two \
                    clocks or zones differ (`zone`)";
        case.complain(
            out,
            "time-never-equal",
            Weight::Fault,
            &feature.name,
            (found, cure.into()),
            edits.into_iter().collect(),
        );
    }
    let compared = measures.fields.iter().any(|field| field.compared > 0);
    if measures.pairs > 0 && !compared {
        let found = "pairs are found, and no field of them is compared".to_string();
        let cure = "declare the fields that the page shows; what is not declared is not proven".to_string();
        case.complain(out, "limit-nothing-compared", Weight::Limit, &feature.name, (found, cure), Vec::new());
    }
    let still =
        case.outcome.features[index].proofs.iter().filter(|proof| !proof.changed).map(|p| p.field.clone());
    let still: Vec<String> = still.collect();
    if measures.matched > 0 && !still.is_empty() && still.len() == case.outcome.features[index].proofs.len() {
        let found = format!("nothing changed meanwhile: {}", some(&still, 5));
        let cure = "equal values that never change prove little: watch through a session in which they do"
            .to_string();
        case.complain(out, "limit-nothing-changed", Weight::Limit, &feature.name, (found, cure), Vec::new());
    }
}

// ---- clocks ----

pub fn clocks(case: &Case<'_>, out: &mut Vec<Complaint>) {
    let Some(clock) = case.outcome.connection.clock_offset else { return };
    let apart = clock.offset.abs();
    if apart <= CLOSE + clock.error {
        return;
    }
    let quarters = (clock.offset.0 as f64 / QUARTER as f64).round() as i64;
    let is_zone = quarters != 0 && (clock.offset.0 - quarters * QUARTER).abs() <= CLOSE.0 + clock.error.0;
    let found = format!(
        "event times are {apart} {} our clock",
        if clock.offset.0 > 0 { "ahead of" } else { "behind" }
    );
    let (code, cure) = match is_zone {
        true => (
            "clock-zone",
            "that is a time zone: times without one are read as UTC unless `zone` of the feature says otherwise, as in \
             zone = \"America/New_York\"",
        ),
        false => (
            "clock-offset",
            "one of the two clocks is wrong (NTP?); delays and freshness are measured against it",
        ),
    };
    let timed: Vec<String> =
        case.contract.features.iter().filter(|f| f.time.is_some()).map(|f| f.name.to_string()).collect();
    case.complain(out, code, Weight::Hint, &timed.join(", "), (found, cure.into()), Vec::new());
}
