//! Values written anew as the contract says they are meant: `normal`, `map`, `scale`, `round`, `empty`.
//!
//! Done once, as a record is read, so that all that follows (keys, comparing, sums, proofs) sees one way to
//! write a value. Must not judge: what it cannot read it leaves as it is, for others to find.

use crate::contract::{Empty, Normal, Reshape};
use crate::model::json::{Kind, scalar};
use crate::model::text::as_json_string;
use crate::model::value::Number;
use bigdecimal::RoundingMode;
use std::borrow::Cow;

/// The value's JSON text anew; `None` where it stays as it is.
pub fn reshaped(reshape: &Reshape, kind: Kind, raw: &str) -> Option<String> {
    if says_nothing(reshape, kind, raw) {
        return Some("null".into());
    }
    if !matches!(kind, Kind::Bool | Kind::Number | Kind::String) {
        return None;
    }
    let said = scalar(raw);
    let mut text = reshape.normal.iter().fold(said.clone(), |text, step| Cow::Owned(normal(step, &text)));
    if let Some((_, meaning)) = reshape.map.iter().find(|(word, _)| **word == *text) {
        text = Cow::Borrowed(meaning);
    }
    let as_number = |text: &str| (kind == Kind::Number).then(|| text.to_string());
    match number(reshape, &text) {
        Some(number) => Some(as_number(&number).unwrap_or_else(|| as_json_string(&number))),
        None => (text != said).then(|| as_json_string(&text)),
    }
}

/// Whether this is a declared way to say that there is no value.
fn says_nothing(reshape: &Reshape, kind: Kind, raw: &str) -> bool {
    reshape.empty.iter().any(|way| match way {
        Empty::Absent => kind == Kind::Absent,
        Empty::Null => kind == Kind::Null,
        Empty::Text(text) => kind == Kind::String && *scalar(raw) == **text,
    })
}

fn normal(step: &Normal, text: &str) -> String {
    match step {
        Normal::Upper => text.to_uppercase(),
        Normal::Lower => text.to_lowercase(),
        Normal::Trim => text.trim().to_string(),
        Normal::Strip(prefix) => text.strip_prefix(prefix.as_str()).unwrap_or(text).to_string(),
        Normal::Replace(from, to) => text.replace(from.as_str(), to),
    }
}

/// The number scaled and rounded, where that is asked for and it is one.
fn number(reshape: &Reshape, text: &str) -> Option<String> {
    if reshape.scale.is_none() && reshape.round.is_none() {
        return None;
    }
    let mut number = Number::parse(text)?.to_big();
    if let Some(factor) = &reshape.scale {
        number *= factor;
    }
    if let Some(places) = reshape.round {
        number = number.with_scale_round(i64::from(places), RoundingMode::HalfEven);
    }
    Some(Number::from(number).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bigdecimal::BigDecimal;

    fn round(places: u32) -> Reshape {
        Reshape { round: Some(places), ..Reshape::default() }
    }

    fn check(reshape: &Reshape, raw: &str, expect: &str) {
        let kind = match raw.as_bytes()[0] {
            b'"' => Kind::String,
            b't' | b'f' => Kind::Bool,
            b'n' => Kind::Null,
            _ => Kind::Number,
        };
        assert_eq!(reshaped(reshape, kind, raw).as_deref().unwrap_or(raw), expect, "{raw}");
    }

    #[test]
    fn numbers_are_rounded_half_to_even_and_keep_their_json_type() {
        for (raw, expect) in [
            ("1694.864192", "1694.86"),
            ("\"1694.86\"", "\"1694.86\""),
            ("0.020000000000038654", "0.02"),
            ("0.125", "0.12"),
            ("0.135", "0.14"),
            ("-0.001", "0"),
            ("1e3", "1000"),
            ("null", "null"),
            ("\"unknown\"", "\"unknown\""),
            ("true", "true"),
        ] {
            check(&round(2), raw, expect);
        }
    }

    #[test]
    fn a_factor_is_exact_and_comes_before_rounding() {
        let cents = Reshape { scale: Some("0.01".parse::<BigDecimal>().unwrap()), ..Reshape::default() };
        check(&cents, "4378064", "43780.64");
        check(&cents, "\"9007199254740993\"", "\"90071992547409.93\"");
        check(&Reshape { round: Some(1), ..cents }, "155", "1.6");
    }

    #[test]
    fn words_are_made_alike_and_then_mean_something() {
        let normal = vec![Normal::Trim, Normal::Upper, Normal::Strip("/".into())];
        let map = vec![("ES".to_string(), "E-MINI".to_string()), ("1".into(), "PAPER-1".into())];
        let reshape = Reshape { normal, map, ..Reshape::default() };
        for (raw, expect) in [
            ("\" /es\"", "\"E-MINI\""),
            ("\"nq\"", "\"NQ\""),
            ("\"NQ\"", "\"NQ\""),
            ("1", "\"PAPER-1\""),
            ("2", "2"),
            ("true", "\"TRUE\""),
            ("{}", "{}"),
        ] {
            let kind_is_object = raw == "{}";
            if kind_is_object {
                assert_eq!(reshaped(&reshape, Kind::Object, raw), None);
            } else {
                check(&reshape, raw, expect);
            }
        }
        let dots = Reshape { normal: vec![Normal::Replace(".".into(), "/".into())], ..Reshape::default() };
        check(&dots, "\"navigation.speedOverGround\"", "\"navigation/speedOverGround\"");
    }
}
