//! Whether a request's target is a path of the contract. Must not know what a match means.
//!
//! A proxy may put its own prefix before the backend's path, or take one away, so the path counts as
//! found where the target ends with it, segment by segment. Query, host and a last `/` do not matter.

use crate::contract::{Feature, MASKED};
use serde_json::Value;

#[derive(Debug, Clone)]
pub struct Route {
    /// The segments of the path, `{name}` standing for any text.
    segments: Vec<String>,
    /// What tells features of one path apart.
    query: Vec<(String, String)>,
}

impl Route {
    /// The path of a URL; `None` of what is none, or whose path stands in a variable that is not set.
    pub fn of_url(url: &str) -> Option<Route> {
        let segments = segments(url);
        let is_known = url.contains("://") && segments.iter().all(|segment| !segment.contains("${"));
        is_known.then(|| Route { segments, query: Vec::new() })
    }

    pub fn of_feature(feature: &Feature) -> Route {
        let mut route = Route::of_request(&feature.rest.path, feature.rest.query.clone());
        route.query.retain(|(_, value)| !value.contains('{'));
        route
    }

    /// One request of a feature's: its filled path, and the query that belongs to it.
    pub fn of_request(path: &str, query: Vec<(String, String)>) -> Route {
        let mut all = pairs(path);
        all.extend(query);
        Route { segments: segments(path), query: all }
    }

    /// The same path below that of a URL; `None` where that is not known.
    pub fn below(&self, url: &str) -> Option<Route> {
        let mut whole = Route::of_url(url)?;
        whole.segments.extend_from_slice(&self.segments);
        Some(Route { query: self.query.clone(), ..whole })
    }

    /// Without what a recorded contract does not tell: its credentials are masked, whatever they are.
    pub fn as_recorded(mut self) -> Route {
        self.query.retain(|(_, value)| !value.contains(MASKED));
        self
    }

    pub fn is_root(&self) -> bool {
        self.segments.is_empty()
    }

    pub fn matches(&self, target: &str) -> bool {
        let found = segments(target);
        // A path without any word of its own would be the end of every other.
        let has_word = self.segments.iter().any(|s| !s.contains('{'));
        found.len() >= self.segments.len()
            && (has_word || found.len() == self.segments.len())
            && found.iter().rev().zip(self.segments.iter().rev()).all(|(text, part)| fits(part, text))
    }

    /// What this path lies in, as far as it tells servers apart: its first directory.
    pub fn directory(&self) -> String {
        match self.segments.as_slice() {
            [first, _, ..] => format!("/{first}"),
            _ => "/".into(),
        }
    }

    /// Whether the target lies below that, wherever a proxy's prefix puts it: whoever serves it serves this
    /// path too.
    pub fn is_beside(&self, target: &str) -> bool {
        let [first, _, ..] = self.segments.as_slice() else { return true };
        let found = segments(target);
        found.iter().position(|text| fits(first, text)).is_some_and(|at| at + 1 < found.len())
    }

    /// Whether the target's path is this one, with nothing before it.
    pub fn is(&self, target: &str) -> bool {
        let found = segments(target);
        found.len() == self.segments.len()
            && found.iter().zip(&self.segments).all(|(text, part)| fits(part, text))
    }

    /// Whether the target's query has all that the contract's has.
    pub fn query_fits(&self, target: &str) -> bool {
        let found = pairs(target);
        self.query.iter().all(|wanted| found.contains(wanted))
    }
}

/// `{name}` replaced by the parameter's text.
pub fn filled(template: &str, params: &[(&str, &Value)], encoded: impl Fn(&str) -> String) -> String {
    params.iter().fold(template.to_string(), |text, (name, value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_string);
        text.replace(&format!("{{{name}}}"), &encoded(&value))
    })
}

/// For one segment of a path: whatever is not unreserved (RFC 3986) is encoded.
pub fn percent_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// The decoded segments of a path or a URL; empty ones do not count.
fn segments(target: &str) -> Vec<String> {
    let path = match target.split_once("://") {
        Some((_, rest)) => rest.find(['/', '?', '#']).map_or("", |at| &rest[at..]),
        None => target,
    };
    let path = path.split(['?', '#']).next().unwrap_or_default();
    path.split('/').filter(|s| !s.is_empty()).map(decoded).collect()
}

fn pairs(target: &str) -> Vec<(String, String)> {
    let Some((_, query)) = target.split_once('?') else { return Vec::new() };
    let query = query.split('#').next().unwrap_or_default();
    let pair = |text: &str| match text.split_once('=') {
        Some((name, value)) => (decoded(name), decoded(&value.replace('+', " "))),
        None => (decoded(text), String::new()),
    };
    query.split('&').filter(|text| !text.is_empty()).map(pair).collect()
}

/// `{id}` and `{id}.json` stand for any text between their literal ends.
fn fits(part: &str, text: &str) -> bool {
    match (part.find('{'), part.rfind('}')) {
        (Some(from), Some(to)) if from < to => {
            let (before, after) = (&part[..from], &part[to + 1..]);
            text.len() > before.len() + after.len() && text.starts_with(before) && text.ends_with(after)
        }
        _ => part == text,
    }
}

/// Percent-decoded; what is no valid escape stays as it is.
fn decoded(text: &str) -> String {
    if !text.contains('%') {
        return text.to_string();
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut position = 0;
    while let Some(&byte) = bytes.get(position) {
        let digit = |at: usize| bytes.get(at).and_then(|b| char::from(*b).to_digit(16));
        match (byte, digit(position + 1), digit(position + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                position += 3;
            }
            _ => {
                out.push(byte);
                position += 1;
            }
        }
    }
    String::from_utf8(out).unwrap_or_else(|_| text.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(path: &str) -> Route {
        Route::of_request(path, Vec::new())
    }

    #[test]
    fn a_path_is_found_behind_any_prefix() {
        for (path, target, expect) in [
            ("/api/balances", "/api/balances", true),
            ("/api/balances", "/api/balances/?page=2#x", true),
            ("/api/balances", "/backend/api/balances", true),
            ("/api/balances", "https://other:8443/api/balances", true),
            ("/balances", "/v1/balances", true),
            ("/api/balances", "/api/balances/7", false),
            ("/api/balances", "/balances", false),
            ("/api/balances", "/api/mybalances", false),
            ("/api/balances", "/api/Balances", false),
            ("/api/accounts/{id}/balance", "/api/accounts/PAPER-2/balance", true),
            ("/api/accounts/{id}/balance", "/api/accounts/balance", false),
            ("/api/{id}.json", "/api/7.json", true),
            ("/api/{id}.json", "/api/.json", false),
            ("/{id}", "/7", true),
            ("/{id}", "/assets/7", false),
            ("/api/a b", "/api/a%20b", true),
            ("/api/a%2", "/api/a%2", true),
        ] {
            assert_eq!(route(path).matches(target), expect, "{path} {target}");
        }
    }

    #[test]
    fn a_path_is_itself_alone_or_below_a_base() {
        let path = route("/accounts/{id}");
        assert!(path.is("/accounts/7/?x=1") && !path.is("/v1/accounts/7") && !path.is("/accounts"));
        let below = path.below("https://h/v1/").unwrap();
        assert!(below.is("/v1/accounts/7") && !below.is("/accounts/7"));
        assert!(path.below("${BASE}").is_none());
        let masked = Route::of_request("/a?token=***", vec![("kind".into(), "x".into())]).as_recorded();
        assert!(masked.query_fits("/a?kind=x") && !masked.query_fits("/a?token=***"));
    }

    #[test]
    fn what_lies_below_the_same_directory_is_beside_a_path() {
        let path = route("/api/v1/balances");
        assert_eq!(path.directory(), "/api");
        for (target, expect) in [
            ("/api/orders", true),
            ("/backend/api/login?x=1", true),
            ("https://other/api/v2/x", true),
            ("/api", false),
            ("/balances", false),
            ("/static/app.js", false),
            ("/", false),
        ] {
            assert_eq!(path.is_beside(target), expect, "{target}");
        }
        assert!(route("/balances").directory() == "/" && route("/balances").is_beside("/login"));
    }

    #[test]
    fn a_query_tells_features_of_one_path_apart() {
        let route = route("/api/bars?interval=1m&kind=a+b");
        assert!(route.query_fits("/api/bars?x=1&kind=a%20b&interval=1m"));
        assert!(!route.query_fits("/api/bars?interval=5m&kind=a%20b"));
        let socket = Route::of_url("wss://${HOST}/ws/?token=x").unwrap();
        assert!(socket.query_fits("/ws") && socket.matches("/proxied/ws?token=y") && !socket.matches("/"));
        assert!(Route::of_url("ws://h").unwrap().is_root());
        assert!(Route::of_url("${WS_URL}").is_none() && Route::of_url("ws://h/${PATH}").is_none());
    }
}
