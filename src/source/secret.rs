//! Credentials: where they stand, and keeping them out of captures, logs and messages.

use crate::contract::{Body, Contract, OpenStep};
use regex_lite::Regex;
use serde_json::Value;
use std::sync::{Arc, LazyLock, RwLock};
use url::Url;

/// Shorter texts stand by chance in any message; masking them would hide more than it protects.
const SHORTEST: usize = 4;

/// Query values are mostly words such as `json` or `USA`; tokens are longer.
const SHORTEST_QUERY: usize = 8;

/// Names of channels are shorter than most tokens, and must stay readable.
const SHORTEST_WORD: usize = 20;

/// Their values are no secrets, and often stand in the very messages that must stay readable.
const PUBLIC_HEADERS: [&str; 6] =
    ["accept", "accept-language", "cache-control", "content-type", "origin", "user-agent"];

/// Whether a header's value is no secret.
pub fn is_public_header(name: &str) -> bool {
    PUBLIC_HEADERS.iter().any(|public| name.eq_ignore_ascii_case(public))
}

const MASK: &str = "***";

/// A URL without user, password, query and fragment: what may be shown and recorded.
pub fn shown_url(text: &str) -> String {
    match Url::parse(text) {
        Ok(mut url) => {
            let _ = url.set_username("");
            let _ = url.set_password(None);
            url.set_query(None);
            url.set_fragment(None);
            url.to_string()
        }
        // What cannot be read cannot be cleaned; nothing of it is shown.
        Err(_) => "(not a URL)".to_string(),
    }
}

/// A text that somebody else wrote (a log's line, a request's target), with what looks like a
/// credential masked: query and form values by their names, and what follows `Bearer` or `Basic`.
pub fn without_credentials(text: &str) -> String {
    static CREDENTIALS: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(concat!(
            r"(?i)(\b[\w.-]*(?:token|secret|passw(?:or)?d|api[_-]?key|apikey|jwt|session(?:_?id)?|signature|auth)=|",
            r"\b(?:bearer|basic)\s+)[^\s&;,'\x22]+"
        ))
        .unwrap_or_else(|fault| unreachable!("{fault}"))
    });
    CREDENTIALS.replace_all(text, "$1***").into_owned()
}

/// Masks the known credentials of a run in texts that servers and libraries wrote.
#[derive(Debug, Clone, Default)]
pub(super) struct Secrets(Arc<RwLock<Vec<String>>>);

impl Secrets {
    /// The header values, query values, user infos and login data of a contract.
    pub(super) fn of(contract: &Contract) -> Secrets {
        let secrets = Secrets::default();
        let features = contract.features.iter().flat_map(|feature| &feature.rest.headers);
        for (name, value) in contract.rest.headers.iter().chain(&contract.ws.headers).chain(features) {
            if !is_public_header(name) {
                secrets.add(value);
            }
        }
        for (_, value) in contract.features.iter().flat_map(|feature| &feature.rest.query) {
            secrets.add_query(value);
        }
        for text in [&contract.rest.base_url, &contract.ws.url] {
            if let Ok(url) = Url::parse(text) {
                url.query_pairs().for_each(|(_, value)| secrets.add_query(&value));
                secrets.add(url.username());
                secrets.add(url.password().unwrap_or_default());
            }
        }
        let keepalive = contract.ws.keepalive.iter().filter_map(|keepalive| keepalive.send.as_ref());
        let steps = contract.ws.open.iter().filter_map(|step| match step {
            OpenStep::Send(text) => Some(text),
            OpenStep::Expect { .. } => None,
        });
        for message in contract.ws.subscribe.iter().chain(keepalive).chain(steps) {
            secrets.add_words(message);
        }
        let login = contract.rest.login.as_ref();
        let refresh = login.and_then(|login| login.refresh.as_ref()).map(|refresh| &refresh.body);
        for body in login.map(|login| &login.body).into_iter().chain(refresh) {
            match body {
                Body::Empty => {}
                Body::Json(json) => secrets.add_strings(json),
                Body::Form(pairs) => pairs.iter().for_each(|(_, value)| secrets.add(value)),
            }
        }
        secrets
    }

    /// One more secret, such as a token that a login gave.
    pub(super) fn add(&self, secret: &str) {
        // `Bearer abc` in a header: servers tend to repeat the `abc` alone.
        let last_word = secret.rsplit(' ').next().unwrap_or(secret);
        let mut known = self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        for text in [secret, last_word] {
            if text.len() >= SHORTEST && !known.iter().any(|other| other == text) {
                known.push(text.to_string());
            }
        }
        // The longest first, so that no part of one is left when a shorter one stands inside it.
        known.sort_by_key(|text| std::cmp::Reverse(text.len()));
    }

    /// The long words of a message that we send: one may be a token that a server repeats.
    fn add_words(&self, message: &str) {
        let is_apart = |c: char| c.is_whitespace() || matches!(c, '"' | '{' | '}' | '[' | ']' | ',' | ':');
        message.split(is_apart).filter(|word| word.len() >= SHORTEST_WORD).for_each(|word| self.add(word));
    }

    fn add_query(&self, value: &str) {
        if value.len() >= SHORTEST_QUERY {
            self.add(value);
        }
    }

    fn add_strings(&self, value: &Value) {
        match value {
            Value::String(text) => self.add(text),
            Value::Array(items) => items.iter().for_each(|item| self.add_strings(item)),
            Value::Object(members) => members.values().for_each(|member| self.add_strings(member)),
            _ => {}
        }
    }

    /// `text` with all known secrets masked.
    pub(super) fn mask(&self, text: &str) -> String {
        let known = self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        known.iter().fold(text.to_string(), |text, secret| text.replace(secret, MASK))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_shown_without_credentials() {
        for (url, expect) in [
            ("wss://u:p@h:99/ws/?token=abc#x", "wss://h:99/ws/"),
            ("http://127.0.0.1:8787", "http://127.0.0.1:8787/"),
            ("token=abc", "(not a URL)"),
        ] {
            assert_eq!(shown_url(url), expect);
        }
    }

    #[test]
    fn what_looks_like_a_credential_is_masked() {
        for (text, expect) in [
            ("/ws/?x=1&access_token=a.b-c&y=2", "/ws/?x=1&access_token=***&y=2"),
            ("api_key=1234 sessionid=5; z", "api_key=*** sessionid=***; z"),
            ("Authorization: Bearer eyJ.x_y sent", "Authorization: Bearer *** sent"),
            ("the token = is fine, authority=x", "the token = is fine, authority=x"),
        ] {
            assert_eq!(without_credentials(text), expect);
        }
    }

    #[test]
    fn known_secrets_are_masked_wherever_they_stand() {
        let secrets = Secrets::default();
        secrets.add("Bearer eyJhbGciOi");
        secrets.add("eyJh");
        secrets.add("no");
        secrets.add_words(r#"{"type":"auth","access_token":"0123456789abcdefghij"}"#);
        assert_eq!(secrets.mask("auth failed: 0123456789abcdefghij"), "auth failed: ***");
        assert_eq!(secrets.mask("no token eyJhbGciOi for Bearer eyJhbGciOi"), "no token *** for ***");
    }
}
