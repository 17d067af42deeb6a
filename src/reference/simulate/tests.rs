//! Sessions in virtual time: order, seeds, connections, and what the faults of either side look like.

use super::*;
use crate::model::{Class, ClosedBy};

fn options(faults: &[&str]) -> SimulationOptions {
    let from = Timestamp::parse_rfc3339("2025-12-19T14:30:00.250Z").unwrap();
    let faults = faults.iter().map(|text| Fault::parse(text).unwrap()).collect();
    SimulationOptions { faults, ..SimulationOptions::new(from, Span::from_secs(600)) }
}

fn run(options: SimulationOptions) -> (Vec<Observation<'static>>, Vec<TruthEntry>) {
    let (mut seen, mut truth) = (Vec::new(), Vec::new());
    let simulation = Simulation::new(options).unwrap();
    simulation.run(|observation| seen.push(owned(observation)), |entry| truth.push(entry.clone()));
    (seen, truth)
}

/// Only what the tests look at is copied.
fn owned(observation: &Observation<'_>) -> Observation<'static> {
    let text = |payload: &Payload<'_>| match payload {
        Payload::Json { text, binary } => {
            Payload::Json { text: Cow::Owned(text.to_string()), binary: *binary }
        }
        Payload::Text(text) => Payload::Text(Cow::Owned(text.to_string())),
        _ => Payload::Empty,
    };
    let own = |text: &Cow<'_, str>| Cow::Owned(text.to_string());
    let event = match &observation.event {
        Event::Rest { sent_at, feature, params, status, bytes, payload } => Event::Rest {
            sent_at: *sent_at,
            feature: own(feature),
            params: own(params),
            status: *status,
            bytes: *bytes,
            payload: text(payload),
        },
        Event::Ws { conn, bytes, payload } => {
            Event::Ws { conn: *conn, bytes: *bytes, payload: text(payload) }
        }
        Event::RestSkipped { feature, params } => {
            Event::RestSkipped { feature: own(feature), params: own(params) }
        }
        Event::RestError { sent_at, feature, params, error, status, detail } => Event::RestError {
            sent_at: *sent_at,
            feature: own(feature),
            params: own(params),
            error: own(error),
            status: *status,
            detail: own(detail),
        },
        Event::WsClose { conn, code, reason, by } => {
            Event::WsClose { conn: *conn, code: *code, reason: own(reason), by: *by }
        }
        Event::WsError { conn, error, status, detail } => {
            Event::WsError { conn: *conn, error: own(error), status: *status, detail: own(detail) }
        }
        Event::WsOpen { conn } => Event::WsOpen { conn: *conn },
        Event::WsRtt { conn, micros } => Event::WsRtt { conn: *conn, micros: *micros },
        Event::Start(start) => Event::Start(start.clone()),
        Event::End { reason } => Event::End { reason: *reason },
        _ => unreachable!("the simulation makes no other"),
    };
    Observation { at: observation.at, event }
}

fn count(seen: &[Observation<'_>], is: impl Fn(&Event<'_>) -> bool) -> usize {
    seen.iter().filter(|observation| is(&observation.event)).count()
}

#[test]
fn a_clean_session_is_in_order_and_whole() {
    let (seen, truth) = run(options(&[]));
    assert!(truth.is_empty());
    assert!(seen.windows(2).all(|pair| pair[0].at <= pair[1].at));
    assert!(matches!(seen[0].event, Event::Start(_)));
    assert!(matches!(seen.last().unwrap().event, Event::End { .. }));
    assert_eq!(count(&seen, |event| matches!(event, Event::WsOpen { .. })), 1);
    assert_eq!(count(&seen, |event| matches!(event, Event::WsClose { .. })), 0);
    // 60 polls of three features and 600 of the bars.
    let answered = count(&seen, |event| matches!(event, Event::Rest { .. }));
    assert!((778..=780).contains(&answered), "{answered}");
    let json = count(&seen, |event| matches!(event, Event::Ws { payload: Payload::Json { .. }, .. }));
    // A minute of two accounts' streams, markets, bars and heartbeats.
    assert!((10 * (36 + 30 + 4 + 12) - 4..=10 * 82).contains(&json), "{json}");
}

#[test]
fn the_same_seed_gives_the_same_session() {
    let faults = ["value_mismatch:rate=0.05", "connection_drop", "late"];
    let make = |seed| SimulationOptions { seed, interleave: Span::from_millis(700), ..options(&faults) };
    assert_eq!(run(make(4)), run(make(4)));
    assert_ne!(run(make(4)).0, run(make(5)).0);
}

#[test]
fn disorder_and_clocks_never_turn_time_back() {
    for seed in 0..8 {
        let mut options = options(&["connection_drop:every=40", "stalled:every=90", "malformed:rate=0.1"]);
        options.seed = seed;
        options.interleave = Span::from_secs(3);
        options.network.clock_offset = Span::from_secs(seed as i64 - 4);
        options.network.clock_drift_ppm = 50 * seed as i64;
        let (seen, _) = run(options);
        assert!(seen.windows(2).all(|pair| pair[0].at <= pair[1].at));
        // A connection opens before it speaks and is silent once it is closed.
        let mut open = None;
        for observation in &seen {
            match observation.event {
                Event::WsOpen { conn } => {
                    assert_eq!(open, None);
                    open = Some(conn);
                }
                Event::Ws { conn, .. } => assert_eq!(open, Some(conn)),
                Event::WsClose { conn, .. } => assert_eq!(open.take(), Some(conn)),
                _ => {}
            }
        }
    }
}

#[test]
fn faults_of_the_connection_are_seen_and_entered() {
    let (seen, truth) = run(options(&["connection_drop:at=60s,code=1011", "connection_drop:at=120s"]));
    let closed = |code, by| {
        count(&seen, |event| matches!(event, Event::WsClose { code: c, by: b, .. } if *c == code && *b == by))
    };
    assert_eq!((closed(1011, ClosedBy::Peer), closed(1006, ClosedBy::Network)), (1, 1));
    assert_eq!(truth.len(), 2);
    let (seen, truth) = run(options(&["stalled:at=120s", "connect_failed"]));
    assert_eq!(count(&seen, |e| matches!(e, Event::WsClose { by: ClosedBy::Stalled, .. })), 1);
    assert!(count(&seen, |e| matches!(e, Event::WsError { status: Some(503), .. })) > 3);
    assert!(truth.iter().any(|entry| entry.class == Class::ConnectFailed));
}

#[test]
fn faults_of_rest_are_seen_and_entered() {
    let (seen, truth) = run(options(&["rest_error:every=10,feature=positions,code=500"]));
    let failed = count(&seen, |e| matches!(e, Event::RestError { status: Some(500), .. }));
    assert_eq!(failed, truth.len());
    assert!(failed >= 5);
}
