//! Servers that do what a test says, and a run that can be waited on.

use bytes::Bytes;
use cutover::calendar::CalendarRule;
use cutover::capture::{Reader, ReaderOptions, Tail, Writer, decode_checked, encode};
use cutover::contract::{
    Align, Cadence, Contract, Feature, Limits, Logs, Mode, Pointer, Records, RestFeed, RestSettings, Sign,
    Tls, WsFeed, WsSettings,
};
use cutover::model::{Event, Observation, Payload, Span};
use cutover::source::{CaptureSink, Clock, ProxySettings, RunEnd, RunError, RunSettings, run};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::future::Future;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// Longer than any healthy run needs, on any machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub fn feature(name: &str) -> Feature {
    let sign = Sign::Says { at: None, text: name.to_string() };
    let ws = WsFeed {
        signs: vec![sign],
        records: Records::default(),
        only: Vec::new(),
        mode: Mode::default(),
        removed: None,
        changed: None,
    };
    Feature {
        name: name.into(),
        flag: String::new(),
        align: Align::Arrival,
        interval: Span::from_secs(10),
        cadence: Cadence::Periodic,
        key: vec!["id".to_string()],
        time: None,
        calendar: Arc::new(CalendarRule::always()),
        time_tolerance: Span::from_secs(1),
        max_delay: Span::from_secs(2),
        revise_for: Span::ZERO,
        settle: Span::from_secs(2),
        zone: chrono_tz::UTC,
        rest: RestFeed {
            path: format!("/{name}"),
            poll: Span::from_millis(20),
            records: Records::default(),
            each: Vec::new(),
            method: "GET".to_string(),
            query: Vec::new(),
            headers: Vec::new(),
            latest_within: None,
            pages: None,
            only: Vec::new(),
            mode: Mode::default(),
        },
        ws,
        fields: Vec::new(),
        rows: None,
        invariants: Vec::new(),
        market: None,
        limits: Limits::default(),
    }
}

pub fn contract(rest: SocketAddr, ws: SocketAddr, features: &[&str]) -> Contract {
    Contract {
        rest: RestSettings {
            base_url: format!("http://{rest}"),
            timeout: Span::from_secs(5),
            headers: Vec::new(),
            login: None,
            tls: Tls::default(),
            max_body: 64 * 1024,
            max_in_flight: 8,
            most_per_minute: None,
        },
        ws: WsSettings {
            url: format!("ws://{ws}/ws"),
            type_at: Pointer(vec!["type".to_string()]),
            ignored: Vec::new(),
            keepalive_types: Vec::new(),
            headers: Vec::new(),
            protocols: Vec::new(),
            open: Vec::new(),
            subscribe: Vec::new(),
            keepalive: None,
            max_message: 64 * 1024,
            tls: Tls::default(),
            reconnect_first: Span::from_millis(20),
            reconnect_most: Span::from_millis(40),
        },
        settle: Span::from_secs(2),
        features: features.iter().map(|name| feature(name)).collect(),
        calendars: Vec::new(),
        redact: Vec::new(),
        reviewers: Vec::new(),
        waivers: Vec::new(),
        logs: Logs::default(),
        recorded_text: "version = 1\n".to_string(),
        sha256: "00".to_string(),
    }
}

type Answer = Pin<Box<dyn Future<Output = Response<Full<Bytes>>> + Send>>;
type Handler = Arc<dyn Fn(Request<Incoming>) -> Answer + Send + Sync>;

/// An HTTP server that answers as `handler` says.
pub async fn http<F, A>(handler: F) -> SocketAddr
where
    F: Fn(Request<Incoming>) -> A + Send + Sync + 'static,
    A: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let handler: Handler = Arc::new(move |request| Box::pin(handler(request)));
    accept(move |stream, _| serve_http(stream, Arc::clone(&handler))).await
}

async fn serve_http(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, handler: Handler) {
    let service = service_fn(move |request| {
        let answer = handler(request);
        async move { Ok::<_, std::convert::Infallible>(answer.await) }
    });
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// A server of raw connections; `serve` gets each, with its number.
pub async fn accept<F, A>(serve: F) -> SocketAddr
where
    F: Fn(TcpStream, usize) -> A + Send + Sync + 'static,
    A: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for number in 0.. {
            let Ok((stream, _)) = listener.accept().await else { return };
            tokio::spawn(serve(stream, number));
        }
    });
    address
}

/// An address where nobody listens.
pub async fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// A WebSocket server that accepts and then says nothing.
pub async fn silent_websocket() -> SocketAddr {
    accept(|stream, _| async move {
        let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        while let Some(Ok(_)) = futures_util::StreamExt::next(&mut socket).await {}
    })
    .await
}

pub fn ok(body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    Response::new(Full::new(body.into()))
}

pub fn status(code: u16, kind: &str, body: &'static str) -> Response<Full<Bytes>> {
    let builder = Response::builder().status(code).header("content-type", kind);
    builder.body(Full::new(body.into())).unwrap()
}

/// A capture in memory, and room for so many bytes.
#[derive(Clone)]
pub struct Disk {
    pub bytes: Arc<Mutex<Vec<u8>>>,
    pub room: usize,
}

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut written = self.bytes.lock().unwrap();
        if written.len() + bytes.len() > self.room {
            return Err(io::ErrorKind::StorageFull.into());
        }
        written.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl CaptureSink for Disk {
    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A run under way.
pub struct Watched {
    pub stop: watch::Sender<bool>,
    pub disk: Disk,
    lines: mpsc::UnboundedReceiver<String>,
    seen: Vec<String>,
    end: JoinHandle<Result<RunEnd, RunError>>,
}

pub fn settings() -> RunSettings {
    RunSettings {
        backend: Default::default(),
        tool: "cutover test".to_string(),
        clock: Clock::start(1),
        duration: None,
        seed: 7,
        feeds: Default::default(),
        features: None,
        flags: vec![("WS_FEATURE_X".to_string(), false)],
        proxies: ProxySettings::default(),
    }
}

pub fn watch_contract(contract: Contract) -> Watched {
    watch_with(contract, settings(), usize::MAX)
}

pub fn watch_with(contract: Contract, settings: RunSettings, room: usize) -> Watched {
    let (stop, stopped) = watch::channel(false);
    let (sender, lines) = mpsc::unbounded_channel();
    let disk = Disk { bytes: Arc::default(), room };
    let writer = Writer::new(disk.clone());
    let end = tokio::spawn(async move {
        let mut judge = move |observation: &Observation<'_>| {
            let mut line = String::new();
            encode(observation, &mut line);
            let _ = sender.send(line);
        };
        run(settings, Arc::new(contract), writer, &mut judge, stopped).await
    });
    Watched { stop, disk, lines, seen: Vec::new(), end }
}

impl Watched {
    /// Waits for an observation that `wanted` accepts, and gives its line.
    pub async fn until(&mut self, what: &str, wanted: impl Fn(&Event<'_>) -> bool) -> String {
        let found = async {
            loop {
                let line = self.lines.recv().await?;
                self.seen.push(line.clone());
                if wanted(&decode_checked(&line).unwrap().event) {
                    return Some(line);
                }
            }
        };
        match tokio::time::timeout(PATIENCE, found).await {
            Ok(Some(line)) => line,
            _ => panic!("no {what} in:\n{}", self.seen.join("\n")),
        }
    }

    /// Waits for so many that `wanted` accepts.
    pub async fn until_many(&mut self, count: usize, what: &str, wanted: impl Fn(&Event<'_>) -> bool) {
        for _ in 0..count {
            self.until(what, &wanted).await;
        }
    }

    /// Lines seen so far.
    pub fn seen(&self) -> &[String] {
        &self.seen
    }

    /// Asks the run to stop and waits for its end; all its lines are seen then.
    pub async fn finish(&mut self) -> Result<RunEnd, RunError> {
        self.stop.send_replace(true);
        self.ended().await
    }

    pub async fn ended(&mut self) -> Result<RunEnd, RunError> {
        let end = tokio::time::timeout(PATIENCE, &mut self.end).await.expect("the run ends").unwrap();
        while let Some(line) = self.lines.recv().await {
            self.seen.push(line);
        }
        end
    }

    /// What is on disk, as text.
    pub fn text(&self) -> String {
        String::from_utf8(self.disk.bytes.lock().unwrap().clone()).unwrap()
    }

    /// Reads the capture again and checks that it is what the judge saw.
    pub fn check_capture(&self) -> (Tail, String) {
        let text = self.text();
        let mut reader = Reader::new(text.as_bytes(), ReaderOptions::default());
        let mut lines = Vec::new();
        while let Some(line) = reader.next() {
            lines.push(line.unwrap().text.to_string());
        }
        assert_eq!(lines, self.seen);
        (reader.tail(), reader.sha256())
    }
}

pub fn json_of(event: &Event<'_>) -> Option<String> {
    match event {
        Event::Rest { payload: Payload::Json { text, .. }, .. }
        | Event::Ws { payload: Payload::Json { text, .. }, .. } => Some(text.to_string()),
        _ => None,
    }
}

pub fn is_rest(event: &Event<'_>) -> bool {
    matches!(event, Event::Rest { .. } | Event::RestError { .. })
}

pub fn is_ws(event: &Event<'_>) -> bool {
    matches!(event, Event::Ws { .. })
}
