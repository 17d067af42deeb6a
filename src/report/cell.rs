//! Owns how one value becomes one cell of a CSV file that people open in spreadsheets.
//! Must not know which file or column the cell belongs to.

use crate::model::text::{as_json_string, is_control};
use std::borrow::Cow;

/// The cell for `text`: what a spreadsheet would run (a number or a percentage it only reads) gets a
/// leading `'`, and text with control codes becomes a JSON string, so that each row stays one line
/// and any JSON reader gets the value back.
pub(super) fn guarded(text: &str) -> Cow<'_, str> {
    if text.chars().any(is_control) {
        Cow::Owned(as_json_string(text))
    } else if text.starts_with(RUNS) && !is_number(text.strip_suffix('%').unwrap_or(text)) {
        Cow::Owned(format!("'{text}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// What a formula starts with; the full-width forms run under East Asian input settings.
const RUNS: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];

/// `-12`, `+0.5`, `-1e-3`: a sign, digits with at most one point, an exponent.
fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let exponent_fits = exponent.is_none_or(|e| is_digits(e.strip_prefix(['+', '-']).unwrap_or(e)));
    is_digits(whole) && is_digits(fraction) && exponent_fits
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::guarded;

    #[test]
    fn what_a_spreadsheet_would_run_is_guarded() {
        for (text, cell) in [
            ("", ""),
            ("plain", "plain"),
            ("a=b", "a=b"),
            ("=1+1", "'=1+1"),
            ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
            ("+SUM(A1)", "'+SUM(A1)"),
            ("-SUM(A1)", "'-SUM(A1)"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("＝1+1", "'＝1+1"),
            ("-", "'-"),
            ("--1", "'--1"),
            ("-1", "-1"),
            ("+1", "+1"),
            ("-0.005", "-0.005"),
            ("-1.5e-3", "-1.5e-3"),
            ("-1.", "'-1."),
            ("-1e", "'-1e"),
            ("-1.2.3", "'-1.2.3"),
            ("-1+cmd", "'-1+cmd"),
            ("-0.1 %", "'-0.1 %"),
            ("+5.00%", "+5.00%"),
            ("-%", "'-%"),
        ] {
            assert_eq!(guarded(text), cell, "{text:?}");
        }
    }

    #[test]
    fn control_codes_come_back_from_a_json_reader() {
        for text in [
            "two\nlines",
            "\r=1+1",
            "\t=1+1",
            "\u{1b}[31mred",
            "\u{9b}31m",
            "abc\u{202e}fdp",
            "quote \" and back\\slash\n",
            "\u{0}",
            "\u{e0041}tag",
        ] {
            let cell = guarded(text);
            assert!(cell.starts_with('"') && !cell.chars().any(super::is_control), "{cell:?}");
            assert_eq!(serde_json::from_str::<String>(&cell).unwrap(), text);
        }
    }
}
