//! The origin: the world as a server shows it, faults included. Says when the next message is due,
//! hands out what is sent, answers REST requests, all by the world's clock.
//!
//! The same origin stands behind a real port (`server`) and behind the simulated network
//! (`simulate`). It opens nothing and waits for nothing. Calls must come in order of time.

use super::body::{
    EXTRA_SYMBOL, Edits, Style, write_balance, write_bar, write_market, write_positions, write_time,
};
use super::fault::{Fault, FaultError};
use super::feature::Feature;
use super::inject::{Extra, Injector, Plan, Tick};
use super::truth::TruthEntry;
use super::world::{Bar, Owner, STEPS_PER_MINUTE, World, WorldOptions};
use crate::model::Timestamp;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// What leaves the server's WebSocket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    Message(String),
    /// A message that was cut in the middle: no JSON.
    Cut(String),
    /// All connections close: with a code, or without a close frame.
    Close(Option<u16>),
    /// All open connections fall silent and stay open.
    Stall,
}

#[derive(Debug)]
struct Pending {
    at: Timestamp,
    /// Keeps the order of what leaves at one instant.
    order: u64,
    sent: Sent,
}

impl PartialEq for Pending {
    fn eq(&self, other: &Pending) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Pending {}
impl PartialOrd for Pending {
    fn partial_cmp(&self, other: &Pending) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Pending {
    fn cmp(&self, other: &Pending) -> Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
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
    /// The next tick of each stream.
    schedule: BinaryHeap<Reverse<(Timestamp, usize, i64)>>,
    pending: BinaryHeap<Reverse<Pending>>,
    order: u64,
    plan: Plan,
    truth: Vec<TruthEntry>,
    requests: i64,
    spare: Vec<String>,
    /// Of each symbol, by minute: what REST showed last.
    bars: Vec<[KeptBar; BARS_KEPT]>,
}

impl Origin {
    /// A world that starts to send after `start`, and faults counted from there.
    pub fn new(options: WorldOptions, faults: Vec<Fault>, start: Timestamp) -> Result<Origin, FaultError> {
        let mut world = World::new(options);
        let injector = Injector::new(faults, &mut world, start)?;
        let schedule = (0..world.streams().len())
            .map(|stream| {
                let k = world.first_tick_after(stream, start);
                Reverse((world.due(stream, k), stream, k))
            })
            .collect();
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
            bars,
        })
    }

    pub fn world(&self) -> &World {
        &self.world
    }

    /// Before this instant nothing leaves; at it, something may.
    pub fn next_at(&self) -> Timestamp {
        let due = self.schedule.peek().map_or(Timestamp::MAX, |Reverse((at, ..))| *at);
        let pending = self.pending.peek().map_or(Timestamp::MAX, |Reverse(pending)| pending.at);
        due.min(pending)
    }

    /// The next thing that leaves by `now`, and when it left.
    pub fn pop(&mut self, now: Timestamp) -> Option<(Timestamp, Sent)> {
        // One tick at a time, and no more than it takes: where the world outruns the machine, a
        // call must not take longer than the one before.
        loop {
            let due = self.schedule.peek().map_or(Timestamp::MAX, |Reverse((at, ..))| *at);
            match self.pending.peek() {
                Some(Reverse(pending)) if pending.at <= now && pending.at < due => break,
                _ => {}
            }
            match self.next_tick(now) {
                Some(tick) => self.tick(&tick),
                None => break,
            }
        }
        if self.pending.peek()?.0.at > now {
            return None;
        }
        self.pending.pop().map(|Reverse(pending)| (pending.at, pending.sent))
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

    /// Whether a WebSocket handshake is accepted; else the status of the refusal.
    pub fn handshake(&mut self, now: Timestamp) -> Result<(), u16> {
        self.prepare(now);
        if self.injector.refuses(now, &mut self.truth) { Err(503) } else { Ok(()) }
    }

    /// Decides about what is due, so that both feeds know of it.
    fn prepare(&mut self, now: Timestamp) {
        if self.injector.is_idle() {
            return;
        }
        for _ in 0..PREPARED_AT_ONCE {
            let Some(tick) = self.next_tick(now) else { return };
            self.tick(&tick);
        }
    }

    fn next_tick(&mut self, now: Timestamp) -> Option<Tick> {
        let Reverse((at, stream, k)) = *self.schedule.peek()?;
        if at > now {
            return None;
        }
        let mut next = self.schedule.peek_mut()?;
        *next = Reverse((self.world.due(stream, k + 1), stream, k + 1));
        Some(Tick { stream, k, at })
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
            return self.push(tick.at, Sent::Message(text));
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
            let sent = if plan.truncated {
                text.truncate(text.len() / 2);
                Sent::Cut(text)
            } else {
                Sent::Message(text)
            };
            self.push(tick.at + plan.delay, sent);
        }
        for (after, extra) in &plan.extras {
            let at = tick.at + *after;
            let sent = match extra {
                Extra::Again => Sent::Message(self.message(tick.stream, tick.k, at, &plan.edits)),
                Extra::Older => Sent::Message(self.message(tick.stream, tick.k - 1, at, &plan.edits)),
                Extra::Revised => Sent::Message(self.message(tick.stream, tick.k - 1, at, &plan.edits)),
                Extra::UnknownType => {
                    Sent::Message(r#"{"type":"debug_probe","data":{"note":"not in the contract"}}"#.into())
                }
                Extra::UnknownStream => Sent::Message(self.stranger(tick)),
                Extra::Close(code) => Sent::Close(*code),
                Extra::Stall => Sent::Stall,
            };
            self.push(at, sent);
        }
    }

    fn push(&mut self, at: Timestamp, sent: Sent) {
        self.order += 1;
        self.pending.push(Reverse(Pending { at, order: self.order, sent }));
    }

    fn send_heartbeat(&mut self, at: Timestamp) {
        let mut text = self.spare.pop().unwrap_or_default();
        text.push_str("{\"type\":\"heartbeat\",\"timestamp\":");
        write_time(&mut text, at);
        text.push('}');
        self.push(at, Sent::Message(text));
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
        self.push(tick.at, Sent::Message(text));
    }

    /// The message of a stream's version `k`.
    fn message(&mut self, stream: usize, k: i64, at: Timestamp, edits: &Edits) -> String {
        let mut out = self.spare.pop().unwrap_or_default();
        let Some(feature) = self.world.streams()[stream].feature() else { return out };
        open_message(&mut out, feature);
        match self.world.streams()[stream].owner {
            Owner::Balance(account) => write_balance(&mut out, &self.world.balance(account, k), plain(edits)),
            Owner::Positions(account) => self.write_positions(&mut out, account, k, plain(edits)),
            Owner::Bar(symbol) => {
                let bar = self.closed_bar(stream, symbol, k, at);
                write_bar(&mut out, self.world.symbol(symbol), &bar, plain(edits));
            }
            Owner::Market(market) => write_market(&mut out, &self.world.market(market, k), plain(edits)),
            _ => {}
        }
        out.push('}');
        out
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
        write_positions(out, self.world.balance(account, k).account_id, time, rows, style);
    }

    fn closed_bar(&self, stream: usize, symbol: usize, minute: i64, at: Timestamp) -> Bar {
        let mut bar = self.world.bar(symbol, minute, STEPS_PER_MINUTE);
        if let Some(volume) = self.injector.revised_volume(stream, minute, at) {
            bar.volume = volume;
        }
        bar
    }

    /// Answers `GET path` of a feature at `now`: the body into `out`, the status as the result.
    pub fn respond(&mut self, feature: Feature, now: Timestamp, out: &mut String) -> u16 {
        self.prepare(now);
        self.requests += 1;
        out.clear();
        let requests = self.requests;
        if !self.injector.is_idle()
            && let Some(status) =
                self.injector.rest_error(&self.world, feature, requests, now, &mut self.truth)
        {
            out.push_str("{\"error\":\"injected\"}");
            return status;
        }
        let list = match feature {
            Feature::AccountBalance | Feature::Positions => "accounts",
            Feature::IntradayBar => "bars",
            Feature::MarketStatus => "markets",
        };
        out.push_str("{\"");
        out.push_str(list);
        out.push_str("\":[");
        let empty = out.len();
        for stream in self.world.streams_of(feature) {
            if out.len() > empty {
                out.push(',');
            }
            self.write_rest(stream, now, out);
        }
        if out.ends_with(',') {
            out.pop();
        }
        out.push_str("]}");
        200
    }

    /// A stream's record (a symbol's bars) as REST shows it.
    fn write_rest(&mut self, stream: usize, now: Timestamp, out: &mut String) {
        let entry = &self.world.streams()[stream];
        let owner = entry.owner;
        if let Owner::Bar(symbol) = owner {
            return self.write_rest_bars(stream, symbol, now, out);
        }
        let k = entry.grid.version_at(now);
        let lags = !self.injector.is_idle()
            && self.injector.rest_lags(&self.world, &Tick { stream, k, at: now }, &mut self.truth);
        let shown = if lags { k - 1 } else { k };
        let mut edits = Edits::default();
        self.injector.edit_positions(stream, shown, &mut edits);
        let style = Style { edits: &edits, decimal_strings: self.world.options().rest_decimal_strings };
        match owner {
            Owner::Balance(account) => write_balance(out, &self.world.balance(account, shown), style),
            Owner::Positions(account) => self.write_positions(out, account, shown, style),
            Owner::Market(market) => {
                let mut record = self.world.market(market, k);
                if self.world.options().live_markets {
                    record = self.world.market_at(market, now);
                }
                if lags {
                    // A torn read: the state of one version, the countdown of the other.
                    record.status = self.world.market(market, shown).status;
                }
                write_market(out, &record, style);
            }
            _ => {}
        }
    }

    /// The forming bar and the last closed ones, newest first; nothing where nothing traded.
    fn write_rest_bars(&mut self, stream: usize, symbol: usize, now: Timestamp, out: &mut String) {
        let (minute, step) = self.world.forming_at(symbol, now);
        if self.world.traded(symbol, minute) {
            self.write_rest_bar(stream, symbol, (minute, step), now, out);
            out.push(',');
        }
        for closed in self.world.closed_before(symbol, minute).into_iter().flatten() {
            self.write_rest_bar(stream, symbol, (closed, STEPS_PER_MINUTE), now, out);
            out.push(',');
        }
        if out.ends_with(',') {
            out.pop();
        }
    }

    /// From the text of an earlier answer where the bar has not changed since.
    fn write_rest_bar(
        &mut self,
        stream: usize,
        symbol: usize,
        (minute, step): (i64, i64),
        now: Timestamp,
        out: &mut String,
    ) {
        let revised = self.injector.revised_volume(stream, minute, now);
        let kept = &mut self.bars[symbol][minute as usize & (BARS_KEPT - 1)];
        if kept.text.is_empty() || kept.minute != minute || kept.step != step || kept.revised != revised {
            let mut bar = self.world.bar(symbol, minute, step);
            bar.volume = revised.unwrap_or(bar.volume);
            (kept.minute, kept.step, kept.revised) = (minute, step, revised);
            kept.text.clear();
            let none = Edits::default();
            let style = Style { edits: &none, decimal_strings: self.world.options().rest_decimal_strings };
            write_bar(&mut kept.text, self.world.symbol(symbol), &bar, style);
        }
        out.push_str(&kept.text);
    }
}

const STRANGER_ACCOUNT: i64 = 999_001;
const STRANGER_MARKET: i64 = 99;

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
        assert_eq!(origin.respond(feature, at, &mut body), 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Everything sent in a span, as text.
    fn sent(origin: &mut Origin, span: Span) -> Vec<(Timestamp, Sent)> {
        std::iter::from_fn(|| origin.pop(start() + span)).collect()
    }

    #[test]
    fn both_feeds_show_the_same_versions() {
        let mut origin = origin(&[]);
        let mut seen = [0; 4];
        while origin.next_at() < start() + Span::from_secs(300) {
            let now = origin.next_at();
            while let Some((at, Sent::Message(text))) = origin.pop(now) {
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
                let _ = origin.handshake(at);
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
