//! One request and its answer, within its limits: an answer, or what went wrong and where.

use crate::model::Payload;
use crate::source::body::payload;
use crate::source::redact::Redactor;
use reqwest::header::{CONTENT_TYPE, ETAG, HeaderValue, LOCATION, RETRY_AFTER, SET_COOKIE};
use reqwest::{RequestBuilder, Response};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

#[derive(Debug, Clone)]
pub(super) struct Limits {
    /// For the whole exchange, in real time.
    pub(super) timeout: Duration,
    /// Bytes, after decompression.
    pub(super) max_body: u64,
}

/// A usable answer: 2xx or 304.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    /// The cookies that it sets, each `name=value`.
    pub(super) cookies: Vec<String>,
    pub(super) etag: Option<HeaderValue>,
    /// When its last byte was there.
    pub(super) arrived: Instant,
}

impl Answer {
    pub(super) fn payload(self, redactor: Option<&Redactor>) -> Payload<'static> {
        if self.body.is_empty() { Payload::Empty } else { payload(self.body, false, redactor) }
    }
}

/// A request without a usable answer, in the words of SPEC §4.
#[derive(Debug, Clone)]
pub(in crate::source) struct Failure {
    pub(in crate::source) error: &'static str,
    pub(in crate::source) status: Option<u16>,
    pub(in crate::source) detail: String,
    /// How long the server asks to be left alone.
    pub(in crate::source) retry_after: Option<Duration>,
}

pub(super) async fn exchange(request: RequestBuilder, limits: &Limits) -> Result<Answer, Failure> {
    let deadline = Instant::now() + limits.timeout;
    let sent = timeout_at(deadline, request.send()).await;
    let mut response = match sent {
        Err(_) => return Err(timed_out(None, limits)),
        Ok(Err(error)) => return Err(not_answered(error, limits)),
        Ok(Ok(response)) => response,
    };
    let status = response.status().as_u16();
    if !(response.status().is_success() || status == 304) {
        return Err(refused(&response));
    }
    let cookies = cookies(&response);
    let etag = response.headers().get(ETAG).cloned();
    let body = match timeout_at(deadline, read_body(&mut response, limits)).await {
        Err(_) => return Err(timed_out(Some(status), limits)),
        Ok(read) => read?,
    };
    Ok(Answer { status, body, cookies, etag, arrived: Instant::now() })
}

/// Without their attributes: they are sent back to the same host, for as long as the login holds.
fn cookies(response: &Response) -> Vec<String> {
    let all = response.headers().get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = all.map(|cookie| cookie.split(';').next().unwrap_or_default().trim());
    pairs.filter(|pair| pair.contains('=') && !pair.ends_with('=')).map(str::to_string).collect()
}

async fn read_body(response: &mut Response, limits: &Limits) -> Result<Vec<u8>, Failure> {
    let status = Some(response.status().as_u16());
    let too_big = || Failure {
        error: "too_big",
        status,
        detail: format!("the body is over max_body, {} bytes", limits.max_body),
        retry_after: None,
    };
    if response.content_length().is_some_and(|length| length > limits.max_body) {
        return Err(too_big());
    }
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if (body.len() + chunk.len()) as u64 > limits.max_body => return Err(too_big()),
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(body),
            Err(error) => {
                return Err(Failure { error: "body", status, detail: innermost(error), retry_after: None });
            }
        }
    }
}

fn timed_out(status: Option<u16>, limits: &Limits) -> Failure {
    let part = if status.is_some() { "whole answer" } else { "answer" };
    Failure {
        error: "timeout",
        status,
        detail: format!("no {part} within {:?}", limits.timeout),
        retry_after: None,
    }
}

fn not_answered(error: reqwest::Error, limits: &Limits) -> Failure {
    if error.is_timeout() {
        return timed_out(None, limits);
    }
    // Without an answer there is no body, so a connection that ends before it is `connect` too.
    Failure { error: "connect", status: None, detail: innermost(error), retry_after: None }
}

/// The body of a refusal is not kept: what kind of body it was tells enough, and leaks nothing.
fn refused(response: &Response) -> Failure {
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    let detail = match header(LOCATION) {
        Some(_) => "a redirect to another host, or one too many; not followed".to_string(),
        None => header(CONTENT_TYPE).unwrap_or("no content type").to_string(),
    };
    // The other form, a date, would need the server's clock to be ours.
    let seconds = header(RETRY_AFTER).and_then(|text| text.trim().parse().ok());
    let retry_after = seconds.map(Duration::from_secs);
    Failure { error: "status", status: Some(response.status().as_u16()), detail, retry_after }
}

/// The cause at the bottom says most ("connection refused"); the URL, which may hold secrets, goes.
fn innermost(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
