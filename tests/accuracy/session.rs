//! One simulated session: made, recorded, read back, judged. What does not depend on what is asked of it.

use crate::common::{Told, fold};
use cutover::capture::{Reader, ReaderOptions};
use cutover::contract::Contract;
use cutover::model::{Event, Observation, Payload, Severity, Span, Timestamp};
use cutover::reference::{Simulation, SimulationOptions, TruthEntry};
use std::borrow::Cow;
use std::sync::Arc;

pub fn options(seed: u64, minutes: i64) -> SimulationOptions {
    let from = Timestamp::parse_rfc3339("2025-12-19T14:30:00Z").unwrap()
        + Span((seed as i64 * 7_919_000_003) % 60_000_000_000);
    let mut options = SimulationOptions::new(from, Span::from_secs(minutes * 60));
    options.seed = seed;
    options.world.seed = seed;
    options
}

pub fn simulate(options: SimulationOptions) -> (Vec<Observation<'static>>, Vec<TruthEntry>) {
    let (mut seen, mut truth) = (Vec::new(), Vec::new());
    let simulation = Simulation::new(options).unwrap();
    simulation.run(|observation| seen.push(owned(observation)), |entry| truth.push(entry.clone()));
    (seen, truth)
}

/// Judges a session three times: as it was seen, with `advance` called in between, and as it is read back
/// from a capture. All must say the same; an error says which did not.
pub fn judge(contract: &Arc<Contract>, seen: &[Observation<'_>]) -> Result<Told, String> {
    let told = fold(contract, seen, false);
    let again = fold(contract, seen, true);
    if (&told.findings, &told.outcome) != (&again.findings, &again.outcome) {
        return Err(format!("advance changed {}", first_difference(&told, &again)));
    }
    let bytes = crate::common::recorded(seen);
    let mut reader = Reader::new(&bytes[..], ReaderOptions::default());
    let replayed = crate::common::told(contract, |engine| {
        if let Some((at, start)) = reader.read_start().unwrap() {
            engine.observe(&Observation { at, event: Event::Start(Box::new(start)) }).unwrap();
        }
        while let Some(line) = reader.next() {
            engine.observe(&line.unwrap().observation).unwrap();
        }
    });
    if (&told.findings, &told.outcome) != (&replayed.findings, &replayed.outcome) {
        return Err(format!("the replay changed {}", first_difference(&told, &replayed)));
    }
    Ok(told)
}

fn first_difference(a: &Told, b: &Told) -> String {
    match a.findings.iter().zip(&b.findings).find(|(a, b)| a != b) {
        Some((a, b)) => format!("a finding: {} became {}", line(a), line(b)),
        None if a.findings.len() != b.findings.len() => {
            format!("the number of findings: {} became {}", a.findings.len(), b.findings.len())
        }
        None => "the outcome".into(),
    }
}

pub fn line(f: &cutover::model::Finding) -> String {
    let feature = f.feature.as_deref().unwrap_or("-");
    format!("{} {feature} {} {} {} {} {}", f.at, f.class, f.stream, f.row, f.field, f.detail)
}

/// Findings above info, a line each.
pub fn lines(told: &Told) -> Vec<String> {
    told.findings.iter().filter(|f| f.severity > Severity::Info).map(line).collect()
}

/// An observation that owns what it says.
fn owned(observation: &Observation<'_>) -> Observation<'static> {
    let payload = |payload: &Payload<'_>| match payload {
        Payload::Json { text, binary } => Payload::Json { text: text.to_string().into(), binary: *binary },
        Payload::Text(text) => Payload::Text(text.to_string().into()),
        Payload::Base64(text) => Payload::Base64(text.to_string().into()),
        Payload::Empty => Payload::Empty,
    };
    let s = |text: &str| Cow::Owned(text.to_string());
    let event = match &observation.event {
        Event::Start(start) => Event::Start(start.clone()),
        Event::Rest { sent_at, feature, params, status, bytes, payload: body } => Event::Rest {
            sent_at: *sent_at,
            feature: s(feature),
            params: s(params),
            status: *status,
            bytes: *bytes,
            payload: payload(body),
        },
        Event::RestError { sent_at, feature, params, error, status, detail } => Event::RestError {
            sent_at: *sent_at,
            feature: s(feature),
            params: s(params),
            error: s(error),
            status: *status,
            detail: s(detail),
        },
        Event::RestSkipped { feature, params } => {
            Event::RestSkipped { feature: s(feature), params: s(params) }
        }
        Event::WsOpen { conn } => Event::WsOpen { conn: *conn },
        Event::Ws { conn, bytes, payload: body } => {
            Event::Ws { conn: *conn, bytes: *bytes, payload: payload(body) }
        }
        Event::WsClose { conn, code, reason, by } => {
            Event::WsClose { conn: *conn, code: *code, reason: s(reason), by: *by }
        }
        Event::WsError { conn, error, status, detail } => {
            Event::WsError { conn: *conn, error: s(error), status: *status, detail: s(detail) }
        }
        Event::WsRtt { conn, micros } => Event::WsRtt { conn: *conn, micros: *micros },
        Event::SelfStall { millis } => Event::SelfStall { millis: *millis },
        Event::End { reason } => Event::End { reason: *reason },
        other => panic!("the simulation does not make {other:?}"),
    };
    Observation { at: observation.at, event }
}
