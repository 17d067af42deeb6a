//! Whether a request's target is a path of the contract. Must not know what a match means.
//!
//! A proxy may put its own prefix before the backend's path, or take one away, so the path counts as
//! found where the target ends with it, segment by segment. Query, host and a last `/` do not matter.

use crate::contract::Feature;

#[derive(Debug)]
pub struct Route {
    /// The segments of the path, `{name}` standing for any text.
    segments: Vec<String>,
    /// With the base URL's own path before them.
    based: Vec<String>,
    /// What tells features of one path apart.
    query: Vec<(String, String)>,
}

impl Route {
    pub fn of_url(url: &str) -> Route {
        let segments: Vec<String> = segments(url);
        Route { based: segments.clone(), segments, query: Vec::new() }
    }

    pub fn of_feature(base_url: &str, feature: &Feature) -> Route {
        let own = segments(&feature.rest.path);
        let mut query = pairs(&feature.rest.path);
        query.extend(feature.rest.query.iter().cloned());
        query.retain(|(_, value)| !value.contains('{'));
        let mut based = segments(base_url);
        based.extend(own.iter().cloned());
        Route { segments: own, based, query }
    }

    pub fn is_root(&self) -> bool {
        self.segments.is_empty()
    }

    pub fn matches(&self, target: &str) -> bool {
        let found = segments(target);
        // A path without any word of its own would be the end of every other.
        let has_word = self.segments.iter().any(|s| !s.contains('{'));
        let ends = |path: &[String]| {
            found.len() >= path.len()
                && (has_word || found.len() == path.len())
                && found[found.len() - path.len()..].iter().zip(path).all(|(text, part)| fits(part, text))
        };
        ends(&self.segments) || (found.len() == self.based.len() && ends(&self.based))
    }

    /// Whether the target's query has all that the contract's has.
    pub fn query_fits(&self, target: &str) -> bool {
        let found = pairs(target);
        self.query.iter().all(|wanted| found.contains(wanted))
    }
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

    fn route(base: &str, path: &str) -> Route {
        let own = segments(path);
        let mut based = segments(base);
        based.extend(own.iter().cloned());
        Route { segments: own, based, query: pairs(path) }
    }

    #[test]
    fn a_path_is_found_behind_any_prefix() {
        for (base, path, target, expect) in [
            ("http://h", "/api/balances", "/api/balances", true),
            ("http://h", "/api/balances", "/api/balances/?page=2#x", true),
            ("http://h", "/api/balances", "/backend/api/balances", true),
            ("http://h", "/api/balances", "https://other:8443/api/balances", true),
            ("http://h/v1", "/balances", "/v1/balances", true),
            ("http://h/v1", "/balances", "/balances", true),
            ("http://h", "/api/balances", "/api/balances/7", false),
            ("http://h", "/api/balances", "/balances", false),
            ("http://h", "/api/balances", "/api/mybalances", false),
            ("http://h", "/api/balances", "/api/Balances", false),
            ("http://h", "/api/accounts/{id}/balance", "/api/accounts/PAPER-2/balance", true),
            ("http://h", "/api/accounts/{id}/balance", "/api/accounts/balance", false),
            ("http://h", "/api/{id}.json", "/api/7.json", true),
            ("http://h", "/api/{id}.json", "/api/.json", false),
            ("http://h", "/{id}", "/7", true),
            ("http://h", "/{id}", "/assets/7", false),
            ("http://h", "/api/a b", "/api/a%20b", true),
            ("http://h", "/api/a%2", "/api/a%2", true),
        ] {
            assert_eq!(route(base, path).matches(target), expect, "{path} {target}");
        }
    }

    #[test]
    fn a_query_tells_features_of_one_path_apart() {
        let route = route("http://h", "/api/bars?interval=1m&kind=a+b");
        assert!(route.query_fits("/api/bars?x=1&kind=a%20b&interval=1m"));
        assert!(!route.query_fits("/api/bars?interval=5m&kind=a%20b"));
        assert!(Route::of_url("ws://h/ws/?token=x").query_fits("/ws"));
    }
}
