//! One HTTP connection: answers, and the handshake that turns a request into a WebSocket. What is answered
//! to which request is for others to say.

use super::hub::Hub;
use super::socket::Upgrade;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1::{Builder, UpgradeableConnection};
use hyper::service::{HttpService, service_fn};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;

pub(super) type Answer = Response<Full<Bytes>>;

/// What a server says to a request.
pub(super) type Answers = Arc<dyn Fn(Request<Incoming>) -> BoxFuture<'static, Answer> + Send + Sync>;

/// A client that opens and says nothing is let go.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

pub(super) fn connection(
    stream: TcpStream,
    answers: Answers,
) -> UpgradeableConnection<
    TokioIo<TcpStream>,
    impl HttpService<Incoming, ResBody = Full<Bytes>, Error = Infallible, Future: Send>,
> {
    let service = service_fn(move |request| {
        let answer = answers(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
}

/// The answer to a handshake that is one; anything else is answered with what it should be.
pub(super) fn handshake(request: &Request<Incoming>) -> Result<Answer, Box<Answer>> {
    create_response_with_body(request, Full::default).map_err(|problem| {
        Box::new(error(StatusCode::UPGRADE_REQUIRED, &format!("no WebSocket handshake: {problem}")))
    })
}

/// Gives the answer to a handshake, and leaves the socket to the server's own tasks. `history`: what is sent
/// over it first. `since`: how often all clients had been closed when it was let in.
pub(super) fn upgrade(
    mut request: Request<Incoming>,
    answer: Answer,
    history: Vec<String>,
    since: Option<u64>,
    hub: &Hub,
) -> Answer {
    let upgrade = Upgrade { socket: hyper::upgrade::on(&mut request), history, since };
    match hub.upgrades.try_send(upgrade) {
        Ok(()) => answer,
        Err(_) => error(StatusCode::SERVICE_UNAVAILABLE, "too many handshakes at once"),
    }
}

pub(super) const JSON: &str = "application/json";

pub(super) fn error(status: StatusCode, problem: &str) -> Answer {
    body(status, JSON, format!("{{\"error\":{}}}", serde_json::Value::from(problem)))
}

pub(super) fn body(status: StatusCode, kind: &'static str, text: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(text.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}
