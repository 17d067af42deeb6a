//! Records as JSON text, in the shapes of the built-in contract, with whatever a fault does to them.
//! Builds no tree. Decides nothing: `Edits` say what to spoil.

use super::world::{BAR_COUNTRY, Balance, Bar, Market, Position, country};
use crate::model::Timestamp;
use crate::model::time::InstantText;
use crate::model::value::WholeText;

/// What a fault does to one record. Empty for almost all of them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Edits {
    pub fields: Vec<FieldEdit>,
    pub omit_row: Option<usize>,
    pub extra_row: bool,
    /// A member that nobody declared, as text: `"debug":1`.
    pub extra_member: Option<&'static str>,
}

/// Replaces a member's value by raw JSON, or leaves the member out.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldEdit {
    pub row: Option<usize>,
    pub name: &'static str,
    pub raw: Option<String>,
}

impl Edits {
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.omit_row.is_none() && !self.extra_row && self.extra_member.is_none()
    }

    pub fn clear(&mut self) {
        self.fields.clear();
        self.omit_row = None;
        self.extra_row = false;
        self.extra_member = None;
    }
}

/// What most records fit in.
const RECORD_BYTES: usize = 1024;

/// How a side writes its records.
#[derive(Debug, Clone, Copy)]
pub struct Style<'a> {
    pub edits: &'a Edits,
    pub decimal_strings: bool,
}

impl Style<'_> {
    /// Whether nothing is spoilt, and decimals are numbers.
    pub fn is_plain(&self) -> bool {
        !self.decimal_strings && self.edits.is_empty()
    }
}

/// A member's name, and the text that begins it: written once a record, so put together beforehand.
#[derive(Debug, Clone, Copy)]
struct Member {
    name: &'static str,
    text: &'static str,
}

macro_rules! member {
    ($name:literal) => {
        Member { name: $name, text: concat!(",\"", $name, "\":") }
    };
}

/// One JSON object being written.
struct Object<'o, 's> {
    out: &'o mut Vec<u8>,
    style: Style<'s>,
    row: Option<usize>,
    first: bool,
}

impl<'o, 's> Object<'o, 's> {
    fn open(out: &'o mut Vec<u8>, style: Style<'s>, row: Option<usize>) -> Object<'o, 's> {
        out.push(b'{');
        Object { out, style, row, first: true }
    }

    /// Writes the member's name; true when its value is still to be written.
    fn begin(&mut self, member: Member) -> bool {
        if !self.style.edits.fields.is_empty() {
            let row = self.row;
            let is_meant = |edit: &&FieldEdit| edit.row == row && edit.name == member.name;
            if let Some(edit) = self.style.edits.fields.iter().find(is_meant) {
                if let Some(raw) = &edit.raw {
                    self.name(member);
                    self.out.extend_from_slice(raw.as_bytes());
                }
                return false;
            }
        }
        self.name(member);
        true
    }

    fn name(&mut self, member: Member) {
        let text = member.text.as_bytes();
        self.out.extend_from_slice(if self.first { &text[1..] } else { text });
        self.first = false;
    }

    fn integer(&mut self, name: Member, value: i64) {
        if self.begin(name) {
            write_integer(self.out, value);
        }
    }

    fn decimal(&mut self, name: Member, cents: i64) {
        if !self.begin(name) {
        } else if self.style.decimal_strings {
            self.out.push(b'"');
            write_cents(self.out, cents);
            self.out.push(b'"');
        } else {
            write_cents(self.out, cents);
        }
    }

    fn text(&mut self, name: Member, value: &str) {
        if self.begin(name) {
            self.out.push(b'"');
            self.out.extend_from_slice(value.as_bytes());
            self.out.push(b'"');
        }
    }

    fn time(&mut self, name: Member, value: Timestamp) {
        if self.begin(name) {
            self.out.push(b'"');
            self.out.extend_from_slice(instant(value).as_bytes());
            self.out.push(b'"');
        }
    }

    fn close(self) {
        self.out.push(b'}');
    }

    fn close_record(self) {
        if let Some(member) = self.style.edits.extra_member {
            self.out.push(b',');
            self.out.extend_from_slice(member.as_bytes());
        }
        self.close();
    }
}

pub fn write_balance(out: &mut String, record: &Balance, style: Style<'_>) {
    as_text(out, |out| {
        let mut object = Object::open(out, style, None);
        object.integer(member!("account_id"), record.account_id);
        if object.begin(member!("account_number")) {
            object.out.extend_from_slice(b"\"DU");
            write_integer(object.out, record.account_number);
            object.out.push(b'"');
        }
        object.decimal(member!("cash"), record.cash_cents);
        object.decimal(member!("buying_power"), record.buying_power_cents);
        object.time(member!("timestamp"), record.timestamp);
        object.close_record();
    });
}

/// An account's positions; `rows` are its symbols' names beside the positions.
pub fn write_positions<'n>(
    out: &mut String,
    account_id: i64,
    timestamp: Timestamp,
    rows: impl Iterator<Item = (&'n str, Position)>,
    style: Style<'_>,
) {
    as_text(out, |out| {
        let mut object = Object::open(out, style, None);
        object.integer(member!("account_id"), account_id);
        object.time(member!("timestamp"), timestamp);
        object.name(member!("positions"));
        object.out.push(b'[');
        let mut first = true;
        for (row, (symbol, position)) in rows.enumerate() {
            if style.edits.omit_row == Some(row) {
                continue;
            }
            if !std::mem::take(&mut first) {
                object.out.push(b',');
            }
            write_position(object.out, Some(row), symbol, &position, style);
        }
        if style.edits.extra_row {
            object.out.extend_from_slice(if first { b"" } else { b"," });
            let position = Position {
                symbol: 0,
                quantity: 10,
                entry_cents: 1_000,
                current_cents: 1_100,
                pnl_cents: 1_000,
            };
            write_position(object.out, None, EXTRA_SYMBOL, &position, style);
        }
        object.out.push(b']');
        object.close_record();
    });
}

/// The symbol of a row or a stream that only the WebSocket shows.
pub const EXTRA_SYMBOL: &str = "ZZZZ";

fn write_position(
    out: &mut Vec<u8>,
    row: Option<usize>,
    symbol: &str,
    position: &Position,
    style: Style<'_>,
) {
    let mut object = Object::open(out, style, row);
    object.text(member!("symbol"), symbol);
    object.integer(member!("quantity"), position.quantity);
    object.decimal(member!("entry_price"), position.entry_cents);
    object.decimal(member!("current_price"), position.current_cents);
    object.decimal(member!("pnl"), position.pnl_cents);
    object.close();
}

pub fn write_bar(out: &mut String, symbol: &str, bar: &Bar, style: Style<'_>) {
    as_text(out, |out| {
        let mut object = Object::open(out, style, None);
        object.text(member!("country"), BAR_COUNTRY);
        object.text(member!("symbol"), symbol);
        object.time(member!("timestamp_minute"), bar.minute);
        object.decimal(member!("open"), bar.open_cents);
        object.decimal(member!("high"), bar.high_cents);
        object.decimal(member!("low"), bar.low_cents);
        object.decimal(member!("close"), bar.close_cents);
        object.integer(member!("volume"), bar.volume);
        object.close_record();
    });
}

pub fn write_market(out: &mut String, market: &Market, style: Style<'_>) {
    as_text(out, |out| {
        let mut object = Object::open(out, style, None);
        object.integer(member!("market_id"), market.market_id);
        object.text(member!("country"), country(market.country));
        object.text(member!("status"), market.status);
        object.integer(member!("seconds_to_next_event"), market.seconds_to_next_event);
        object.close_record();
    });
}

/// Lets a record be put together as bytes, which is cheap, and sees once that it is text.
pub(super) fn as_text(out: &mut String, write: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = Vec::with_capacity(RECORD_BYTES);
    write(&mut bytes);
    out.push_str(std::str::from_utf8(&bytes).unwrap_or_default());
}

fn write_integer(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(WholeText::new(value.unsigned_abs()).as_bytes());
}

/// Two places, always.
pub(super) fn write_cents(out: &mut Vec<u8>, cents: i64) {
    if cents < 0 {
        out.push(b'-');
    }
    let size = cents.unsigned_abs();
    out.extend_from_slice(WholeText::new(size / 100).as_bytes());
    out.extend_from_slice(&[b'.', b'0' + (size / 10 % 10) as u8, b'0' + (size % 10) as u8]);
}

/// RFC 3339 in quotes; as many fraction digits (none, 3 or 9) as it needs.
pub fn write_time(out: &mut String, at: Timestamp) {
    out.push('"');
    out.push_str(instant(at).as_str());
    out.push('"');
}

fn instant(at: Timestamp) -> InstantText {
    let places = match at.0.rem_euclid(1_000_000_000) {
        0 => 0,
        nanos if nanos % 1_000_000 == 0 => 3,
        _ => 9,
    };
    InstantText::with_places(at, places)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_are_exact() {
        let mut out = Vec::new();
        for value in [0, 7, 10, 99, 100, 101, 12_345, i64::MAX, i64::MIN] {
            write_integer(&mut out, value);
            assert_eq!(out, value.to_string().as_bytes());
            out.clear();
        }
        for cents in [0, 5, -5, 123, -12_345, i64::from(i32::MIN)] {
            write_cents(&mut out, cents);
            out.push(b' ');
        }
        assert_eq!(out, b"0.00 0.05 -0.05 1.23 -123.45 -21474836.48 ");
        let mut out = String::new();
        for text in ["2025-12-19T14:30:00Z", "2025-12-19T14:30:00.007Z", "2025-12-19T14:30:00.000000001Z"] {
            out.clear();
            write_time(&mut out, Timestamp::parse_rfc3339(text).unwrap());
            assert_eq!(out, format!("\"{text}\""));
        }
    }

    #[test]
    fn edits_replace_leave_out_and_add() {
        let balance = Balance {
            account_id: 123,
            account_number: 7,
            cash_cents: 100,
            buying_power_cents: 200,
            timestamp: Timestamp(0),
        };
        let edits = Edits {
            fields: vec![
                FieldEdit { row: None, name: "account_id", raw: None },
                FieldEdit { row: None, name: "cash", raw: Some("null".into()) },
            ],
            extra_member: Some("\"debug\":1"),
            ..Edits::default()
        };
        let mut out = String::new();
        write_balance(&mut out, &balance, Style { edits: &edits, decimal_strings: true });
        assert_eq!(
            out,
            r#"{"account_number":"DU7","cash":null,"buying_power":"2.00","timestamp":"1970-01-01T00:00:00Z","debug":1}"#
        );
    }
}
