//! Sessions that only look wrong. The simulated world is rewritten in ways that must not change a verdict:
//! the same said in another order, another number text, another clock; all must PASS without a finding
//! above info.

use crate::common;
use crate::session::{judge, lines, options, simulate};
use chrono_tz::America::New_York;
use cutover::contract::{BUILTIN, Contract};
use cutover::model::{ClosedBy, Event, Observation, Payload, Span, Timestamp, Verdict};
use cutover::reference::{Latency, Poll, SimulationOptions};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::sync::Arc;

/// How the WebSocket writes its event times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stamps {
    Rfc3339,
    Millis,
    Micros,
    Nanos,
    /// Without an offset, in UTC.
    Naive,
    /// Without an offset, in New York, over a change of its clocks.
    Spring,
    Autumn,
}

/// When markets are open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hours {
    Always,
    /// Six minutes, a break of six in which the connection is lost, six minutes.
    Break,
}

/// What is unusual about a session.
#[derive(Debug, Clone, PartialEq)]
pub struct Variety {
    pub seed: u64,
    pub interleave_ms: i64,
    pub clock_offset_s: i64,
    /// The WebSocket against REST; positive: REST is ahead.
    pub shift_ms: i64,
    pub polls_each_second: bool,
    pub forming: bool,
    pub illiquid: usize,
    pub live_markets: bool,
    pub rest_decimal_strings: bool,
    pub other_order: bool,
    pub other_numbers: bool,
    /// Keys such as `/ES`, integers beyond 2^53.
    pub odd_keys: bool,
    pub stamps: Stamps,
    pub hours: Hours,
    /// Closed by us and opened again, at so many per mille of the session.
    pub reopened: Option<usize>,
}

pub const STAMPS: [Stamps; 7] = [
    Stamps::Rfc3339,
    Stamps::Millis,
    Stamps::Micros,
    Stamps::Nanos,
    Stamps::Naive,
    Stamps::Spring,
    Stamps::Autumn,
];

/// How far the feeds may be apart: almost a settle, of which the network takes some.
pub const MOST_APART_MS: i64 = 1_900;
/// And where markets open and close meanwhile: the built-in countdown is in whole seconds and has a
/// tolerance of two, so that beyond a second a change told by the message that follows rightly differs.
const MOST_APART_LIVE_MS: i64 = 900;

impl Variety {
    pub fn of_seed(seed: u64) -> Variety {
        // Splitmix: neighbouring seeds share nothing.
        let draw = |n: u64| {
            let mut x = (seed * 64 + n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            x ^ (x >> 31)
        };
        let coin = |n| draw(n) & 1 == 1;
        Variety {
            seed,
            interleave_ms: (draw(1) % 400) as i64,
            clock_offset_s: (draw(2) % 181) as i64 - 90,
            shift_ms: if coin(3) { (draw(4) % 3_801) as i64 - MOST_APART_MS } else { 0 },
            polls_each_second: draw(5) % 4 == 0,
            forming: coin(6),
            illiquid: (draw(7) % 4) as usize,
            live_markets: coin(8),
            rest_decimal_strings: coin(9),
            other_order: coin(10),
            other_numbers: coin(11),
            odd_keys: coin(12),
            stamps: STAMPS[(draw(13) % 7) as usize],
            hours: if draw(17) % 4 == 0 { Hours::Break } else { Hours::Always },
            reopened: coin(15).then_some((draw(16) % 600) as usize + 200),
        }
    }

    fn options(&self) -> SimulationOptions {
        let minutes = if self.hours == Hours::Break { 18 } else { 12 };
        let mut options = options(self.seed, minutes);
        let from = match self.stamps {
            Stamps::Spring => "2026-03-08T06:54:00Z",
            Stamps::Autumn => "2025-11-02T05:54:00Z",
            _ => "2025-12-19T14:30:00Z",
        };
        options.from = Timestamp::parse_rfc3339(from).unwrap();
        options.interleave = Span::from_millis(self.interleave_ms);
        // Whole minutes, where it matters within which a connection is lost.
        let minutes = self.clock_offset_s / 60;
        let offset_s = if self.hours == Hours::Break { minutes * 60 } else { self.clock_offset_s };
        options.network.clock_offset = Span::from_secs(offset_s);
        options.world.forming_updates = self.forming;
        options.world.sparse = self.illiquid;
        options.world.live_markets = self.live_markets && self.shift_ms.abs() <= MOST_APART_LIVE_MS;
        options.world.rest_decimal_strings = self.rest_decimal_strings;
        if self.shift_ms.abs() > 1_200 {
            // Almost a settle apart leaves no room for anything else.
            options.interleave = Span::ZERO;
            options.network.ws = Latency::NONE;
        }
        if self.polls_each_second {
            let often = |poll: Poll| Poll { every: Span::from_secs(1), ..poll };
            options.polls = options.polls.into_iter().map(often).collect();
        }
        options
    }

    fn contract(&self, from: Timestamp) -> Arc<Contract> {
        let mut text = BUILTIN.to_string();
        if self.polls_each_second {
            text = text.replace("poll = \"10s\"", "poll = \"1s\"");
        }
        if matches!(self.stamps, Stamps::Spring | Stamps::Autumn) {
            for time in ["time     = \"timestamp\"\n", "time     = \"timestamp_minute\"\n"] {
                text = text.replace(time, &format!("{time}zone = \"America/New_York\"\n"));
            }
        }
        if self.hours == Hours::Break {
            let clock = |minutes: i64| (from + Span::from_secs(minutes * 60)).to_string()[11..16].to_string();
            text = text.replace("calendar = \"24/7\"", "calendar = \"BREAK\"");
            let hours = format!("\"{}-{}\", \"{}-{}\"", clock(0), clock(6), clock(12), clock(18));
            text.push_str(&format!(
                "\n[calendar.BREAK]\ntz = \"UTC\"\ncovered = [\"2025-01-01\", \"2026-12-31\"]\ndays = \"Mon-Sun\"\n\
                 hours = [{{ from = \"2025-01-01\", segments = [{hours}] }}]\n"
            ));
        }
        common::contract(&text)
    }

    /// The text of a body as this variety writes it.
    fn rewrite(&self, text: &str, ws: bool) -> String {
        let mut node = Node::read(text);
        node.change("", &|field, leaf| self.leaf(field, leaf, ws));
        if self.other_order && !ws {
            node.reorder();
        }
        let mut out = String::new();
        node.write(&mut out);
        out
    }

    fn leaf(&self, field: &str, raw: &str, ws: bool) -> String {
        let mut raw = raw.to_string();
        if self.odd_keys {
            raw = match (field, raw.as_str()) {
                ("symbol", "\"SPY\"") => r#""/ES""#.into(),
                ("symbol", "\"AAPL\"") => r#""A=B, \"C\"""#.into(),
                ("account_id" | "volume", number) => match number.trim_matches('"').parse::<i64>() {
                    Ok(n) if raw.starts_with('"') => format!("\"{}\"", n + (1 << 53)),
                    Ok(n) => (n + (1 << 53)).to_string(),
                    Err(_) => raw,
                },
                _ => raw,
            };
        }
        if !ws {
            return raw;
        }
        if matches!(field, "timestamp" | "timestamp_minute") {
            return self.stamp(&raw);
        }
        let number = raw.starts_with(|c: char| c == '-' || c.is_ascii_digit());
        if self.other_numbers && number { other_number(&raw) } else { raw }
    }

    fn stamp(&self, raw: &str) -> String {
        let at = Timestamp::parse_rfc3339(raw.trim_matches('"')).unwrap();
        let utc = chrono::DateTime::from_timestamp_nanos(at.0);
        const NAIVE: &str = "%Y-%m-%dT%H:%M:%S%.f";
        match self.stamps {
            Stamps::Rfc3339 => raw.to_string(),
            Stamps::Millis => (at.0 / 1_000_000).to_string(),
            Stamps::Micros => (at.0 / 1_000).to_string(),
            Stamps::Nanos => at.0.to_string(),
            Stamps::Naive => format!("\"{}\"", utc.naive_utc().format(NAIVE)),
            Stamps::Spring | Stamps::Autumn => {
                format!("\"{}\"", utc.with_timezone(&New_York).naive_local().format(NAIVE))
            }
        }
    }

    fn rewritten(&self, seen: Vec<Observation<'static>>, from: Timestamp) -> Vec<Observation<'static>> {
        let end = seen.last().unwrap().at;
        let shift = Span::from_millis(self.shift_ms);
        let mut out: Vec<Observation<'static>> = Vec::with_capacity(seen.len());
        for mut observation in seen {
            let at = observation.at;
            match &mut observation.event {
                Event::Rest { payload: Payload::Json { text, .. }, .. } => {
                    *text = self.rewrite(text, false).into();
                }
                Event::Ws { payload: Payload::Json { text, .. }, .. } if !text.contains("heartbeat") => {
                    *text = self.rewrite(text, true).into();
                }
                _ => {}
            }
            let of_socket = matches!(
                observation.event,
                Event::Ws { .. } | Event::WsOpen { .. } | Event::WsClose { .. } | Event::WsRtt { .. }
            );
            if of_socket {
                observation.at = at + shift;
                // Nothing is heard before the start or after the end.
                if observation.at < from && matches!(observation.event, Event::WsOpen { .. }) {
                    observation.at = from;
                }
                if observation.at < from || observation.at > end {
                    continue;
                }
            }
            out.push(observation);
        }
        let place = |o: &Observation<'_>| match o.event {
            Event::Start(_) => 0,
            Event::WsOpen { .. } => 1,
            Event::End { .. } => 3,
            _ => 2,
        };
        out.sort_by_key(|o| (o.at, place(o)));
        if self.hours == Hours::Break {
            out = lost_at_night(out, from);
        }
        match self.reopened {
            Some(share) if self.hours == Hours::Always => {
                let place = out.len() * share / 1_000;
                reopened(out, place)
            }
            _ => out,
        }
    }
}

/// What is wrong with an innocent session; nothing must be.
pub fn problem(variety: &Variety) -> Option<String> {
    let options = variety.options();
    let from = options.from;
    let contract = variety.contract(from);
    let seen = variety.rewritten(simulate(options).0, from);
    let told = match judge(&contract, &seen) {
        Ok(told) => told,
        Err(problem) => return Some(format!("{problem} of {variety:?}")),
    };
    let found = lines(&told);
    // Who trades in few minutes may not have shown enough yet; nothing may have failed.
    let enough = variety.illiquid == 0;
    let passes =
        told.outcome.verdict == Verdict::Pass || !enough && told.outcome.verdict == Verdict::Inconclusive;
    if found.is_empty() && passes {
        return None;
    }
    let lacking: Vec<String> = told
        .outcome
        .features
        .iter()
        .flat_map(|f| f.checks.iter().map(move |c| (f, c)))
        .filter(|(_, c)| c.verdict.is_some_and(|v| v != Verdict::Pass))
        .map(|(f, c)| format!("{} {}: {:?} {}", f.name, c.check, c.verdict, c.note))
        .collect();
    Some(format!("{variety:?}\n  {}\n  {}", found.join("\n  "), lacking.join("\n  ")))
}

/// The session with its connection closed by us and opened again at once, so that nothing is lost.
fn reopened(seen: Vec<Observation<'static>>, place: usize) -> Vec<Observation<'static>> {
    let at = seen[place].at;
    let close = Event::WsClose { conn: 0, code: 1000, reason: "".into(), by: ClosedBy::Us };
    let mut out: Vec<Observation<'static>> = Vec::with_capacity(seen.len() + 2);
    for (i, mut observation) in seen.into_iter().enumerate() {
        if i == place {
            out.push(Observation { at, event: close.clone() });
            out.push(Observation { at, event: Event::WsOpen { conn: 1 } });
        }
        if i >= place {
            next_connection(&mut observation.event);
        }
        out.push(observation);
    }
    out
}

fn next_connection(event: &mut Event<'static>) {
    if let Event::Ws { conn, .. } | Event::WsRtt { conn, .. } | Event::WsClose { conn, .. } = event {
        *conn = 1;
    }
}

/// While the market is closed the connection is lost, and comes back: what was sent in between is not heard.
fn lost_at_night(seen: Vec<Observation<'static>>, from: Timestamp) -> Vec<Observation<'static>> {
    // Within a minute: a bar that closes unheard would be a true finding, which real symbols do not trade at night.
    let lost = from + Span::from_secs(60 * 8 + 6);
    let back = lost + Span::from_secs(47);
    let event = Event::WsClose { conn: 0, code: 1006, reason: "".into(), by: ClosedBy::Network };
    let mut happens =
        vec![Observation { at: back, event: Event::WsOpen { conn: 1 } }, Observation { at: lost, event }];
    let mut out = Vec::with_capacity(seen.len() + 2);
    for mut observation in seen {
        while happens.last().is_some_and(|next| next.at <= observation.at) {
            out.extend(happens.pop());
        }
        let of_socket = matches!(observation.event, Event::Ws { .. } | Event::WsRtt { .. });
        if of_socket && (lost..back).contains(&observation.at) {
            continue;
        }
        if observation.at >= back {
            next_connection(&mut observation.event);
        }
        out.push(observation);
    }
    out
}

/// The same number in another text.
fn other_number(raw: &str) -> String {
    let (whole, part) = raw.split_once('.').unwrap_or((raw, ""));
    let trimmed = part.trim_end_matches('0');
    match raw.len() % 4 {
        0 if part.is_empty() => format!("{raw}.000"),
        // No number begins with a naught before another digit.
        0 if whole.ends_with('0') && whole.len() < 3 => format!("{raw}0"),
        0 => format!("{whole}{part}e-{}", part.len()),
        1 if trimmed.is_empty() => whole.to_string(),
        1 => format!("{whole}.{trimmed}"),
        2 => format!("\"{raw}\""),
        _ => format!("{whole}.{part}0E+0"),
    }
}

/// JSON with its exact texts and the order of its members.
enum Node {
    Object(Vec<(String, Node)>),
    Array(Vec<Node>),
    Leaf(String),
}

struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Members, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

impl Node {
    fn read(text: &str) -> Node {
        match text.as_bytes()[0] {
            b'{' => {
                let Members(members) = serde_json::from_str(text).unwrap();
                Node::Object(members.into_iter().map(|(name, v)| (name, Node::read(v.get()))).collect())
            }
            b'[' => {
                let items: Vec<Box<RawValue>> = serde_json::from_str(text).unwrap();
                Node::Array(items.iter().map(|item| Node::read(item.get())).collect())
            }
            _ => Node::Leaf(text.to_string()),
        }
    }

    fn change(&mut self, field: &str, to: &impl Fn(&str, &str) -> String) {
        match self {
            Node::Object(members) => members.iter_mut().for_each(|(name, node)| node.change(name, to)),
            Node::Array(items) => items.iter_mut().for_each(|node| node.change(field, to)),
            Node::Leaf(raw) => *raw = to(field, raw),
        }
    }

    fn reorder(&mut self) {
        match self {
            Node::Object(members) => {
                members.reverse();
                members.iter_mut().for_each(|(_, node)| node.reorder());
            }
            Node::Array(items) => {
                items.reverse();
                items.iter_mut().for_each(Node::reorder);
            }
            Node::Leaf(_) => {}
        }
    }

    fn write(&self, out: &mut String) {
        let list = |out: &mut String, open, close, n: usize, item: &dyn Fn(&mut String, usize)| {
            out.push(open);
            for i in 0..n {
                if i > 0 {
                    out.push(',');
                }
                item(out, i);
            }
            out.push(close);
        };
        match self {
            Node::Object(members) => list(out, '{', '}', members.len(), &|out, i| {
                let (name, node) = &members[i];
                out.push_str(&format!("{}:", serde_json::Value::from(name.as_str())));
                node.write(out);
            }),
            Node::Array(items) => list(out, '[', ']', items.len(), &|out, i| items[i].write(out)),
            Node::Leaf(raw) => out.push_str(raw),
        }
    }
}
