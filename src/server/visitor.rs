//! Which pages of other origins may read what is served: those of this machine, and those that were named. A
//! recording may hold what is nobody's business, and any page that a browser shows can ask this machine.

use super::http::Answer;
use super::page::is_here;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderValue, ORIGIN, VARY,
};
use hyper::{Method, Request};

/// A page may ask that often without asking whether it may.
const PREFLIGHT_LASTS: &str = "600";

/// Origins that are welcome besides those of this machine, such as `https://app.example.com`.
#[derive(Debug, Default)]
pub(super) struct Welcome(pub(super) Vec<String>);

impl Welcome {
    /// Whoever names no origin is no page.
    pub(super) fn is_welcome(&self, headers: &HeaderMap) -> bool {
        headers.get(ORIGIN).is_none_or(|origin| self.knows(origin))
    }

    fn knows(&self, origin: &HeaderValue) -> bool {
        let Ok(origin) = origin.to_str() else { return false };
        let is_local = origin.split_once("://").is_some_and(|(_, host)| is_here(host));
        is_local || self.0.iter().any(|known| known.trim_end_matches('/').eq_ignore_ascii_case(origin))
    }

    /// Lets the page that asked read the answer, where it is welcome.
    pub(super) fn admit(&self, asked: &HeaderMap, answer: &mut Answer) {
        let headers = answer.headers_mut();
        headers.append(VARY, HeaderValue::from_static("Origin"));
        let Some(origin) = asked.get(ORIGIN).filter(|origin| self.knows(origin)) else { return };
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        if let Some(method) = asked.get(ACCESS_CONTROL_REQUEST_METHOD) {
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, method.clone());
            headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(PREFLIGHT_LASTS));
        }
        if let Some(wanted) = asked.get(ACCESS_CONTROL_REQUEST_HEADERS) {
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
        }
    }
}

/// Whether a browser only asks whether it may ask.
pub(super) fn is_preflight<B>(request: &Request<B>) -> bool {
    request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_this_machine_and_those_named_are_welcome() {
        let welcome = Welcome(vec!["https://app.example.com/".into()]);
        for (origin, expect) in [
            ("http://localhost:3000", true),
            ("http://127.0.0.1:5173", true),
            ("https://app.example.com", true),
            ("https://evil.example.com", false),
            ("http://localhost.evil.example", false),
            ("null", false),
        ] {
            let headers = HeaderMap::from_iter([(ORIGIN, HeaderValue::from_static(origin))]);
            assert_eq!(welcome.is_welcome(&headers), expect, "{origin}");
        }
        assert!(welcome.is_welcome(&HeaderMap::new()));
    }
}
