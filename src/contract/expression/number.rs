//! Scaled integers, the fast way to evaluate an invariant; where they do not fit, `BigDecimal` does.

use crate::model::value::Number;

/// Digits after the point up to which a number is small: the scale of three such factors is still a power of
/// ten that fits 128 bits.
pub const SMALL_SCALE: u32 = 12;

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
    pub fn of(number: &Number) -> Result<Fixed, Stop> {
        match number {
            Number::Small { mantissa, scale } if *scale <= SMALL_SCALE => {
                Ok(Fixed { mantissa: (*mantissa).into(), scale: *scale })
            }
            _ => Err(Stop::Big),
        }
    }

    pub fn rescaled(self, scale: u32) -> Result<i128, Stop> {
        if scale == self.scale {
            return Ok(self.mantissa);
        }
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
