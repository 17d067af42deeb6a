//! Values that must not be stored, replaced by a keyed hash before anything sees them.
//!
//! The key is drawn anew for each capture and never leaves memory, so a hash cannot be looked up
//! by trying all account numbers. Equal values give equal hashes on both sides: `123`, `"123"` and
//! `123.0` are one value. `null` stays `null`: it says nothing, and its absence would.

use crate::contract::{Contract, Field, Pointer, Rows, Source};
use ring::hmac;
use ring::rand::SystemRandom;

/// Of the 32 bytes of a hash: enough that two of a million accounts do not collide.
const HASH_BYTES: usize = 8;

/// Where values to be redacted may stand: the names of the redacted fields, and where these are read
/// from on each side. A place is names of members, outermost first; positions in lists do not count.
pub(super) fn places(contract: &Contract) -> Vec<Vec<String>> {
    let mut places: Vec<Vec<String>> = contract.redact.iter().map(|name| vec![name.clone()]).collect();
    let rows = |feature| -> &[Field] { Option::map_or(feature, &[], |rows: &Rows| &rows.fields) };
    let fields = contract.features.iter().flat_map(|f| f.fields.iter().chain(rows(f.rows.as_ref())));
    for field in fields.filter(|field| contract.redact.contains(&field.name)) {
        for source in [&field.rest, &field.ws] {
            let path = match source {
                Source::Record(path) | Source::Root(Pointer(path)) | Source::Above(_, path) => path.clone(),
                Source::Param(name) => vec![name.clone()],
                Source::Constant(_) | Source::Absent => continue,
            };
            let named: Vec<String> = path.into_iter().filter(|name| name.parse::<u32>().is_err()).collect();
            if !named.is_empty() && !places.contains(&named) {
                places.push(named);
            }
        }
    }
    places
}

/// Replaces the values at certain places, wherever in a body these places are.
#[derive(Debug)]
pub(super) struct Redactor {
    places: Vec<Vec<String>>,
    key: hmac::Key,
}

impl Redactor {
    /// `None` where there is nothing to redact.
    pub(super) fn new(places: &[Vec<String>]) -> Option<Redactor> {
        if places.is_empty() {
            return None;
        }
        // Without randomness there is no secrecy, and nothing sensible to go on with.
        #[allow(clippy::expect_used, reason = "a system without randomness cannot run TLS either")]
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).expect("random numbers");
        Some(Redactor { places: places.to_vec(), key })
    }

    /// `json`, which must be valid, with the values replaced; all else stays byte for byte.
    pub(super) fn redact(&self, json: &str) -> String {
        let bytes = json.as_bytes();
        let mut out = String::with_capacity(json.len() + 32);
        let mut nesting: Vec<Level<'_>> = Vec::new();
        // Whether the value that comes next is to be replaced.
        let mut pending = false;
        let mut position = 0;
        while let Some(byte) = bytes.get(position) {
            let from = position;
            let inside = nesting.last().is_some_and(|level| level.hide);
            position = match byte {
                b'{' | b'[' => {
                    nesting.push(Level {
                        is_object: *byte == b'{',
                        at_name: true,
                        hide: inside || pending,
                        name: "",
                    });
                    pending = false;
                    from + 1
                }
                b'}' | b']' => {
                    nesting.pop();
                    from + 1
                }
                b',' => {
                    if let Some(level) = nesting.last_mut() {
                        level.at_name = true;
                    }
                    from + 1
                }
                b' ' | b'\t' | b':' => from + 1,
                _ => scalar_end(bytes, from),
            };
            let token = &json[from..position];
            let is_scalar = !matches!(byte, b'{' | b'[' | b'}' | b']' | b',' | b' ' | b'\t' | b':');
            match nesting.last_mut() {
                Some(level) if is_scalar && level.is_object && level.at_name => {
                    (level.at_name, level.name) = (false, token);
                    pending = self.is_hidden(&nesting);
                    out.push_str(token);
                }
                _ if is_scalar && (pending || inside) => {
                    pending = false;
                    self.push_hash(token, &mut out);
                }
                _ => out.push_str(token),
            }
        }
        out
    }

    /// Whether the names that lead to the present member end as one of the places does.
    fn is_hidden(&self, nesting: &[Level<'_>]) -> bool {
        let ends_so = |place: &Vec<String>| {
            let mut above = nesting.iter().rev().filter(|level| level.is_object);
            place.iter().rev().all(|name| above.next().is_some_and(|level| is_name(level.name, name)))
        };
        self.places.iter().any(ends_so)
    }

    fn push_hash(&self, token: &str, out: &mut String) {
        if token == "null" {
            out.push_str(token);
            return;
        }
        let text = if token.starts_with('"') {
            // A lone surrogate has no text; its escaped form is a value like any other.
            serde_json::from_str::<String>(token).unwrap_or_else(|_| token.to_string())
        } else {
            token.to_string()
        };
        let tag = hmac::sign(&self.key, plain_number(&text).as_bytes());
        out.push_str("\"redacted:");
        out.push_str(&crate::capture::reader::hexadecimal(&tag.as_ref()[..HASH_BYTES]));
        out.push('"');
    }
}

/// Whether a JSON string says `name`.
fn is_name(token: &str, name: &str) -> bool {
    let inner = token.strip_prefix('"').and_then(|token| token.strip_suffix('"')).unwrap_or(token);
    match inner.contains('\\') {
        true => serde_json::from_str::<String>(token).is_ok_and(|said| said == name),
        false => inner == name,
    }
}

struct Level<'j> {
    is_object: bool,
    /// Of the present member, as it stands.
    name: &'j str,
    /// The next scalar of an object is a name.
    at_name: bool,
    /// Everything in here is a value to replace.
    hide: bool,
}

/// The end of the string, number or word that begins at `from`.
fn scalar_end(bytes: &[u8], from: usize) -> usize {
    let mut position = from + 1;
    if bytes[from] == b'"' {
        while let Some(byte) = bytes.get(position) {
            match byte {
                b'\\' => position += 2,
                b'"' => return position + 1,
                _ => position += 1,
            }
        }
        return bytes.len();
    }
    while bytes.get(position).is_some_and(|b| !matches!(b, b',' | b'}' | b']' | b' ' | b'\t' | b':')) {
        position += 1;
    }
    position
}

/// `123.50` and `123.5`, `123.0` and `123` are one number; exponents are left as they are.
fn plain_number(text: &str) -> &str {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-'));
    if is_plain && text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

/// Whether a JSON text is one line of valid JSON after redaction; for tests.
#[cfg(test)]
fn is_raw(text: &str) -> bool {
    serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn redactor() -> Redactor {
        let places = [&["n"][..], &["ü\""], &["acct", "no"]];
        let owned = places.map(|place| place.iter().map(|name| name.to_string()).collect());
        Redactor::new(&owned).unwrap()
    }

    fn hash_in(text: &str) -> &str {
        let from = text.find("\"redacted:").expect(text);
        &text[from..from + "\"redacted:0123456789abcdef\"".len()]
    }

    #[test]
    fn named_values_are_replaced_anywhere_and_nothing_else() {
        let redactor = redactor();
        let hash = |value: &str| hash_in(&redactor.redact(&format!("{{\"n\":{value}}}"))).to_string();
        let h = hash("123");
        for (json, expect) in [
            (r#"{"n":123,"m":"n"}"#, format!(r#"{{"n":{h},"m":"n"}}"#)),
            (r#"[{"a":{"n" : "123" }},"n"]"#, format!(r#"[{{"a":{{"n" : {h} }}}},"n"]"#)),
            (r#"{"n":[123,{"x":123.00}],"y":123}"#, format!(r#"{{"n":[{h},{{"x":{h}}}],"y":123}}"#)),
            (r#"{"\u006e":123,"n":null}"#, format!(r#"{{"\u006e":{h},"n":null}}"#)),
            (r#"{"\u00fc\"":123}"#, format!(r#"{{"\u00fc\"":{h}}}"#)),
            (r#"{"a":"\"n\":5","n":{}}"#, r#"{"a":"\"n\":5","n":{}}"#.to_string()),
            (r#"{"acct":{"no":123,"x":1},"no":123}"#, format!(r#"{{"acct":{{"no":{h},"x":1}},"no":123}}"#)),
            (
                r#"{"acct":[{"no":123}],"b":{"acct":{"z":{"no":123}}}}"#,
                format!(r#"{{"acct":[{{"no":{h}}}],"b":{{"acct":{{"z":{{"no":123}}}}}}}}"#),
            ),
            ("123", "123".to_string()),
        ] {
            assert_eq!(redactor.redact(json), expect);
        }
        assert_ne!(hash("124"), h);
        assert_ne!(hash_in(&Redactor::new(&[vec!["n".into()]]).unwrap().redact("{\"n\":123}")), h);
        assert_eq!(hash("1e2"), hash("\"1e2\""));
    }

    #[test]
    fn a_redacted_field_is_hidden_where_each_side_has_it() {
        let contract = r#"
version = 1
redact = ["account_number"]
[rest]
base_url = "http://127.0.0.1:1"
[ws]
url = "ws://127.0.0.1:1/ws"
type = "/type"
[[feature]]
name = "f"
align = "arrival"
interval = "10s"
key = ["account_number"]
rest = { path = "/f/{acct}", poll = "10s", each = { acct = ["AB-1", "AB-2"] } }
ws = { type = "f" }
[feature.fields]
account_number = { type = "string", rest = "@acct", ws = "owners/0/id" }
"#;
        let contract = crate::contract::parse("c.toml", contract, &|_| None, false).unwrap();
        assert_eq!(places(&contract), [&["account_number"][..], &["acct"], &["owners", "id"]]);
        assert!(!contract.recorded_text.contains("AB-1"), "{}", contract.recorded_text);
        let again = crate::contract::parse("c.toml", &contract.recorded_text, &|_| None, false);
        assert!(again.is_ok(), "{again:?}");
        let redactor = Redactor::new(&places(&contract)).unwrap();
        for secret in [r#"{"acct":"AB-1"}"#, r#"{"owners":[{"id":"AB-1"}]}"#, r#"{"account_number":"AB-1"}"#]
        {
            assert!(!redactor.redact(secret).contains("AB-1"), "{secret}");
        }
    }

    proptest! {
        #[test]
        fn what_was_json_stays_json_and_other_values_stay(text in any::<String>(), number in any::<i32>()) {
            // Else it is the name of one of the others.
            prop_assume!(!["a", "n", "z"].contains(&text.as_str()));
            let value = serde_json::json!({
                "a": text, "n": number, (text.clone()): [{"n": text}], "z": {"n": {"deep": [text, null]}},
            });
            let redacted = redactor().redact(&value.to_string());
            prop_assert!(is_raw(&redacted), "{}", redacted);
            let read: serde_json::Value = serde_json::from_str(&redacted).unwrap();
            prop_assert!(read["n"].as_str().unwrap().starts_with("redacted:"));
            prop_assert_eq!(&read["a"], &value["a"]);
        }
    }
}
