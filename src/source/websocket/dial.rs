//! Opens one connection: address, proxy, TLS, handshake.
//!
//! An own dial, because it must take the same route as the REST client (proxy, roots), tell which
//! step failed, and name nothing secret while doing so.

use super::dialogue;
use super::wire::{Transport, Wire};
use crate::contract::{Carried, OpenStep, TOKEN, WsSettings};
use crate::source::rest::{Session as Login, Token, USER_AGENT, percent_encoded};
use crate::source::sequencer::{SetupError, Wiring};
use crate::source::tls::client_config;
use base64::prelude::{BASE64_STANDARD, Engine};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use rustls::pki_types::ServerName;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::header::{
    AUTHORIZATION, CONTENT_TYPE, COOKIE, LOCATION, SEC_WEBSOCKET_PROTOCOL, USER_AGENT as AGENT,
};
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue, Response};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};
use url::{Host, Url};

/// For name, address and proxy: longer than a TCP connect with two lost packets (1 + 2 s).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// For TLS, and for the upgrade: servers that start a worker for it take seconds, not more.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// When the next address of a name is tried besides the first (RFC 8305).
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);

/// An answer of a proxy to CONNECT; it has a status line and some headers.
const MOST_PROXY_ANSWER: usize = 8 * 1024;

/// Twice what a busy stream sends in a scheduler's slice; more only adds memory.
const READ_BUFFER: usize = 128 * 1024;

/// Beyond what we ever send at once; a peer that does not read must not fill our memory.
const MOST_UNSENT: usize = 1024 * 1024;

/// What is shown of a refusal's body.
const MOST_SHOWN: usize = 120;

pub(super) type Socket = WebSocketStream<Wire>;

/// A connection that counts as open.
pub(super) struct Opened {
    pub(super) socket: Socket,
    /// What came during the dialogue and was no part of it.
    pub(super) early: Vec<Message>,
    pub(super) token: Token,
}

/// Why there is no connection: `kind` is the capture's word for the step that failed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct DialError {
    pub(super) kind: &'static str,
    pub(super) status: Option<u16>,
    pub(super) detail: String,
}

impl DialError {
    pub(super) fn new(kind: &'static str, detail: impl ToString) -> DialError {
        DialError { kind, status: None, detail: detail.to_string() }
    }
}

pub(super) struct Dialler {
    host: String,
    port: u16,
    proxy: Option<Url>,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    /// With `{token}` where the contract has it.
    url: String,
    settings: WsSettings,
    login: Arc<Login>,
    /// Whether the REST side's cookies belong to this host as well.
    shares_cookies: bool,
    /// A stream that is open to all does not wait for a login that fails.
    needs_token: bool,
    config: WebSocketConfig,
}

impl Dialler {
    pub(super) fn new(wiring: &Wiring, login: Arc<Login>) -> Result<Dialler, SetupError> {
        let ws = &wiring.contract.ws;
        let url = parse_url(&ws.url)?;
        // Whatever the token is: the rest must be right before anything is dialled.
        request(&url, &ws.headers, &ws.protocols)?;
        let rest = Url::parse(&wiring.contract.rest.base_url).ok();
        let shares_cookies = rest.is_some_and(|rest| rest.host_str() == url.host_str());
        let host = match url.host() {
            Some(Host::Domain(name)) => name.to_string(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            None => return Err(bad_url("it names no host")),
        };
        let is_tls = url.scheme() == "wss";
        let tls = if is_tls { Some(connector(ws, &host)?) } else { None };
        Ok(Dialler {
            port: url.port_or_known_default().unwrap_or(if is_tls { 443 } else { 80 }),
            proxy: wiring.proxies.for_url(&url).cloned(),
            shares_cookies,
            needs_token: says_token(ws) || (shares_cookies && login_sets_cookies(wiring)),
            url: ws.url.clone(),
            settings: ws.clone(),
            login,
            config: limits(ws),
            host,
            tls,
        })
    }

    /// Opens a connection and has the dialogue that the server wants first.
    pub(super) async fn dial(&self) -> Result<Opened, DialError> {
        let token = match self.needs_token {
            false => Token::default(),
            true => self.login.token().await.map_err(|failure| DialError {
                kind: "handshake",
                status: failure.status,
                detail: format!("no token: {}", failure.detail),
            })?,
        };
        let dialled = self.connect(&token).await;
        if dialled.as_ref().is_err_and(|error| error.status == Some(401)) {
            self.login.renew(token.generation).await;
        }
        let mut socket = dialled?;
        let early = dialogue::hold(&mut socket, &self.settings.open, &token).await?;
        Ok(Opened { socket, early, token })
    }

    async fn connect(&self, token: &Token) -> Result<Socket, DialError> {
        let stream = match timeout(CONNECT_TIMEOUT, self.reach()).await {
            Ok(reached) => reached?,
            Err(_) => return Err(DialError::new("connect", format!("not within {CONNECT_TIMEOUT:?}"))),
        };
        let _ = stream.set_nodelay(true);
        let transport = match &self.tls {
            None => Box::new(stream) as Box<dyn Transport>,
            Some((connector, name)) => {
                match timeout(HANDSHAKE_TIMEOUT, connector.connect(name.clone(), stream)).await {
                    Ok(Ok(stream)) => Box::new(stream),
                    Ok(Err(error)) => return Err(DialError::new("tls", error)),
                    Err(_) => return Err(DialError::new("tls", format!("not within {HANDSHAKE_TIMEOUT:?}"))),
                }
            }
        };
        self.upgrade(Wire::new(transport), self.request(token)?).await
    }

    /// A TCP stream to the server, through the proxy if there is one.
    async fn reach(&self) -> Result<TcpStream, DialError> {
        let Some(proxy) = &self.proxy else { return connect(&self.host, self.port).await };
        let host = proxy.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let stream = connect(host, proxy.port_or_known_default().unwrap_or(80)).await;
        let through = |error: DialError| DialError { detail: format!("proxy: {}", error.detail), ..error };
        self.tunnel(proxy, stream.map_err(through)?).await.map_err(through)
    }

    /// Asks the proxy for a way through (RFC 9110, CONNECT).
    async fn tunnel(&self, proxy: &Url, mut stream: TcpStream) -> Result<TcpStream, DialError> {
        let failed = |error: io::Error| DialError::new("connect", error);
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let target = format!("{host}:{}", self.port);
        let mut ask = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
        if let Some(credentials) = credentials(proxy) {
            ask.push_str(&format!("Proxy-Authorization: Basic {credentials}\r\n"));
        }
        ask.push_str("\r\n");
        stream.write_all(ask.as_bytes()).await.map_err(failed)?;
        let mut answer = Vec::new();
        // Byte by byte: what follows the headers belongs to the server behind the proxy.
        while !answer.ends_with(b"\r\n\r\n") {
            if answer.len() >= MOST_PROXY_ANSWER {
                return Err(DialError::new("connect", "the answer to CONNECT is too long"));
            }
            answer.push(stream.read_u8().await.map_err(failed)?);
        }
        let status = std::str::from_utf8(&answer).ok().and_then(|text| text.split(' ').nth(1)?.parse().ok());
        match status {
            Some(200..=299) => Ok(stream),
            _ => Err(DialError { kind: "connect", status, detail: "CONNECT was refused".to_string() }),
        }
    }

    /// The upgrade's request with the present token; the crate makes a fresh key for each.
    fn request(&self, token: &Token) -> Result<Request, DialError> {
        let failed = |error: SetupError| DialError::new("handshake", error);
        let url = parse_url(&token.fill(&self.url, percent_encoded)).map_err(failed)?;
        let fill = |(name, value): &(String, String)| (name.clone(), token.fill(value, str::to_string));
        let headers: Vec<(String, String)> = self.settings.headers.iter().map(fill).collect();
        let mut request = request(&url, &headers, &self.settings.protocols).map_err(failed)?;
        if let Some(cookie) = token.cookie().filter(|_| self.shares_cookies) {
            request.headers_mut().entry(COOKIE).or_insert_with(|| cookie.clone());
        }
        Ok(request)
    }

    async fn upgrade(&self, wire: Wire, request: Request) -> Result<Socket, DialError> {
        let shaken = timeout(HANDSHAKE_TIMEOUT, client_async_with_config(request, wire, Some(self.config)));
        match shaken.await {
            Err(_) => Err(DialError::new("handshake", format!("no answer within {HANDSHAKE_TIMEOUT:?}"))),
            Ok(Err(Error::Http(response))) => Err(refused(&response)),
            Ok(Err(error)) => Err(DialError::new("handshake", error)),
            Ok(Ok((socket, response))) => match response.headers().get("sec-websocket-extensions") {
                None => Ok(socket),
                // The crate does not check this; reading on would give garbage (RFC 6455, 4.1).
                Some(_) => Err(DialError {
                    kind: "handshake",
                    status: Some(response.status().as_u16()),
                    detail: "the server chose an extension that was not offered".to_string(),
                }),
            },
        }
    }
}

impl std::fmt::Debug for Dialler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The request holds credentials.
        f.debug_struct("Dialler").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

/// Connects to the first address of a name that answers, IPv6 and IPv4 in the resolver's order.
async fn connect(host: &str, port: u16) -> Result<TcpStream, DialError> {
    let failed = |error: io::Error| DialError::new("connect", error);
    let addresses: Vec<SocketAddr> = lookup_host((host, port)).await.map_err(failed)?.collect();
    let mut attempts = FuturesUnordered::new();
    for (index, address) in addresses.into_iter().enumerate() {
        attempts.push(async move {
            sleep(NEXT_ADDRESS_AFTER * index as u32).await;
            TcpStream::connect(address).await
        });
    }
    let mut last = DialError::new("connect", "the host has no address");
    while let Some(attempt) = attempts.next().await {
        match attempt {
            Ok(stream) => return Ok(stream),
            Err(error) => last = failed(error),
        }
    }
    Err(last)
}

fn login_sets_cookies(wiring: &Wiring) -> bool {
    let login = wiring.contract.rest.login.as_ref();
    login.is_some_and(|login| matches!(login.carried, Carried::Cookie(_) | Carried::Cookies))
}

/// Whether anything that is sent has the login's token in it.
fn says_token(ws: &WsSettings) -> bool {
    let steps = ws.open.iter().filter_map(|step| match step {
        OpenStep::Send(text) => Some(text),
        OpenStep::Expect { .. } => None,
    });
    let keepalive = ws.keepalive.iter().filter_map(|keepalive| keepalive.send.as_ref());
    let headers = ws.headers.iter().map(|(_, value)| value);
    let mut all = steps.chain(keepalive).chain(headers).chain(&ws.subscribe).chain([&ws.url]);
    all.any(|text| text.contains(TOKEN))
}

fn parse_url(text: &str) -> Result<Url, SetupError> {
    let url = Url::parse(text).map_err(|error| bad_url(&error.to_string()))?;
    match url.scheme() {
        "ws" | "wss" => Ok(url),
        other => Err(bad_url(&format!("its scheme is `{other}`; it must be ws or wss"))),
    }
}

fn bad_url(reason: &str) -> SetupError {
    SetupError::Url { place: "url of [ws]".to_string(), reason: reason.to_string() }
}

fn connector(ws: &WsSettings, host: &str) -> Result<(TlsConnector, ServerName<'static>), SetupError> {
    let config =
        client_config(&ws.tls, &[b"http/1.1"]).map_err(|error| SetupError::Tls { place: "[ws]", error })?;
    let name = ServerName::try_from(host.to_string()).map_err(|error| bad_url(&error.to_string()))?;
    Ok((TlsConnector::from(Arc::new(config)), name))
}

/// The upgrade request: the URL without user and fragment, the contract's headers as they stand.
fn request(url: &Url, headers: &[(String, String)], protocols: &[String]) -> Result<Request, SetupError> {
    let mut plain = url.clone();
    let _ = plain.set_username("");
    let _ = plain.set_password(None);
    plain.set_fragment(None);
    let mut request = plain.as_str().into_client_request().map_err(|error| bad_url(&error.to_string()))?;
    let map = request.headers_mut();
    map.insert(AGENT, HeaderValue::from_static(USER_AGENT));
    if let Some(credentials) = credentials(url) {
        let value = HeaderValue::from_str(&format!("Basic {credentials}"));
        map.insert(AUTHORIZATION, value.map_err(|error| bad_url(&error.to_string()))?);
    }
    if let Ok(offer) = HeaderValue::from_str(&protocols.join(", "))
        && !protocols.is_empty()
    {
        map.insert(SEC_WEBSOCKET_PROTOCOL, offer);
    }
    for (name, value) in headers {
        let failed = |reason: &str| SetupError::Header {
            place: "[ws]".to_string(),
            name: name.clone(),
            reason: reason.to_string(),
        };
        let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| failed("this is no header name"))?;
        let value = HeaderValue::from_str(value)
            .map_err(|_| failed("its value holds line breaks or other control codes"))?;
        map.insert(header, value);
    }
    Ok(request)
}

/// User and password of a URL for Basic authentication.
fn credentials(url: &Url) -> Option<String> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let decoded = |text: &str| percent_decoded(text);
    let mut pair = decoded(url.username());
    pair.push(b':');
    pair.extend(decoded(url.password().unwrap_or_default()));
    Some(BASE64_STANDARD.encode(&pair))
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut position = 0;
    while let Some(byte) = bytes.get(position) {
        let hex = text.get(position + 1..position + 3).filter(|_| *byte == b'%');
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(decoded) => {
                out.push(decoded);
                position += 3;
            }
            None => {
                out.push(*byte);
                position += 1;
            }
        }
    }
    out
}

/// All limits stated, because the crate's defaults are either too large or none at all.
fn limits(ws: &WsSettings) -> WebSocketConfig {
    let most = usize::try_from(ws.max_message).unwrap_or(usize::MAX);
    let longest = ws.subscribe.iter().map(String::len).max().unwrap_or(0);
    let mut config = WebSocketConfig::default();
    config.read_buffer_size = READ_BUFFER;
    // Zero: what we send is small and must go at once.
    config.write_buffer_size = 0;
    config.max_write_buffer_size = MOST_UNSENT.saturating_add(longest);
    config.max_message_size = Some(most);
    config.max_frame_size = Some(most);
    config.accept_unmasked_frames = false;
    config
}

/// The server answered, but not with an upgrade: status, kind of body, and how it begins.
fn refused(response: &Response<Option<Vec<u8>>>) -> DialError {
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    let mut detail = header(CONTENT_TYPE).unwrap_or("no content type").to_string();
    if header(LOCATION).is_some() {
        detail.push_str("; a redirect, not followed");
    }
    let body = response.body().as_deref().unwrap_or_default();
    let text = String::from_utf8_lossy(body);
    let shown: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MOST_SHOWN).collect();
    if !shown.trim().is_empty() {
        detail.push_str("; ");
        detail.push_str(shown.trim());
    }
    DialError { kind: "handshake", status: Some(response.status().as_u16()), detail }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_of_a_url_become_a_header_and_leave_the_request() {
        let url = parse_url("wss://us%40er:p%3Ass@h/ws/?token=t#f").unwrap();
        let request =
            request(&url, &[("Origin".to_string(), "https://o".to_string())], &["v1".into(), "v2".into()])
                .unwrap();
        assert_eq!(request.uri().to_string(), "wss://h/ws/?token=t");
        assert_eq!(
            request.headers()["authorization"],
            format!("Basic {}", BASE64_STANDARD.encode(b"us@er:p:ss")).as_str()
        );
        assert_eq!(request.headers()["origin"], "https://o");
        assert_eq!(request.headers()["host"], "h");
        assert_eq!(request.headers()["sec-websocket-protocol"], "v1, v2");
        assert!(parse_url("http://h").unwrap_err().to_string().contains("must be ws or wss"));
    }
}
