//! Mutants of the connection: lost, refused, without a sign of life, and closed by ourselves.

use super::mutant::{Expect, Mutant, Place, Range};
use crate::model::{Class, ClosedBy, Event, Span, Timestamp};

/// Times without a connection: next to nothing lost, and something lost.
const DOWN: [(&str, Span); 2] =
    [("open again at once", Span::from_millis(10)), ("down for 30 s", Span::from_secs(30))];

pub fn add(range: &mut Range<'_>) {
    let instants = instants(range);
    for (size, down) in DOWN {
        for (class, by) in [(Class::ConnectionDrop, ClosedBy::Network), (Class::Stalled, ClosedBy::Stalled)] {
            for at in range.pick(&format!("{class} {size}"), &instants) {
                cut(range, class, size, at, down, Some(by), Expect::Seen);
            }
        }
    }
    for at in range.pick("closed by the server", &instants) {
        let down = DOWN[0].1;
        cut(
            range,
            Class::ConnectionDrop,
            "closed by the server",
            at,
            down,
            Some(ClosedBy::Peer),
            Expect::Seen,
        );
    }
    for at in range.pick("closed by us", &instants) {
        let why = Expect::Within("what we close ourselves is no drop".into());
        cut(range, Class::ConnectionDrop, "closed by us", at, DOWN[0].1, Some(ClosedBy::Us), why);
    }
    for at in range.pick("refused", &instants) {
        cut(range, Class::ConnectFailed, "one attempt refused", at, DOWN[0].1, None, Expect::Seen);
    }
    for class in [Class::ConnectionDrop, Class::Stalled, Class::ConnectFailed] {
        if instants.is_empty() {
            range.not(class, "", "no connection was open within market hours in the slice");
        }
    }
}

/// Where a connection can be cut: just behind a message, within market hours.
fn instants(range: &Range<'_>) -> Vec<Timestamp> {
    let messages = range.messages();
    let mut all: Vec<Timestamp> = messages.iter().map(|(s, i)| range.stage.streams[*s].ws[*i].at).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Closes all connections at an instant and opens one `down` later. `by` none: we close it, and one
/// attempt to open another is refused.
fn cut(
    range: &mut Range<'_>,
    class: Class,
    size: &str,
    after: Timestamp,
    down: Span,
    by: Option<ClosedBy>,
    expect: Expect,
) {
    let stage = range.stage;
    let at = after + Span::from_millis(1);
    let mut edits = range.edits();
    let mut open: Vec<u32> = Vec::new();
    let mut fresh = 0;
    for observation in &stage.tape {
        match &observation.event {
            Event::WsOpen { conn } | Event::Ws { conn, .. } => {
                fresh = fresh.max(*conn + 1);
                if observation.at <= at && !open.contains(conn) {
                    open.push(*conn);
                }
            }
            Event::WsClose { conn, .. } if observation.at <= at => open.retain(|c| c != conn),
            Event::WsError { conn, .. } => fresh = fresh.max(*conn + 1),
            _ => {}
        }
    }
    if open.is_empty() {
        return;
    }
    let closed_by = by.unwrap_or(ClosedBy::Us);
    for conn in &open {
        let code = if closed_by == ClosedBy::Us { 1000 } else { 1006 };
        edits.insert(at, Event::WsClose { conn: *conn, code, reason: "".into(), by: closed_by });
    }
    if by.is_none() {
        let refused =
            Event::WsError { conn: fresh, error: "connect".into(), status: None, detail: "refused".into() };
        edits.insert(at + down.half(), refused);
    }
    edits.insert(at + down, Event::WsOpen { conn: fresh });
    // What those connections carried is lost while none is open, and comes over the new one then.
    for (index, observation) in stage.tape.iter().enumerate().filter(|(_, o)| o.at > at) {
        let conn = match &observation.event {
            Event::Ws { conn, .. } | Event::WsClose { conn, .. } | Event::WsError { conn, .. } => *conn,
            _ => continue,
        };
        if !open.contains(&conn) {
            continue;
        }
        if observation.at < at + down {
            edits.remove(index);
        } else {
            edits.reconnect(index, fresh);
        }
    }
    let change = match by {
        Some(by) => format!("closed ({by:?}), open again after {down}").to_lowercase(),
        None => "closed by us, one attempt refused, then open".to_string(),
    };
    let place = Place { at, ..Place::default() };
    range.push(Mutant { class, field: String::new(), size: size.into(), change, place, expect, edits });
}
