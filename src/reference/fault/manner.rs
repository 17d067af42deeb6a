//! Every name that may stand in `--fault NAME`: the classes of SPEC §6, and further manners in which
//! one of them comes about. Says where each acts, in which features, and what a verifier must report.
//! Constants only; injects nothing.

use crate::model::Class;
use crate::reference::feature::{Feature, FieldKind, FieldShape};

/// How a fault comes about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// As the class's own name promises.
    Plain,
    SwappedFields,
    StaleSnapshot,
    MixedVersions,
    OffByOneMinute,
    TypeFlip,
    DuplicateMembers,
    TruncatedFrame,
    GarbageFrame,
    GarbageBinary,
    BinaryFrame,
    OversizeFrame,
    AbruptReset,
    HalfOpen,
    ReplayedHistory,
    Reordered,
    Shuffled,
    SlowRest,
    HangingRest,
    RateLimited,
    ClockSkew,
}

/// Where a fault acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A WebSocket message, or the record in it.
    Message,
    /// The pace at which versions are born.
    Pace,
    /// A REST answer.
    Rest,
    /// Both feeds alike.
    Both,
    Connection,
    /// The server's clock.
    Clock,
}

/// A manner with a name of its own.
#[derive(Debug)]
pub struct Named {
    pub manner: Manner,
    pub name: &'static str,
    /// What a verifier must report, and the ledger says. `None`: a correct verifier stays silent, and
    /// the ledger has no entry.
    pub class: Option<Class>,
    pub place: Place,
    pub features: &'static [Feature],
    /// For the help text.
    pub says: &'static str,
}

const TIMED: &[Feature] = &[Feature::AccountBalance, Feature::Positions];
const SEVERAL_VALUES: &[Feature] = &[Feature::AccountBalance, Feature::Positions, Feature::IntradayBar];
const BARS: &[Feature] = &[Feature::IntradayBar];

const fn named(
    manner: Manner,
    name: &'static str,
    class: Option<Class>,
    place: Place,
    features: &'static [Feature],
    says: &'static str,
) -> Named {
    Named { manner, name, class, place, features, says }
}

/// The manners besides the classes themselves.
pub const MANNERS: &[Named] = {
    use Class::*;
    use Manner as M;
    use Place::*;
    let all = &Feature::ALL;
    &[
        named(
            M::SwappedFields,
            "swapped_fields",
            Some(ValueMismatch),
            Message,
            SEVERAL_VALUES,
            "two fields change places",
        ),
        named(
            M::StaleSnapshot,
            "stale_snapshot",
            Some(ValueMismatch),
            Message,
            SEVERAL_VALUES,
            "old values under a new time",
        ),
        named(
            M::MixedVersions,
            "mixed_versions",
            Some(ValueMismatch),
            Rest,
            TIMED,
            "REST mixes two versions under one time",
        ),
        named(
            M::OffByOneMinute,
            "off_by_one_minute",
            Some(MissingOnWs),
            Message,
            BARS,
            "a bar under the next minute's time",
        ),
        named(
            M::TypeFlip,
            "type_flip",
            Some(TypeDiffers),
            Message,
            all,
            "a number as a string, or a string as a number (wrong_type)",
        ),
        named(
            M::DuplicateMembers,
            "duplicate_members",
            Some(Malformed),
            Message,
            all,
            "a member twice in one object",
        ),
        named(
            M::TruncatedFrame,
            "truncated_frame",
            Some(Malformed),
            Message,
            all,
            "a message cut in the middle",
        ),
        named(
            M::GarbageFrame,
            "garbage_frame",
            Some(Malformed),
            Message,
            all,
            "an additional text frame that is no JSON",
        ),
        named(
            M::GarbageBinary,
            "garbage_binary",
            Some(Malformed),
            Message,
            all,
            "an additional binary frame that is no JSON",
        ),
        named(M::BinaryFrame, "binary_frame", None, Message, all, "a message in a binary frame"),
        named(
            M::OversizeFrame,
            "oversize_frame",
            Some(Malformed),
            Connection,
            &[],
            "an additional frame over max_message; the reader closes with 1009",
        ),
        named(M::AbruptReset, "abrupt_reset", Some(ConnectionDrop), Connection, &[], "a TCP reset"),
        named(M::HalfOpen, "half_open", Some(Stalled), Connection, &[], "open, and nothing arrives any more"),
        named(
            M::ReplayedHistory,
            "replayed_history",
            Some(OutOfOrder),
            Connection,
            TIMED,
            "a drop, and after it two old versions of each stream again",
        ),
        named(
            M::Reordered,
            "reordered",
            Some(OutOfOrder),
            Message,
            TIMED,
            "a version held back until its successor was sent",
        ),
        named(
            M::Shuffled,
            "shuffled",
            None,
            Message,
            all,
            "messages of different streams overtake each other by up to `by` (400ms)",
        ),
        named(M::SlowRest, "slow_rest", None, Rest, all, "an answer that takes `by` (1.5s), in time"),
        named(M::HangingRest, "hanging_rest", Some(RestError), Rest, all, "an answer that never comes"),
        named(M::RateLimited, "rate_limited", Some(RestError), Rest, all, "429 with Retry-After"),
        named(
            M::ClockSkew,
            "clock_skew",
            None,
            Clock,
            &[],
            "the server's clock is off `by` 90s, or runs faster `by` 0.01%",
        ),
    ]
};

impl Manner {
    pub fn find(name: &str) -> Option<&'static Named> {
        MANNERS.iter().find(|named| named.name == name)
    }
}

/// How a class can be injected by its own name; `None` when the reference world cannot.
pub fn place(class: Class) -> Option<Place> {
    Some(match class {
        Class::ValueMismatch
        | Class::MissingRow
        | Class::ExtraRow
        | Class::MissingField
        | Class::NullField
        | Class::WrongType
        | Class::BadValue
        | Class::Malformed
        | Class::MissingOnWs
        | Class::Gap
        | Class::OutOfOrder
        | Class::Frozen
        | Class::Duplicate
        | Class::Late
        | Class::UnknownType
        | Class::UnknownStream
        | Class::TypeDiffers
        | Class::UnexpectedField => Place::Message,
        Class::IntervalDrift | Class::Jitter => Place::Pace,
        Class::RestError => Place::Rest,
        // A torn read shows only where there is something to tear, a stale answer only well inside the
        // life of a version: both feeds make room for them first.
        Class::Invariant | Class::Revision | Class::TornRead | Class::RestStale => Place::Both,
        Class::ConnectionDrop | Class::ConnectFailed | Class::Stalled => Place::Connection,
        Class::RestStillPolled | Class::ResourceIncrease | Class::LogError | Class::CalendarMismatch => {
            return None;
        }
    })
}

/// The classes that can be injected by their own name.
pub fn injectable() -> impl Iterator<Item = Class> {
    Class::ALL.iter().copied().filter(|class| place(*class).is_some())
}

/// Every name that may stand before the colon.
pub fn names() -> Vec<&'static str> {
    injectable().map(Class::name).chain(MANNERS.iter().map(|named| named.name)).collect()
}

/// The features in which a class makes sense.
pub(super) fn features_of(class: Class) -> &'static [Feature] {
    match class {
        Class::MissingRow | Class::ExtraRow | Class::Invariant => &[Feature::Positions],
        Class::BadValue | Class::TornRead => &[Feature::MarketStatus],
        Class::OutOfOrder | Class::RestStale => TIMED,
        // Without a time of its own nothing can be late.
        Class::Late => SEVERAL_VALUES,
        Class::Revision => BARS,
        _ if place(class) == Some(Place::Connection) => &[],
        _ => &Feature::ALL,
    }
}

/// The field that changes places with another of a feature.
pub fn partner(feature: Feature, field: &str) -> Option<FieldShape> {
    const PAIRS: [(&str, &str); 4] =
        [("cash", "buying_power"), ("entry_price", "current_price"), ("open", "close"), ("low", "high")];
    let (a, b) = PAIRS.into_iter().find(|(a, b)| *a == field || *b == field)?;
    feature.field(if a == field { b } else { a })
}

/// Whether a fault spoils one field, and that field can be spoiled so.
pub(super) fn field_fits(class: Option<Class>, manner: Manner, field: FieldShape) -> bool {
    use FieldKind::*;
    let is_number = matches!(field.kind, Decimal | Integer | Countdown);
    match (manner, class) {
        (Manner::SwappedFields, _) => Feature::ALL.into_iter().any(|f| partner(f, field.name).is_some()),
        (Manner::TypeFlip, _) => is_number || field.kind == Text,
        (Manner::DuplicateMembers, _) => !matches!(field.kind, Key | Time),
        (Manner::Plain, Some(Class::ValueMismatch)) => !matches!(field.kind, Key | Time),
        (Manner::Plain, Some(Class::MissingField | Class::NullField)) => true,
        (Manner::Plain, Some(Class::WrongType)) => field.kind != Key,
        (Manner::Plain, Some(Class::BadValue)) => field.kind == Enum,
        (Manner::Plain, Some(Class::TypeDiffers)) => is_number,
        (Manner::Plain, Some(Class::Invariant)) => field.name == "pnl",
        _ => false,
    }
}

/// The field that a fault spoils when none is named.
pub fn default_field(class: Option<Class>, manner: Manner, feature: Feature) -> Option<FieldShape> {
    let is_about_type =
        manner == Manner::TypeFlip || matches!(class, Some(Class::TypeDiffers | Class::WrongType));
    let name = match feature {
        Feature::AccountBalance => "cash",
        Feature::Positions if manner == Manner::SwappedFields => "entry_price",
        Feature::Positions => "pnl",
        Feature::IntradayBar => "close",
        Feature::MarketStatus if is_about_type => "seconds_to_next_event",
        Feature::MarketStatus => "status",
    };
    feature.field(name).filter(|field| field_fits(class, manner, *field))
}

/// What `--help` says about all names.
pub fn help() -> String {
    use std::fmt::Write;
    let mut out = String::from("Faults, `--fault NAME[:key=value,…]`:\n");
    let mut line = String::from(" ");
    for class in injectable() {
        if line.len() + class.name().len() > 96 {
            let _ = writeln!(out, "{line}");
            line = String::from(" ");
        }
        let _ = write!(line, " {}", class.name());
    }
    let _ = writeln!(out, "{line}\n\nAnd by manner (the class that a verifier must report; - is silence):");
    for named in MANNERS {
        let class = named.class.map_or("-", Class::name);
        let _ = writeln!(out, "  {:<18} {class:<16} {}", named.name, named.says);
    }
    out.push_str(
        "\nKeys: feature= stream=account_id=123 field= rate=2% every=N at=90s for=30s\n\
         \x20     by=5% or 2s (interval_drift, jitter, late, duplicate, shuffled, slow_rest, clock_skew)\n\
         \x20     code=1011 (connection_drop: a close code; rest_error: an HTTP status)\n\
         Without rate, every and at a fault strikes each seventh or so.",
    );
    out
}
