//! Owns small pages about a running run, on a port of their own: GET only, made anew for each request.
//! Must not know what a page says, nor touch the run.

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

/// A client that opens and says nothing is let go.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Scrapers and browsers are few; more wait their turn.
const MOST_CONNECTIONS: usize = 32;
/// After an accept that failed (too many open files): try again soon, not at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A page by its path: its content type and its text; `None` is no such page.
pub type Pages = Arc<dyn Fn(&str) -> Option<(&'static str, String)> + Send + Sync>;

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
    Ok(Served { address, task: tokio::spawn(accept(listener, pages)) })
}

async fn accept(listener: TcpListener, pages: Pages) {
    let turns = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    // With this task its connections end too.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok(turn) = Arc::clone(&turns).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let pages = Arc::clone(&pages);
                connections.spawn(async move {
                    connection(stream, pages).await;
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

async fn connection(stream: TcpStream, pages: Pages) {
    let service = service_fn(|request: Request<Incoming>| {
        let answer = answer(&request, &pages);
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

fn answer(request: &Request<Incoming>, pages: &Pages) -> Response<Full<Bytes>> {
    let plain = "text/plain; charset=utf-8";
    let (status, kind, text) = if !matches!(*request.method(), Method::GET | Method::HEAD) {
        (StatusCode::METHOD_NOT_ALLOWED, plain, "only GET\n".to_string())
    } else {
        match pages(request.uri().path()) {
            Some((kind, text)) => (StatusCode::OK, kind, text),
            None => (StatusCode::NOT_FOUND, plain, "no such page\n".to_string()),
        }
    };
    let mut answer = Response::new(Full::new(Bytes::from(text)));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    answer
}
