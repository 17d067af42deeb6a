//! Conditional requests: what an endpoint sent last, by its ETag, need not be sent again. A 304 stands for that
//! body (SPEC §5.1), as it does for a browser's polls.
//!
//! `Last-Modified` is not used: it counts in seconds, and a change within one would be told as none.

use super::exchange::Answer;
use reqwest::RequestBuilder;
use reqwest::header::{HeaderValue, IF_NONE_MATCH};
use std::sync::{Mutex, PoisonError};

#[derive(Debug, Default)]
pub(super) struct Validator(Mutex<Option<HeaderValue>>);

impl Validator {
    pub(super) fn on(&self, request: RequestBuilder) -> RequestBuilder {
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).clone() {
            Some(tag) => request.header(IF_NONE_MATCH, tag),
            None => request,
        }
    }

    /// Remembers what was received whole. A 304 changes nothing, and an answer that is no body of the feature's
    /// takes nothing back: it is the last 200 that a 304 stands for.
    pub(super) fn note(&self, answer: &Answer) {
        if answer.status == 200 && !answer.body.is_empty() {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = answer.etag.clone();
        }
    }
}
