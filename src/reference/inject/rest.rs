//! Faults of REST: answers that fail, hang or take long; records that lag or mix two versions.

use super::{Injector, Override, Tick};
use crate::model::{Class, Span, Timestamp};
use crate::reference::body::Edits;
use crate::reference::fault::{By, Manner};
use crate::reference::feature::Feature;
use crate::reference::spoil;
use crate::reference::truth::TruthEntry;
use crate::reference::world::{Owner, World};

const SLOW: Span = Span::from_millis(1500);
/// What a limited client is asked to wait, in seconds.
const RETRY_AFTER_S: u32 = 5;

/// A request that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    Status(u16, Option<u32>),
    /// No answer ever comes.
    Hangs,
}

impl Injector {
    /// How a request fails, if it is struck.
    pub fn rest_failure(
        &mut self,
        world: &World,
        feature: Feature,
        request: i64,
        at: Timestamp,
        truth: &mut Vec<TruthEntry>,
    ) -> Option<Failure> {
        let tick = Tick { stream: world.streams_of(feature).start, k: request, at };
        for armed in &mut self.armed {
            let failure = match (armed.fault.manner, armed.fault.class) {
                (Manner::HangingRest, _) => Failure::Hangs,
                (Manner::RateLimited, _) => Failure::Status(429, Some(RETRY_AFTER_S)),
                (_, Some(Class::RestError)) => Failure::Status(armed.fault.code.unwrap_or(503), None),
                _ => continue,
            };
            if armed.strike(&tick, Some(feature), self.start).is_none() {
                continue;
            }
            armed.struck(&tick);
            let detail = match failure {
                Failure::Status(status, None) => format!("status {status}"),
                Failure::Status(status, Some(wait_s)) => format!("status {status}, retry after {wait_s}s"),
                Failure::Hangs => "no answer".to_owned(),
            };
            let feature = feature.name();
            truth.push(TruthEntry { feature, detail, ..TruthEntry::new(Class::RestError, at) });
            return Some(failure);
        }
        None
    }

    /// How much longer an answer takes. No verifier can tell; the ledger has no entry.
    pub fn rest_delay(&mut self, world: &World, feature: Feature, request: i64, at: Timestamp) -> Span {
        let tick = Tick { stream: world.streams_of(feature).start, k: request, at };
        for armed in self.armed.iter_mut().filter(|armed| armed.fault.manner == Manner::SlowRest) {
            if armed.strike(&tick, Some(feature), self.start).is_some() {
                armed.struck(&tick);
                return match armed.fault.by {
                    Some(By::Length(length)) => length,
                    _ => SLOW,
                };
            }
        }
        Span::ZERO
    }

    /// Whether REST shows the version before the one that lives: once in each pause.
    pub fn rest_lags(&mut self, world: &World, tick: &Tick, truth: &mut Vec<TruthEntry>) -> bool {
        let lagging = self.overrides.iter_mut().find_map(|change| match change {
            Override::Pause { stream, from_k, to_k, armed, told }
                if !*told && *stream == tick.stream && (*from_k..*to_k).contains(&tick.k) =>
            {
                *told = true;
                Some((*armed, *from_k - 2))
            }
            _ => None,
        });
        let Some((index, k)) = lagging else { return false };
        let mut entry = self.entry(index, world, &Tick { k, ..*tick });
        entry.detail = "REST showed the version before".into();
        truth.push(entry);
        true
    }

    /// Whether REST shows a market's state of before its detour beside the countdown of it.
    pub fn rest_tears(&mut self, world: &World, tick: &Tick, truth: &mut Vec<TruthEntry>) -> bool {
        let torn = self.overrides.iter_mut().find_map(|change| match change {
            Override::Detour { stream, from_k, armed, torn, .. }
                if !*torn && (*stream, *from_k) == (tick.stream, tick.k) =>
            {
                *torn = true;
                Some(*armed)
            }
            _ => None,
        });
        let Some(index) = torn else { return false };
        let mut entry = self.entry(index, world, tick);
        (entry.field, entry.detail) = ("status", "REST mixed two versions".into());
        truth.push(entry);
        true
    }

    /// What REST mixes into a version from the one before. A version is shown alike by every answer.
    pub fn rest_mixes(&mut self, world: &World, tick: &Tick, edits: &mut Edits, truth: &mut Vec<TruthEntry>) {
        let owner = world.streams()[tick.stream].owner;
        if !matches!(owner, Owner::Balance(_) | Owner::Positions(_)) {
            return;
        }
        let feature = world.streams()[tick.stream].feature();
        for index in 0..self.armed.len() {
            let armed = &mut self.armed[index];
            if armed.fault.manner != Manner::MixedVersions {
                continue;
            }
            let again = armed.was_struck(tick.stream, tick.k);
            if !again && (!armed.is_first_asked(tick) || armed.strike(tick, feature, self.start).is_none()) {
                continue;
            }
            let row = armed.row(world, tick).filter(|_| matches!(owner, Owner::Positions(_)));
            let before = Tick { k: tick.k - 1, ..*tick };
            let mixed = spoil::differing(world, tick, &before, row)
                .into_iter()
                .filter(|(field, _)| row.is_some() || field.name == "buying_power");
            let mut any = false;
            for (field, value) in mixed {
                any = true;
                spoil::edit(edits, row, field, value, world.options().rest_decimal_strings);
                if !again {
                    let mut entry = self.entry(index, world, tick);
                    entry.field = field.name;
                    entry.row = row.map_or(String::new(), |row| spoil::row_name(world, tick, row));
                    entry.detail = "REST mixed it in from the version before".into();
                    truth.push(entry);
                }
            }
            if any && !again {
                self.armed[index].struck(tick);
            }
            return;
        }
    }
}
