//! One HTTP connection: routes, answers, and the handshake that turns a request into a WebSocket.
//! Bodies come from the origin; nothing here knows what is in them.

use super::listen::Shared;
use super::socket::Upgrade;
use crate::model::Span;
use crate::reference::{Feature, Lane};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::server::conn::http1::{Builder, UpgradeableConnection};
use hyper::service::{HttpService, service_fn};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;

type Answer = Response<Full<Bytes>>;

/// A client that opens and says nothing is let go.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

pub fn connection(
    stream: TcpStream,
    shared: Arc<Shared>,
) -> UpgradeableConnection<
    TokioIo<TcpStream>,
    impl HttpService<Incoming, ResBody = Full<Bytes>, Error = Infallible, Future: Send>,
> {
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(answer(request, &shared).await) }
    });
    Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
}

async fn answer(request: Request<Incoming>, shared: &Shared) -> Answer {
    let (path, mut answer) = route(request, shared);
    match answer.extensions_mut().remove::<HeldBack>() {
        Some(HeldBack::For(real)) => tokio::time::sleep(real).await,
        Some(HeldBack::ForEver) => std::future::pending().await,
        None => {}
    }
    shared.metrics.count_request(path, answer.status().as_u16());
    answer
}

/// A note on an answer that must not leave at once.
#[derive(Debug, Clone, Copy)]
enum HeldBack {
    For(Duration),
    /// Until the client goes.
    ForEver,
}

/// The route as a metric's label, and the answer.
fn route(request: Request<Incoming>, shared: &Shared) -> (&'static str, Answer) {
    let path = request.uri().path();
    let feature = Feature::from_path(path);
    let label = match (feature, path) {
        (Some(feature), _) => feature.path(),
        (None, "/ws" | "/ws/") => "/ws",
        (None, "/healthz") => "/healthz",
        (None, "/metrics") => "/metrics",
        (None, "/") => "/",
        _ => {
            let problem = "no such path; there are /api/balances, /api/positions, /api/bars, \
                           /api/markets, /ws, /healthz and /metrics";
            return ("other", error(StatusCode::NOT_FOUND, problem));
        }
    };
    if request.method() != Method::GET {
        let mut answer = error(StatusCode::METHOD_NOT_ALLOWED, "GET only");
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
        return (label, answer);
    }
    let answer = match (feature, label) {
        (Some(feature), _) => records(feature, shared),
        (None, "/ws") => upgrade(request, shared),
        (None, "/metrics") => {
            body(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", shared.metrics.text())
        }
        (None, "/") => body(StatusCode::OK, "text/plain; charset=utf-8", INDEX.into()),
        _ => body(StatusCode::OK, "text/plain; charset=utf-8", "ok\n".into()),
    };
    (label, answer)
}

const INDEX: &str = "cutover reference server: /api/balances /api/positions /api/bars /api/markets \
                     /ws /healthz /metrics\n";

fn records(feature: Feature, shared: &Shared) -> Answer {
    let mut text = String::new();
    let formed = shared.ask(|origin, now| origin.respond(feature, now, &mut text));
    let status = StatusCode::from_u16(formed.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = body(status, JSON, text);
    if let Some(wait_s) = formed.retry_after_s {
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait_s));
    }
    if formed.hangs {
        answer.extensions_mut().insert(HeldBack::ForEver);
    } else if formed.delay > Span::ZERO {
        answer.extensions_mut().insert(HeldBack::For(shared.clock.real(formed.delay)));
    }
    answer
}

/// Answers the handshake and leaves the socket to the server's own tasks.
fn upgrade(mut request: Request<Incoming>, shared: &Shared) -> Answer {
    let response = match create_response_with_body(&request, Full::default) {
        Ok(response) => response,
        Err(problem) => {
            return error(StatusCode::UPGRADE_REQUIRED, &format!("no WebSocket handshake: {problem}"));
        }
    };
    let history = match shared.ask(|origin, now| origin.handshake(now, Lane::ONLY)) {
        Ok(history) => history,
        Err(status) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
            return error(status, "handshake refused");
        }
    };
    match shared.upgrades.try_send(Upgrade { socket: hyper::upgrade::on(&mut request), history }) {
        Ok(()) => response,
        Err(_) => error(StatusCode::SERVICE_UNAVAILABLE, "too many handshakes at once"),
    }
}

const JSON: &str = "application/json";

fn error(status: StatusCode, problem: &str) -> Answer {
    body(status, JSON, format!("{{\"error\":{}}}", serde_json::Value::from(problem)))
}

fn body(status: StatusCode, kind: &'static str, text: String) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(text)));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}
