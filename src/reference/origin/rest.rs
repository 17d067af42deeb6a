//! How the origin answers REST: bodies from the texts that were written before where they still hold.

use super::{BARS_KEPT, Origin};
use crate::model::{Span, Timestamp};
use crate::reference::body::{Edits, Style, write_bar, write_market};
use crate::reference::feature::Feature;
use crate::reference::inject::{Failure, Tick};
use crate::reference::world::{Owner, STEPS_PER_MINUTE};

/// How a REST request is answered; its body is told beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub retry_after_s: Option<u32>,
    /// The answer leaves so much later than it was formed.
    pub delay: Span,
    /// No answer ever leaves.
    pub hangs: bool,
}

impl Origin {
    /// Answers `GET path` of a feature at `now`: the body into `out`.
    pub fn respond(&mut self, feature: Feature, now: Timestamp, out: &mut String) -> Answer {
        self.prepare(now);
        self.requests += 1;
        out.clear();
        let mut answer = Answer { status: 200, retry_after_s: None, delay: Span::ZERO, hangs: false };
        if !self.injector.is_idle() {
            let (requests, truth) = (self.requests, &mut self.truth);
            match self.injector.rest_failure(&self.world, feature, requests, now, truth) {
                Some(Failure::Status(status, retry_after_s)) => {
                    out.push_str("{\"error\":\"injected\"}");
                    return Answer { status, retry_after_s, ..answer };
                }
                Some(Failure::Hangs) => return Answer { hangs: true, ..answer },
                None => answer.delay = self.injector.rest_delay(&self.world, feature, requests, now),
            }
        }
        self.write_body(feature, now, out);
        answer
    }

    fn write_body(&mut self, feature: Feature, now: Timestamp, out: &mut String) {
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
    }

    /// A stream's record (a symbol's bars) as REST shows it.
    fn write_rest(&mut self, stream: usize, now: Timestamp, out: &mut String) {
        let entry = &self.world.streams()[stream];
        let owner = entry.owner;
        if let Owner::Bar(symbol) = owner {
            return self.write_rest_bars(stream, symbol, now, out);
        }
        let mut k = entry.grid.version_at(now);
        let mut edits = Edits::default();
        let (mut lags, mut tears) = (false, false);
        if !self.injector.is_idle() {
            let tick = Tick { stream, k, at: now };
            match owner {
                Owner::Market(_) => tears = self.injector.rest_tears(&self.world, &tick, &mut self.truth),
                _ => lags = self.injector.rest_lags(&self.world, &tick, &mut self.truth),
            }
            k = self.injector.born_before(stream, k) - i64::from(lags);
            self.injector.edit_positions(stream, k, &mut edits);
            if !lags {
                let tick = Tick { k, ..tick };
                self.injector.rest_mixes(&self.world, &tick, &mut edits, &mut self.truth);
            }
        }
        let style = Style { edits: &edits, decimal_strings: self.world.options().rest_decimal_strings };
        match owner {
            Owner::Balance(_) | Owner::Positions(_) => {
                self.write_record(stream, k, out, style);
            }
            Owner::Market(market) => {
                let mut record = match self.world.options().live_markets {
                    true => self.world.market_at(market, now),
                    false => self.world.market(market, k),
                };
                self.injector.detour(stream, k, &mut record);
                if tears {
                    // The state of one version, the countdown of the other.
                    record.status = self.world.market(market, k - 1).status;
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
