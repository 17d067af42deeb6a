//! Time as integers of nanoseconds: instants since the Unix epoch (UTC), and spans between them.
//!
//! Nothing here reads a clock. Text forms are RFC 3339 with `Z` and as many fraction digits
//! (none, 3, 6 or 9) as the value needs, so that a fixture can write every instant down exactly.

use std::fmt;
use std::ops::{Add, AddAssign, Mul, Neg, Sub};

/// An instant: nanoseconds since 1970-01-01T00:00:00Z. Covers the years 1677 to 2262.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

/// A signed length of time in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(pub i64);

impl Timestamp {
    pub const MIN: Timestamp = Timestamp(i64::MIN);
    pub const MAX: Timestamp = Timestamp(i64::MAX);

    /// Parses `2025-12-19T14:30:00[.fraction](Z|±hh:mm)`; `None` when the text is anything else,
    /// has no offset, names a day or time that does not exist, or has over nine fraction digits
    /// that are not zero. A space or `t` in place of `T` is accepted; a leap second is not.
    pub fn parse_rfc3339(text: &str) -> Option<Timestamp> {
        if let Some((at, length)) = parse_canonical(text.as_bytes())
            && length == text.len()
        {
            return Some(at);
        }
        match parse_civil(text)? {
            (nanos, Some(offset_s)) => {
                Some(Timestamp(nanos.checked_sub(i64::from(offset_s) * 1_000_000_000)?))
            }
            (_, None) => None,
        }
    }

    /// Parses a naive `2025-12-19T14:30:00[.fraction]` as if it were UTC; the caller applies a zone.
    pub fn parse_naive(text: &str) -> Option<Timestamp> {
        match parse_civil(text)? {
            (nanos, None) => Some(Timestamp(nanos)),
            _ => None,
        }
    }

    pub fn saturating_add(self, span: Span) -> Timestamp {
        Timestamp(self.0.saturating_add(span.0))
    }
    pub fn saturating_sub(self, span: Span) -> Timestamp {
        Timestamp(self.0.saturating_sub(span.0))
    }
    /// The span from `earlier` to `self`, saturating at the ends of the range.
    pub fn since(self, earlier: Timestamp) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl Span {
    pub const ZERO: Span = Span(0);
    pub const fn from_secs(s: i64) -> Span {
        Span(s.saturating_mul(1_000_000_000))
    }
    pub const fn from_millis(ms: i64) -> Span {
        Span(ms.saturating_mul(1_000_000))
    }
    pub const fn from_micros(us: i64) -> Span {
        Span(us.saturating_mul(1_000))
    }
    pub fn abs(self) -> Span {
        Span(self.0.saturating_abs())
    }
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }
    pub fn half(self) -> Span {
        Span(self.0 / 2)
    }
    /// Parses `250ms`, `2s`, `10m`, `1h`, `6.5h`, `1h30m`, `3d`, `50us`, `10ns`; units are required.
    pub fn parse(text: &str) -> Option<Span> {
        let mut rest = text.trim();
        if rest.is_empty() {
            return None;
        }
        let mut total: i128 = 0;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
            let (number, tail) = rest.split_at(digits);
            let unit_len = tail.find(|c: char| !c.is_ascii_alphabetic() && c != 'µ').unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(unit_len);
            let scale: i128 = match unit {
                "ns" => 1,
                "us" | "µs" => 1_000,
                "ms" => 1_000_000,
                "s" => 1_000_000_000,
                "m" | "min" => 60_000_000_000,
                "h" => 3_600_000_000_000,
                "d" => 86_400_000_000_000,
                _ => return None,
            };
            let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
            if whole.is_empty() || fraction.contains('.') || whole.len() > 12 || fraction.len() > 12 {
                return None;
            }
            let mut nanos = whole.parse::<i128>().ok()? * scale;
            if !fraction.is_empty() {
                nanos += fraction.parse::<i128>().ok()? * scale / 10_i128.pow(fraction.len() as u32);
            }
            total += nanos;
            rest = tail;
        }
        i64::try_from(total).ok().map(Span)
    }
}

/// Days from 1970-01-01 to the civil date (proleptic Gregorian), of a month from 1 to 12.
pub fn days_from_civil(year: i64, month: u32, day: u32) -> i64 {
    /// Days before each month, by its number, in a year that begins in March: a leap day is its last.
    const BEFORE: [u16; 16] = [0, 306, 337, 0, 31, 61, 92, 122, 153, 184, 214, 245, 275, 0, 0, 0];
    let y = year - i64::from(month <= 2);
    let leap_days = y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400);
    365 * y + leap_days + i64::from(BEFORE[month as usize & 15]) + i64::from(day) - 719_469
}

/// The civil date of a day number (days from 1970-01-01): `(year, month, day)`.
pub fn civil_from_days(days: i64) -> (i64, u32, u32) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z - era * 146_097;
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = (doy - (153 * mp + 2) / 5 + 1) as u32;
    let month = if mp < 10 { mp + 3 } else { mp - 9 } as u32;
    (yoe + era * 400 + i64::from(month <= 2), month, day)
}

/// Reads `2025-12-19T14:30:00[.fraction]Z`, as instants are written here, and its length. Other forms are not
/// this function's: `None` says nothing about them.
pub(crate) fn parse_canonical(bytes: &[u8]) -> Option<(Timestamp, usize)> {
    let head: &[u8; 19] = bytes.first_chunk()?;
    let year_month = digit_pairs(head.first_chunk()?, b"0000-00-")?;
    let day_on = digit_pairs(head[8..].first_chunk()?, b"00T00:00")?;
    let [hour, _, _, minute, _, _, second, _] = digit_pairs(head.last_chunk()?, b"00:00:00")?.map(u32::from);
    let year = u32::from(year_month[0]) * 100 + u32::from(year_month[2]);
    let (month, day) = (u32::from(year_month[5]), u32::from(day_on[0]));
    // The last days of a month are left to the thorough parser, which knows their number.
    let is_in_range = month.wrapping_sub(1) < 12 && day.wrapping_sub(1) < 28;
    if !is_in_range || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (nanos, digits) = canonical_fraction(&bytes[19..])?;
    let end = 19 + if digits == 0 { 0 } else { digits + 1 };
    if bytes.get(end) != Some(&b'Z') {
        return None;
    }
    let days = days_from_civil(i64::from(year), month, day);
    let seconds = days * 86_400 + i64::from(hour * 3_600 + minute * 60 + second);
    // Years that nanoseconds cannot count are the thorough parser's to refuse.
    let at = seconds.checked_mul(1_000_000_000)?.checked_add(i64::from(nanos))?;
    Some((Timestamp(at), end + 1))
}

/// Reads eight bytes at once: digits where `shape` has `0`, and what `shape` has elsewhere. Byte by byte, the
/// number that the digit there and the one behind it make.
#[inline]
fn digit_pairs(text: &[u8; 8], shape: &[u8; 8]) -> Option<[u8; 8]> {
    // A digit's value; zero where what is no digit is as it should be.
    let values = u64::from_le_bytes(*text) ^ u64::from_le_bytes(*shape);
    // What carries a byte beyond its limit into its high bit.
    let carry = u64::from_le_bytes(shape.map(|byte| if byte == b'0' { 0x76 } else { 0x7f }));
    let is_shaped = (values | values.wrapping_add(carry)) & 0x8080_8080_8080_8080 == 0;
    is_shaped.then(|| (values * 10 + (values >> 8)).to_le_bytes())
}

/// The nanoseconds of `.123` and how many digits there are; no point, no digits. Up to nine.
fn canonical_fraction(bytes: &[u8]) -> Option<(u32, usize)> {
    const SCALE: [u32; 10] =
        [1_000_000_000, 100_000_000, 10_000_000, 1_000_000, 100_000, 10_000, 1_000, 100, 10, 1];
    if bytes.first() != Some(&b'.') {
        return Some((0, 0));
    }
    let (mut value, mut digits) = bytes[1..].first_chunk().map_or((0, 0), leading_digits);
    while let Some(digit) = bytes.get(digits + 1).map(|byte| byte.wrapping_sub(b'0')).filter(|d| *d < 10) {
        if digits == 9 {
            return None;
        }
        value = value * 10 + u32::from(digit);
        digits += 1;
    }
    (digits > 0).then(|| (value * SCALE[digits], digits))
}

/// The number that the first of eight bytes make, up to one that is no digit, and how many they are.
fn leading_digits(text: &[u8; 8]) -> (u32, usize) {
    const ONES: u64 = u64::MAX / 0xff;
    let values = u64::from_le_bytes(*text) ^ (ONES * 0x30);
    // The high bit of each byte that is no digit, and perhaps of those behind it: 10 and more carry into it.
    let others = (values | values.wrapping_add(ONES * 0x76)) & (ONES * 0x80);
    let digits = (others.trailing_zeros() / 8) as usize;
    // Zeros before them, so that the last digit stands last; then pairs, fours, all at once.
    let Some(ones) = values.checked_shl(64 - 8 * digits as u32) else { return (0, 0) };
    let twos = ones * 10 + (ones >> 8);
    let fours = (twos & 0x00ff_00ff_00ff_00ff) * 100 + ((twos >> 16) & 0x00ff_00ff_00ff_00ff);
    let all = (fours & 0x0000_ffff_0000_ffff) * 10_000 + ((fours >> 32) & 0xffff);
    (all as u32, digits)
}

/// Reads a civil date-time: nanoseconds as if UTC, and the offset in seconds where one is given.
fn parse_civil(text: &str) -> Option<(i64, Option<i32>)> {
    let b = text.as_bytes();
    let two = |i: usize| -> Option<u32> {
        let (x, y) = (b.get(i)?.wrapping_sub(b'0'), b.get(i + 1)?.wrapping_sub(b'0'));
        (x < 10 && y < 10).then(|| u32::from(x) * 10 + u32::from(y))
    };
    if b.len() < 19 || b[4] != b'-' || b[7] != b'-' || b[13] != b':' || b[16] != b':' {
        return None;
    }
    if !matches!(b[10], b'T' | b't' | b' ') {
        return None;
    }
    let year = i64::from(two(0)? * 100 + two(2)?);
    let (month, day) = (two(5)?, two(8)?);
    let (hour, minute, second) = (two(11)?, two(14)?, two(17)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let month_days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u32::from(leap),
        _ => return None,
    };
    // A leap second is the 61st of an hour's last minute; it is read as the second after it.
    let seconds = 59 + u32::from(minute == 59);
    if day == 0 || day > month_days || hour > 23 || minute > 59 || second > seconds {
        return None;
    }
    let mut i = 19;
    let mut fraction: i64 = 0;
    if matches!(b.get(i), Some(b'.' | b',')) {
        i += 1;
        let start = i;
        let mut scale = 100_000_000_i64;
        while let Some(d) = b.get(i).map(|c| c.wrapping_sub(b'0')).filter(|d| *d < 10) {
            if scale == 0 && d != 0 {
                return None;
            }
            fraction += i64::from(d) * scale;
            scale /= 10;
            i += 1;
        }
        if i == start {
            return None;
        }
    }
    let offset = match b.get(i) {
        None => None,
        Some(b'Z' | b'z') if b.len() == i + 1 => Some(0),
        Some(sign @ (b'+' | b'-')) => {
            let hours = two(i + 1)?;
            let minutes = match b.len() - i {
                6 if b[i + 3] == b':' => two(i + 4)?,
                5 => two(i + 3)?,
                3 => 0,
                _ => return None,
            };
            if hours > 23 || minutes > 59 {
                return None;
            }
            let seconds = (hours * 3600 + minutes * 60) as i32;
            Some(if *sign == b'-' { -seconds } else { seconds })
        }
        _ => return None,
    };
    let days = days_from_civil(year, month, day);
    let seconds = days * 86_400 + i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
    let nanos = i128::from(seconds) * 1_000_000_000 + i128::from(fraction);
    Some((i64::try_from(nanos).ok()?, offset))
}

impl Timestamp {
    /// Without what is finer than a millisecond: what a person reads, not what is compared.
    pub fn whole_millis(self) -> Timestamp {
        Timestamp(self.0 - self.0.rem_euclid(1_000_000))
    }
}

impl Span {
    /// An estimate of `promised` without the digits that mean nothing: to the nearest power of ten of
    /// at most a ten-thousandth of it.
    pub fn estimate_of(self, promised: Span) -> Span {
        let mut step: i64 = 1;
        while step <= promised.0.saturating_abs() / 100_000 {
            step *= 10;
        }
        let half = if self.0 < 0 { -(step / 2) } else { step / 2 };
        Span(self.0.saturating_add(half) / step * step)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(InstantText::new(*self).as_str())
    }
}

/// An instant's text, `2025-12-19T14:30:00[.fraction]Z`; recordings are full of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InstantText {
    bytes: [u8; 30],
    length: usize,
}

impl InstantText {
    /// With as many digits after the point (none, 3, 6 or 9) as it needs.
    pub fn new(at: Timestamp) -> InstantText {
        let places = match at.0.rem_euclid(1_000_000_000) {
            0 => 0,
            nanos if nanos % 1_000_000 == 0 => 3,
            nanos if nanos % 1_000 == 0 => 6,
            _ => 9,
        };
        InstantText::with_places(at, places)
    }

    /// With so many digits after the point, at most nine; what lies beyond is cut off.
    pub fn with_places(at: Timestamp, places: usize) -> InstantText {
        let seconds = at.0.div_euclid(1_000_000_000);
        let (year, month, day) = civil_from_days(seconds.div_euclid(86_400));
        let (year, second) = (year as u32, seconds.rem_euclid(86_400) as u32);
        let mut bytes = *b"0000-00-00T00:00:00.000000000Z";
        let mut two = |place: usize, value: u32| {
            bytes[place] += (value / 10) as u8;
            bytes[place + 1] += (value % 10) as u8;
        };
        two(0, year / 100);
        two(2, year % 100);
        two(5, month);
        two(8, day);
        two(11, second / 3_600);
        two(14, second / 60 % 60);
        two(17, second % 60);
        if places == 0 {
            bytes[19] = b'Z';
            return InstantText { bytes, length: 20 };
        }
        let mut fraction = at.0.rem_euclid(1_000_000_000) as u32 / 10_u32.pow(9 - places as u32);
        for digit in bytes[20..20 + places].iter_mut().rev() {
            *digit += (fraction % 10) as u8;
            fraction /= 10;
        }
        bytes[20 + places] = b'Z';
        InstantText { bytes, length: 21 + places }
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    pub fn as_str(&self) -> &str {
        // Digits and signs alone.
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

impl fmt::Display for Span {
    /// The shortest exact form in one unit: `10s`, `250ms`, `1.5s`, `2h`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = self.0;
        let (sign, n) = if n < 0 { ("-", n.unsigned_abs()) } else { ("", n as u64) };
        let (unit, name) = match n {
            0 => (1_000_000_000, "s"),
            _ if n % 3_600_000_000_000 == 0 => (3_600_000_000_000, "h"),
            _ if n % 60_000_000_000 == 0 && n >= 120_000_000_000 => (60_000_000_000, "m"),
            _ if n >= 1_000_000_000 => (1_000_000_000, "s"),
            _ if n >= 1_000_000 => (1_000_000, "ms"),
            _ if n >= 1_000 => (1_000, "us"),
            _ => (1, "ns"),
        };
        write!(f, "{sign}{}", n / unit)?;
        let mut rest = n % unit;
        if rest > 0 {
            f.write_str(".")?;
            let mut scale = unit / 10;
            while rest > 0 && scale > 0 {
                write!(f, "{}", rest / scale)?;
                rest %= scale;
                scale /= 10;
            }
        }
        f.write_str(name)
    }
}

impl Add<Span> for Timestamp {
    type Output = Timestamp;
    fn add(self, span: Span) -> Timestamp {
        self.saturating_add(span)
    }
}
impl AddAssign<Span> for Timestamp {
    fn add_assign(&mut self, span: Span) {
        *self = *self + span;
    }
}
impl Sub<Span> for Timestamp {
    type Output = Timestamp;
    fn sub(self, span: Span) -> Timestamp {
        self.saturating_sub(span)
    }
}
impl Sub for Timestamp {
    type Output = Span;
    fn sub(self, earlier: Timestamp) -> Span {
        self.since(earlier)
    }
}
impl Add for Span {
    type Output = Span;
    fn add(self, other: Span) -> Span {
        Span(self.0.saturating_add(other.0))
    }
}
impl Sub for Span {
    type Output = Span;
    fn sub(self, other: Span) -> Span {
        Span(self.0.saturating_sub(other.0))
    }
}
impl Mul<i64> for Span {
    type Output = Span;
    fn mul(self, k: i64) -> Span {
        Span(self.0.saturating_mul(k))
    }
}
impl Neg for Span {
    type Output = Span;
    fn neg(self) -> Span {
        Span(self.0.saturating_neg())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_is_told_without_noise() {
        for (nanos, promised, told) in [
            (9_999_826_482, 10, "10s"),
            (10_499_825_469, 10, "10.5s"),
            (59_991_662_736, 60, "59.992s"),
            (999_949_000, 1, "999.9ms"),
            (-9_999_826_482, 10, "-10s"),
        ] {
            assert_eq!(Span(nanos).estimate_of(Span::from_secs(promised)).to_string(), told);
        }
        assert_eq!(Span(7).estimate_of(Span(3)), Span(7));
        let at = Timestamp::parse_rfc3339("2025-12-19T14:30:00.123999999Z").unwrap();
        assert_eq!(at.whole_millis().to_string(), "2025-12-19T14:30:00.123Z");
    }

    #[test]
    fn instants_read_and_write() {
        for text in [
            "2025-12-19T14:30:00Z",
            "1969-12-31T23:59:59.999999999Z",
            "2024-02-29T00:00:00.001Z",
            "2262-04-11T23:47:16.854775807Z",
        ] {
            assert_eq!(Timestamp::parse_rfc3339(text).unwrap().to_string(), text);
        }
        for (nanos, text) in [
            (i64::MIN, "1677-09-21T00:12:43.145224192Z"),
            (-1, "1969-12-31T23:59:59.999999999Z"),
            (1, "1970-01-01T00:00:00.000000001Z"),
            (1_000, "1970-01-01T00:00:00.000001Z"),
            (1_001_000_000, "1970-01-01T00:00:01.001Z"),
            (i64::MAX, "2262-04-11T23:47:16.854775807Z"),
        ] {
            assert_eq!(Timestamp(nanos).to_string(), text);
        }
        assert_eq!(InstantText::with_places(Timestamp(5_000), 9).as_str(), "1970-01-01T00:00:00.000005000Z");
        let zoned = Timestamp::parse_rfc3339("2025-12-19 09:30:00.5-05:00").unwrap();
        assert_eq!(zoned.to_string(), "2025-12-19T14:30:00.500Z");
        for bad in [
            "2025-02-29T00:00:00Z",
            "2025-12-19T24:00:00Z",
            "2025-12-19T14:30:00",
            "2025-12-19T14:30:00.Z",
            "x",
        ] {
            assert_eq!(Timestamp::parse_rfc3339(bad), None, "{bad}");
        }
    }

    #[test]
    fn days_count_as_a_calendar_does() {
        let first = days_from_civil(-800, 1, 1);
        let mut previous = civil_from_days(first - 1);
        for day in first..days_from_civil(2_800, 1, 1) {
            let (year, month, day_of_month) = civil_from_days(day);
            assert_eq!(days_from_civil(year, month, day_of_month), day);
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let length = match previous.1 {
                2 => 28 + u32::from(leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            let follows = match previous {
                (y, 12, 31) => (y + 1, 1, 1),
                (y, m, d) if d == length => (y, m + 1, 1),
                (y, m, d) => (y, m, d + 1),
            };
            assert_eq!((year, month, day_of_month), follows);
            previous = follows;
        }
        assert_eq!(days_from_civil(1970, 1, 1), 0);
    }

    #[test]
    fn fractions_of_any_length() {
        for digits in 1..=10 {
            let text = &"1203405067"[..digits];
            for behind in ["Z", "Z\"", "Z\",\"conn\":0"] {
                let read = parse_canonical(format!("2025-12-19T14:30:00.{text}{behind}").as_bytes());
                let nanos = format!("{text:0<9}")[..9].parse::<i64>().unwrap();
                let whole = Timestamp::parse_rfc3339("2025-12-19T14:30:00Z").unwrap();
                let expected = (digits < 10).then_some((Timestamp(whole.0 + nanos), 21 + digits));
                assert_eq!(read, expected, "{text}{behind}");
            }
        }
        for bad in [".Z", ".1", ".12:", ".1\u{7f}Z", ".1\u{e9}Z2345678"] {
            assert_eq!(parse_canonical(format!("2025-12-19T14:30:00{bad}").as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn spans_read_and_write() {
        for (text, nanos) in [
            ("2s", 2_000_000_000),
            ("250ms", 250_000_000),
            ("1h", 3_600_000_000_000),
            ("1.5s", 1_500_000_000),
        ] {
            assert_eq!(Span::parse(text), Some(Span(nanos)));
            assert_eq!(Span(nanos).to_string(), text);
        }
        assert_eq!(Span::parse("1h30m"), Some(Span::from_secs(5400)));
        assert_eq!(Span::parse("6.5h"), Some(Span::from_secs(23_400)));
        for bad in ["", "10", "s", "1x", "-1s", "1..5s"] {
            assert_eq!(Span::parse(bad), None, "{bad}");
        }
    }
}
