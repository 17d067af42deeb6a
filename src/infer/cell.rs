//! One scalar and all that it may mean: a number, an instant, a word. Must not know of columns.

use crate::model::tree::Tree;
use crate::model::value::{Number, parse_instant};
use crate::model::{Span, Timestamp};

/// A number this far from its arrival is no Unix time.
const FAR: Span = Span::from_secs(400 * 86_400);

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Cell {
    pub kind: Kind,
    /// As received, a string without its quotes.
    pub text: String,
    /// Of a number, and of a string that holds one.
    pub number: Option<Number>,
    pub instant: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Kind {
    #[default]
    Absent,
    Null,
    Bool,
    Number,
    Text,
}

/// What stands where a record has nothing.
pub static ABSENT: Cell = Cell { kind: Kind::Absent, text: String::new(), number: None, instant: None };

impl Cell {
    /// `near`: when it came. `None` for what is no scalar.
    pub fn of(tree: &Tree, near: Timestamp) -> Option<Cell> {
        Some(match tree {
            Tree::Null => Cell { kind: Kind::Null, ..Cell::default() },
            Tree::Bool(flag) => Cell { kind: Kind::Bool, text: flag.to_string(), ..Cell::default() },
            Tree::Number(text) => {
                let instant = parse_instant(text, chrono_tz::UTC, near);
                let instant = instant.filter(|t| t.since(near).abs() < FAR);
                Cell { kind: Kind::Number, text: text.clone(), number: Number::parse(text), instant }
            }
            Tree::Text(text) => Cell::of_text(text),
            Tree::List(_) | Tree::Object(_) => return None,
        })
    }

    pub fn of_text(text: &str) -> Cell {
        let instant = match text.len() {
            16..=40 => Timestamp::parse_rfc3339(text).or_else(|| Timestamp::parse_naive(text)),
            _ => None,
        };
        Cell { kind: Kind::Text, text: text.into(), number: Number::parse(text), instant }
    }

    /// Whether there is a value: not absent, not null.
    pub fn is_value(&self) -> bool {
        !matches!(self.kind, Kind::Absent | Kind::Null)
    }

    /// Digits after the point; a number with an exponent has more than anyone rounds to.
    pub fn places(&self) -> usize {
        if self.text.contains(['e', 'E']) {
            return EXPONENT_PLACES;
        }
        self.text.split_once('.').map_or(0, |(_, fraction)| fraction.len())
    }

    /// Written like a fraction, whatever its value.
    pub fn has_point(&self) -> bool {
        self.number.is_some() && self.text.contains(['.', 'e', 'E'])
    }

    /// The same in another unit: its number times ten to this power.
    pub fn in_units(&self, power: i8) -> Cell {
        let number = match power {
            0 => self.number.clone(),
            _ => Number::parse(&format!("{}e{power}", self.text)),
        };
        Cell { text: number.as_ref().map_or(String::new(), Number::to_string), number, ..self.clone() }
    }

    /// What two sides must share to name one entity: `7`, `7.0` and `"7"` are one.
    pub fn identity(&self) -> String {
        match &self.number {
            Some(number) => number.to_string(),
            None => self.text.clone(),
        }
    }

    /// Whether both say the same, numbers within `slack`.
    pub fn same(&self, other: &Cell, slack: &Number) -> bool {
        if !self.is_value() || !other.is_value() {
            return false;
        }
        if self.text == other.text {
            return true;
        }
        match (self.number.as_ref().zip(other.number.as_ref()), self.instant.zip(other.instant)) {
            (Some((a, b)), _) if a.within(b, slack) => true,
            (_, Some((a, b))) => a.since(b).abs() <= SAME_INSTANT,
            _ => false,
        }
    }
}

pub const EXPONENT_PLACES: usize = 18;

/// One clock written in milliseconds and in microseconds.
pub const SAME_INSTANT: Span = Span::from_millis(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Cell {
        Cell::of(&Tree::Number(text.into()), Timestamp::parse_rfc3339("2026-01-01T00:00:00Z").unwrap())
            .unwrap()
    }

    #[test]
    fn what_is_the_same_in_other_words() {
        let half_cent = Number::parse("0.005").unwrap();
        assert!(number("100.0").same(&Cell::of_text("100.00"), &Number::ZERO));
        assert!(!number("1694.864192").same(&Cell::of_text("1694.86"), &Number::ZERO));
        assert!(number("1694.864192").same(&Cell::of_text("1694.86"), &half_cent));
        assert!(number("1767225600").same(&Cell::of_text("2026-01-01T00:00:00Z"), &Number::ZERO));
        assert!(!Cell::of_text("OPEN").same(&Cell::of_text("open"), &half_cent));
        assert!(!ABSENT.same(&ABSENT, &half_cent));
    }

    #[test]
    fn a_small_number_is_no_instant() {
        assert!(number("10").instant.is_none());
        assert!(number("1767225600123").instant.is_some());
        assert!(Cell::of_text("1767225600").instant.is_none());
        assert!(Cell::of_text("2026-01-01").instant.is_none());
    }

    #[test]
    fn places_are_those_written() {
        assert_eq!([number("1.50").places(), number("7").places(), number("1e-9").places()], [2, 0, 18]);
        assert_eq!((number("7.0").identity(), Cell::of_text("7").identity()), ("7".into(), "7".into()));
    }
}
