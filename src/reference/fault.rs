//! `--fault CLASS[:key=value,…]`: what a person may ask for, and the rules of each class. Parses and
//! refuses; injects nothing. Every error says what would be right.

use super::feature::{Feature, FieldKind, FieldShape};
use super::random::MILLION;
use crate::model::{Class, Span, Timestamp};

/// One fault that was asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    pub class: Class,
    /// The features it strikes; empty for faults of the connection.
    pub features: Vec<Feature>,
    /// Pairs that a stream must have: `account_id=123`, or a value alone.
    pub stream: Option<String>,
    /// The field to spoil; each feature's own choice when none is named.
    pub field: Option<&'static str>,
    pub rate_ppm: Option<u64>,
    pub at: Option<Instant>,
    pub lasting: Option<Span>,
    pub every: Option<u64>,
    pub by: Option<By>,
    /// `connection_drop`: the close code; `rest_error`: the status.
    pub code: Option<u16>,
}

/// An instant as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instant {
    AfterStart(Span),
    At(Timestamp),
}

impl Instant {
    pub fn resolve(self, start: Timestamp) -> Timestamp {
        match self {
            Instant::AfterStart(span) => start + span,
            Instant::At(at) => at,
        }
    }
}

/// How much: a share in parts per million, or a length of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    Share(i64),
    Length(Span),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FaultError(pub String);

/// Where a class acts.
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
}

/// How a class can be injected here; `None` when the reference world cannot.
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
        Class::RestError | Class::RestStale | Class::TornRead => Place::Rest,
        Class::Invariant | Class::Revision => Place::Both,
        Class::ConnectionDrop | Class::ConnectFailed | Class::Stalled => Place::Connection,
        Class::RestStillPolled | Class::ResourceIncrease | Class::LogError | Class::CalendarMismatch => {
            return None;
        }
    })
}

/// The classes that can be injected, for a help text.
pub fn injectable() -> impl Iterator<Item = Class> {
    Class::ALL.iter().copied().filter(|class| place(*class).is_some())
}

/// The features in which a class makes sense.
fn features_of(class: Class) -> &'static [Feature] {
    match class {
        Class::MissingRow | Class::ExtraRow | Class::Invariant => &[Feature::Positions],
        Class::BadValue | Class::TornRead => &[Feature::MarketStatus],
        Class::OutOfOrder | Class::RestStale => &[Feature::AccountBalance, Feature::Positions],
        Class::Revision => &[Feature::IntradayBar],
        _ if place(class) == Some(Place::Connection) => &[],
        _ => &Feature::ALL,
    }
}

/// Whether a class spoils one field, and that field can be spoiled so.
fn field_fits(class: Class, field: FieldShape) -> bool {
    match class {
        Class::ValueMismatch => !matches!(field.kind, FieldKind::Key | FieldKind::Time),
        Class::MissingField | Class::NullField => true,
        Class::WrongType => !matches!(field.kind, FieldKind::Key),
        Class::BadValue => field.kind == FieldKind::Enum,
        Class::TypeDiffers => {
            matches!(field.kind, FieldKind::Decimal | FieldKind::Integer | FieldKind::Countdown)
        }
        Class::Invariant => field.name == "pnl",
        _ => false,
    }
}

/// The field that a class spoils when none is named.
pub fn default_field(class: Class, feature: Feature) -> Option<FieldShape> {
    let name = match (class, feature) {
        (_, Feature::AccountBalance) => "cash",
        (_, Feature::Positions) => "pnl",
        (_, Feature::IntradayBar) => "close",
        (Class::TypeDiffers | Class::WrongType, Feature::MarketStatus) => "seconds_to_next_event",
        (_, Feature::MarketStatus) => "status",
    };
    feature.field(name).filter(|field| field_fits(class, *field))
}

/// Strikes when neither `rate`, `every` nor `at` is given: soon, and several times in a session of
/// twenty minutes. Those that shift arrivals are rare, or they would be a jitter, too; those that
/// last are rare, or they would never end.
pub fn default_every(class: Class) -> u64 {
    match class {
        Class::Late => 53,
        Class::Frozen | Class::MissingOnWs => 31,
        // Pulses are seconds.
        Class::ConnectionDrop | Class::Stalled => 180,
        Class::TornRead => 1,
        _ => 7,
    }
}

/// How long a strike goes on when `for` is not given. In an `arrival` feature the last one or two
/// messages are candidates, so a wrong one must persist to be seen: three intervals and a settle.
pub fn default_lasting(class: Class, feature: Option<Feature>) -> Span {
    let market = feature == Some(Feature::MarketStatus);
    match class {
        Class::ValueMismatch if market => Span::from_secs(35),
        Class::MissingOnWs if market => Span::from_secs(45),
        Class::Frozen => feature.map_or(Span::ZERO, |feature| feature.interval() * 5),
        // A watcher that is started by hand shall still meet it.
        Class::ConnectFailed => Span::from_secs(60),
        _ => Span::ZERO,
    }
}

const KEYS: [&str; 9] = ["feature", "stream", "field", "rate", "at", "for", "every", "by", "code"];

impl Fault {
    /// Reads `CLASS[:key=value,…]`. Values of `stream` may hold commas: `stream=country=USA,symbol=SPY`.
    pub fn parse(text: &str) -> Result<Fault, FaultError> {
        let (name, rest) = text.split_once(':').unwrap_or((text, ""));
        let class = parse_class(name.trim())?;
        let mut fault = Fault {
            class,
            features: features_of(class).to_vec(),
            stream: None,
            field: None,
            rate_ppm: None,
            at: None,
            lasting: None,
            every: None,
            by: None,
            code: None,
        };
        let mut seen: Vec<&str> = Vec::new();
        let mut field = None;
        for (key, value) in pairs(rest)? {
            if seen.contains(&key) {
                return Err(wrong(text, format!("`{key}` is given twice")));
            }
            seen.push(key);
            if key == "field" {
                field = Some(value);
            } else {
                fault.set(key, &value).map_err(|problem| wrong(text, problem))?;
            }
        }
        fault.choose_field(field.as_deref()).map_err(|problem| wrong(text, problem))?;
        fault.check().map_err(|problem| wrong(text, problem))?;
        Ok(fault)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "feature" => self.set_feature(value)?,
            "stream" => self.stream = Some(value.to_owned()),
            "rate" => self.rate_ppm = Some(parse_rate(value)?),
            "at" => self.at = Some(parse_instant(value)?),
            "for" => self.lasting = Some(parse_span("for", value)?),
            "every" => self.every = Some(parse_count(value)?),
            "by" => self.by = Some(parse_by(value)?),
            _ => self.code = Some(parse_code(self.class, value)?),
        }
        Ok(())
    }

    fn set_feature(&mut self, value: &str) -> Result<(), String> {
        let all: Vec<&str> = Feature::ALL.iter().map(|feature| feature.name()).collect();
        let class = self.class.name();
        let Some(feature) = Feature::ALL.into_iter().find(|feature| feature.name() == value) else {
            return Err(format!("`{value}` is no feature{}", suggestion(value, &all)));
        };
        if !self.features.contains(&feature) {
            let fitting: Vec<&str> = self.features.iter().map(|feature| feature.name()).collect();
            return Err(match fitting.as_slice() {
                [] => format!("`{class}` strikes the connection, not a feature; leave `feature` out"),
                _ => format!("`{class}` makes sense for {} alone", fitting.join(", ")),
            });
        }
        self.features = vec![feature];
        Ok(())
    }

    /// Keeps the features that have the field, in a kind that the class can spoil.
    fn choose_field(&mut self, name: Option<&str>) -> Result<(), String> {
        let Some(name) = name else { return Ok(()) };
        let class = self.class;
        if !Feature::ALL.iter().any(|f| f.fields().iter().any(|field| field_fits(class, *field))) {
            return Err(format!("`{}` spoils no single field; leave `field` out", class.name()));
        }
        let fitting = |feature: &Feature| -> Vec<&'static str> {
            feature
                .fields()
                .iter()
                .filter(|field| field_fits(class, **field))
                .map(|field| field.name)
                .collect()
        };
        let known: Vec<&str> = self.features.iter().flat_map(fitting).collect();
        self.features.retain(|feature| fitting(feature).contains(&name));
        let Some(feature) = self.features.first() else {
            return Err(format!(
                "field `{name}` cannot be struck by `{}`{}",
                class.name(),
                suggestion(name, &known)
            ));
        };
        self.field = feature.field(name).map(|field| field.name);
        Ok(())
    }

    fn check(&self) -> Result<(), String> {
        if self.rate_ppm.is_some() && self.every.is_some() {
            return Err("`rate` and `every` exclude each other; give one".into());
        }
        let place = place(self.class);
        let class = self.class.name();
        if place == Some(Place::Pace) && (self.rate_ppm.is_some() || self.every.is_some()) {
            return Err(format!("`{class}` changes the pace for a while; give `at`, `for` and `by`"));
        }
        if self.code.is_some() && !matches!(self.class, Class::ConnectionDrop | Class::RestError) {
            return Err("`code` belongs to connection_drop and rest_error".into());
        }
        if self.stream.is_some() && (place == Some(Place::Connection) || self.class == Class::RestError) {
            return Err(format!("`{class}` strikes no single stream; leave `stream` out"));
        }
        match (self.class, self.by) {
            (_, None) => Ok(()),
            (Class::IntervalDrift, Some(By::Share(ppm))) if ppm != 0 && ppm.abs() <= 400_000 => Ok(()),
            (Class::IntervalDrift, Some(_)) => Err("`by` is a share such as 5% or -3%, at most 40%".into()),
            (Class::Jitter, Some(By::Share(ppm))) if (1..=240_000).contains(&ppm) => Ok(()),
            (Class::Jitter, Some(_)) => {
                Err("`by` is a share of the interval up to 24% (beyond it versions would overtake)".into())
            }
            (Class::Late | Class::Duplicate, Some(By::Length(_))) => Ok(()),
            (Class::Late | Class::Duplicate, Some(_)) => Err("`by` is a duration such as 2.2s".into()),
            _ => Err("`by` belongs to interval_drift, jitter, late and duplicate".into()),
        }
    }

    pub fn lasting_for(&self, feature: Option<Feature>) -> Span {
        self.lasting.unwrap_or_else(|| default_lasting(self.class, feature))
    }

    /// The field it spoils in a feature, if it spoils one.
    pub fn field_in(&self, feature: Feature) -> Option<FieldShape> {
        match self.field {
            Some(name) => feature.field(name),
            None => default_field(self.class, feature),
        }
    }
}

fn wrong(text: &str, problem: impl std::fmt::Display) -> FaultError {
    FaultError(format!("fault `{text}`: {problem}"))
}

/// Splits at commas; a piece without a known key belongs to the `stream` before it.
fn pairs(text: &str) -> Result<Vec<(&'static str, String)>, FaultError> {
    let mut found: Vec<(&'static str, String)> = Vec::new();
    for piece in text.split(',').filter(|piece| !piece.trim().is_empty()) {
        let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
        let known = KEYS.into_iter().find(|key| *key == name.trim());
        match (known, found.last_mut()) {
            (Some(key), _) if !value.trim().is_empty() => found.push((key, value.trim().to_owned())),
            (Some(key), _) => return Err(FaultError(format!("`{key}` of a fault needs a value: `{key}=…`"))),
            (None, Some(("stream", stream))) => {
                stream.push(',');
                stream.push_str(piece.trim());
            }
            (None, _) => {
                let name = name.trim();
                return Err(FaultError(format!("`{name}` is no key of a fault{}", suggestion(name, &KEYS))));
            }
        }
    }
    Ok(found)
}

fn parse_class(name: &str) -> Result<Class, FaultError> {
    let known: Vec<&str> = injectable().map(Class::name).collect();
    match Class::parse(name) {
        Some(class) if place(class).is_some() => Ok(class),
        Some(_) => Err(FaultError(format!(
            "fault class `{name}` needs a frontend, a process or a log, which the reference server has not; \
             it can inject: {}",
            known.join(", ")
        ))),
        None => Err(FaultError(format!("`{name}` is no fault class{}", suggestion(name, &known)))),
    }
}

fn parse_share(text: &str) -> Option<f64> {
    let (number, scale) = match text.strip_suffix('%') {
        Some(number) => (number, 0.01),
        None => (text, 1.0),
    };
    number.trim().parse::<f64>().ok().filter(|share| share.is_finite()).map(|share| share * scale)
}

fn parse_rate(text: &str) -> Result<u64, String> {
    match parse_share(text) {
        Some(rate) if rate > 0.0 && rate <= 1.0 => Ok((rate * MILLION as f64).round() as u64),
        _ => Err(format!("`rate={text}` must be above 0 and at most 1, such as 0.02 or 2%")),
    }
}

fn parse_span(key: &str, text: &str) -> Result<Span, String> {
    let span = Span::parse(text).filter(|span| *span > Span::ZERO);
    span.ok_or_else(|| format!("`{key}={text}` must be a duration such as 30s or 2m"))
}

fn parse_instant(text: &str) -> Result<Instant, String> {
    let after = Span::parse(text).map(Instant::AfterStart);
    after.or_else(|| Timestamp::parse_rfc3339(text).map(Instant::At)).ok_or_else(|| {
        format!("`at={text}` must be a time after the start (90s) or an instant (2025-12-19T14:30:00Z)")
    })
}

fn parse_count(text: &str) -> Result<u64, String> {
    let count = text.parse().ok().filter(|count| *count > 0);
    count.ok_or_else(|| format!("`every={text}` must be a whole number from 1: each Nth is struck"))
}

fn parse_by(text: &str) -> Result<By, String> {
    let length = Span::parse(text).map(By::Length);
    let share = || parse_share(text).map(|share| By::Share((share * MILLION as f64).round() as i64));
    length.or_else(share).ok_or_else(|| format!("`by={text}` must be a share (5%) or a duration (2s)"))
}

fn parse_code(class: Class, text: &str) -> Result<u16, String> {
    let (range, example) = match class {
        Class::RestError => (400..=599, "an HTTP status such as 503"),
        _ => (1000..=4999, "a close code such as 1011"),
    };
    let code = text.parse().ok().filter(|code| range.contains(code));
    code.ok_or_else(|| format!("`code={text}` must be {example}"))
}

/// `; did you mean …? known: …`
fn suggestion(text: &str, known: &[&str]) -> String {
    let nearest = known.iter().map(|name| (distance(text, name), *name)).min();
    let guess = match nearest {
        Some((distance, name)) if distance <= 2.max(name.len() / 3) => format!("; did you mean `{name}`?"),
        _ => ";".to_owned(),
    };
    format!("{guess} known: {}", known.join(", "))
}

/// Levenshtein's distance in characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read() {
        let fault = Fault::parse("value_mismatch:feature=positions,field=pnl,rate=0.02").unwrap();
        assert_eq!(fault.features, [Feature::Positions]);
        assert_eq!((fault.field, fault.rate_ppm), (Some("pnl"), Some(20_000)));

        let fault = Fault::parse("gap:stream=country=USA,symbol=SPY,every=3").unwrap();
        assert_eq!(fault.stream.as_deref(), Some("country=USA,symbol=SPY"));
        assert_eq!(fault.every, Some(3));

        let fault = Fault::parse("connection_drop:at=90s,code=1011").unwrap();
        assert_eq!(fault.at, Some(Instant::AfterStart(Span::from_secs(90))));
        assert_eq!((fault.code, fault.features.len()), (Some(1011), 0));

        let fault = Fault::parse("interval_drift:feature=positions,by=-3%,at=2025-12-19T14:30:00Z").unwrap();
        assert_eq!(fault.by, Some(By::Share(-30_000)));
        assert!(matches!(fault.at, Some(Instant::At(_))));

        // A field narrows the features to those that have it.
        assert_eq!(Fault::parse("value_mismatch:field=cash").unwrap().features, [Feature::AccountBalance]);
        assert_eq!(Fault::parse("missing_field").unwrap().features, Feature::ALL);
    }

    #[test]
    fn every_injectable_class_is_read_by_its_name() {
        for class in Class::ALL {
            assert_eq!(Fault::parse(class.name()).is_ok(), place(*class).is_some(), "{class}");
        }
    }

    #[test]
    fn mistakes_say_what_would_be_right() {
        for (text, says) in [
            ("value_mismatsh", "did you mean `value_mismatch`?"),
            ("", "known: value_mismatch"),
            ("log_error", "it can inject"),
            ("gap:feature=position", "did you mean `positions`?"),
            ("gap:featur=positions", "did you mean `feature`?"),
            ("gap:rate=2", "at most 1"),
            ("gap:rate=nan", "at most 1"),
            ("gap:every=0", "whole number from 1"),
            ("gap:at=soon", "after the start"),
            ("gap:for=10", "duration"),
            ("gap:rate=1%,every=2", "exclude each other"),
            ("gap:every=1,every=2", "given twice"),
            ("gap:every=", "needs a value"),
            ("gap:field=cash", "leave `field` out"),
            ("gap:by=5%", "belongs to"),
            ("value_mismatch:field=timestamp", "cannot be struck"),
            ("value_mismatch:feature=positions,field=cash", "known: quantity"),
            ("bad_value:feature=positions", "market_status alone"),
            ("connection_drop:feature=positions", "leave `feature` out"),
            ("connection_drop:code=7", "close code"),
            ("interval_drift:rate=1%", "give `at`"),
            ("jitter:by=60%", "24%"),
            ("late:by=5%", "duration"),
        ] {
            let error = Fault::parse(text).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
