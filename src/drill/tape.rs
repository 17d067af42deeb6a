//! A recording in memory and its mutants: which observations change, and how. Shares what stays the
//! same, so that a mutant costs its differences. Knows nothing of what the bodies mean.

use crate::model::{Event, Observation, Payload, Span, Timestamp};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// An observation that owns what it says.
pub fn owned(observation: &Observation<'_>) -> Observation<'static> {
    convert(observation, |text| Cow::Owned(text.to_string()))
}

/// An observation that borrows what another one says.
fn lent<'t>(observation: &'t Observation<'_>) -> Observation<'t> {
    convert(observation, Cow::Borrowed)
}

fn convert<'t, 'o>(observation: &'t Observation<'_>, s: impl Fn(&'t str) -> Cow<'o, str>) -> Observation<'o> {
    let body = |payload: &'t Payload<'_>| match payload {
        Payload::Json { text, binary } => Payload::Json { text: s(text), binary: *binary },
        Payload::Text(text) => Payload::Text(s(text)),
        Payload::Base64(text) => Payload::Base64(s(text)),
        Payload::Empty => Payload::Empty,
    };
    let event = match &observation.event {
        Event::Start(start) => Event::Start(start.clone()),
        Event::Rest { sent_at, feature, params, status, bytes, payload } => Event::Rest {
            sent_at: *sent_at,
            feature: s(feature),
            params: s(params),
            status: *status,
            bytes: *bytes,
            payload: body(payload),
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
        Event::Ws { conn, bytes, payload } => {
            Event::Ws { conn: *conn, bytes: *bytes, payload: body(payload) }
        }
        Event::WsClose { conn, code, reason, by } => {
            Event::WsClose { conn: *conn, code: *code, reason: s(reason), by: *by }
        }
        Event::WsError { conn, error, status, detail } => {
            Event::WsError { conn: *conn, error: s(error), status: *status, detail: s(detail) }
        }
        Event::WsRtt { conn, micros } => Event::WsRtt { conn: *conn, micros: *micros },
        Event::Sample { process, cpu_seconds, rss_bytes } => {
            Event::Sample { process: s(process), cpu_seconds: *cpu_seconds, rss_bytes: *rss_bytes }
        }
        Event::Log { source, line } => Event::Log { source: s(source), line: s(line) },
        Event::Frontend { method, path, feature, status, agent } => Event::Frontend {
            method: s(method),
            path: s(path),
            feature: feature.as_ref().map(|f| s(f)),
            status: *status,
            agent: agent.as_ref().map(|a| s(a)),
        },
        Event::LogState { source, state } => Event::LogState { source: s(source), state: *state },
        Event::SelfStall { millis } => Event::SelfStall { millis: *millis },
        Event::End { reason } => Event::End { reason: *reason },
    };
    Observation { at: observation.at, event }
}

/// The JSON text of an observation's body.
pub fn json<'t>(observation: &'t Observation<'_>) -> Option<&'t str> {
    match &observation.event {
        Event::Ws { payload: Payload::Json { text, .. }, .. } => Some(text),
        Event::Rest { payload: Payload::Json { text, .. }, status: 200..=299, .. } => Some(text),
        _ => None,
    }
}

/// A time warp: instants between two anchors move in proportion, so that their order stays.
#[derive(Debug, Clone, PartialEq)]
pub struct Warp {
    /// From and to, both ascending; at least two.
    anchors: Vec<(Timestamp, Timestamp)>,
}

impl Warp {
    /// `None` where the anchors are fewer than two, or would turn time back.
    pub fn new(anchors: Vec<(Timestamp, Timestamp)>) -> Option<Warp> {
        let ascending = anchors.windows(2).all(|w| w[0].0 < w[1].0 && w[0].1 < w[1].1);
        (anchors.len() >= 2 && ascending).then_some(Warp { anchors })
    }

    pub fn of(&self, at: Timestamp) -> Timestamp {
        let next = self.anchors.partition_point(|(from, _)| *from <= at);
        let last = self.anchors.len() - 1;
        if next == 0 || next > last {
            // Beyond the ends everything moves with the nearest anchor.
            let (from, to) = self.anchors[next.saturating_sub(1).min(last)];
            return to + (at - from);
        }
        let ((from, to), (until, unto)) = (self.anchors[next - 1], self.anchors[next]);
        let share = i128::from((at - from).0) * i128::from((unto - to).0) / i128::from((until - from).0);
        to + Span(share as i64)
    }
}

/// What a mutant changes of a recording.
#[derive(Debug, Clone)]
pub struct Edits<'t> {
    base: &'t [Observation<'static>],
    changed: BTreeMap<usize, Changed<'t>>,
    warp: Option<Warp>,
}

/// What stands in the place of an observation.
#[derive(Debug, Clone)]
struct Changed<'t> {
    /// `None`: it is gone.
    own: Option<Observation<'t>>,
    /// New ones, put behind it.
    behind: Vec<Observation<'t>>,
}

impl<'t> Edits<'t> {
    pub fn new(base: &'t [Observation<'static>]) -> Edits<'t> {
        Edits { base, changed: BTreeMap::new(), warp: None }
    }

    pub fn base(&self) -> &'t [Observation<'static>] {
        self.base
    }

    /// Nothing is changed.
    pub fn is_empty(&self) -> bool {
        self.warp.is_none() && self.changed.is_empty()
    }

    fn place(&mut self, index: usize) -> &mut Changed<'t> {
        let base = self.base;
        self.changed
            .entry(index)
            .or_insert_with(|| Changed { own: base.get(index).map(lent), behind: Vec::new() })
    }

    /// The observation as the mutant has it now; `None` where it is gone.
    pub fn now(&self, index: usize) -> Option<&Observation<'_>> {
        match self.changed.get(&index) {
            Some(changed) => changed.own.as_ref(),
            None => self.base.get(index),
        }
    }

    pub fn text(&self, index: usize) -> Option<&str> {
        self.now(index).and_then(json)
    }

    pub fn remove(&mut self, index: usize) {
        self.place(index).own = None;
    }

    pub fn replace(&mut self, index: usize, event: Event<'t>) {
        let at = self.base[index].at;
        self.place(index).own = Some(Observation { at, event });
    }

    /// Another body in the same frame or answer.
    pub fn rewrite(&mut self, index: usize, text: String) {
        if let Some(own) = &mut self.place(index).own {
            set_body(&mut own.event, Payload::Json { text: text.into(), binary: false });
        }
    }

    /// A body that is no JSON.
    pub fn spoil(&mut self, index: usize, text: String) {
        if let Some(own) = &mut self.place(index).own {
            set_body(&mut own.event, Payload::Text(text.into()));
        }
    }

    /// The same over another connection.
    pub fn reconnect(&mut self, index: usize, to: u32) {
        if let Some(own) = &mut self.place(index).own
            && let Event::Ws { conn, .. } | Event::WsClose { conn, .. } | Event::WsError { conn, .. } =
                &mut own.event
        {
            *conn = to;
        }
    }

    /// A new observation; it stands behind the observations of its instant.
    pub fn insert(&mut self, at: Timestamp, event: Event<'t>) {
        let behind = self.base.partition_point(|o| o.at <= at).saturating_sub(1);
        self.place(behind).behind.push(Observation { at, event });
    }

    /// A copy of a frame with another body.
    pub fn send(&mut self, like: usize, at: Timestamp, text: String) {
        if let Event::Ws { conn, .. } = &self.base[like].event {
            let bytes = text.len() as u64;
            let payload = Payload::Json { text: text.into(), binary: false };
            self.insert(at, Event::Ws { conn: *conn, bytes, payload });
        }
    }

    pub fn warp(&mut self, warp: Warp) {
        self.warp = Some(warp);
    }

    /// The whole mutant, in the order of time.
    pub fn play(&self) -> Vec<Observation<'_>> {
        let mut tape: Vec<Observation<'_>> = Vec::with_capacity(self.base.len() + self.changed.len());
        for (index, observation) in self.base.iter().enumerate() {
            match self.changed.get(&index) {
                Some(changed) => tape.extend(changed.own.iter().chain(&changed.behind).map(lent)),
                None => tape.push(lent(observation)),
            }
        }
        if let Some(warp) = &self.warp {
            for observation in &mut tape {
                observation.at = warp.of(observation.at);
                if let Event::Rest { sent_at, .. } | Event::RestError { sent_at, .. } = &mut observation.event
                {
                    *sent_at = warp.of(*sent_at);
                }
            }
        }
        // The end stays the end, whatever was put behind it.
        let end = |o: &Observation<'_>| matches!(o.event, Event::End { .. });
        tape.sort_by_key(|o| (o.at, end(o)));
        tape
    }
}

fn set_body<'t>(event: &mut Event<'t>, body: Payload<'t>) {
    let len = match &body {
        Payload::Json { text, .. } | Payload::Text(text) | Payload::Base64(text) => text.len() as u64,
        Payload::Empty => 0,
    };
    if let Event::Ws { bytes, payload, .. } | Event::Rest { bytes, payload, .. } = event {
        *bytes = len;
        *payload = body;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::EndReason;

    fn frame(at: i64, text: &str) -> Observation<'static> {
        let payload = Payload::Json { text: text.to_string().into(), binary: false };
        Observation { at: Timestamp(at), event: Event::Ws { conn: 0, bytes: text.len() as u64, payload } }
    }

    fn tape() -> Vec<Observation<'static>> {
        let end = Observation { at: Timestamp(30), event: Event::End { reason: EndReason::Done } };
        vec![frame(10, "[1]"), frame(20, "[2]"), frame(30, "[3]"), end]
    }

    fn told(edits: &Edits<'_>) -> Vec<(i64, String)> {
        edits.play().iter().map(|o| (o.at.0, json(o).unwrap_or("-").to_string())).collect()
    }

    fn lines(list: &[(i64, &str)]) -> Vec<(i64, String)> {
        list.iter().map(|(at, text)| (*at, text.to_string())).collect()
    }

    #[test]
    fn only_what_was_struck_changes() {
        let base = tape();
        let mut edits = Edits::new(&base);
        assert!(edits.is_empty());
        assert_eq!(edits.play(), base);
        edits.rewrite(1, "[22]".into());
        assert_eq!(told(&edits), lines(&[(10, "[1]"), (20, "[22]"), (30, "[3]"), (30, "-")]));
        assert_eq!(edits.text(1), Some("[22]"));
        edits.remove(0);
        edits.send(2, Timestamp(25), "[4]".into());
        edits.send(2, Timestamp(30), "[5]".into());
        assert_eq!(told(&edits), lines(&[(20, "[22]"), (25, "[4]"), (30, "[3]"), (30, "[5]"), (30, "-")]));
        assert_eq!(edits.text(0), None);
    }

    #[test]
    fn time_is_stretched_between_its_anchors() {
        let t = Timestamp;
        let warp = Warp::new(vec![(t(10), t(10)), (t(20), t(30)), (t(40), t(40))]).unwrap();
        let at = |n: i64| warp.of(t(n)).0;
        assert_eq!([at(5), at(10), at(15), at(20), at(30), at(40), at(50)], [5, 10, 20, 30, 35, 40, 50]);
        assert_eq!(Warp::new(vec![(t(1), t(1))]), None);
        assert_eq!(Warp::new(vec![(t(1), t(5)), (t(2), t(5))]), None);
    }
}
