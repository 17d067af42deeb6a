//! Exact decimals for invariants: scaled integers where they fit, `BigDecimal` where they do not.

use bigdecimal::BigDecimal;
use std::str::FromStr;

/// Exponents beyond are no number of this world (SPEC §3), and neither are longer texts, whose reading would
/// cost time by the square of their length.
const MOST_EXPONENT: i64 = 400;
const MOST_DIGITS: usize = 1000;

/// An exact decimal; most fit into a machine word.
#[derive(Debug, Clone, PartialEq)]
pub enum Number {
    /// `mantissa` × 10^−`scale`; `scale` at most `SMALL_SCALE`.
    Small {
        mantissa: i64,
        scale: u8,
    },
    Big(BigDecimal),
}

/// Digits after the point up to which a number is small: the scale of three such factors is still a power of
/// ten that fits 128 bits.
pub const SMALL_SCALE: u8 = 12;

impl Number {
    /// Reads `12`, `-0.50`, `5e4`; `None` for anything else and for exponents beyond ±400.
    pub fn parse(text: &str) -> Option<Number> {
        if let Some(small) = small(text) {
            return Some(small);
        }
        let (mantissa, exponent) = match text.find(['e', 'E']) {
            Some(at) => (&text[..at], text[at + 1..].parse::<i64>().ok()?),
            None => (text, 0),
        };
        let digits = mantissa.strip_prefix('-').unwrap_or(mantissa);
        let ends = [digits.bytes().next(), digits.bytes().last()];
        let plain = digits.bytes().all(|b| b.is_ascii_digit() || b == b'.')
            && digits.bytes().filter(|b| *b == b'.').count() <= 1
            && ends.iter().all(|end| end.is_some_and(|b| b.is_ascii_digit()));
        if exponent.abs() > MOST_EXPONENT || text.len() > MOST_DIGITS || !plain {
            return None;
        }
        BigDecimal::from_str(text).ok().map(Number::Big)
    }

    pub(super) fn fixed(&self) -> Result<Fixed, Stop> {
        match self {
            Number::Small { mantissa, scale } => {
                Ok(Fixed { mantissa: (*mantissa).into(), scale: (*scale).into() })
            }
            Number::Big(_) => Err(Stop::Big),
        }
    }

    pub fn to_big(&self) -> BigDecimal {
        match self {
            Number::Small { mantissa, scale } => BigDecimal::new((*mantissa).into(), (*scale).into()),
            Number::Big(big) => big.clone(),
        }
    }
}

impl From<&BigDecimal> for Number {
    fn from(big: &BigDecimal) -> Number {
        let (digits, scale) = big.as_bigint_and_exponent();
        match (i64::try_from(digits), u8::try_from(scale)) {
            (Ok(mantissa), Ok(scale)) if scale <= SMALL_SCALE => Number::Small { mantissa, scale },
            _ => Number::Big(big.clone()),
        }
    }
}

/// The common case: an optional minus, up to 18 digits, a point among them.
fn small(text: &str) -> Option<Number> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.len() > 19 || !digits.starts_with(|c: char| c.is_ascii_digit()) || digits.ends_with('.') {
        return None;
    }
    let (mut mantissa, mut scale, mut point) = (0_i64, 0_u8, false);
    for b in digits.bytes() {
        match b {
            b'0'..=b'9' => {
                mantissa = mantissa.checked_mul(10)?.checked_add(i64::from(b - b'0'))?;
                scale += u8::from(point);
            }
            b'.' if !point => point = true,
            _ => return None,
        }
    }
    let sign = if digits.len() < text.len() { -1 } else { 1 };
    (scale <= SMALL_SCALE).then_some(Number::Small { mantissa: sign * mantissa, scale })
}

/// `mantissa` × 10^−`scale` while computing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fixed {
    pub mantissa: i128,
    pub scale: u32,
}

/// Why the fast way ended without an answer.
pub(super) enum Stop {
    /// A value is lacking: the slow way has no answer either.
    Lacking,
    /// Does not fit: compute with `BigDecimal`.
    Big,
}

impl Fixed {
    pub fn rescaled(self, scale: u32) -> Result<i128, Stop> {
        let factor = 10_i128.checked_pow(scale - self.scale).ok_or(Stop::Big)?;
        self.mantissa.checked_mul(factor).ok_or(Stop::Big)
    }

    pub fn minus(self, other: Fixed) -> Result<Fixed, Stop> {
        let scale = self.scale.max(other.scale);
        let mantissa = self.rescaled(scale)?.checked_sub(other.rescaled(scale)?).ok_or(Stop::Big)?;
        Ok(Fixed { mantissa, scale })
    }

    pub fn times(self, other: Fixed) -> Result<Fixed, Stop> {
        let mantissa = self.mantissa.checked_mul(other.mantissa).ok_or(Stop::Big)?;
        Ok(Fixed { mantissa, scale: self.scale + other.scale })
    }

    pub fn negated(self) -> Fixed {
        // Mantissas come from 64 bits or from checked steps; the one that has no negative cannot be reached
        // without an overflow of the step before, and saturating keeps its order anyway.
        Fixed { mantissa: self.mantissa.saturating_neg(), ..self }
    }

    pub fn abs(self) -> Fixed {
        Fixed { mantissa: self.mantissa.saturating_abs(), ..self }
    }
}
