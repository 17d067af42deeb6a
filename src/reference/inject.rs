//! Which message or answer each fault strikes, and what it does to it; every strike is entered in
//! the truth. Seeded and counted in order, so the same world is struck in the same places.
//!
//! Writes no JSON bodies and sends nothing: `origin` carries the plans out.

use super::body::{EXTRA_SYMBOL, Edits, FieldEdit};
use super::fault::{By, Fault, FaultError, Place, default_every, default_lasting, place};
use super::feature::Feature;
use super::random::{MILLION, hash};
use super::spoil::{another, position, raw_cents, row_name, true_value, unreadable};
use super::tempo::Tempo;
use super::truth::TruthEntry;
use super::world::{Owner, STEPS_PER_MINUTE, World};
use crate::model::{Class, Span, Timestamp};
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
    pub truncated: bool,
    pub delay: Span,
    /// Another version in place of the due one.
    pub shown: Option<i64>,
    pub extras: Vec<(Span, Extra)>,
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
    Close(Option<u16>),
    Stall,
}

impl Plan {
    pub fn clear(&mut self) {
        self.edits.clear();
        self.extras.clear();
        (self.dropped, self.truncated, self.delay, self.shown) = (false, false, Span::ZERO, None);
    }
}

/// What REST shows differently, whatever the question.
#[derive(Debug, Clone, Copy)]
enum Override {
    /// A row's sum is wrong in one version, on both feeds.
    Pnl { stream: usize, k: i64, row: usize, cents: i64 },
    /// A closed bar's volume changed at an instant.
    Volume { stream: usize, minute: i64, from: Timestamp, volume: i64 },
}

/// Overrides are kept this many deep: far more than REST still shows.
const OVERRIDES_KEPT: usize = 256;
/// A stale answer is visible only this far inside the life of a version (twice the usual settle).
const STALE_MARGIN: Span = Span::from_secs(4);
/// Strikes without `at` begin two intervals and this much after the start, when both feeds flow.
const WARM_UP: Span = Span::from_secs(10);
/// Slots of `Armed::counts`: one a feature, one for the connection.
const COUNTS: usize = 5;

#[derive(Debug)]
struct Episode {
    stream: usize,
    until: Timestamp,
    k: i64,
}

/// A fault with its memory.
#[derive(Debug)]
struct Armed {
    fault: Fault,
    seed: u64,
    /// By position in the world's streams.
    streams: Vec<bool>,
    counts: [u64; COUNTS],
    struck: bool,
    episodes: Vec<Episode>,
}

#[derive(Debug, Clone, Copy)]
struct Strike {
    /// The first of its episode.
    fresh: bool,
    /// The version at which the episode began.
    since: i64,
}

#[derive(Debug)]
pub struct Injector {
    armed: Vec<Armed>,
    start: Timestamp,
    overrides: VecDeque<Override>,
}

impl Injector {
    /// Takes the faults, and changes the pace of the world's streams where they ask for it.
    pub fn new(faults: Vec<Fault>, world: &mut World, start: Timestamp) -> Result<Injector, FaultError> {
        if faults.iter().any(|fault| place(fault.class) == Some(Place::Connection)) {
            world.add_pulse(start);
        }
        let mut armed = Vec::new();
        for (index, fault) in faults.into_iter().enumerate() {
            let streams = matching(&fault, world)?;
            if place(fault.class) == Some(Place::Pace) {
                set_pace(&fault, &streams, world, start);
            }
            let seed = hash(world.options().seed, 0xfa + index as u64, 0);
            let counts = [0; COUNTS];
            armed.push(Armed { fault, seed, streams, counts, struck: false, episodes: Vec::new() });
        }
        Ok(Injector { armed, start, overrides: VecDeque::new() })
    }

    pub fn is_idle(&self) -> bool {
        self.armed.is_empty()
    }

    /// Plans what becomes of a due message. The first fault that strikes it has it alone, so that a
    /// cause can be told from its effect.
    pub fn plan(&mut self, world: &World, tick: &Tick, plan: &mut Plan, truth: &mut Vec<TruthEntry>) {
        let entry = &world.streams()[tick.stream];
        let feature = entry.feature();
        for index in 0..self.armed.len() {
            let class = self.armed[index].fault.class;
            match place(class) {
                Some(Place::Message | Place::Both) if feature.is_some() => {}
                Some(Place::Connection) if entry.owner == Owner::Pulse => {}
                Some(Place::Pace) => {
                    self.announce_pace(index, world, tick, truth);
                    continue;
                }
                _ => continue,
            }
            let Some(strike) = self.armed[index].strike(tick, feature, self.start) else { continue };
            let done = match feature {
                Some(feature) => self.strike_message(index, world, tick, feature, strike, plan),
                None => self.strike_connection(index, strike, plan),
            };
            let Some(mut done) = done else { continue };
            if strike.fresh || counts_each(class, feature) {
                done.at = tick.at;
                truth.push(done);
            }
            return;
        }
    }

    /// One entry a stream, when its pace begins to change.
    fn announce_pace(&mut self, index: usize, world: &World, tick: &Tick, truth: &mut Vec<TruthEntry>) {
        let armed = &mut self.armed[index];
        let begin = armed.fault.at.map_or(self.start, |at| at.resolve(self.start));
        if !armed.streams[tick.stream] || tick.at < begin {
            return;
        }
        armed.streams[tick.stream] = false;
        let ppm = pace_ppm(&armed.fault);
        let what =
            if armed.fault.class == Class::Jitter { "versions sway by" } else { "interval stretched by" };
        let mut entry = self.entry(index, world, tick);
        entry.at = tick.at;
        entry.detail = format!("{what} {}%", ppm as f64 / 10_000.0);
        truth.push(entry);
    }

    fn entry(&self, index: usize, world: &World, tick: &Tick) -> TruthEntry {
        let stream = &world.streams()[tick.stream];
        TruthEntry {
            class: self.armed[index].fault.class,
            feature: stream.feature().map_or("", Feature::name).into(),
            stream: stream.name.clone(),
            row: String::new(),
            field: "".into(),
            event_time: world.event_time(tick.stream, tick.k),
            at: tick.at,
            detail: String::new(),
        }
    }

    /// `None` when the fault cannot be told from the truth here.
    fn strike_message(
        &mut self,
        index: usize,
        world: &World,
        tick: &Tick,
        feature: Feature,
        strike: Strike,
        plan: &mut Plan,
    ) -> Option<TruthEntry> {
        let mut entry = self.entry(index, world, tick);
        let armed = &self.armed[index];
        let length = match armed.fault.by {
            Some(By::Length(length)) => Some(length),
            _ => None,
        };
        let class = armed.fault.class;
        match class {
            Class::Gap | Class::MissingOnWs => {
                plan.dropped = true;
                entry.detail = "not sent".into();
            }
            Class::Malformed => {
                plan.truncated = true;
                entry.detail = "cut in the middle".into();
            }
            Class::Late => {
                plan.delay = length.unwrap_or(Span::from_millis(2200));
                entry.detail = format!("sent {} late", plan.delay);
            }
            Class::Duplicate => {
                let after = length.unwrap_or(Span::from_millis(300));
                plan.extras.push((after, Extra::Again));
                entry.detail = format!("sent again after {after}");
            }
            Class::OutOfOrder => {
                plan.extras.push((Span::from_millis(50), Extra::Older));
                entry.event_time = world.event_time(tick.stream, tick.k - 1);
                entry.detail = "the version before was sent again after its successor".into();
            }
            Class::Frozen => {
                plan.shown = Some(strike.since - 1);
                entry.detail = format!("repeats one version for {}", armed.fault.lasting_for(Some(feature)));
            }
            Class::UnknownType | Class::UnknownStream => {
                let unknown_type = class == Class::UnknownType;
                let extra = if unknown_type { Extra::UnknownType } else { Extra::UnknownStream };
                plan.extras.push((Span::from_millis(100), extra));
                entry.stream = String::new();
                entry.event_time = None;
                if unknown_type {
                    entry.feature = "".into();
                }
                entry.detail = "an additional message".into();
            }
            Class::UnexpectedField => {
                plan.edits.extra_member = Some("\"debug\":1");
                entry.field = "debug".into();
            }
            Class::ExtraRow => {
                plan.edits.extra_row = true;
                entry.row = format!("symbol={}", EXTRA_SYMBOL);
            }
            Class::MissingRow => {
                let row = armed.row(world, tick)?;
                plan.edits.omit_row = Some(row);
                entry.row = row_name(world, tick, row);
            }
            Class::Revision => self.revise(world, tick, plan, &mut entry)?,
            Class::Invariant => {
                let row = armed.row(world, tick)?;
                let position = position(world, tick, row)?;
                let cents = position.pnl_cents + 100 + (hash(armed.seed, 5, tick.k) % 900) as i64;
                self.keep(Override::Pnl { stream: tick.stream, k: tick.k, row, cents });
                (entry.row, entry.field) = (row_name(world, tick, row), "pnl".into());
                entry.detail = "the sum is wrong on both feeds".into();
            }
            _ => spoil_field(armed, world, tick, feature, plan, &mut entry)?,
        }
        Some(entry)
    }

    /// The bar before the due one gets another volume, on both feeds, ten seconds from now.
    fn revise(&mut self, world: &World, tick: &Tick, plan: &mut Plan, entry: &mut TruthEntry) -> Option<()> {
        let Owner::Bar(symbol) = world.streams()[tick.stream].owner else { return None };
        let minute = tick.k - 1;
        if !world.traded(symbol, minute) {
            return None;
        }
        let after = Span::from_secs(10);
        let old = world.bar(symbol, minute, STEPS_PER_MINUTE).volume;
        let volume = old + 100 + (hash(self.start.0 as u64, 6, minute) % 400) as i64;
        self.keep(Override::Volume { stream: tick.stream, minute, from: tick.at + after, volume });
        plan.extras.push((after, Extra::Revised));
        entry.field = "volume".into();
        entry.event_time = world.event_time(tick.stream, minute);
        entry.detail = format!("closed with {old}, became {volume} after {after}");
        Some(())
    }

    fn strike_connection(&mut self, index: usize, strike: Strike, plan: &mut Plan) -> Option<TruthEntry> {
        let fault = &self.armed[index].fault;
        if !strike.fresh {
            return None;
        }
        let (extra, detail) = match fault.class {
            Class::ConnectionDrop => (
                Extra::Close(fault.code),
                fault.code.map_or("without a close frame".to_owned(), |code| format!("with code {code}")),
            ),
            Class::Stalled => (Extra::Stall, "open and silent".to_owned()),
            // From the start nobody is connected, so there is nothing to close.
            _ if fault.at.is_some() => (Extra::Close(None), "closed, then refused".to_owned()),
            _ => return None,
        };
        plan.extras.push((Span::ZERO, extra));
        Some(TruthEntry {
            class: fault.class,
            feature: "".into(),
            stream: String::new(),
            row: String::new(),
            field: "".into(),
            event_time: None,
            at: self.start,
            detail,
        })
    }

    /// Whether a handshake at this instant is refused; enters the refusal in the truth.
    pub fn refuses(&mut self, at: Timestamp, truth: &mut Vec<TruthEntry>) -> bool {
        for armed in &self.armed {
            let refused = match armed.fault.class {
                Class::ConnectFailed => {
                    let begin = armed.fault.at.map_or(self.start, |at| at.resolve(self.start));
                    at >= begin && at < begin + armed.fault.lasting_for(None)
                }
                Class::ConnectionDrop => armed.episodes.iter().any(|episode| at < episode.until),
                _ => false,
            };
            if refused {
                truth.push(TruthEntry {
                    class: Class::ConnectFailed,
                    feature: "".into(),
                    stream: String::new(),
                    row: String::new(),
                    field: "".into(),
                    event_time: None,
                    at,
                    detail: "handshake refused".into(),
                });
                return true;
            }
        }
        false
    }

    /// The status of a failing answer, if this request is struck.
    pub fn rest_error(
        &mut self,
        world: &World,
        feature: Feature,
        request: i64,
        at: Timestamp,
        truth: &mut Vec<TruthEntry>,
    ) -> Option<u16> {
        let tick = Tick { stream: world.streams_of(feature).start, k: request, at };
        for index in 0..self.armed.len() {
            let armed = &mut self.armed[index];
            if armed.fault.class == Class::RestError
                && armed.strike(&tick, Some(feature), self.start).is_some()
            {
                let status = armed.fault.code.unwrap_or(503);
                truth.push(TruthEntry {
                    class: Class::RestError,
                    feature: feature.name().into(),
                    stream: String::new(),
                    row: String::new(),
                    field: "".into(),
                    event_time: None,
                    at,
                    detail: format!("status {status}"),
                });
                return Some(status);
            }
        }
        None
    }

    /// Whether REST shows the version before `k`, or (a torn read) mixes both.
    pub fn rest_lags(&mut self, world: &World, tick: &Tick, truth: &mut Vec<TruthEntry>) -> bool {
        for index in 0..self.armed.len() {
            let class = self.armed[index].fault.class;
            let visible = match (class, world.streams()[tick.stream].owner) {
                (Class::RestStale, Owner::Balance(_) | Owner::Positions(_)) => {
                    let (born, next) = (world.due(tick.stream, tick.k), world.due(tick.stream, tick.k + 1));
                    tick.at - born > STALE_MARGIN && next - tick.at > STALE_MARGIN
                }
                (Class::TornRead, Owner::Market(market)) => {
                    world.market(market, tick.k).status != world.market(market, tick.k - 1).status
                }
                _ => false,
            };
            let feature = world.streams()[tick.stream].feature();
            if visible && self.armed[index].strike(tick, feature, self.start).is_some() {
                let mut entry = self.entry(index, world, tick);
                entry.event_time = world.event_time(tick.stream, tick.k - 1);
                entry.detail = "REST showed the version before".into();
                if class == Class::TornRead {
                    entry.field = "status".into();
                    entry.detail = "REST mixed two versions".into();
                }
                truth.push(entry);
                return true;
            }
        }
        false
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
}

impl Armed {
    fn strike(&mut self, tick: &Tick, feature: Option<Feature>, start: Timestamp) -> Option<Strike> {
        if !self.streams[tick.stream] {
            return None;
        }
        if let Some(index) = self.episodes.iter().position(|episode| episode.stream == tick.stream) {
            let Episode { until, k, .. } = self.episodes[index];
            if tick.at < until {
                return Some(Strike { fresh: false, since: k });
            }
            self.episodes.swap_remove(index);
        }
        let warm_up = feature.map_or(Span::from_secs(20), |feature| feature.interval() * 2) + WARM_UP;
        let begin = self.fault.at.map_or(start + warm_up, |at| at.resolve(start));
        if tick.at < begin {
            return None;
        }
        let drawn = self.fault.rate_ppm.is_some() || self.fault.every.is_some();
        let window = self.fault.at.and(self.fault.lasting).map(|lasting| begin + lasting);
        let hit = match (window, self.fault.at) {
            (Some(end), _) => tick.at < end && self.draw(tick, feature, 1),
            (None, Some(_)) if !drawn => !self.struck,
            _ => self.draw(tick, feature, default_every(self.fault.class)),
        };
        if !hit {
            return None;
        }
        self.struck = true;
        let until = match window {
            Some(end) if !drawn => end,
            Some(_) => tick.at + default_lasting(self.fault.class, feature),
            None => tick.at + self.fault.lasting_for(feature),
        };
        if until > tick.at {
            self.episodes.push(Episode { stream: tick.stream, until, k: tick.k });
        }
        Some(Strike { fresh: true, since: tick.k })
    }

    /// By rate, or each Nth of a feature's messages, the first of them half-way.
    fn draw(&mut self, tick: &Tick, feature: Option<Feature>, default_every: u64) -> bool {
        if let Some(ppm) = self.fault.rate_ppm {
            return hash(self.seed, tick.stream as u64, tick.k) % MILLION < ppm;
        }
        let every = self.fault.every.unwrap_or(default_every);
        let count = &mut self.counts[feature.map_or(COUNTS - 1, |feature| feature as usize)];
        let nth = *count % every;
        *count += 1;
        nth == every / 2
    }

    fn row(&self, world: &World, tick: &Tick) -> Option<usize> {
        let rows = world.options().positions as u64;
        (rows > 0).then(|| (hash(self.seed, 77 + tick.stream as u64, tick.k) % rows) as usize)
    }
}

/// Whether each struck message is a finding of its own, or only its episode.
fn counts_each(class: Class, feature: Option<Feature>) -> bool {
    let market = feature == Some(Feature::MarketStatus);
    class != Class::Frozen && !(market && matches!(class, Class::ValueMismatch | Class::MissingOnWs))
}

fn pace_ppm(fault: &Fault) -> i64 {
    match (fault.by, fault.class) {
        (Some(By::Share(ppm)), _) => ppm,
        (_, Class::Jitter) => 200_000,
        _ => 50_000,
    }
}

fn set_pace(fault: &Fault, streams: &[bool], world: &mut World, start: Timestamp) {
    let from = fault.at.map_or(start, |at| at.resolve(start));
    let until = fault.lasting.map_or(Timestamp::MAX, |lasting| from + lasting);
    let ppm = pace_ppm(fault);
    for (stream, _) in world.streams_mut().iter_mut().zip(streams).filter(|(_, struck)| **struck) {
        // Two faults of pace on one stream share the window of the later one.
        let mut tempo = stream.grid.tempo.unwrap_or(Tempo { from, until, stretch_ppm: 0, sway_ppm: 0 });
        (tempo.from, tempo.until) = (from, until);
        match fault.class {
            Class::Jitter => tempo.sway_ppm = ppm,
            _ => tempo.stretch_ppm = ppm,
        }
        stream.grid.tempo = Some(tempo);
    }
}

/// The streams a fault may strike; an error when it names one that the world has not.
fn matching(fault: &Fault, world: &World) -> Result<Vec<bool>, FaultError> {
    let connection = place(fault.class) == Some(Place::Connection);
    let matches: Vec<bool> = world
        .streams()
        .iter()
        .map(|stream| match stream.feature() {
            Some(feature) => {
                fault.features.contains(&feature)
                    && fault.stream.as_deref().is_none_or(|wanted| stream_is(&stream.name, wanted))
            }
            None => connection && stream.owner == Owner::Pulse,
        })
        .collect();
    if let (Some(wanted), false) = (&fault.stream, matches.contains(&true)) {
        let known: Vec<&str> = world
            .streams()
            .iter()
            .filter(|stream| stream.feature().is_some_and(|feature| fault.features.contains(&feature)))
            .map(|stream| stream.name.as_str())
            .take(12)
            .collect();
        return Err(FaultError(format!(
            "stream `{wanted}` is not in the world; known: {}",
            known.join("; ")
        )));
    }
    Ok(matches)
}

/// Each wanted pair (or value alone) must be one of the stream's pairs.
fn stream_is(name: &str, wanted: &str) -> bool {
    wanted.split(',').all(|part| {
        name.split(',')
            .any(|pair| pair == part || pair.split_once('=').is_some_and(|(_, value)| value == part))
    })
}

fn spoil_field(
    armed: &Armed,
    world: &World,
    tick: &Tick,
    feature: Feature,
    plan: &mut Plan,
    entry: &mut TruthEntry,
) -> Option<()> {
    let field = armed.fault.field_in(feature)?;
    let row = if field.in_row { Some(armed.row(world, tick)?) } else { None };
    let raw = match armed.fault.class {
        Class::MissingField => None,
        Class::NullField => Some("null".to_owned()),
        Class::BadValue => Some("\"HALTED\"".to_owned()),
        Class::WrongType => Some(unreadable(field.kind).to_owned()),
        Class::TypeDiffers => Some(format!("\"{}\"", true_value(world, tick, row, field)?.raw())),
        _ => {
            let value = true_value(world, tick, row, field)?;
            let raw = another(world, tick, field, value, hash(armed.seed, 9, tick.k))?;
            entry.detail = format!("sent {raw} for {}", value.raw());
            Some(raw)
        }
    };
    if entry.detail.is_empty() {
        entry.detail = raw.as_ref().map_or("left out".to_owned(), |raw| format!("sent {raw}"));
    }
    entry.field = field.name.into();
    if let Some(row) = row {
        entry.row = row_name(world, tick, row);
    }
    plan.edits.fields.push(FieldEdit { row, name: field.name, raw });
    Some(())
}
