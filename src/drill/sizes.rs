//! How wrong a value may be made: just within and just beyond what the contract allows, and amounts
//! that a person would call wrong. Pure numbers and text; knows no recording.

use super::mutant::Expect;
use crate::contract::{Align, Field, FieldType, Tolerance};
use crate::model::json::scalar;
use crate::model::time::Span;
use crate::model::value::{Number, parse_instant};
use crate::model::{Class, Timestamp};
use bigdecimal::{BigDecimal, RoundingMode, Zero};

/// One way to make a value wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Wrong {
    pub size: String,
    pub expect: Expect,
    pub how: How,
}

#[derive(Debug, Clone, PartialEq)]
pub enum How {
    /// This text stands in its place.
    Becomes(String),
    /// This much is added to what stands there.
    Grows(BigDecimal),
}

impl How {
    /// The struck value's text, in the form that the value had.
    pub fn apply(&self, raw: &str) -> Option<String> {
        match self {
            How::Becomes(text) => Some(text.clone()),
            How::Grows(by) => Some(written_like(raw, &(number(raw)? + by))),
        }
    }
}

/// What surrounds a value.
#[derive(Debug, Clone, Copy)]
pub struct Setting<'s> {
    pub field: &'s Field,
    /// As the gate reads it: a redacted field is text.
    pub kind: FieldType,
    pub align: Align,
    /// The value on REST that it is held against, and on the WebSocket, as received.
    pub rest: &'s str,
    pub ws: &'s str,
    pub at: Timestamp,
    /// `arrival`: the value stands still on both sides for as long as it is struck.
    pub still: bool,
    /// How much may run down between the two sides' words.
    pub elapsed: Span,
}

pub fn number(raw: &str) -> Option<BigDecimal> {
    Number::parse(&scalar(raw)).map(|n| n.to_big())
}

/// Digits after the point as written.
fn scale(raw: &str) -> i64 {
    scalar(raw).split_once('.').map_or(0, |(_, digits)| digits.len() as i64)
}

/// A number in the JSON form that another one has.
fn written_like(raw: &str, value: &BigDecimal) -> String {
    let plain = Number::from(value.clone()).to_string();
    if raw.starts_with('"') { format!("\"{plain}\"") } else { plain }
}

fn shown(value: &BigDecimal) -> String {
    Number::from(value.clone()).to_string()
}

/// The ways to make a value wrong, smallest first; none where the value is no value of its type.
pub fn wrongs(setting: &Setting<'_>) -> Vec<Wrong> {
    match setting.kind {
        FieldType::Decimal | FieldType::Integer => numbers(setting),
        FieldType::Countdown => countdowns(setting),
        FieldType::Timestamp => instants(setting),
        FieldType::String => vec![another(format!("{}~\"", inner(setting.ws)))],
        FieldType::Enum => {
            let value = scalar(setting.ws);
            let place = setting.field.values.iter().position(|v| *v == value);
            let next = place.map(|i| &setting.field.values[(i + 1) % setting.field.values.len()]);
            let other = next.filter(|next| ***next != *value);
            other.map(|v| another(serde_json::Value::from(v.as_str()).to_string())).into_iter().collect()
        }
        FieldType::Boolean => {
            let flipped = if scalar(setting.ws) == "true" { "false" } else { "true" };
            let quoted = setting.ws.starts_with('"');
            vec![another(if quoted { format!("\"{flipped}\"") } else { flipped.into() })]
        }
    }
}

/// A text without its closing quote; anything else as the beginning of a text.
fn inner(raw: &str) -> String {
    match raw.strip_suffix('"') {
        Some(open) => open.to_string(),
        None => format!("\"{raw}"),
    }
}

fn another(raw: String) -> Wrong {
    Wrong { size: "another value".into(), expect: Expect::Seen, how: How::Becomes(raw) }
}

fn numbers(setting: &Setting<'_>) -> Vec<Wrong> {
    let (Some(rest), Some(ws)) = (number(setting.rest), number(setting.ws)) else { return Vec::new() };
    let zero = BigDecimal::zero();
    let tolerance = match &setting.field.tolerance {
        Tolerance::Absolute(t) => t.clone(),
        Tolerance::Relative(fraction) => rest.abs() * fraction,
        Tolerance::Exact | Tolerance::Time(_) => zero.clone(),
    };
    let whole = setting.kind == FieldType::Integer;
    let floor = |n: &BigDecimal| if whole { n.with_scale_round(0, RoundingMode::Floor) } else { n.clone() };
    // The least that counts: one in the last digit, or a thousandth of the tolerance.
    let step = match () {
        () if whole => BigDecimal::from(1),
        () if tolerance > zero => &tolerance / BigDecimal::from(1000),
        () => BigDecimal::new(1.into(), scale(setting.ws).max(scale(setting.rest))),
    };
    let allowed = floor(&tolerance);
    // Against one REST value exactly; against several polls relative to what stands there.
    let how = |by: &BigDecimal| match setting.align {
        Align::Arrival => How::Grows(by.clone()),
        Align::Time | Align::Bucket => How::Becomes(written_like(setting.ws, &(&rest + by))),
    };
    let mut list = Vec::new();
    if allowed > zero {
        let exact = setting.align != Align::Arrival || setting.still;
        let within = if exact { allowed.clone() } else { floor(&(&allowed / BigDecimal::from(2))) };
        let size = if exact { "at the tolerance" } else { "half the tolerance" };
        let why = format!("the tolerance is {}", shown(&tolerance));
        if within > zero {
            list.push(Wrong { size: size.into(), expect: Expect::Within(why), how: how(&within) });
        }
    }
    let beyond = &allowed + &step;
    let size = if tolerance > zero { "just above the tolerance" } else { "the least that differs" };
    list.push(Wrong { size: size.into(), expect: Expect::Seen, how: how(&beyond) });
    for percent in [1, 10] {
        let by = floor(&(ws.abs() * BigDecimal::new(percent.into(), 2)));
        if by <= zero {
            continue;
        }
        let expect = match by <= tolerance {
            true => Expect::Unseen(format!(
                "{} is within the tolerance of {}; a smaller `tolerance` would see it",
                shown(&by),
                shown(&tolerance)
            )),
            false => Expect::Seen,
        };
        list.push(Wrong { size: format!("{percent} % off"), expect, how: how(&by) });
    }
    list
}

/// What runs down may differ by what elapsed between the two sides' words, besides the tolerance.
fn countdowns(setting: &Setting<'_>) -> Vec<Wrong> {
    let seconds = |span: Span| BigDecimal::new(span.0.into(), 9).with_scale_round(0, RoundingMode::Ceiling);
    let tolerance = match setting.field.tolerance {
        Tolerance::Time(span) => span,
        _ => Span::ZERO,
    };
    if number(setting.ws).is_none() {
        return Vec::new();
    }
    let (tolerated, elapsed) = (seconds(tolerance), seconds(setting.elapsed));
    let grow = |by: BigDecimal| How::Grows(by);
    let why = format!(
        "a countdown may differ by its tolerance of {tolerance} and by what elapsed between the two sides' words"
    );
    let one = BigDecimal::from(1);
    let mut list = Vec::new();
    // Either side may have rounded its seconds.
    if tolerated > one {
        let within = Expect::Within(format!("the tolerance is {tolerance}"));
        let size = "a second within the tolerance".into();
        list.push(Wrong { size, expect: within, how: grow(&tolerated - &one) });
    }
    let size = "just above the tolerance".into();
    list.push(Wrong { size, expect: Expect::Unsure(why), how: grow(&tolerated + &one) });
    let size = "beyond what can elapse".into();
    list.push(Wrong {
        size,
        expect: Expect::Seen,
        how: grow(tolerated + elapsed + one * BigDecimal::from(2)),
    });
    list
}

fn instants(setting: &Setting<'_>) -> Vec<Wrong> {
    let tolerance = match setting.field.tolerance {
        Tolerance::Time(span) => span,
        _ => Span::ZERO,
    };
    let from = |raw: &str| parse_instant(&scalar(raw), setting.field.zone, setting.at);
    let (Some(rest), Some(ws)) = (from(setting.rest), from(setting.ws)) else { return Vec::new() };
    let base = if setting.align == Align::Arrival { Span::ZERO } else { rest - ws };
    let moved = |by: Span| moved_instant(setting, base + by).map(How::Becomes);
    let mut list = Vec::new();
    let mut add = |size: &str, expect: Expect, by: Span| {
        if let Some(how) = moved(by) {
            list.push(Wrong { size: size.into(), expect, how });
        }
    };
    if tolerance > Span::ZERO && setting.align != Align::Arrival {
        add("at the tolerance", Expect::Within(format!("the tolerance is {tolerance}")), tolerance);
    }
    let size = if tolerance > Span::ZERO { "just above the tolerance" } else { "the least that differs" };
    add(size, Expect::Seen, tolerance + Span::from_millis(1));
    let minute = Span::from_secs(60);
    let expect = match minute <= tolerance {
        true => Expect::Unseen(format!("a minute is within the tolerance of {tolerance}")),
        false => Expect::Seen,
    };
    add("a minute off", expect, minute);
    list
}

/// An instant in the form that it had, moved.
pub fn moved_raw(raw: &str, zone: chrono_tz::Tz, near: Timestamp, by: Span) -> Option<String> {
    let text = scalar(raw);
    let moved = if let Some(at) = Timestamp::parse_rfc3339(&text) {
        (at + by).to_string()
    } else if let Some(local) = Timestamp::parse_naive(&text) {
        (local + by).to_string().trim_end_matches('Z').to_string()
    } else {
        // The unit is told by the size, so it is found by what one of it means.
        let value = number(raw)?;
        let one = parse_instant(&shown(&(&value + BigDecimal::from(1))), zone, near)?
            - parse_instant(&shown(&value), zone, near)?;
        let units = BigDecimal::from(by.0) / BigDecimal::from(one.0.max(1));
        return Some(written_like(raw, &(value + units)));
    };
    Some(format!("\"{moved}\""))
}

fn moved_instant(setting: &Setting<'_>, by: Span) -> Option<String> {
    moved_raw(setting.ws, setting.field.zone, setting.at, by)
}

/// The value in another JSON type that reads the same.
pub fn other_type(kind: FieldType, raw: &str) -> Option<String> {
    match kind {
        FieldType::Decimal | FieldType::Integer | FieldType::Countdown if number(raw).is_some() => {
            match raw.starts_with('"') {
                true => Some(scalar(raw).into_owned()).filter(|text| crate::model::json::is_json(text)),
                false => Some(format!("\"{raw}\"")),
            }
        }
        FieldType::Boolean if raw.starts_with('"') => Some(scalar(raw).into_owned()),
        FieldType::Boolean => Some(format!("\"{raw}\"")),
        _ => None,
    }
}

/// Whether a missing or null member is allowed.
pub fn lacking(class: Class, field: &Field) -> Expect {
    match class {
        Class::MissingField | Class::NullField if field.optional => {
            Expect::Unseen("`optional = true`: it may be missing or null".into())
        }
        _ => Expect::Seen,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{Forming, Source};

    fn field(kind: FieldType, tolerance: Tolerance) -> Field {
        let source = || Source::Record(vec!["x".into()]);
        Field {
            name: "x".into(),
            kind,
            tolerance,
            optional: false,
            compare: true,
            values: vec!["OPEN".into(), "CLOSED".into()],
            forming: Forming::Final,
            is_static: false,
            zone: chrono_tz::Tz::UTC,
            rest: source(),
            ws: source(),
            reshape_rest: Default::default(),
            reshape_ws: Default::default(),
        }
    }

    fn told(field: &Field, align: Align, rest: &str, ws: &str) -> Vec<(String, String)> {
        let at = Timestamp::parse_rfc3339("2025-12-19T14:30:00Z").unwrap();
        let (kind, elapsed) = (field.kind, Span::from_secs(10));
        let setting = Setting { field, kind, align, rest, ws, at, still: false, elapsed };
        wrongs(&setting)
            .into_iter()
            .map(|wrong| {
                let mark = match wrong.expect {
                    Expect::Seen => "!",
                    Expect::Within(_) => "=",
                    Expect::Unseen(_) => "-",
                    Expect::Unsure(_) => "?",
                };
                (format!("{mark} {}", wrong.size), wrong.how.apply(ws).unwrap())
            })
            .collect()
    }

    fn decimal(text: &str) -> BigDecimal {
        text.parse().unwrap()
    }

    fn list(expect: &[(&str, &str)]) -> Vec<(String, String)> {
        expect.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect()
    }

    #[test]
    fn decimals_just_within_and_just_beyond() {
        let tight = field(FieldType::Decimal, Tolerance::Absolute(decimal("0.005")));
        assert_eq!(
            told(&tight, Align::Time, "100.00", "100.00"),
            list(&[
                ("= at the tolerance", "100.005"),
                ("! just above the tolerance", "100.005005"),
                ("! 1 % off", "101"),
                ("! 10 % off", "110"),
            ])
        );
        // The bound lies around REST's value, and text stays text.
        assert_eq!(told(&tight, Align::Time, "100.00", "\"100.003\"")[0].1, "\"100.005\"");
        let wide = field(FieldType::Decimal, Tolerance::Relative(decimal("0.05")));
        assert_eq!(
            told(&wide, Align::Time, "-200", "-200.00"),
            list(&[
                ("= at the tolerance", "-190"),
                ("! just above the tolerance", "-189.99"),
                ("- 1 % off", "-198"),
                ("! 10 % off", "-180"),
            ])
        );
        let exact = field(FieldType::Decimal, Tolerance::Exact);
        assert_eq!(
            told(&exact, Align::Bucket, "7.50", "7.50")[0],
            ("! the least that differs".into(), "7.51".into())
        );
    }

    #[test]
    fn integers_stay_whole_and_arrivals_move() {
        let loose = field(FieldType::Integer, Tolerance::Absolute(decimal("2.5")));
        assert_eq!(
            told(&loose, Align::Time, "40", "40"),
            list(&[("= at the tolerance", "42"), ("! just above the tolerance", "43"), ("! 10 % off", "44")])
        );
        let tight = field(FieldType::Decimal, Tolerance::Absolute(decimal("0.5")));
        assert_eq!(
            told(&tight, Align::Arrival, "10", "20")[..2],
            list(&[("= half the tolerance", "20.25"), ("! just above the tolerance", "20.5005")])
        );
    }

    #[test]
    fn other_types_change_within_their_kind() {
        let time = field(FieldType::Timestamp, Tolerance::Time(Span::from_secs(1)));
        assert_eq!(
            told(&time, Align::Time, "1766154600", "1766154600"),
            list(&[
                ("= at the tolerance", "1766154601"),
                ("! just above the tolerance", "1766154601.001"),
                ("! a minute off", "1766154660"),
            ])
        );
        let naive = told(&time, Align::Time, "\"2025-12-19T14:30:00\"", "\"2025-12-19T14:30:00\"");
        assert_eq!(naive[2].1, "\"2025-12-19T14:31:00\"");
        let status = field(FieldType::Enum, Tolerance::Exact);
        assert_eq!(told(&status, Align::Arrival, "\"OPEN\"", "\"OPEN\"")[0].1, "\"CLOSED\"");
        let text = field(FieldType::String, Tolerance::Exact);
        assert_eq!(told(&text, Align::Time, "\"a\"", "\"a\"")[0].1, "\"a~\"");
        let countdown = field(FieldType::Countdown, Tolerance::Time(Span::from_secs(2)));
        assert_eq!(
            told(&countdown, Align::Arrival, "300", "300"),
            list(&[
                ("= a second within the tolerance", "301"),
                ("? just above the tolerance", "303"),
                ("! beyond what can elapse", "314"),
            ])
        );
        assert_eq!(other_type(FieldType::Decimal, "1.50").as_deref(), Some("\"1.50\""));
        assert_eq!(other_type(FieldType::Decimal, "\"1.50\"").as_deref(), Some("1.50"));
        assert_eq!(other_type(FieldType::Decimal, "\"007\""), None);
        assert_eq!(other_type(FieldType::Enum, "\"OPEN\""), None);
    }
}
