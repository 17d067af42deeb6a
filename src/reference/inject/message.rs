//! Faults of messages: what a strike does to the due message, or beside it, and what the truth says.

use super::{Armed, DETOUR_VERSIONS, PAUSE_VERSIONS};
use super::{Extra, Frame, Injector, Override, Plan, Strike, Tick};
use crate::model::{Class, Span};
use crate::reference::body::{EXTRA_SYMBOL, FieldEdit, write_time};
use crate::reference::fault::{By, Manner, partner};
use crate::reference::feature::{Feature, FieldKind, FieldShape};
use crate::reference::random::hash;
use crate::reference::spoil::{self, another, position, row_name, true_value, unreadable};
use crate::reference::truth::TruthEntry;
use crate::reference::world::{Owner, STEPS_PER_MINUTE, World};

/// A held back version leaves so long after its successor.
const AFTER_SUCCESSOR: Span = Span::from_millis(50);
/// How far messages are shuffled: too little to be a gap, a jitter or late.
const SHUFFLED_BY: Span = Span::from_millis(400);
/// A stale snapshot's values are so many versions old.
const STALE_VERSIONS: i64 = 3;

impl Injector {
    /// `None` when the fault cannot be told from the truth here.
    #[allow(clippy::too_many_arguments, reason = "one call, from `plan`")]
    pub(super) fn strike_message(
        &mut self,
        index: usize,
        world: &World,
        tick: &Tick,
        feature: Feature,
        strike: Strike,
        plan: &mut Plan,
        truth: &mut Vec<TruthEntry>,
    ) -> Option<()> {
        let entry = self.entry(index, world, tick);
        let armed = &self.armed[index];
        match armed.fault.manner {
            Manner::Plain => {}
            Manner::SwappedFields => return swap_fields(armed, world, tick, feature, plan, entry, truth),
            Manner::StaleSnapshot => return show_old_values(world, tick, plan, entry, truth),
            Manner::OffByOneMinute => return show_next_minute(armed, world, tick, plan, entry, truth),
            manner => {
                let entry = strike_frame(armed, manner, world, tick, feature, plan, entry)?;
                truth.extend(armed.fault.class.map(|_| entry));
                return Some(());
            }
        }
        let entry = self.strike_plainly(index, world, tick, feature, strike, plan, entry)?;
        truth.extend(entry);
        Some(())
    }

    /// A class in its own name; no entry where what follows from it is entered later.
    #[allow(clippy::too_many_arguments, reason = "one call, from `strike_message`")]
    fn strike_plainly(
        &mut self,
        index: usize,
        world: &World,
        tick: &Tick,
        feature: Feature,
        strike: Strike,
        plan: &mut Plan,
        mut entry: TruthEntry,
    ) -> Option<Option<TruthEntry>> {
        let armed = &self.armed[index];
        let length = match armed.fault.by {
            Some(By::Length(length)) => Some(length),
            _ => None,
        };
        let class = entry.class;
        match class {
            Class::Gap | Class::MissingOnWs => {
                plan.dropped = true;
                entry.detail = "not sent".into();
            }
            Class::Malformed => cut(plan, &mut entry),
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
                    entry.feature = "";
                }
                entry.detail = "an additional message".into();
            }
            Class::UnexpectedField => {
                plan.edits.extra_member = Some("\"debug\":1");
                entry.field = "debug";
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
            Class::RestStale => {
                let (from_k, to_k) = (tick.k, tick.k + PAUSE_VERSIONS);
                plan.dropped = true;
                self.keep(Override::Pause { stream: tick.stream, from_k, to_k, armed: index, told: false });
                return Some(None);
            }
            Class::TornRead => {
                let (from_k, to_k) = (tick.k, tick.k + DETOUR_VERSIONS);
                let stream = tick.stream;
                self.keep(Override::Detour { stream, from_k, to_k, armed: index, torn: false });
                return Some(None);
            }
            Class::Invariant => {
                let row = armed.row(world, tick)?;
                let position = position(world, tick, row)?;
                let cents = position.pnl_cents + 100 + (hash(armed.seed, 5, tick.k) % 900) as i64;
                self.keep(Override::Pnl { stream: tick.stream, k: tick.k, row, cents });
                (entry.row, entry.field) = (row_name(world, tick, row), "pnl");
                entry.detail = "the sum is wrong on both feeds".into();
            }
            _ => spoil_field(armed, world, tick, feature, plan, &mut entry)?,
        }
        Some(Some(entry))
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
        entry.field = "volume";
        entry.event_time = world.event_time(tick.stream, minute);
        entry.detail = format!("closed with {old}, became {volume} after {after}");
        Some(())
    }
}

fn cut(plan: &mut Plan, entry: &mut TruthEntry) {
    plan.frame = Frame::Cut;
    entry.detail = "cut in the middle".into();
}

/// Faults of the frame, of its time, or of one field's form.
fn strike_frame(
    armed: &Armed,
    manner: Manner,
    world: &World,
    tick: &Tick,
    feature: Feature,
    plan: &mut Plan,
    mut entry: TruthEntry,
) -> Option<TruthEntry> {
    match manner {
        Manner::TruncatedFrame => cut(plan, &mut entry),
        Manner::BinaryFrame => plan.frame = Frame::Binary,
        Manner::GarbageFrame | Manner::GarbageBinary => {
            let is_text = manner == Manner::GarbageFrame;
            let extra = if is_text { Extra::Garbage } else { Extra::GarbageBinary };
            plan.extras.push((Span::from_millis(100), extra));
            // Nobody can tell whose it was.
            entry = TruthEntry::new(Class::Malformed, tick.at);
            let what = if is_text { "text" } else { "binary" };
            entry.detail = format!("an additional {what} frame that is no JSON");
        }
        Manner::Shuffled => {
            let most = match armed.fault.by {
                Some(By::Length(length)) => length,
                _ => SHUFFLED_BY,
            };
            plan.delay = Span((hash(armed.seed, tick.stream as u64, tick.k) % most.0.max(1) as u64) as i64);
        }
        Manner::Reordered => {
            plan.delay = world.due(tick.stream, tick.k + 1) - tick.at + AFTER_SUCCESSOR;
            entry.detail = "held back until its successor was sent".into();
        }
        _ => spoil_field(armed, world, tick, feature, plan, &mut entry)?,
    }
    Some(entry)
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
    let as_text = || Some(format!("\"{}\"", true_value(world, tick, row, field)?.raw()));
    let raw = match (armed.fault.manner, entry.class) {
        (Manner::TypeFlip, _) if field.kind == FieldKind::Text => {
            entry.class = Class::WrongType;
            Some(unreadable(field.kind).to_owned())
        }
        (Manner::TypeFlip, _) => Some(as_text()?),
        (Manner::DuplicateMembers, _) => {
            let value = spoil::raw(true_value(world, tick, row, field)?, field);
            entry.detail = "stands twice".into();
            Some(format!("{value},\"{}\":{value}", field.name))
        }
        (_, Class::MissingField) => None,
        (_, Class::NullField) => Some("null".to_owned()),
        (_, Class::BadValue) => Some("\"HALTED\"".to_owned()),
        (_, Class::WrongType) => Some(unreadable(field.kind).to_owned()),
        (_, Class::TypeDiffers) => Some(as_text()?),
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
    entry.field = field.name;
    if let Some(row) = row {
        entry.row = row_name(world, tick, row);
    }
    plan.edits.fields.push(FieldEdit { row, name: field.name, raw });
    Some(())
}

/// Two fields change places; an entry for each.
fn swap_fields(
    armed: &Armed,
    world: &World,
    tick: &Tick,
    feature: Feature,
    plan: &mut Plan,
    entry: TruthEntry,
    truth: &mut Vec<TruthEntry>,
) -> Option<()> {
    let field = armed.fault.field_in(feature)?;
    let other = partner(feature, field.name)?;
    let row = if field.in_row { Some(armed.row(world, tick)?) } else { None };
    let value = |field: FieldShape| Some(true_value(world, tick, row, field)?.raw());
    let (here, there) = (value(field)?, value(other)?);
    if here == there {
        return None;
    }
    for (field, true_raw, raw) in [(field, &here, &there), (other, &there, &here)] {
        plan.edits.fields.push(FieldEdit { row, name: field.name, raw: Some(raw.clone()) });
        truth.push(TruthEntry {
            field: field.name,
            row: row.map_or(String::new(), |row| row_name(world, tick, row)),
            detail: format!("changed places: sent {raw} for {true_raw}"),
            ..entry.clone()
        });
    }
    Some(())
}

/// Values of some versions before under the due one's time; an entry for each that differs.
fn show_old_values(
    world: &World,
    tick: &Tick,
    plan: &mut Plan,
    entry: TruthEntry,
    truth: &mut Vec<TruthEntry>,
) -> Option<()> {
    let old = Tick { k: tick.k - STALE_VERSIONS, ..*tick };
    if let Owner::Bar(symbol) = world.streams()[tick.stream].owner
        && !world.traded(symbol, old.k)
    {
        return None;
    }
    let rows: Vec<Option<usize>> = match world.streams()[tick.stream].owner {
        Owner::Positions(_) => (0..world.options().positions).map(Some).collect(),
        _ => vec![None],
    };
    let before = truth.len();
    for row in rows {
        for (field, value) in spoil::differing(world, tick, &old, row) {
            spoil::edit(&mut plan.edits, row, field, value, false);
            truth.push(TruthEntry {
                field: field.name,
                row: row.map_or(String::new(), |row| row_name(world, tick, row)),
                detail: format!("a stale snapshot: sent {}, {STALE_VERSIONS} versions old", value.raw()),
                ..entry.clone()
            });
        }
    }
    (truth.len() > before).then_some(())
}

/// A bar under the next minute's time: its own minute never comes. Where the minute before was
/// struck too, its bar stands in this one's place, and is wrong in each field.
fn show_next_minute(
    armed: &Armed,
    world: &World,
    tick: &Tick,
    plan: &mut Plan,
    mut entry: TruthEntry,
    truth: &mut Vec<TruthEntry>,
) -> Option<()> {
    let next = world.event_time(tick.stream, tick.k + 1)?;
    let mut raw = String::new();
    write_time(&mut raw, next);
    plan.edits.fields.push(FieldEdit { row: None, name: "timestamp_minute", raw: Some(raw) });
    if !armed.was_struck(tick.stream, tick.k - 1) {
        entry.detail = format!("sent as the bar of {next}");
        truth.push(entry);
        return Some(());
    }
    let before = Tick { k: tick.k - 1, ..*tick };
    for (field, value) in spoil::differing(world, tick, &before, None) {
        truth.push(TruthEntry {
            class: Class::ValueMismatch,
            field: field.name,
            detail: format!("the bar of the minute before stands here: sent {}", value.raw()),
            ..entry.clone()
        });
    }
    Some(())
}
