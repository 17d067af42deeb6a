//! Exact values: decimals of any size, and what the text of a value means by its type (SPEC §3).

use super::time::Timestamp;
use bigdecimal::BigDecimal;
use bigdecimal::num_bigint::BigInt;
use std::cmp::Ordering;
use std::fmt;

/// Exponents beyond this are `wrong_type`: they would make numbers of absurd length.
const MAX_EXPONENT: i64 = 400;
/// Longer texts are no numbers of this world, and reading them costs time by the square of their length.
const MAX_DIGITS: usize = 1_000;
/// Digits up to which arithmetic stays within 128 bits whatever is added to it.
const SMALL_DIGITS: usize = 18;

/// An exact decimal number. The small form is the hot path; both forms mean the same values.
#[derive(Debug, Clone)]
pub enum Number {
    /// `mantissa / 10^scale`, both small enough to multiply in 128 bits.
    Small {
        mantissa: i64,
        scale: u32,
    },
    Big(BigDecimal),
}

impl Number {
    pub const ZERO: Number = Number::Small { mantissa: 0, scale: 0 };

    /// Parses `-12`, `50000.00`, `5e4`, `007`; `None` for anything else, `NaN` and `""` among them.
    pub fn parse(text: &str) -> Option<Number> {
        let bytes = text.as_bytes();
        let negative = bytes.first() == Some(&b'-');
        let mut i = usize::from(negative);
        let (mut mantissa, mut digits, mut scale, mut seen) = (0_i64, 0_usize, 0_u32, false);
        let mut point = false;
        while let Some(&b) = bytes.get(i) {
            match b {
                b'0'..=b'9' => {
                    seen = true;
                    if digits > 0 || b != b'0' {
                        digits += 1;
                    }
                    if digits <= SMALL_DIGITS {
                        mantissa = mantissa * 10 + i64::from(b - b'0');
                    }
                    scale += u32::from(point);
                }
                b'.' if !point && seen => point = true,
                _ => break,
            }
            i += 1;
        }
        if !seen || bytes[i - 1] == b'.' || bytes.len() > MAX_DIGITS {
            return None;
        }
        if i == bytes.len() && digits <= SMALL_DIGITS && scale as usize <= SMALL_DIGITS {
            return Some(Number::Small { mantissa: if negative { -mantissa } else { mantissa }, scale });
        }
        Number::parse_big(text, i)
    }

    /// The long way: an exponent at `tail`, or more digits than fit.
    fn parse_big(text: &str, tail: usize) -> Option<Number> {
        let exponent = match text.as_bytes().get(tail) {
            None => 0,
            Some(b'e' | b'E') => {
                let digits = &text[tail + 1..];
                let unsigned = digits.strip_prefix(['+', '-']).unwrap_or(digits);
                if unsigned.is_empty() || !unsigned.bytes().all(|b| b.is_ascii_digit()) {
                    return None;
                }
                digits.parse::<i64>().ok().filter(|e| e.abs() <= MAX_EXPONENT)?
            }
            Some(_) => return None,
        };
        let plain: String = text[..tail].chars().filter(|c| *c != '.').collect();
        let fraction = text[..tail].split_once('.').map_or(0, |(_, f)| f.len() as i64);
        let mantissa: BigInt = plain.parse().ok()?;
        Some(Number::from(BigDecimal::new(mantissa, fraction - exponent)))
    }

    pub fn to_big(&self) -> BigDecimal {
        match self {
            Number::Small { mantissa, scale } => BigDecimal::new(BigInt::from(*mantissa), i64::from(*scale)),
            Number::Big(big) => big.clone(),
        }
    }

    /// `self − other`.
    pub fn minus(&self, other: &Number) -> Number {
        if let (Some((a, b)), scale) = aligned(self, other)
            && let Some(d) = a.checked_sub(b).and_then(|d| i64::try_from(d).ok())
        {
            return Number::Small { mantissa: d, scale };
        }
        Number::from(self.to_big() - other.to_big())
    }

    pub fn abs(&self) -> Number {
        match self {
            Number::Small { mantissa, scale } => Number::Small { mantissa: mantissa.abs(), scale: *scale },
            Number::Big(big) => Number::Big(big.abs()),
        }
    }

    /// Whether the two lie at most `tolerance` apart.
    pub fn within(&self, other: &Number, tolerance: &Number) -> bool {
        self.minus(other).abs().cmp(tolerance) != Ordering::Greater
    }

    pub fn is_integral(&self) -> bool {
        match self {
            Number::Small { mantissa, scale } => mantissa % 10_i64.pow(*scale) == 0,
            Number::Big(big) => big.is_integer(),
        }
    }

    /// As nanoseconds, when the number counts seconds; `None` beyond the range.
    pub fn seconds_to_nanos(&self) -> Option<i64> {
        self.scaled(9)
    }

    /// `self × 10^power` rounded towards zero, as an `i64`.
    pub fn scaled(&self, power: u32) -> Option<i64> {
        match self {
            Number::Small { mantissa, scale } => {
                let m = i128::from(*mantissa) * 10_i128.pow(power);
                i64::try_from(m / 10_i128.pow(*scale)).ok()
            }
            Number::Big(big) => {
                let scaled = (big * BigDecimal::new(BigInt::from(1), -i64::from(power))).with_scale(0);
                let (mantissa, _) = scaled.into_bigint_and_exponent();
                i64::try_from(mantissa).ok()
            }
        }
    }
}

/// Both mantissas at one scale, where they fit.
fn aligned(a: &Number, b: &Number) -> (Option<(i128, i128)>, u32) {
    match (a, b) {
        (Number::Small { mantissa: m, scale: s }, Number::Small { mantissa: n, scale: t }) => {
            let scale = (*s).max(*t);
            let m = i128::from(*m) * 10_i128.pow(scale - s);
            let n = i128::from(*n) * 10_i128.pow(scale - t);
            (Some((m, n)), scale)
        }
        _ => (None, 0),
    }
}

impl From<BigDecimal> for Number {
    fn from(big: BigDecimal) -> Number {
        let (digits, scale) = big.as_bigint_and_exponent();
        match (i64::try_from(digits), u32::try_from(scale)) {
            (Ok(mantissa), Ok(scale)) if mantissa.unsigned_abs() < 10_u64.pow(18) && scale <= 18 => {
                Number::Small { mantissa, scale }
            }
            _ => Number::Big(big),
        }
    }
}

impl From<&BigDecimal> for Number {
    fn from(big: &BigDecimal) -> Number {
        Number::from(big.clone())
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Number) -> Ordering {
        match aligned(self, other).0 {
            Some((a, b)) => a.cmp(&b),
            None => self.to_big().cmp(&other.to_big()),
        }
    }
}
impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Number) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl PartialEq for Number {
    fn eq(&self, other: &Number) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Number {}

impl fmt::Display for Number {
    /// Plain digits without trailing zeros after the point.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_big().normalized().to_plain_string())
    }
}

/// The digits of 0 to 99.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut value = 0;
    while value < 100 {
        pairs[value] = [b'0' + value as u8 / 10, b'0' + value as u8 % 10];
        value += 1;
    }
    pairs
};

/// A whole number's text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WholeText {
    digits: [u8; 20],
    from: usize,
}

impl WholeText {
    pub fn new(mut value: u64) -> WholeText {
        let mut digits = [0; 20];
        let mut from = digits.len();
        for pair in digits.as_chunks_mut().0.iter_mut().rev() {
            *pair = PAIRS[(value % 100) as usize];
            from -= 2;
            value /= 100;
            if value == 0 {
                break;
            }
        }
        from += usize::from(digits[from] == b'0');
        WholeText { digits, from }
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.digits[self.from..]
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

/// An instant in any of the forms that are met: RFC 3339, naive (read by `zone`, nearest to
/// `near`), or Unix seconds, milliseconds, microseconds or nanoseconds, told apart by size.
/// `None` when it is none of these, or names a local time that does not exist.
pub fn parse_instant(text: &str, zone: chrono_tz::Tz, near: Timestamp) -> Option<Timestamp> {
    if let Some(t) = Timestamp::parse_rfc3339(text) {
        return Some(t);
    }
    if let Some(local) = Timestamp::parse_naive(text) {
        return resolve_local(local, zone, near);
    }
    let number = Number::parse(text)?;
    // Seconds reach 10^11 in the year 5138; milliseconds pass it in 1973; and so on by thousands.
    let size = number.abs();
    let below = |exponent: u32| size < Number::Small { mantissa: 10_i64.pow(exponent), scale: 0 };
    let power = match () {
        () if below(11) => 9,
        () if below(14) => 6,
        () if below(17) => 3,
        () => 0,
    };
    number.scaled(power).map(Timestamp)
}

/// A local time in a zone: the reading nearest to `near` where there are two, `None` where there is none.
pub fn resolve_local(local: Timestamp, zone: chrono_tz::Tz, near: Timestamp) -> Option<Timestamp> {
    use chrono::{DateTime, LocalResult, TimeZone};
    if zone == chrono_tz::Tz::UTC {
        return Some(local);
    }
    let naive = DateTime::from_timestamp_nanos(local.0).naive_utc();
    let instant = |t: DateTime<chrono_tz::Tz>| t.timestamp_nanos_opt().map(Timestamp);
    match zone.from_local_datetime(&naive) {
        LocalResult::None => None,
        LocalResult::Single(t) => instant(t),
        LocalResult::Ambiguous(a, b) => {
            let (a, b) = (instant(a)?, instant(b)?);
            Some(if (a - near).abs() <= (b - near).abs() { a } else { b })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn whole_numbers_are_written_out() {
        for value in [0, 7, 10, 99, 100, 12_345, u64::MAX] {
            assert_eq!(WholeText::new(value).as_str(), value.to_string());
        }
    }

    #[test]
    fn one_value_in_many_texts() {
        let value = Number::parse("50000.00").unwrap();
        for text in ["50000", "5e4", "50000.0", "50000.000000000000000000000000", "0.5E5", "500000e-1"] {
            assert_eq!(Number::parse(text), Some(value.clone()), "{text}");
            assert_eq!(Number::parse(text).unwrap().to_string(), "50000");
        }
        for bad in [
            "", "NaN", "Infinity", "-", ".", "1e", "1e401", "1e-401", "1x", "0x10", "1 ", "--1", "1e+", "+5",
            ".5", "1.",
        ] {
            assert_eq!(Number::parse(bad), None, "{bad}");
        }
        assert!(Number::parse("1e400").is_some());
    }

    #[test]
    fn beyond_doubles_is_exact() {
        let a = Number::parse("9007199254740993").unwrap();
        let b = Number::parse("9007199254740992").unwrap();
        assert_ne!(a, b);
        assert_eq!(a.minus(&b).to_string(), "1");
        let long = Number::parse("123456789012345678901234567890.000000000000000001").unwrap();
        assert_eq!(long.to_string(), "123456789012345678901234567890.000000000000000001");
    }

    #[test]
    fn tolerance_includes_its_bound() {
        let n = |t: &str| Number::parse(t).unwrap();
        assert!(n("100.005").within(&n("100"), &n("0.005")));
        assert!(!n("100.0050001").within(&n("100"), &n("0.005")));
        assert!(n("-1").within(&n("1"), &n("2")));
    }

    #[test]
    fn instants_in_all_forms() {
        let near = Timestamp::parse_rfc3339("2025-12-19T14:30:00Z").unwrap();
        let utc = chrono_tz::Tz::UTC;
        for text in [
            "2025-12-19T14:30:00Z",
            "2025-12-19T09:30:00-05:00",
            "2025-12-19T14:30:00",
            "1766154600",
            "1766154600000",
            "1766154600000000",
            "1766154600000000000",
            "1766154600.000",
        ] {
            assert_eq!(parse_instant(text, utc, near), Some(near), "{text}");
        }
        assert_eq!(parse_instant("soon", utc, near), None);
        let new_york = chrono_tz::Tz::America__New_York;
        assert_eq!(parse_instant("2025-12-19T09:30:00", new_york, near), Some(near));
        assert_eq!(parse_instant("2025-03-09T02:30:00", new_york, near), None);
        let first = Timestamp::parse_rfc3339("2025-11-02T05:30:00Z").unwrap();
        let second = Timestamp::parse_rfc3339("2025-11-02T06:30:00Z").unwrap();
        assert_eq!(parse_instant("2025-11-02T01:30:00", new_york, first), Some(first));
        assert_eq!(parse_instant("2025-11-02T01:30:00", new_york, second), Some(second));
    }

    proptest! {
        #[test]
        fn small_and_big_agree(a in any::<i32>(), s in 0_u32..10, b in any::<i32>(), t in 0_u32..10) {
            let text = |m: i32, s: u32| BigDecimal::new(BigInt::from(m), i64::from(s)).to_plain_string();
            let (x, y) = (Number::parse(&text(a, s)).unwrap(), Number::parse(&text(b, t)).unwrap());
            let (p, q) = (x.to_big(), y.to_big());
            prop_assert_eq!(x.cmp(&y), p.cmp(&q));
            prop_assert_eq!(x.minus(&y).to_big(), &p - &q);
            prop_assert_eq!(x.is_integral(), p.is_integer());
        }
    }
}
