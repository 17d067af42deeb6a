//! JSON text as received: strict syntax, no tree, exact numbers.

/// Whether `text` is one JSON value by RFC 8259 (any depth; surrounding white space allowed).
pub fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}
