//! The fast path: canonical `ws` and `rest` lines taken apart by hand.
//!
//! Gives `None` for whatever is not byte for byte what `encode` writes up to the body; it never
//! gives an error. What it finds is a `Shape`: numbers and offsets that borrow nothing, so that a
//! reader can look at a line, go on reading, or hand the observation out.

use crate::model::json::is_json;
use crate::model::time::parse_canonical;
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

    #[inline]
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
fn canonical_instant(bytes: &[u8]) -> Option<(Timestamp, usize)> {
    let (at, length) = parse_canonical(bytes.strip_prefix(b"\"")?)?;
    (bytes.get(length + 1) == Some(&b'"')).then_some((at, length + 2))
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
