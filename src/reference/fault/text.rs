//! How the value behind one key of a fault is read. Every error says what would be right.

use super::{By, Instant};
use crate::model::{Span, Timestamp};
use crate::reference::random::MILLION;

fn share(text: &str) -> Option<f64> {
    let (number, scale) = match text.strip_suffix('%') {
        Some(number) => (number, 0.01),
        None => (text, 1.0),
    };
    number.trim().parse::<f64>().ok().filter(|share| share.is_finite()).map(|share| share * scale)
}

pub(super) fn rate(text: &str) -> Result<u64, String> {
    match share(text) {
        Some(rate) if rate * MILLION as f64 >= 0.5 && rate <= 1.0 => {
            Ok((rate * MILLION as f64).round() as u64)
        }
        _ => Err(format!("`rate={text}` must be above 0 and at most 1, such as 0.02 or 2%")),
    }
}

pub(super) fn span(key: &str, text: &str) -> Result<Span, String> {
    let span = Span::parse(text).filter(|span| *span > Span::ZERO);
    span.ok_or_else(|| format!("`{key}={text}` must be a duration such as 30s or 2m"))
}

pub(super) fn instant(text: &str) -> Result<Instant, String> {
    let after = Span::parse(text).map(Instant::AfterStart);
    after.or_else(|| Timestamp::parse_rfc3339(text).map(Instant::At)).ok_or_else(|| {
        format!("`at={text}` must be a time after the start (90s) or an instant (2025-12-19T14:30:00Z)")
    })
}

pub(super) fn count(text: &str) -> Result<u64, String> {
    let count = text.parse().ok().filter(|count| *count > 0);
    count.ok_or_else(|| format!("`every={text}` must be a whole number from 1: each Nth is struck"))
}

pub(super) fn by(text: &str) -> Result<By, String> {
    let (sign, size) = text.strip_prefix('-').map_or((1, text), |size| (-1, size));
    let length = Span::parse(size).map(|length| By::Length(Span(sign * length.0)));
    let share = || share(text).map(|share| By::Share((share * MILLION as f64).round() as i64));
    length.or_else(share).ok_or_else(|| format!("`by={text}` must be a share (5%) or a duration (2s)"))
}

/// 1005, 1006 and 1015 never stand in a close frame (RFC 6455, 7.4.1); 1006 is taken for what it
/// stands for: an end without one.
pub(super) fn close_code(text: &str) -> Result<u16, String> {
    let code = text.parse().ok().filter(|code| matches!(code, 1000..=4999) && !matches!(code, 1005 | 1015));
    code.ok_or_else(|| format!("`code={text}` must be a close code such as 1001, 1006, 1011 or 1012"))
}

pub(super) fn status(text: &str) -> Result<u16, String> {
    let status = text.parse().ok().filter(|status| matches!(status, 400..=599));
    status.ok_or_else(|| format!("`code={text}` must be an HTTP status such as 503"))
}
