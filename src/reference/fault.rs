//! `--fault NAME[:key=value,…]`: what a person may ask for, and the rules of each name. Parses and
//! refuses; injects nothing. Every error says what would be right.

mod manner;
mod text;

pub use manner::{MANNERS, Manner, Named, Place, default_field, help, injectable, names, partner, place};

use super::feature::{Feature, FieldShape};
use crate::contract::spelling::cure;
use crate::model::{Class, Span, Timestamp};
use manner::{features_of, field_fits};

/// One fault that was asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// As it was typed.
    pub text: String,
    /// What a verifier must report; `None` where a correct one stays silent.
    pub class: Option<Class>,
    pub manner: Manner,
    pub place: Place,
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

/// The longest that `slow_rest` makes an answer wait: below the built-in contract's time-out of 5 s.
const SLOWEST_IN_TIME: Span = Span::from_millis(4500);

/// How far a clock is off when nobody says how far.
const SKEW: Span = Span::from_secs(90);

const KEYS: [&str; 9] = ["feature", "stream", "field", "rate", "at", "for", "every", "by", "code"];

impl Fault {
    /// Reads `NAME[:key=value,…]`. Values of `stream` may hold commas: `stream=country=USA,symbol=SPY`.
    pub fn parse(text: &str) -> Result<Fault, FaultError> {
        let (name, rest) = text.split_once(':').unwrap_or((text, ""));
        let mut fault = Fault::named(name.trim())?;
        fault.text = text.to_owned();
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
        fault.check(&seen).map_err(|problem| wrong(text, problem))?;
        Ok(fault)
    }

    /// With nothing but its name.
    fn named(name: &str) -> Result<Fault, FaultError> {
        let (class, manner, place, features) = match Manner::find(name) {
            Some(named) => (named.class, named.manner, named.place, named.features),
            None => {
                let (class, place) = parse_class(name)?;
                (Some(class), Manner::Plain, place, features_of(class))
            }
        };
        Ok(Fault {
            text: name.to_owned(),
            class,
            manner,
            place,
            features: features.to_vec(),
            stream: None,
            field: None,
            rate_ppm: None,
            at: None,
            lasting: None,
            every: None,
            by: None,
            code: None,
        })
    }

    /// The class, where it comes about in the way its own name promises.
    pub fn plain(&self) -> Option<Class> {
        self.class.filter(|_| self.manner == Manner::Plain)
    }

    /// What stands before the colon.
    pub fn name(&self) -> &str {
        self.text.split(':').next().unwrap_or_default().trim()
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "feature" => self.set_feature(value)?,
            "stream" => self.stream = Some(value.to_owned()),
            "rate" => self.rate_ppm = Some(text::rate(value)?),
            "at" => self.at = Some(text::instant(value)?),
            "for" => self.lasting = Some(text::span("for", value)?),
            "every" => self.every = Some(text::count(value)?),
            "by" => self.by = Some(text::by(value)?),
            _ => {
                self.code = Some(match self.plain() {
                    Some(Class::ConnectionDrop) => text::close_code(value)?,
                    Some(Class::RestError) => text::status(value)?,
                    _ => return Err("`code` belongs to connection_drop and rest_error".into()),
                });
            }
        }
        Ok(())
    }

    fn set_feature(&mut self, value: &str) -> Result<(), String> {
        let all = Feature::ALL.map(Feature::name);
        let Some(feature) = Feature::ALL.into_iter().find(|feature| feature.name() == value) else {
            return Err(format!("`{value}` is no feature; {}", cure(value, all)));
        };
        if !self.features.contains(&feature) {
            let fitting: Vec<&str> = self.features.iter().map(|feature| feature.name()).collect();
            let name = self.name();
            return Err(match fitting.as_slice() {
                [] => format!("`{name}` strikes the connection, not a feature; leave `feature` out"),
                _ => format!("`{name}` makes sense for {} alone", fitting.join(", ")),
            });
        }
        self.features = vec![feature];
        Ok(())
    }

    /// Keeps the features that have the field, in a kind that the fault can spoil.
    fn choose_field(&mut self, name: Option<&str>) -> Result<(), String> {
        let Some(name) = name else { return Ok(()) };
        let fits = |field: &FieldShape| field_fits(self.class, self.manner, *field);
        if !Feature::ALL.iter().any(|feature| feature.fields().iter().any(&fits)) {
            return Err(format!("`{}` spoils no single field; leave `field` out", self.name()));
        }
        let fitting = |feature: &Feature| -> Vec<&'static str> {
            feature.fields().iter().filter(|field| fits(field)).map(|field| field.name).collect()
        };
        let known: Vec<&str> = self.features.iter().flat_map(fitting).collect();
        let having: Vec<Feature> =
            self.features.iter().copied().filter(|feature| fitting(feature).contains(&name)).collect();
        let Some(feature) = having.first() else {
            let cure = cure(name, known);
            return Err(format!("field `{name}` cannot be struck by `{}`; {cure}", self.name()));
        };
        self.field = feature.field(name).map(|field| field.name);
        self.features = having;
        Ok(())
    }

    fn check(&self, seen: &[&str]) -> Result<(), String> {
        if self.rate_ppm.is_some() && self.every.is_some() {
            return Err("`rate` and `every` exclude each other; give one".into());
        }
        let name = self.name();
        let has_draw = self.rate_ppm.is_some() || self.every.is_some();
        if self.place == Place::Pace && has_draw {
            return Err(format!("`{name}` changes the pace for a while; give `at`, `for` and `by`"));
        }
        if self.place == Place::Clock && seen.iter().any(|key| *key != "by") {
            return Err(format!("`{name}` holds for the whole run; give `by` alone"));
        }
        let of_no_stream = self.place == Place::Connection || self.is_of_whole_answers();
        if self.stream.is_some() && of_no_stream {
            return Err(format!("`{name}` strikes no single stream; leave `stream` out"));
        }
        self.check_by()
    }

    /// Whether it strikes answers, not the records in them.
    fn is_of_whole_answers(&self) -> bool {
        let by_manner = matches!(self.manner, Manner::SlowRest | Manner::HangingRest | Manner::RateLimited);
        by_manner || self.plain() == Some(Class::RestError)
    }

    fn check_by(&self) -> Result<(), String> {
        let Some(by) = self.by else { return Ok(()) };
        let is_length = matches!(by, By::Length(length) if length > Span::ZERO);
        match (self.plain(), self.manner, by) {
            (Some(Class::IntervalDrift), _, By::Share(ppm)) if ppm != 0 && ppm.abs() <= 400_000 => Ok(()),
            (Some(Class::IntervalDrift), ..) => Err("`by` is a share such as 5% or -3%, at most 40%".into()),
            (Some(Class::Jitter), _, By::Share(ppm)) if (1..=240_000).contains(&ppm) => Ok(()),
            (Some(Class::Jitter), ..) => {
                Err("`by` is a share of the interval up to 24% (beyond it versions would overtake)".into())
            }
            (Some(Class::Late | Class::Duplicate), ..) | (None, Manner::Shuffled, _) if is_length => Ok(()),
            (Some(Class::Late | Class::Duplicate), ..) | (None, Manner::Shuffled, _) => {
                Err("`by` is a duration such as 2.2s".into())
            }
            (_, Manner::SlowRest, By::Length(length)) if is_length && length <= SLOWEST_IN_TIME => Ok(()),
            (_, Manner::SlowRest, _) => Err(format!(
                "`by` is a duration up to {SLOWEST_IN_TIME}, within the time-out; hanging_rest exceeds it"
            )),
            (_, Manner::ClockSkew, By::Share(ppm)) if ppm.abs() > 100_000 => {
                Err("`by` is a duration such as 90s or -2m, or a share up to 10%".into())
            }
            (_, Manner::ClockSkew, _) => Ok(()),
            _ => Err(
                "`by` belongs to interval_drift, jitter, late, duplicate, shuffled, slow_rest and clock_skew"
                    .into(),
            ),
        }
    }

    pub fn lasting_for(&self, feature: Option<Feature>) -> Span {
        self.lasting.unwrap_or_else(|| self.default_lasting(feature))
    }

    /// How long a strike goes on when `for` is not given. In an `arrival` feature the last one or two
    /// messages are candidates, so a wrong one must persist to be seen: three intervals and a settle.
    pub fn default_lasting(&self, feature: Option<Feature>) -> Span {
        let market = feature == Some(Feature::MarketStatus);
        match self.plain() {
            Some(Class::ValueMismatch) if market => Span::from_secs(35),
            Some(Class::MissingOnWs) if market => Span::from_secs(45),
            Some(Class::Frozen) => feature.map_or(Span::ZERO, |feature| feature.interval() * 5),
            // A watcher that is started by hand shall still meet it.
            Some(Class::ConnectFailed) => Span::from_secs(60),
            _ => Span::ZERO,
        }
    }

    /// Strikes when neither `rate`, `every` nor `at` is given: soon, and several times in a session of
    /// twenty minutes. Those that shift arrivals are rare, or they would be a jitter, too; those that
    /// last are rare, or they would never end.
    pub fn default_every(&self) -> u64 {
        match self.plain() {
            _ if self.manner == Manner::Reordered => 53,
            // Pulses are seconds.
            _ if self.place == Place::Connection => 180,
            Some(Class::Late) => 53,
            Some(Class::Frozen | Class::MissingOnWs) => 31,
            _ => 7,
        }
    }

    /// The field it spoils in a feature, if it spoils one.
    pub fn field_in(&self, feature: Feature) -> Option<FieldShape> {
        match self.field {
            Some(name) => feature.field(name),
            None => default_field(self.class, self.manner, feature),
        }
    }
}

/// How far the faults put the server's clock off, and by how many millionths it runs faster.
pub fn clock_skew(faults: &[Fault]) -> (Span, i64) {
    let skews = faults.iter().filter(|fault| fault.manner == Manner::ClockSkew);
    skews.fold((Span::ZERO, 0), |(offset, drift_ppm), fault| match fault.by {
        Some(By::Share(ppm)) => (offset, drift_ppm + ppm),
        Some(By::Length(length)) => (offset + length, drift_ppm),
        None => (offset + SKEW, drift_ppm),
    })
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
                return Err(FaultError(format!("`{name}` is no key of a fault; {}", cure(name, KEYS))));
            }
        }
    }
    Ok(found)
}

fn parse_class(name: &str) -> Result<(Class, Place), FaultError> {
    match (Class::parse(name), Class::parse(name).and_then(place)) {
        (Some(class), Some(place)) => Ok((class, place)),
        (Some(_), None) => Err(FaultError(format!(
            "fault class `{name}` needs a frontend, a process or a log, which the reference server has not; \
             it can inject: {}",
            names().join(", ")
        ))),
        (None, _) => Err(FaultError(format!("`{name}` is no fault; {}", cure(name, names())))),
    }
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
    fn every_manner_is_read_by_its_name_and_stands_in_the_help() {
        let help = help();
        for named in MANNERS {
            let fault = Fault::parse(named.name).unwrap();
            assert_eq!((fault.class, fault.manner, fault.name()), (named.class, named.manner, named.name));
            assert!(help.contains(named.name) && help.contains(named.says), "{}", named.name);
        }
        assert!(injectable().all(|class| help.contains(class.name())), "{help}");
        assert!(help.lines().all(|line| line.chars().count() <= 110), "{help}");
        let fault = Fault::parse("clock_skew:by=-2m").unwrap();
        assert_eq!(fault.by, Some(By::Length(Span::from_secs(-120))));
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
            ("", "known here: `value_mismatch`"),
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
            ("value_mismatch:feature=positions,field=cash", "known here: `quantity`"),
            ("bad_value:feature=positions", "market_status alone"),
            ("connection_drop:feature=positions", "leave `feature` out"),
            ("connection_drop:code=7", "close code"),
            ("interval_drift:rate=1%", "give `at`"),
            ("jitter:by=60%", "24%"),
            ("late:by=5%", "duration"),
            ("late:by=-2s", "duration"),
            ("gap:rate=0.0000001", "above 0"),
            ("swaped_fields", "did you mean `swapped_fields`?"),
            ("swapped_fields:field=volume", "cannot be struck"),
            ("swapped_fields:feature=market_status", "account_balance, positions, intraday_bar alone"),
            ("off_by_one_minute:feature=positions", "intraday_bar alone"),
            ("half_open:stream=account_id=123", "leave `stream` out"),
            ("rate_limited:stream=account_id=123", "leave `stream` out"),
            ("rate_limited:code=500", "belongs to connection_drop and rest_error"),
            ("connection_drop:code=1005", "such as 1001"),
            ("slow_rest:by=9s", "hanging_rest"),
            ("clock_skew:at=5s,by=2s", "give `by` alone"),
            ("clock_skew:by=30%", "up to 10%"),
        ] {
            let error = Fault::parse(text).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
