//! What came in as bytes, as a payload that fits on a line of the capture.
//!
//! JSON stays the received text: only line breaks between tokens become spaces, and white space
//! around it goes. What is no JSON is kept as text or base64, up to a limit, unless the contract
//! redacts fields: then nobody can tell what stands in it, and none of it is kept.

use super::redact::Redactor;
use crate::model::Payload;
use crate::model::json::is_json;

/// What is kept of a body that is no JSON: enough for an error page, little enough for a storm.
const KEPT_TEXT: usize = 64 * 1024;

/// A body's bytes as a payload.
pub(super) fn payload(bytes: Vec<u8>, binary: bool, redactor: Option<&Redactor>) -> Payload<'static> {
    match String::from_utf8(bytes) {
        Ok(text) => text_payload(text, binary, redactor),
        Err(error) if redactor.is_some() => withheld(error.as_bytes().len()),
        Err(error) => Payload::Base64(base64_of(error.as_bytes()).into()),
    }
}

/// A text's payload.
pub(super) fn text_payload(text: String, binary: bool, redactor: Option<&Redactor>) -> Payload<'static> {
    if !is_json(&text) {
        return match redactor {
            Some(_) => withheld(text.len()),
            None => Payload::Text(cut(text).into()),
        };
    }
    let text = on_one_line(text);
    let text = match redactor {
        Some(redactor) => redactor.redact(&text),
        None => text,
    };
    Payload::Json { text: text.into(), binary }
}

fn withheld(bytes: usize) -> Payload<'static> {
    Payload::Text(format!("[withheld: no JSON, {bytes} bytes; the contract redacts fields]").into())
}

/// In valid JSON a line break can only stand between tokens.
fn on_one_line(text: String) -> String {
    let trimmed = text.trim_matches(|c| matches!(c, ' ' | '\t' | '\r' | '\n'));
    let text = if trimmed.len() == text.len() { text } else { trimmed.to_string() };
    if memchr::memchr2(b'\n', b'\r', text.as_bytes()).is_none() {
        return text;
    }
    text.replace(['\n', '\r'], " ")
}

fn cut(mut text: String) -> String {
    let whole = text.len();
    if whole <= KEPT_TEXT {
        return text;
    }
    let mut kept = KEPT_TEXT;
    while !text.is_char_boundary(kept) {
        kept -= 1;
    }
    text.truncate(kept);
    text.push_str(&format!("… [cut: {kept} of {whole} bytes kept]"));
    text
}

/// Base64 (RFC 4648) of the first `KEPT_TEXT` bytes; `bytes` of the observation tells of a cut.
fn base64_of(bytes: &[u8]) -> String {
    base64(&bytes[..bytes.len().min(KEPT_TEXT)])
}

pub(super) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let group = byte(0) << 16 | byte(1) << 8 | byte(2);
        for index in 0..4 {
            let digit = DIGITS[(group >> (18 - 6 * index) & 63) as usize];
            text.push(if index <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

/// The bytes of a base64 text (RFC 4648), with or without its padding; `None` if it is none.
pub(super) fn base64_bytes(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=');
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    let (mut group, mut bits) = (0_u32, 0);
    for byte in text.bytes() {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        group = group << 6 | u32::from(digit);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((group >> bits) as u8);
            group &= (1 << bits) - 1;
        }
    }
    (text.len() % 4 != 1).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_become_payloads() {
        let json = |text: &'static str| Payload::Json { text: text.into(), binary: false };
        for (bytes, expect) in [
            (b"{\"a\":1.50}".to_vec(), json("{\"a\":1.50}")),
            (b" {\r\n\"a\" :\n1}\n".to_vec(), json("{  \"a\" : 1}")),
            (b"\"a\\n\"".to_vec(), json("\"a\\n\"")),
            (b"<html>".to_vec(), Payload::Text("<html>".into())),
            (b"\xef\xbb\xbf{}".to_vec(), Payload::Text("\u{feff}{}".into())),
            (b"{\"a\":NaN}".to_vec(), Payload::Text("{\"a\":NaN}".into())),
            (b"\xff\xfe{".to_vec(), Payload::Base64("//57".into())),
        ] {
            assert_eq!(payload(bytes, false, None), expect);
        }
    }

    #[test]
    fn long_texts_are_cut_and_say_so() {
        let Payload::Text(text) = payload("é".repeat(KEPT_TEXT).into_bytes(), false, None) else { panic!() };
        assert!(text.ends_with("é… [cut: 65536 of 131072 bytes kept]"), "{}", text.len());
    }

    #[test]
    fn nothing_unreadable_is_kept_where_fields_are_redacted() {
        let redactor = Redactor::new(&["account_number".to_string()]);
        for bytes in [b"{\"account_number\":\"12345\"".to_vec(), b"\xff12345".to_vec()] {
            let Payload::Text(text) = payload(bytes, false, redactor.as_ref()) else { panic!() };
            assert!(text.starts_with("[withheld:") && !text.contains("12345"), "{text}");
        }
    }

    #[test]
    fn base64_as_in_rfc_4648() {
        for (bytes, expect) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(bytes.as_bytes()), expect);
            assert_eq!(base64_bytes(expect).as_deref(), Some(bytes.as_bytes()));
        }
        assert_eq!((base64_bytes("Z"), base64_bytes("Zg-_")), (None, None));
        assert_eq!(base64_bytes(&base64(&[0, 255, 254, 1])), Some(vec![0, 255, 254, 1]));
    }
}
