//! Which message or answer each fault strikes; every strike is entered in the truth. Seeded and
//! counted in order, so the same world is struck in the same places.
//!
//! Writes no JSON bodies and sends nothing: `origin` carries the plans out.

mod armed;
mod connection;
mod message;
mod pace;
mod rest;

pub use rest::Failure;

use super::body::{Edits, FieldEdit};
use super::fault::{Fault, FaultError, Manner, Place};
use super::feature::Feature;
use super::spoil::raw_cents;
use super::truth::TruthEntry;
use super::world::{Market, Owner, STATUSES, World};
use crate::model::{Class, Span, Timestamp};
use armed::{Armed, Strike, matching};
use connection::Relapse;
use std::collections::VecDeque;

/// Version `k` of a stream is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tick {
    pub stream: usize,
    pub k: i64,
    pub at: Timestamp,
}

/// What is to be done with one due message.
#[derive(Debug, Default)]
pub struct Plan {
    pub edits: Edits,
    pub dropped: bool,
    pub frame: Frame,
    pub delay: Span,
    /// Another version in place of the due one.
    pub shown: Option<i64>,
    pub extras: Vec<(Span, Extra)>,
}

/// How the due message is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Frame {
    #[default]
    Text,
    Binary,
    /// Cut in the middle.
    Cut,
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// With a close frame.
    Code(u16),
    /// Without one.
    Plain,
    /// By a TCP reset.
    Reset,
}

/// Something sent beside a message, some time after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extra {
    Again,
    Older,
    UnknownType,
    UnknownStream,
    /// The bar before the due one, changed.
    Revised,
    Garbage,
    GarbageBinary,
    /// On the connection that the number chooses, as the following.
    Oversize(u64),
    Close(u64, Ending),
    Stall(u64),
}

impl Plan {
    pub fn clear(&mut self) {
        self.edits.clear();
        self.extras.clear();
        (self.dropped, self.frame, self.delay, self.shown) = (false, Frame::Text, Span::ZERO, None);
    }
}

/// What both feeds show differently, whatever the question.
#[derive(Debug, Clone, Copy)]
enum Override {
    /// A row's sum is wrong in one version.
    Pnl { stream: usize, k: i64, row: usize, cents: i64 },
    /// A closed bar's volume changed at an instant.
    Volume { stream: usize, minute: i64, from: Timestamp, volume: i64 },
    /// No version is born for a while, so that a stale answer lies well inside the life of the last
    /// one, however polls and versions are timed. REST is stale once in it.
    Pause { stream: usize, from_k: i64, to_k: i64, armed: usize, told: bool },
    /// A market's state and countdown are others in some versions; REST tears the first of them.
    Detour { stream: usize, from_k: i64, to_k: i64, armed: usize, torn: bool },
}

/// Overrides are kept this many deep: far more than REST still shows.
const OVERRIDES_KEPT: usize = 256;
/// Different faults leave so many versions of a stream between them.
const APART_VERSIONS: i64 = 3;
/// A pause lasts so many versions: the first poll in it is past the settle, the version after it far.
const PAUSE_VERSIONS: i64 = 2;
/// A market's detour lasts so many versions, and moves its next event by so much.
const DETOUR_VERSIONS: i64 = 4;
const DETOUR_SECONDS: i64 = 1800;

#[derive(Debug)]
pub struct Injector {
    armed: Vec<Armed>,
    start: Timestamp,
    overrides: VecDeque<Override>,
    relapses: Vec<Relapse>,
    heard: bool,
}

impl Injector {
    /// Takes the faults, and changes the pace of the world's streams where they ask for it.
    pub fn new(faults: Vec<Fault>, world: &mut World, start: Timestamp) -> Result<Injector, FaultError> {
        if faults.iter().any(|fault| fault.place == Place::Connection) {
            world.add_pulse(start);
        }
        let mut armed = Vec::new();
        for (index, fault) in faults.into_iter().enumerate() {
            let streams = matching(&fault, world)?;
            if fault.place == Place::Pace {
                pace::set_pace(&fault, &streams, world, start);
            }
            armed.push(Armed::new(fault, index, streams, world));
        }
        Ok(Injector { armed, start, overrides: VecDeque::new(), relapses: Vec::new(), heard: true })
    }

    /// Whether anybody listens: what nobody hears is no fault of a message, and not in the truth.
    pub fn set_heard(&mut self, heard: bool) {
        self.heard = heard;
    }

    /// Whether another fault than this one has the stream's messages, or has struck one shortly before: what
    /// follows from either could not be told from the other.
    fn is_anothers(&self, index: usize, tick: &Tick) -> bool {
        let others = self.armed.iter().enumerate().filter(|(other, _)| *other != index);
        others.into_iter().any(|(_, other)| {
            other.has_episode(tick) || (1..=APART_VERSIONS).any(|n| other.was_struck(tick.stream, tick.k - n))
        })
    }

    pub fn is_idle(&self) -> bool {
        self.armed.is_empty()
    }

    /// Faults that never struck in a run that ends at `end`, and those that are in no ledger.
    pub fn remarks(&self, end: Timestamp) -> Vec<String> {
        let remark = |armed: &Armed| {
            let (fault, strikes) = (&armed.fault, armed.strikes);
            let begin = fault.at.map_or(self.start, |at| at.resolve(self.start));
            let why = match (strikes, fault.class) {
                (0, _) if begin >= end => format!("never struck: it begins at {begin}, after the run's end"),
                (0, _) => "never struck: nothing came that it fits; try a longer run, another seed or \
                           a higher rate"
                    .to_owned(),
                (_, None) if fault.place == Place::Clock => "is not in the truth: a correct verifier \
                                                             stays silent"
                    .to_owned(),
                (_, None) => {
                    format!("struck {strikes} times and is not in the truth: a correct verifier stays silent")
                }
                _ => return None,
            };
            Some(format!("fault `{}` {why}", fault.text))
        };
        self.armed.iter().filter_map(remark).collect()
    }

    /// Plans what becomes of a due message. The first fault that strikes it has it alone, so that a
    /// cause can be told from its effect.
    pub fn plan(&mut self, world: &World, tick: &Tick, plan: &mut Plan, truth: &mut Vec<TruthEntry>) {
        let entry = &world.streams()[tick.stream];
        let feature = entry.feature();
        if self.born_before(tick.stream, tick.k) != tick.k {
            plan.dropped = true;
            return;
        }
        for index in 0..self.armed.len() {
            match self.armed[index].fault.place {
                Place::Message | Place::Both if feature.is_some() => {}
                Place::Connection if entry.owner == Owner::Pulse => {}
                Place::Pace => {
                    self.announce_pace(index, world, tick, truth);
                    continue;
                }
                _ => continue,
            }
            if !self.heard || feature.is_some() && self.is_anothers(index, tick) {
                continue;
            }
            let Some(strike) = self.armed[index].strike(tick, feature, self.start) else { continue };
            let before = truth.len();
            let done = match feature {
                Some(feature) => self.strike_message(index, world, tick, feature, strike, plan, truth),
                None => self.strike_connection(index, tick, strike, plan, truth),
            };
            if done.is_none() {
                truth.truncate(before);
                continue;
            }
            self.armed[index].struck(tick);
            if !(strike.fresh || counts_each(&self.armed[index].fault, feature)) {
                truth.truncate(before);
            }
            return;
        }
    }

    /// An entry about a version of a stream.
    fn entry(&self, index: usize, world: &World, tick: &Tick) -> TruthEntry {
        let stream = &world.streams()[tick.stream];
        let class = self.armed[index].fault.class.unwrap_or(Class::ValueMismatch);
        TruthEntry {
            feature: stream.feature().map_or("", Feature::name).into(),
            stream: stream.name.clone(),
            event_time: world.event_time(tick.stream, tick.k),
            ..TruthEntry::new(class, tick.at)
        }
    }

    fn keep(&mut self, change: Override) {
        if self.overrides.len() == OVERRIDES_KEPT {
            self.overrides.pop_front();
        }
        self.overrides.push_back(change);
    }

    /// Adds what both feeds show differently in a version of positions.
    pub fn edit_positions(&self, stream: usize, k: i64, edits: &mut Edits) {
        for change in &self.overrides {
            if let Override::Pnl { stream: s, k: version, row, cents } = change
                && (*s, *version) == (stream, k)
            {
                edits.fields.push(FieldEdit { row: Some(*row), name: "pnl", raw: Some(raw_cents(*cents)) });
            }
        }
    }

    /// The version that lives when `k` would: itself, or where a pause holds it up the one before that.
    pub fn born_before(&self, stream: usize, k: i64) -> i64 {
        let paused = self.overrides.iter().find_map(|change| match change {
            Override::Pause { stream: s, from_k, to_k, .. }
                if *s == stream && (*from_k..*to_k).contains(&k) =>
            {
                Some(*from_k - 1)
            }
            _ => None,
        });
        paused.unwrap_or(k)
    }

    /// A closed bar's volume where it was revised by then.
    pub fn revised_volume(&self, stream: usize, minute: i64, at: Timestamp) -> Option<i64> {
        self.overrides.iter().rev().find_map(|change| match change {
            Override::Volume { stream: s, minute: m, from, volume }
                if (*s, *m) == (stream, minute) && at >= *from =>
            {
                Some(*volume)
            }
            _ => None,
        })
    }

    /// Both feeds take a market's detour.
    pub fn detour(&self, stream: usize, k: i64, market: &mut Market) {
        let takes = |change: &Override| {
            matches!(change, Override::Detour { stream: s, from_k, to_k, .. }
            if *s == stream && (*from_k..*to_k).contains(&k))
        };
        if self.overrides.iter().any(takes) {
            let state = STATUSES.iter().position(|name| *name == market.status).unwrap_or(0);
            market.status = STATUSES[(state + 1) % STATUSES.len()];
            market.seconds_to_next_event += DETOUR_SECONDS;
        }
    }
}

/// Whether each struck message is a finding of its own, or only its episode.
fn counts_each(fault: &Fault, feature: Option<Feature>) -> bool {
    let market = feature == Some(Feature::MarketStatus);
    let class = fault.plain();
    class != Some(Class::Frozen)
        && !(market && matches!(class, Some(Class::ValueMismatch | Class::MissingOnWs)))
}

/// How many versions of a stream a fault leaves between two that it strikes: one is moved past the other, or what
/// it began with the first goes on.
fn distance(fault: &Fault) -> i64 {
    match (fault.manner, fault.class) {
        (Manner::Reordered, _) => 1,
        (Manner::Plain, Some(Class::TornRead)) => DETOUR_VERSIONS + 1,
        (Manner::Plain, Some(Class::RestStale)) => PAUSE_VERSIONS + 1,
        _ => 0,
    }
}
