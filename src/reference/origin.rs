//! The origin: the world as a server shows it, faults included. Says when the next message is due,
//! hands out what is sent, answers REST requests, all by the world's clock.
//!
//! The same origin stands behind a real port (`server`) and behind the simulated network
//! (`simulate`). It opens nothing and waits for nothing. Calls must come in order of time.

mod departure;
mod rest;
mod schedule;

pub use departure::{Departure, Lane, Recipients, Sent};
pub use rest::Answer;

use super::body::{
    EXTRA_SYMBOL, Edits, Style, write_balance, write_bar, write_market, write_positions, write_time,
};
use super::fault::{Fault, FaultError};
use super::feature::Feature;
use super::inject::{Extra, Frame, Injector, Plan, Tick};
use super::truth::TruthEntry;
use super::world::{Bar, Owner, STEPS_PER_MINUTE, World, WorldOptions};
use crate::model::Timestamp;
use departure::Pending;
use schedule::Schedule;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A record's text of one version, without a fault, as the WebSocket writes it.
#[derive(Debug, Default)]
struct KeptRecord {
    k: i64,
    /// Empty until there is one.
    text: String,
}

/// A bar as REST wrote it last.
#[derive(Debug, Default)]
struct KeptBar {
    minute: i64,
    step: i64,
    revised: Option<i64>,
    /// Empty until there is one.
    text: String,
}

/// Bars are kept as text this many minutes deep, a power of two.
const BARS_KEPT: usize = 8;
/// Ticks that one REST answer catches up with; more are due only where the world outruns the machine.
const PREPARED_AT_ONCE: usize = 1000;
/// Spare texts kept for reuse.
const SPARE_KEPT: usize = 64;

#[derive(Debug)]
pub struct Origin {
    world: World,
    injector: Injector,
    schedule: Schedule,
    pending: BinaryHeap<Reverse<Pending>>,
    order: u64,
    plan: Plan,
    truth: Vec<TruthEntry>,
    requests: i64,
    spare: Vec<String>,
    /// Of each balance and positions stream: what was written last. REST shows what the WebSocket
    /// has just sent.
    records: Vec<KeptRecord>,
    /// Of each symbol, by minute: what REST showed last.
    bars: Vec<[KeptBar; BARS_KEPT]>,
}

impl Origin {
    /// A world that starts to send after `start`, and faults counted from there.
    pub fn new(options: WorldOptions, faults: Vec<Fault>, start: Timestamp) -> Result<Origin, FaultError> {
        let mut world = World::new(options);
        let injector = Injector::new(faults, &mut world, start)?;
        let schedule = Schedule::new(&world, start);
        let records = (0..2 * world.options().accounts).map(|_| KeptRecord::default()).collect();
        let bars = (0..world.options().symbols).map(|_| Default::default()).collect();
        Ok(Origin {
            world,
            injector,
            schedule,
            pending: BinaryHeap::new(),
            order: 0,
            plan: Plan::default(),
            truth: Vec::new(),
            requests: 0,
            spare: Vec::new(),
            records,
            bars,
        })
    }

    pub fn world(&self) -> &World {
        &self.world
    }

    /// Before this instant nothing leaves; at it, something may.
    pub fn next_at(&self) -> Timestamp {
        let due = self.schedule.next_at();
        let pending = self.pending.peek().map_or(Timestamp::MAX, |Reverse(pending)| pending.at);
        due.min(pending)
    }

    /// The next thing that leaves by `now`.
    pub fn pop(&mut self, now: Timestamp) -> Option<Departure> {
        // One tick at a time, and no more than it takes: where the world outruns the machine, a
        // call must not take longer than the one before.
        loop {
            let due = self.schedule.next_at();
            match self.pending.peek() {
                Some(Reverse(pending)) if pending.at <= now && pending.at < due => break,
                _ => {}
            }
            match self.schedule.pop(&self.world, now) {
                Some(tick) => self.tick(&tick),
                None => break,
            }
        }
        if self.pending.peek()?.0.at > now {
            return None;
        }
        self.pending.pop().map(|Reverse(Pending { at, to, sent, .. })| Departure { at, to, sent })
    }

    /// Gives a text back for reuse.
    pub fn recycle(&mut self, mut text: String) {
        if self.spare.len() < SPARE_KEPT {
            text.clear();
            self.spare.push(text);
        }
    }

    /// What was injected since the last call, in order.
    pub fn drain_truth(&mut self) -> std::vec::Drain<'_, TruthEntry> {
        self.truth.drain(..)
    }

    /// What a person should know about the faults of a run that ends at `end` and is not in the truth:
    /// those that never struck, and those that a correct verifier does not report.
    pub fn remarks(&self, end: Timestamp) -> Vec<String> {
        self.injector.remarks(end)
    }

    /// Whether any connection takes what is sent.
    pub fn set_heard(&mut self, heard: bool) {
        self.injector.set_heard(heard);
    }

    /// Whether a WebSocket handshake is accepted, and what is sent first; else the status of the
    /// refusal.
    pub fn handshake(&mut self, now: Timestamp, lane: Lane) -> Result<Vec<String>, u16> {
        self.prepare(now);
        if self.injector.refuses(now, &mut self.truth) {
            return Err(503);
        }
        let carried = |stream| lane.carries_stream(stream);
        let told = self.injector.history(&self.world, now, carried, &mut self.truth);
        Ok(told.iter().map(|tick| self.message(tick.stream, tick.k, now, &Edits::default())).collect())
    }

    /// Decides about what is due, so that both feeds know of it.
    fn prepare(&mut self, now: Timestamp) {
        if self.injector.is_idle() {
            return;
        }
        for _ in 0..PREPARED_AT_ONCE {
            let Some(tick) = self.schedule.pop(&self.world, now) else { return };
            self.tick(&tick);
        }
    }

    fn tick(&mut self, tick: &Tick) {
        match self.world.streams()[tick.stream].owner {
            Owner::Bar(symbol) if !self.world.traded(symbol, tick.k) => return,
            Owner::Heartbeat => return self.send_heartbeat(tick.at),
            Owner::Forming(symbol) => return self.send_forming(symbol, tick),
            _ => {}
        }
        if self.injector.is_idle() {
            let text = self.message(tick.stream, tick.k, tick.at, &Edits::default());
            return self.push(tick.at, of_stream(tick), Sent::Message(text));
        }
        let mut plan = std::mem::take(&mut self.plan);
        plan.clear();
        self.injector.plan(&self.world, tick, &mut plan, &mut self.truth);
        self.carry_out(tick, &mut plan);
        self.plan = plan;
    }

    fn carry_out(&mut self, tick: &Tick, plan: &mut Plan) {
        let shown = plan.shown.unwrap_or(tick.k);
        let is_pulse = self.world.streams()[tick.stream].owner == Owner::Pulse;
        if !plan.dropped && !is_pulse {
            self.injector.edit_positions(tick.stream, shown, &mut plan.edits);
            let mut text = self.message(tick.stream, shown, tick.at, &plan.edits);
            let sent = match plan.frame {
                Frame::Text => Sent::Message(text),
                Frame::Binary => Sent::Binary(text),
                Frame::Cut => {
                    text.truncate(text.len() / 2);
                    Sent::Broken(text)
                }
            };
            self.push(tick.at + plan.delay, of_stream(tick), sent);
        }
        for (after, extra) in &plan.extras {
            let at = tick.at + *after;
            let (to, sent) = self.extra(tick, at, *extra, &plan.edits);
            self.push(at, to, sent);
        }
    }

    fn extra(&mut self, tick: &Tick, at: Timestamp, extra: Extra, edits: &Edits) -> (Recipients, Sent) {
        let sent = match extra {
            Extra::Again => Sent::Message(self.message(tick.stream, tick.k, at, edits)),
            Extra::Older | Extra::Revised => Sent::Message(self.message(tick.stream, tick.k - 1, at, edits)),
            Extra::UnknownType => Sent::Message(UNKNOWN_TYPE.into()),
            Extra::UnknownStream => Sent::Message(self.stranger(tick)),
            Extra::Garbage => Sent::Broken(GARBAGE_TEXT.into()),
            Extra::GarbageBinary => Sent::Garbage(GARBAGE_BYTES),
            Extra::Oversize(which) => return (Recipients::One(which), Sent::Oversize),
            Extra::Close(which, ending) => return (Recipients::One(which), Sent::Close(ending)),
            Extra::Stall(which) => return (Recipients::One(which), Sent::Stall),
        };
        (of_stream(tick), sent)
    }

    fn push(&mut self, at: Timestamp, to: Recipients, sent: Sent) {
        self.order += 1;
        self.pending.push(Reverse(Pending { at, order: self.order, to, sent }));
    }

    fn send_heartbeat(&mut self, at: Timestamp) {
        let mut text = self.spare.pop().unwrap_or_default();
        text.push_str("{\"type\":\"heartbeat\",\"timestamp\":");
        write_time(&mut text, at);
        text.push('}');
        self.push(at, Recipients::All, Sent::Message(text));
    }

    fn send_forming(&mut self, symbol: usize, tick: &Tick) {
        let (minute, step) = (tick.k.div_euclid(STEPS_PER_MINUTE), tick.k.rem_euclid(STEPS_PER_MINUTE));
        if step == 0 || !self.world.traded(symbol, minute) {
            return;
        }
        let mut text = self.spare.pop().unwrap_or_default();
        open_message(&mut text, Feature::IntradayBar);
        let bar = self.world.bar(symbol, minute, step);
        write_bar(&mut text, self.world.symbol(symbol), &bar, plain(&Edits::default()));
        text.push('}');
        // With the closed bars of its symbol.
        let bars = self.world.streams_of(Feature::IntradayBar).start;
        self.push(tick.at, Recipients::One((bars + symbol) as u64), Sent::Message(text));
    }

    /// The message of a stream's version `k`.
    fn message(&mut self, stream: usize, k: i64, at: Timestamp, edits: &Edits) -> String {
        let mut out = self.spare.pop().unwrap_or_default();
        let Some(feature) = self.world.streams()[stream].feature() else { return out };
        open_message(&mut out, feature);
        match self.world.streams()[stream].owner {
            Owner::Balance(_) | Owner::Positions(_) => self.write_record(stream, k, &mut out, plain(edits)),
            Owner::Bar(symbol) => {
                let bar = self.closed_bar(stream, symbol, k, at);
                write_bar(&mut out, self.world.symbol(symbol), &bar, plain(edits));
            }
            Owner::Market(market) => {
                let mut record = self.world.market(market, k);
                self.injector.detour(stream, k, &mut record);
                write_market(&mut out, &record, plain(edits));
            }
            _ => {}
        }
        out.push('}');
        out
    }

    /// A balance or positions, from the text that was written before where that is the same.
    fn write_record(&mut self, stream: usize, k: i64, out: &mut String, style: Style<'_>) {
        if !style.is_plain() {
            return self.write_anew(stream, k, out, style);
        }
        if self.records[stream].text.is_empty() || self.records[stream].k != k {
            let mut text = std::mem::take(&mut self.records[stream].text);
            text.clear();
            self.write_anew(stream, k, &mut text, style);
            self.records[stream] = KeptRecord { k, text };
        }
        out.push_str(&self.records[stream].text);
    }

    fn write_anew(&self, stream: usize, k: i64, out: &mut String, style: Style<'_>) {
        match self.world.streams()[stream].owner {
            Owner::Balance(account) => write_balance(out, &self.world.balance(account, k), style),
            Owner::Positions(account) => self.write_positions(out, account, k, style),
            _ => {}
        }
    }

    /// A record of the tick's feature under a key that REST never shows.
    fn stranger(&self, tick: &Tick) -> String {
        let mut out = String::new();
        let (none, k) = (Edits::default(), tick.k);
        let stream = &self.world.streams()[tick.stream];
        open_message(&mut out, stream.feature().unwrap_or(Feature::AccountBalance));
        match stream.owner {
            Owner::Balance(account) => {
                let mut record = self.world.balance(account, k);
                record.account_id = STRANGER_ACCOUNT;
                write_balance(&mut out, &record, plain(&none));
            }
            Owner::Positions(account) => {
                let time = self.world.positions_time(account, k);
                write_positions(&mut out, STRANGER_ACCOUNT, time, std::iter::empty(), plain(&none));
            }
            Owner::Bar(symbol) => {
                let bar = self.world.bar(symbol, k, STEPS_PER_MINUTE);
                write_bar(&mut out, EXTRA_SYMBOL, &bar, plain(&none));
            }
            Owner::Market(market) => {
                let mut record = self.world.market(market, k);
                record.market_id = STRANGER_MARKET;
                write_market(&mut out, &record, plain(&none));
            }
            _ => {}
        }
        out.push('}');
        out
    }

    fn write_positions(&self, out: &mut String, account: usize, k: i64, style: Style<'_>) {
        let rows = (0..self.world.options().positions).map(|row| {
            let position = self.world.position(account, row, k);
            (self.world.symbol(position.symbol), position)
        });
        let time = self.world.positions_time(account, k);
        write_positions(out, self.world.account_id(account), time, rows, style);
    }

    fn closed_bar(&self, stream: usize, symbol: usize, minute: i64, at: Timestamp) -> Bar {
        let mut bar = self.world.bar(symbol, minute, STEPS_PER_MINUTE);
        if let Some(volume) = self.injector.revised_volume(stream, minute, at) {
            bar.volume = volume;
        }
        bar
    }
}

const UNKNOWN_TYPE: &str = r#"{"type":"debug_probe","data":{"note":"not in the contract"}}"#;
/// What a proxy says when it fails.
const GARBAGE_TEXT: &str = "<html><body>502 Bad Gateway</body></html>";
/// No UTF-8, so no text whatever the frame says.
const GARBAGE_BYTES: &[u8] = b"\x00\xff\xfe\x93NOT-JSON\x80";
const STRANGER_ACCOUNT: i64 = 999_001;
const STRANGER_MARKET: i64 = 99;

fn of_stream(tick: &Tick) -> Recipients {
    Recipients::One(tick.stream as u64)
}

/// The WebSocket's style.
fn plain(edits: &Edits) -> Style<'_> {
    Style { edits, decimal_strings: false }
}

fn open_message(out: &mut String, feature: Feature) {
    out.push_str("{\"type\":\"");
    out.push_str(feature.name());
    out.push_str("\",\"data\":");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Span;
    use serde_json::Value;

    fn start() -> Timestamp {
        Timestamp::parse_rfc3339("2025-12-19T14:30:00Z").unwrap()
    }

    fn origin(faults: &[&str]) -> Origin {
        let faults = faults.iter().map(|text| Fault::parse(text).unwrap()).collect();
        Origin::new(WorldOptions::default(), faults, start()).unwrap()
    }

    fn rest(origin: &mut Origin, feature: Feature, at: Timestamp) -> Value {
        let mut body = String::new();
        assert_eq!(origin.respond(feature, at, &mut body).status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Everything sent in a span, as text.
    fn sent(origin: &mut Origin, span: Span) -> Vec<(Timestamp, Sent)> {
        std::iter::from_fn(|| origin.pop(start() + span)).map(|left| (left.at, left.sent)).collect()
    }

    #[test]
    fn both_feeds_show_the_same_versions() {
        let mut origin = origin(&[]);
        let mut seen = [0; 4];
        while origin.next_at() < start() + Span::from_secs(300) {
            let now = origin.next_at();
            while let Some(Departure { at, sent: Sent::Message(text), .. }) = origin.pop(now) {
                let message: Value = serde_json::from_str(&text).unwrap();
                let feature = Feature::ALL.into_iter().find(|f| message["type"] == f.name());
                let Some(feature) = feature else { continue };
                let body = rest(&mut origin, feature, at + Span::from_millis(1));
                let records = body.as_object().unwrap().values().next().unwrap().as_array().unwrap();
                assert!(records.contains(&message["data"]), "{text}\n{body}");
                seen[feature as usize] += 1;
            }
        }
        // The first symbol's bar leaves on the minute itself: neither at the start nor at the end.
        assert_eq!(seen, [90, 90, 19, 150]);
    }

    #[test]
    fn messages_leave_in_order_and_on_time() {
        let mut origin = origin(&["late:every=3", "duplicate:every=4"]);
        let mut last = start();
        for (at, _) in sent(&mut origin, Span::from_secs(200)) {
            assert!(at >= last);
            last = at;
        }
        assert!(origin.next_at() > start() + Span::from_secs(200));
    }

    #[test]
    fn each_fault_leaves_its_mark_and_its_entry() {
        let session = Span::from_secs(5400);
        for class in super::super::fault::injectable() {
            let mut origin = origin(&[class.name()]);
            let mut body = String::new();
            let mut truth = Vec::new();
            let mut at = start();
            while at < start() + session {
                while origin.pop(at).is_some() {}
                for feature in Feature::ALL {
                    origin.respond(feature, at, &mut body);
                }
                let _ = origin.handshake(at, Lane::ONLY);
                truth.extend(origin.drain_truth());
                at += Span::from_millis(9_700);
            }
            assert!(!truth.is_empty(), "{class}");
            assert!(truth.iter().all(|entry| entry.class == class), "{class}");
            for entry in &truth {
                assert!(serde_json::from_str::<Value>(&entry.to_json()).is_ok());
            }
        }
    }

    #[test]
    fn a_struck_value_is_the_only_thing_that_differs() {
        let (mut clean, mut struck) =
            (origin(&[]), origin(&["value_mismatch:feature=positions,field=pnl,every=5"]));
        let span = Span::from_secs(300);
        let (clean, spoilt) = (sent(&mut clean, span), sent(&mut struck, span));
        assert_eq!(clean.len(), spoilt.len());
        let differing: Vec<_> = clean.iter().zip(&spoilt).filter(|(a, b)| a != b).collect();
        let truth: Vec<_> = struck.drain_truth().collect();
        assert_eq!(differing.len(), truth.len());
        assert!(truth.len() > 10);
        for ((_, (at, sent)), entry) in differing.iter().zip(&truth) {
            assert_eq!(*at, entry.at);
            let Sent::Message(text) = sent else { panic!("{sent:?}") };
            assert!(text.contains("\"positions\"") && text.contains(&entry.row["symbol=".len()..]));
            assert_eq!((&*entry.feature, &*entry.field), ("positions", "pnl"));
        }
    }

    #[test]
    fn a_dropped_message_is_missing_and_its_neighbours_are_not() {
        let (mut clean, mut struck) = (origin(&[]), origin(&["gap:stream=account_id=234,at=60s"]));
        let span = Span::from_secs(200);
        assert_eq!(sent(&mut clean, span).len(), sent(&mut struck, span).len() + 1);
        let truth: Vec<_> = struck.drain_truth().collect();
        assert_eq!(truth.len(), 1);
        assert!(truth[0].at >= start() + Span::from_secs(60));
        assert_eq!(truth[0].stream, "account_id=234");
    }

    #[test]
    fn a_stream_that_is_not_there_is_refused() {
        let fault = Fault::parse("gap:stream=account_id=7").unwrap();
        let error = Origin::new(WorldOptions::default(), vec![fault], start()).unwrap_err();
        assert!(error.to_string().contains("known: account_id=123"), "{error}");
    }
}
