//! Whether what both sides say of a market agrees with its calendar (`calendar_mismatch`).
//!
//! Judged is only what the contract declares, and only where the calendar had one state for as long as the
//! status may be old: an interval and a settle. Breaks within a session, values that the contract does not
//! name, and time beyond the horizon are never judged. While a stream is wrong on either side, that is one
//! episode and one finding, told once both sides were heard, or when it ends.

use super::compare::Side;
use super::content::Content;
use super::ledger::{Draft, Ledger};
use crate::calendar::{CalendarRule, MarketState};
use crate::contract::Feature;
use crate::model::json::Kind;
use crate::model::{Class, Span, Timestamp};
use std::sync::Arc;

#[derive(Debug, Clone, Default)]
pub struct MarketWatch {
    /// By the stream's number.
    streams: Vec<Watched>,
}

#[derive(Debug, Clone, Default)]
struct Watched {
    /// Whether the present status is wrong: REST, WebSocket.
    wrong: [bool; 2],
    episode: Option<Episode>,
}

#[derive(Debug, Clone)]
struct Episode {
    began: Timestamp,
    label: Arc<str>,
    /// What a side said wrongly, first; empty where it was right.
    said: [String; 2],
    heard: [bool; 2],
    detail: String,
    told: bool,
}

/// A status as one side showed it.
#[derive(Debug)]
pub struct Shown<'s> {
    pub stream: usize,
    pub label: &'s Arc<str>,
    pub side: Side,
    pub content: &'s Content,
    /// It was formed no earlier than the request was sent, less what it may be old, and no later than it came.
    pub from: Timestamp,
    pub at: Timestamp,
}

impl MarketWatch {
    pub fn shown(
        &mut self,
        index: usize,
        feature: &Feature,
        settle: Span,
        shown: &Shown<'_>,
        ledger: &mut Ledger,
    ) {
        let Some(rule) = &feature.market else { return };
        let calendar: &CalendarRule =
            match rule.calendars.iter().find(|(stream, _)| **stream == **shown.label) {
                Some((_, calendar)) => calendar,
                None if rule.calendars.is_empty() => &feature.calendar,
                None => return,
            };
        if shown.content.kind(rule.column) != Kind::String {
            return;
        }
        let status = shown.content.scalar(rule.column);
        let says = |values: &[String]| values.iter().any(|value| **value == *status);
        let claimed = match (says(&rule.open), says(&rule.closed)) {
            (true, _) => MarketState::Open,
            (_, true) => MarketState::Closed,
            _ => return,
        };
        // The status may be as old as that; the clocks of both ends may differ by as much.
        let slack = feature.interval + settle;
        let state = calendar.throughout(shown.from - slack, shown.at + settle);
        if state == MarketState::Unknown {
            return;
        }
        self.streams.resize_with(self.streams.len().max(shown.stream + 1), Watched::default);
        let watched = &mut self.streams[shown.stream];
        let side = shown.side as usize;
        watched.wrong[side] = state != claimed;
        if watched.wrong[side] && watched.episode.is_none() {
            watched.episode = Some(Episode {
                began: shown.at,
                label: shown.label.clone(),
                said: Default::default(),
                heard: [false; 2],
                detail: detail(calendar, state, shown.at),
                told: false,
            });
        }
        let Some(episode) = &mut watched.episode else { return };
        episode.heard[side] = true;
        if watched.wrong[side] && episode.said[side].is_empty() {
            episode.said[side] = status.into_owned();
        }
        let over = watched.wrong == [false; 2];
        if over || episode.heard == [true; 2] {
            episode.tell(index, feature, ledger);
        }
        if over {
            watched.episode = None;
        }
    }

    /// A run ended: what is still open is told, and the next run begins anew.
    pub fn end(&mut self, index: usize, feature: &Feature, ledger: &mut Ledger) {
        for watched in std::mem::take(&mut self.streams) {
            if let Some(mut episode) = watched.episode {
                episode.tell(index, feature, ledger);
            }
        }
    }
}

impl Episode {
    fn tell(&mut self, index: usize, feature: &Feature, ledger: &mut Ledger) {
        if std::mem::replace(&mut self.told, true) {
            return;
        }
        let mut draft = Draft::new(Class::CalendarMismatch, &self.label, self.began);
        if let Some(rule) = &feature.market {
            draft.field.clone_from(&feature.fields[rule.column].name);
        }
        [draft.rest, draft.ws] = std::mem::take(&mut self.said);
        draft.detail = std::mem::take(&mut self.detail);
        ledger.add(index, draft, || (String::new(), String::new()));
    }
}

/// `XNYS is closed until 2025-12-22T14:30:00Z`
fn detail(calendar: &CalendarRule, state: MarketState, at: Timestamp) -> String {
    let is = if state == MarketState::Open { "open" } else { "closed" };
    match calendar.next_event(at) {
        Some((until, _)) => format!("{} is {is} until {until}", calendar.name),
        None => format!("{} is {is}", calendar.name),
    }
}
