//! Owns small pages about a running run, on a port of their own: GET only, made anew for each request, and
//! streams of server-sent events. Must not know what a page says, nor touch the run.

use bytes::Bytes;
use futures_util::stream::unfold;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderValue};
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

/// A client that opens and says nothing is let go.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Scrapers and browsers are few; more wait their turn.
const MOST_CONNECTIONS: usize = 32;
/// After an accept that failed (too many open files): try again soon, not at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What a path shows.
#[derive(Debug)]
pub enum Page {
    /// Its content type and its text.
    Text(&'static str, String),
    /// Server-sent events: the newest at once, then each that follows, as far as the client keeps up.
    Events(watch::Receiver<Told>),
}

/// The newest event.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// Nothing is told yet where this is empty.
    pub text: Arc<str>,
    /// Nothing comes after it.
    pub over: bool,
}

impl Told {
    /// As the stream has it; its name says whether more follow.
    fn event(&self) -> Bytes {
        let name = if self.over { "over" } else { "message" };
        let data: String = self.text.lines().map(|line| format!("data: {line}\n")).collect();
        format!("event: {name}\n{data}\n").into()
    }
}

/// A page by its path; `None` is no such page.
pub type Pages = Arc<dyn Fn(&str) -> Option<Page> + Send + Sync>;

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Pages being served until this is dropped.
#[derive(Debug)]
pub struct Served {
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Takes the port (0: any that is free) and serves. Errors name the address.
pub async fn serve(listen: SocketAddr, pages: Pages) -> io::Result<Served> {
    let failed = |error: io::Error| io::Error::new(error.kind(), format!("listen on {listen}: {error}"));
    let listener = TcpListener::bind(listen).await.map_err(failed)?;
    let address = listener.local_addr()?;
    let own = address.ip().is_loopback();
    Ok(Served { address, task: tokio::spawn(accept(listener, pages, own)) })
}

async fn accept(listener: TcpListener, pages: Pages, own: bool) {
    let turns = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    // With this task its connections end too.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok(turn) = Arc::clone(&turns).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let pages = Arc::clone(&pages);
                connections.spawn(async move {
                    connection(stream, pages, own).await;
                    drop(turn);
                });
            }
            Err(error) => {
                tracing::warn!("could not accept a connection: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: TcpStream, pages: Pages, own: bool) {
    let service = service_fn(|request: Request<Incoming>| {
        let answer = answer(&request, &pages, own);
        async move { Ok::<_, Infallible>(answer) }
    });
    let served = Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!("connection: {error}");
    }
}

/// Where only this machine is served (`own`), a page of elsewhere must not read it by a name of its own that
/// points here.
fn answer(request: &Request<Incoming>, pages: &Pages, own: bool) -> Response<Body> {
    let plain = |text: &'static str| Page::Text("text/plain; charset=utf-8", text.into());
    let (status, page) = if !matches!(*request.method(), Method::GET | Method::HEAD) {
        (StatusCode::METHOD_NOT_ALLOWED, plain("only GET\n"))
    } else if own && !request.headers().get(HOST).is_none_or(|host| host.to_str().is_ok_and(is_here)) {
        (StatusCode::FORBIDDEN, plain("not served under this name\n"))
    } else {
        match pages(request.uri().path()) {
            Some(page) => (StatusCode::OK, page),
            None => (StatusCode::NOT_FOUND, plain("no such page\n")),
        }
    };
    let (kind, body) = match page {
        Page::Text(kind, text) => (kind, Full::new(Bytes::from(text)).boxed_unsync()),
        Page::Events(_) if *request.method() == Method::HEAD => (EVENTS, Full::default().boxed_unsync()),
        Page::Events(newest) => (EVENTS, events(newest)),
    };
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    answer
}

const EVENTS: &str = "text/event-stream";

/// Whether a `Host` names this machine itself.
pub(super) fn is_here(host: &str) -> bool {
    let name =
        host.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map_or(host, |(name, _)| name);
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

fn events(mut newest: watch::Receiver<Told>) -> Body {
    // What was told before this client came is news to it.
    newest.mark_changed();
    let stream = unfold((newest, false), |(mut newest, ended)| async move {
        if ended {
            return None;
        }
        loop {
            newest.changed().await.ok()?;
            let told = newest.borrow_and_update().clone();
            if told.over || !told.text.is_empty() {
                let frame = Ok::<_, Infallible>(Frame::data(told.event()));
                return Some((frame, (newest, told.over)));
            }
        }
    });
    StreamBody::new(stream).boxed_unsync()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_here() {
        for (host, here) in [
            ("localhost:8080", true),
            ("LOCALHOST", true),
            ("127.0.0.1:80", true),
            ("[::1]:80", true),
            ("127.0.0.1.evil.example:80", false),
            ("evil.example", false),
            ("10.0.0.1:80", false),
        ] {
            assert_eq!(is_here(host), here, "{host}");
        }
    }

    #[test]
    fn an_event_keeps_its_lines() {
        let told = Told { text: "a\nb".into(), over: false };
        assert_eq!(told.event(), "event: message\ndata: a\ndata: b\n\n");
        assert_eq!(Told { over: true, ..told }.event(), "event: over\ndata: a\ndata: b\n\n");
    }
}
