//! JSON text as received: strict syntax (RFC 8259), no tree, exact numbers, any depth.
//!
//! The scanner owns the hot path's first half: it steps over values, telling their kind and where
//! they stand. It allocates only for nesting beyond 64 levels. What the text means is decided
//! elsewhere.

use std::borrow::Cow;

/// Levels of nesting beyond which a body is `malformed` (SPEC §6).
pub const MAX_DEPTH: u32 = 128;

/// The kind of a JSON value, or that there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    #[default]
    Absent,
    Null,
    Bool,
    Number,
    String,
    Array,
    Object,
}

/// Where a value stands in its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Slot {
    pub start: u32,
    pub len: u32,
    pub kind: Kind,
}

impl Slot {
    /// The value's text as received, quotes included; empty when absent.
    pub fn raw<'t>(&self, text: &'t str) -> &'t str {
        &text[self.start as usize..(self.start + self.len) as usize]
    }

    /// The text of a scalar: a string's content unescaped, anything else as it stands.
    pub fn scalar<'t>(&self, text: &'t str) -> Cow<'t, str> {
        scalar(self.raw(text))
    }
}

/// The text of a raw scalar: a string's content unescaped, anything else as it stands.
#[inline]
pub fn scalar(raw: &str) -> Cow<'_, str> {
    match raw.as_bytes() {
        [b'"', inner @ .., b'"'] => match memchr::memchr(b'\\', inner) {
            None => Cow::Borrowed(&raw[1..raw.len() - 1]),
            Some(_) => Cow::Owned(unescape(raw)),
        },
        _ => Cow::Borrowed(raw),
    }
}

/// Unescapes a quoted JSON string that the scanner has accepted. Lone surrogates become U+FFFD.
fn unescape(quoted: &str) -> String {
    if let Ok(text) = serde_json::from_str::<String>(quoted) {
        return text;
    }
    let inner = &quoted[1..quoted.len() - 1];
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some('b') => out.push('\u{8}'),
            Some('f') => out.push('\u{c}'),
            Some('u') => {
                let hex: String = chars.by_ref().take(4).collect();
                let code = u32::from_str_radix(&hex, 16).unwrap_or(0xFFFD);
                out.push(char::from_u32(code).unwrap_or('\u{FFFD}'));
            }
            Some(other) => out.push(other),
            None => {}
        }
    }
    out
}

/// Whether `text` is one JSON value by RFC 8259 (any depth; surrounding white space allowed).
pub fn is_json(text: &str) -> bool {
    let mut scanner = Scanner::new(text);
    scanner.value().is_ok() && scanner.at_end()
}

/// The text is not JSON; the byte offset at which that shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotJson {
    pub offset: usize,
}

/// Steps over JSON text value by value.
#[derive(Debug)]
pub struct Scanner<'t> {
    text: &'t str,
    bytes: &'t [u8],
    pos: usize,
    /// Levels that are open around `pos`, counted by the caller's walk.
    depth: u32,
    deepest: u32,
}

impl<'t> Scanner<'t> {
    pub fn new(text: &'t str) -> Scanner<'t> {
        Scanner { text, bytes: text.as_bytes(), pos: 0, depth: 0, deepest: 0 }
    }

    /// The greatest nesting met so far.
    pub fn deepest(&self) -> u32 {
        self.deepest
    }

    pub fn position(&self) -> usize {
        self.pos
    }

    /// Goes back to a position that this scanner has been at.
    pub fn rewind(&mut self, position: usize) {
        self.pos = position;
    }

    /// Whether only white space is left.
    pub fn at_end(&mut self) -> bool {
        self.skip_space();
        self.pos == self.bytes.len()
    }

    fn fail<T>(&self) -> Result<T, NotJson> {
        Err(NotJson { offset: self.pos })
    }

    #[inline]
    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.bytes.get(self.pos) {
            self.pos += 1;
        }
    }

    /// The kind of the next value, by its first byte.
    #[inline]
    pub fn peek(&mut self) -> Kind {
        self.skip_space();
        match self.bytes.get(self.pos) {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b'"') => Kind::String,
            Some(b'n') => Kind::Null,
            Some(b't' | b'f') => Kind::Bool,
            Some(b'-' | b'0'..=b'9') => Kind::Number,
            _ => Kind::Absent,
        }
    }

    /// Steps over one value of any kind and tells where it stands.
    #[inline]
    pub fn value(&mut self) -> Result<Slot, NotJson> {
        let kind = self.peek();
        let start = self.pos;
        match kind {
            Kind::String => self.string_body().map(|_| ())?,
            Kind::Number => self.number()?,
            Kind::Object | Kind::Array => self.nested()?,
            Kind::Null => self.word(b"null")?,
            Kind::Bool if self.bytes[self.pos] == b't' => self.word(b"true")?,
            Kind::Bool => self.word(b"false")?,
            Kind::Absent => return self.fail(),
        }
        Ok(Slot { start: start as u32, len: (self.pos - start) as u32, kind })
    }

    /// Enters an object or array whose opening byte is next.
    #[inline]
    pub fn enter(&mut self) {
        self.pos += 1;
        self.depth += 1;
        self.deepest = self.deepest.max(self.depth);
    }

    /// The next member's name (as it stands between its quotes, and whether it has escapes), with
    /// the scanner left before its value; `None` after the closing brace. `first` is cleared.
    #[inline]
    pub fn member(&mut self, first: &mut bool) -> Result<Option<(&'t str, bool)>, NotJson> {
        self.skip_space();
        match self.bytes.get(self.pos) {
            Some(b'}') => {
                self.pos += 1;
                self.depth -= 1;
                return Ok(None);
            }
            Some(b',') if !*first => {
                self.pos += 1;
                self.skip_space();
            }
            Some(_) if *first => {}
            _ => return self.fail(),
        }
        *first = false;
        let start = self.pos + 1;
        if self.bytes.get(self.pos) != Some(&b'"') {
            return self.fail();
        }
        let escaped = self.string_body()?;
        let name = &self.text[start..self.pos - 1];
        self.skip_space();
        if self.bytes.get(self.pos) != Some(&b':') {
            return self.fail();
        }
        self.pos += 1;
        Ok(Some((name, escaped)))
    }

    /// Steps over the next member's name and colon if they are letter by letter this one, with at most one
    /// space before; else nothing is changed, and `member` tells what stands there.
    #[inline]
    pub fn expect_member(&mut self, name: &MemberName, first: &mut bool) -> bool {
        let mut at = self.pos;
        if !*first {
            if self.bytes.get(at) != Some(&b',') {
                return false;
            }
            at += 1;
        }
        at += usize::from(self.bytes.get(at) == Some(&b' '));
        let Some(head) = self.bytes.get(at..).and_then(|b| b.first_chunk::<HEAD>()) else { return false };
        if (u128::from_le_bytes(*head) ^ name.head) & name.mask != 0 {
            return false;
        }
        if name.text.len() > HEAD
            && self.bytes.get(at + HEAD..at + name.text.len()) != Some(&name.text[HEAD..])
        {
            return false;
        }
        *first = false;
        self.pos = at + name.text.len();
        true
    }

    /// Whether another element follows, with the scanner left before it; false after the closing bracket.
    #[inline]
    pub fn element(&mut self, first: &mut bool) -> Result<bool, NotJson> {
        self.skip_space();
        match self.bytes.get(self.pos) {
            Some(b']') => {
                self.pos += 1;
                self.depth -= 1;
                Ok(false)
            }
            Some(b',') if !*first => {
                self.pos += 1;
                self.skip_space();
                Ok(true)
            }
            Some(_) if *first => {
                *first = false;
                Ok(true)
            }
            _ => self.fail(),
        }
    }

    /// Steps over a string whose opening quote is next; whether it holds escapes.
    #[inline]
    fn string_body(&mut self) -> Result<bool, NotJson> {
        let mut i = self.pos + 1;
        let mut escaped = false;
        loop {
            i += plain_prefix(&self.bytes[i.min(self.bytes.len())..]);
            match self.bytes.get(i) {
                Some(b'"') => {
                    self.pos = i + 1;
                    return Ok(escaped);
                }
                Some(b'\\') => {
                    escaped = true;
                    self.pos = i;
                    i = match self.bytes.get(i + 1) {
                        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => i + 2,
                        Some(b'u') => {
                            let hex = self.bytes.get(i + 2..i + 6);
                            if !hex.is_some_and(|h| h.iter().all(u8::is_ascii_hexdigit)) {
                                return self.fail();
                            }
                            i + 6
                        }
                        _ => return self.fail(),
                    };
                }
                Some(0..=0x1f) | None => {
                    self.pos = i;
                    return self.fail();
                }
                Some(_) => i += 1,
            }
        }
    }

    #[inline]
    fn digits(&mut self) -> Result<(), NotJson> {
        let start = self.pos;
        while self.bytes.get(self.pos).is_some_and(u8::is_ascii_digit) {
            self.pos += 1;
        }
        if self.pos == start { self.fail() } else { Ok(()) }
    }

    #[inline]
    fn number(&mut self) -> Result<(), NotJson> {
        if self.bytes[self.pos] == b'-' {
            self.pos += 1;
        }
        if let Some(len) = self.bytes[self.pos..].first_chunk().and_then(short_number) {
            self.pos += len;
            return Ok(());
        }
        self.long_number()
    }

    /// Steps over what may be any number, after its sign.
    fn long_number(&mut self) -> Result<(), NotJson> {
        match self.bytes.get(self.pos) {
            Some(b'0') => self.pos += 1,
            _ => self.digits()?,
        }
        if self.bytes.get(self.pos) == Some(&b'.') {
            self.pos += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.bytes.get(self.pos) {
            self.pos += 1;
            if let Some(b'+' | b'-') = self.bytes.get(self.pos) {
                self.pos += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    #[inline]
    fn word(&mut self, word: &[u8]) -> Result<(), NotJson> {
        if self.bytes[self.pos..].starts_with(word) {
            self.pos += word.len();
            Ok(())
        } else {
            self.fail()
        }
    }

    /// Steps over an object or array of any depth without recursion.
    fn nested(&mut self) -> Result<(), NotJson> {
        let outside = self.depth;
        let mut open = OpenLevels::default();
        open.push(self.bytes[self.pos] == b'{');
        self.enter();
        let mut first = true;
        loop {
            let more = match open.innermost() {
                true => self.member(&mut first)?.is_some(),
                false => self.element(&mut first)?,
            };
            if !more {
                open.pop();
                if self.depth == outside {
                    return Ok(());
                }
                first = false;
                continue;
            }
            match self.peek() {
                kind @ (Kind::Object | Kind::Array) => {
                    open.push(kind == Kind::Object);
                    self.enter();
                    first = true;
                }
                _ => {
                    self.value()?;
                }
            }
        }
    }
}

/// Bytes of a member's name that are compared at once.
const HEAD: usize = 16;

/// A member's name as most texts write it, quotes and colon included, ready to be looked for.
#[derive(Debug, Clone)]
pub struct MemberName {
    text: Box<[u8]>,
    head: u128,
    /// The bits of the head that count.
    mask: u128,
}

impl MemberName {
    /// `None` for a name that is written with escapes.
    pub fn new(name: &str) -> Option<MemberName> {
        let text = format!("\"{name}\":").into_bytes();
        if name.bytes().any(|b| matches!(b, b'"' | b'\\' | 0..0x20)) {
            return None;
        }
        let (mut head, mut mask) = ([0; HEAD], [0; HEAD]);
        for (i, byte) in text.iter().take(HEAD).enumerate() {
            (head[i], mask[i]) = (*byte, 0xff);
        }
        let (head, mask) = (u128::from_le_bytes(head), u128::from_le_bytes(mask));
        Some(MemberName { text: text.into(), head, mask })
    }
}

/// The length of a number without sign and exponent that ends within these bytes; `None`: look closer.
#[inline]
fn short_number(chunk: &[u8; 16]) -> Option<usize> {
    const ONES: u128 = u128::MAX / 0xff;
    let digits = u128::from_le_bytes(*chunk) ^ (ONES * 0x30);
    // The high bit of each byte that is no digit: 10 and more carry into it.
    let others = (((digits & (ONES * 0x7f)) + ONES * 0x76) | digits) & (ONES * 0x80);
    let whole = (others.trailing_zeros() / 8) as usize;
    if whole == 0 || (chunk[0] == b'0' && whole > 1) {
        return None;
    }
    let mut end = whole;
    if chunk.get(whole) == Some(&b'.') {
        end = ((others & (others - 1)).trailing_zeros() / 8) as usize;
        if end == whole + 1 {
            return None;
        }
    }
    // At the end of the bytes the number may go on.
    match chunk.get(end)? {
        b'e' | b'E' => None,
        _ => Some(end),
    }
}

/// How many bytes, in steps of eight, hold neither a quote nor a backslash nor a control code.
#[inline]
fn plain_prefix(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let mut plain = 0;
    while let Some(chunk) = bytes.get(plain..plain + 8) {
        let mut word = [0; 8];
        word.copy_from_slice(chunk);
        let word = u64::from_le_bytes(word);
        // A byte that is zero after the exclusive or is the one looked for; see Warren, Hacker's
        // Delight, 6-1. The last term finds bytes below 0x20.
        let zero = |w: u64| w.wrapping_sub(ONES) & !w & HIGHS;
        let stop = zero(word ^ (ONES * 0x22))
            | zero(word ^ (ONES * 0x5c))
            | (word.wrapping_sub(ONES * 0x20) & !word & HIGHS);
        if stop != 0 {
            return plain + (stop.trailing_zeros() / 8) as usize;
        }
        plain += 8;
    }
    plain
}

/// Which of the open levels are objects: a stack of bits, on the heap only beyond 64 levels.
#[derive(Debug, Default)]
struct OpenLevels {
    low: u64,
    count: u32,
    spilled: Vec<u64>,
}

impl OpenLevels {
    fn push(&mut self, object: bool) {
        if self.count > 0 && self.count.is_multiple_of(64) {
            self.spilled.push(self.low);
        }
        self.low = self.low << 1 | u64::from(object);
        self.count += 1;
    }
    fn pop(&mut self) {
        self.count -= 1;
        self.low >>= 1;
        if self.count > 0 && self.count.is_multiple_of(64) {
            self.low = self.spilled.pop().unwrap_or(0);
        }
    }
    fn innermost(&self) -> bool {
        self.low & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn syntax_is_strict() {
        for good in [
            "{}",
            "[]",
            " [1, -0.5e+3 ,\"a\\u00e9\\n\",null,true,false] ",
            "0",
            "\"\"",
            "{\"a\":{\"b\":[[]]}}",
        ] {
            assert!(is_json(good), "{good}");
        }
        for bad in [
            "",
            "{",
            "[1,]",
            "{,}",
            "{\"a\":1,}",
            "01",
            "1.",
            ".5",
            "+1",
            "tru",
            "nul",
            "\"\u{1}\"",
            "\"\\x\"",
            "[1 2]",
            "{\"a\" 1}",
            "{a:1}",
            "1 2",
            "\"\\u12g4\"",
            "[}",
            "{]",
            "'a'",
            "NaN",
            "[,1]",
            "{\"a\":1 \"b\":2}",
        ] {
            assert!(!is_json(bad), "{bad}");
        }
    }

    #[test]
    fn any_depth_is_stepped_over_and_counted() {
        for levels in [1_usize, 63, 64, 65, 127, 128, 129, 100_000] {
            let text = format!("{}{}", "[{\"a\":".repeat(levels), "1") + &"}]".repeat(levels);
            let mut scanner = Scanner::new(&text);
            scanner.value().unwrap();
            assert!(scanner.at_end());
            assert_eq!(scanner.deepest() as usize, 2 * levels);
            assert!(!is_json(&text[..text.len() - 1]));
        }
    }

    proptest! {
        #[test]
        fn agrees_with_serde_json(text in r#"[\[\]{}:,"0-9eE+\-. a-ctrufalsn\\/]{0,24}"#) {
            let theirs = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            prop_assert_eq!(is_json(&text), theirs, "{}", text);
        }

        #[test]
        fn short_numbers_agree_with_serde_json(
            text in r"(0|[1-9][0-9]{0,20}|[0-9]{1,3})(\.[0-9]{0,18})?([eE][+-]?[0-9]{0,3})?(\.|[a-f])?",
            sign in "-?",
            tail in r"[,\]} ]{1,24}",
        ) {
            let number = format!("{sign}{text}");
            let theirs = serde_json::from_str::<serde_json::Number>(&number).is_ok()
                // Beyond a double is beyond serde_json, and none of the scanner's business.
                || (text.contains(['e', 'E']) && serde_json::from_str::<&serde_json::value::RawValue>(&number).is_ok());
            let ours = |text: &str| {
                let mut scanner = Scanner::new(text);
                scanner.value().is_ok_and(|slot| slot.len as usize == number.len())
            };
            prop_assert_eq!(ours(&number), theirs, "{}", number);
            prop_assert_eq!(ours(&format!("{number}{tail}")), theirs, "{}{}", number, tail);
        }

        #[test]
        fn an_expected_member_is_what_a_walk_finds(
            name in r#"[a-c_ "\\é]{0,20}"#,
            other in "[a-c_]{0,20}",
            gap in r" {0,2}",
            first in any::<bool>(),
            same in any::<bool>(),
            tail in "[0-9]{1,20}",
        ) {
            let shown = if same { serde_json::to_string(&name) } else { serde_json::to_string(&other) }.unwrap();
            let before = if first { "{" } else { "{\"x\":0," };
            let text = format!("{before}{gap}{shown}:{tail}}}");
            let walk = || {
                let mut scanner = Scanner::new(&text);
                let mut first = true;
                scanner.peek();
                scanner.enter();
                if before.len() > 1 {
                    scanner.member(&mut first).unwrap();
                    scanner.value().unwrap();
                }
                (scanner, first)
            };
            let (mut slow, mut slow_first) = walk();
            let (found, escaped) = slow.member(&mut slow_first).unwrap().unwrap();
            if let Some(wanted) = MemberName::new(&name) {
                let (mut fast, mut fast_first) = walk();
                let (at, was_first) = (fast.position(), fast_first);
                if fast.expect_member(&wanted, &mut fast_first) {
                    prop_assert_eq!(found, name.as_str());
                    prop_assert_eq!((fast.position(), fast_first), (slow.position(), slow_first));
                } else {
                    prop_assert_eq!((fast.position(), fast_first), (at, was_first));
                    // Only spaces and the end of the text stand between.
                    prop_assert!(found != name || gap.len() > 1 || text.len() - at < 2 * HEAD, "{}", text);
                }
            } else {
                prop_assert!(escaped || !same);
            }
        }

        #[test]
        fn scalars_unescape_like_serde_json(text in any::<String>()) {
            let raw = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(scalar(&raw).into_owned(), text);
        }
    }
}
