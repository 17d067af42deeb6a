//! The fast path: canonical `ws` and `rest` lines taken apart by hand.
//!
//! Gives `None` for whatever is not byte for byte what `encode` writes up to the body; it never
//! gives an error. What it finds is a `Shape`: numbers and offsets that borrow nothing, so that a
//! reader can look at a line, go on reading, or hand the observation out.

use crate::model::json::is_json;
use crate::model::time::days_from_civil;
use crate::model::{Event, Observation, Payload, Timestamp};
use std::borrow::Cow;

/// Where the parts of a canonical line stand.
#[derive(Debug, Clone, Copy)]
pub(in crate::capture) struct Shape {
    pub(in crate::capture) at: Timestamp,
    bytes: u64,
    binary: bool,
    /// The body reaches from here to the closing brace.
    body_from: usize,
    side: Side,
}

#[derive(Debug, Clone, Copy)]
enum Side {
    Ws { conn: u32 },
    Rest { sent_at: Timestamp, feature: (usize, usize), params: (usize, usize), status: u16 },
}

impl Shape {
    pub(in crate::capture) fn kind(&self) -> &'static str {
        match self.side {
            Side::Ws { .. } => "ws",
            Side::Rest { .. } => "rest",
        }
    }

    /// The observation of the very `line` that was scanned.
    pub(in crate::capture) fn observation<'a>(&self, line: &'a str) -> Observation<'a> {
        let part = |(from, to): (usize, usize)| Cow::Borrowed(&line[from..to]);
        let text = part((self.body_from, line.len() - 1));
        let payload = Payload::Json { text, binary: self.binary };
        let event = match self.side {
            Side::Ws { conn } => Event::Ws { conn, bytes: self.bytes, payload },
            Side::Rest { sent_at, feature, params, status } => Event::Rest {
                sent_at,
                feature: part(feature),
                params: part(params),
                status,
                bytes: self.bytes,
                payload,
            },
        };
        Observation { at: self.at, event }
    }
}

/// Scans a line; `None` unless it is canonical up to its body.
pub(in crate::capture) fn scan(line: &str) -> Option<Shape> {
    let mut cursor = Cursor { bytes: line.as_bytes(), position: 0 };
    cursor.expect(b"{\"kind\":\"")?;
    let is_ws = match cursor.rest() {
        [b'w', b's', b'"', ..] => {
            cursor.position += 2;
            true
        }
        [b'r', b'e', b's', b't', b'"', ..] => {
            cursor.position += 4;
            false
        }
        _ => return None,
    };
    cursor.expect(b"\",\"at\":")?;
    let at = cursor.instant(line)?;
    let side = if is_ws { cursor.ws_side()? } else { cursor.rest_side(line)? };
    cursor.expect(b",\"bytes\":")?;
    let bytes = cursor.number()?;
    let binary = cursor.expect(b",\"binary\":true").is_some();
    cursor.expect(b",\"body\":")?;
    let body_from = cursor.position;
    (body_from + 1 < line.len() && line.ends_with('}')).then_some(Shape {
        at,
        bytes,
        binary,
        body_from,
        side,
    })
}

struct Cursor<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a [u8] {
        &self.bytes[self.position..]
    }

    fn expect(&mut self, text: &[u8]) -> Option<()> {
        self.rest().starts_with(text).then(|| self.position += text.len())
    }

    fn ws_side(&mut self) -> Option<Side> {
        self.expect(b",\"conn\":")?;
        Some(Side::Ws { conn: u32::try_from(self.number()?).ok()? })
    }

    fn rest_side(&mut self, line: &str) -> Option<Side> {
        self.expect(b",\"sent_at\":")?;
        let sent_at = self.instant(line)?;
        self.expect(b",\"feature\":")?;
        let feature = self.plain_string()?;
        self.expect(b",\"params\":")?;
        let params = self.params(line)?;
        self.expect(b",\"status\":")?;
        let status = u16::try_from(self.number()?).ok()?;
        Some(Side::Rest { sent_at, feature, params, status })
    }

    /// A number as JSON allows it: no sign, no leading zero.
    fn number(&mut self) -> Option<u64> {
        let from = self.position;
        let mut value: u64 = 0;
        while let Some(digit) =
            self.bytes.get(self.position).map(|b| b.wrapping_sub(b'0')).filter(|d| *d < 10)
        {
            value = value.checked_mul(10)?.checked_add(u64::from(digit))?;
            self.position += 1;
        }
        let digits = self.position - from;
        (digits == 1 || (digits > 1 && self.bytes[from] != b'0')).then_some(value)
    }

    /// A string without escapes and control codes: the offsets of what stands between the quotes.
    fn plain_string(&mut self) -> Option<(usize, usize)> {
        self.expect(b"\"")?;
        let from = self.position;
        loop {
            match *self.bytes.get(self.position)? {
                b'"' => break,
                b'\\' | 0..0x20 => return None,
                _ => self.position += 1,
            }
        }
        self.position += 1;
        Some((from, self.position - 1))
    }

    fn instant(&mut self, line: &str) -> Option<Timestamp> {
        if let Some((at, length)) = canonical_instant(self.rest()) {
            self.position += length;
            return Some(at);
        }
        let (from, to) = self.plain_string()?;
        Timestamp::parse_rfc3339(&line[from..to])
    }

    /// The object of parameters. Flat ones with plain values are read in passing; others are
    /// looked at twice, which is short work.
    fn params(&mut self, line: &str) -> Option<(usize, usize)> {
        let from = self.position;
        if self.flat_params().is_some() {
            return Some((from, self.position));
        }
        self.position = from;
        self.skip_nested()?;
        let text = line.get(from..self.position)?;
        (text.starts_with('{') && is_json(text)).then_some((from, self.position))
    }

    /// `{}` or `{"name":5,"other":"text"}`.
    fn flat_params(&mut self) -> Option<()> {
        self.expect(b"{")?;
        if self.expect(b"}").is_some() {
            return Some(());
        }
        loop {
            self.plain_string()?;
            self.expect(b":")?;
            if self.bytes.get(self.position) == Some(&b'"') {
                self.plain_string()?;
            } else {
                self.number()?;
            }
            match *self.bytes.get(self.position)? {
                b',' => self.position += 1,
                b'}' => {
                    self.position += 1;
                    return Some(());
                }
                _ => return None,
            }
        }
    }

    /// To the end of an object, whatever is in it.
    fn skip_nested(&mut self) -> Option<()> {
        let (mut depth, mut in_string) = (0_usize, false);
        loop {
            match *self.bytes.get(self.position)? {
                b'\\' if in_string => self.position += 1,
                b'"' => in_string = !in_string,
                b'{' | b'[' if !in_string => depth += 1,
                b'}' | b']' if !in_string => depth = depth.checked_sub(1)?,
                _ => {}
            }
            self.position += 1;
            if depth == 0 {
                return Some(());
            }
        }
    }
}

/// `"2025-12-19T14:30:00[.fraction]Z"` with its quotes, as `encode` writes it, and its length.
/// Other forms of an instant are not this function's: `None` says nothing about them.
fn canonical_instant(bytes: &[u8]) -> Option<(Timestamp, usize)> {
    let head: &[u8; 20] = bytes.first_chunk()?;
    let is_shaped = head[0] == b'"'
        && head[5] == b'-'
        && head[8] == b'-'
        && head[11] == b'T'
        && head[14] == b':'
        && head[17] == b':';
    // Each digit's value; what is no digit makes `all` large.
    let mut all = 0;
    let mut two = |tens: usize| {
        let (x, y) = (head[tens].wrapping_sub(b'0'), head[tens + 1].wrapping_sub(b'0'));
        all |= (u8::from(x > 9)) | (u8::from(y > 9));
        u32::from(x) * 10 + u32::from(y)
    };
    let year = two(1) * 100 + two(3);
    let (month, day, hour, minute, second) = (two(6), two(9), two(12), two(15), two(18));
    // The last days of a month are left to the thorough parser, which knows their number.
    let is_in_range = month.wrapping_sub(1) < 12 && day.wrapping_sub(1) < 28;
    if !is_shaped || all != 0 || !is_in_range || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (nanos, digits) = fraction(&bytes[20..])?;
    let end = 20 + if digits == 0 { 0 } else { digits + 1 };
    if bytes.get(end..end + 2) != Some(b"Z\"") {
        return None;
    }
    let days = days_from_civil(i64::from(year), month, day);
    let seconds = days * 86_400 + i64::from(hour * 3_600 + minute * 60 + second);
    // Years that nanoseconds cannot count are the thorough parser's to refuse.
    let at = seconds.checked_mul(1_000_000_000)?.checked_add(i64::from(nanos))?;
    Some((Timestamp(at), end + 2))
}

/// The nanoseconds of `.123` and how many digits there are; no point, no digits. Up to nine.
fn fraction(bytes: &[u8]) -> Option<(u32, usize)> {
    const SCALE: [u32; 10] =
        [1_000_000_000, 100_000_000, 10_000_000, 1_000_000, 100_000, 10_000, 1_000, 100, 10, 1];
    if bytes.first() != Some(&b'.') {
        return Some((0, 0));
    }
    let mut value = 0_u32;
    let mut digits = 0;
    while let Some(digit) = bytes.get(digits + 1).map(|byte| byte.wrapping_sub(b'0')).filter(|d| *d < 10) {
        if digits == 9 {
            return None;
        }
        value = value * 10 + u32::from(digit);
        digits += 1;
    }
    (digits > 0).then(|| (value * SCALE[digits], digits))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn canonical_instants_are_read_as_the_thorough_parser_reads_them(nanos in any::<i64>(), cut in 0..3) {
            let unit = [1, 1_000, 1_000_000][cut as usize];
            let at = Timestamp(nanos - nanos.rem_euclid(unit));
            let text = format!("\"{at}\",");
            if let Some((found, length)) = canonical_instant(text.as_bytes()) {
                prop_assert_eq!((found, length), (at, text.len() - 1));
            } else {
                let day: u32 = text[9..11].parse().unwrap();
                prop_assert!(day > 28 || at.0 < i64::MIN / 2, "{}", text);
            }
        }
    }

    #[test]
    fn other_instants_are_left_to_the_thorough_parser() {
        for text in [
            "\"2025-02-29T00:00:00Z\"",
            "\"2025-12-19T24:00:00Z\"",
            "\"2025-12-19T14:30:00.Z\"",
            "\"2025-12-19T14:30:00.1234567891Z\"",
            "\"2025-12-19T14:30:00+01:00\"",
            "\"2025-12-1xT14:30:00Z\"",
            "\"2025-00-19T14:30:00Z\"",
            "\"9999-12-19T14:30:00Z\"",
            "\"2025-12-19T14:30:00Z",
            "\"",
        ] {
            assert_eq!(canonical_instant(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn parameters_of_any_shape_are_found() {
        for params in
            ["{}", "{\"a\":5}", "{\"a\":\"x\",\"b\":0}", "{\"a\":-1.5}", "{\"a\":\"\\\"}\"}", "{\"a\":[{}]}"]
        {
            let line = format!("{params},");
            let mut cursor = Cursor { bytes: line.as_bytes(), position: 0 };
            assert_eq!(cursor.params(&line), Some((0, params.len())), "{params}");
        }
        for params in ["[]", "{\"a\":01}", "{\"a\"}", "{\"a\":5,}", "{"] {
            let line = format!("{params},");
            let mut cursor = Cursor { bytes: line.as_bytes(), position: 0 };
            assert_eq!(cursor.params(&line), None, "{params}");
        }
    }
}
