//! What keeps a feed from telling anything: addresses, TLS, refusals, logins, sockets that open and stay silent.

use super::words::counted;
use super::{Case, Complaint, Edit, Place, Weight};
use crate::engine::extract::{Extraction, read};
use crate::engine::frame::Routed;
use crate::engine::plan::Plan;
use crate::model::{ClosedBy, Event, Payload, Span, Timestamp};
use std::collections::BTreeMap;

/// A fault in reaching somebody, as the sources put it in words.
struct Trouble<'t> {
    error: &'t str,
    status: Option<u16>,
    detail: &'t str,
}

fn complaint(
    code: &'static str,
    weight: Weight,
    about: &str,
    found: impl Into<String>,
    cure: impl Into<String>,
) -> Complaint {
    Complaint { code, weight, about: about.into(), found: found.into(), cure: cure.into(), edits: Vec::new() }
}

// ---- REST ----

pub fn rest(case: &Case<'_>, out: &mut Vec<Complaint>) {
    for feature in &case.contract.features {
        let mut answers = 0_usize;
        let mut failed: BTreeMap<(&str, Option<u16>, &str), usize> = BTreeMap::new();
        let mut odd: Option<(&'static str, String)> = None;
        for observation in case.observations {
            match &observation.event {
                // Not modified: it stands for the answer before.
                Event::Rest { feature: of, status: 304, .. } if **of == *feature.name => {
                    answers += usize::from(answers > 0);
                }
                Event::Rest { feature: of, payload, .. } if **of == *feature.name => match payload {
                    Payload::Text(text) => odd = Some(("rest-not-json", beginning(text))),
                    Payload::Empty | Payload::Base64(_) => odd = Some(("rest-no-body", String::new())),
                    Payload::Json { .. } => answers += 1,
                },
                Event::RestError { feature: of, error, status, detail, .. } if **of == *feature.name => {
                    *failed.entry((error, *status, detail)).or_default() += 1;
                }
                _ => {}
            }
        }
        let all: usize = failed.values().sum();
        let Some(((error, status, detail), _)) = failed.iter().max_by_key(|(_, count)| **count) else {
            if answers == 0 {
                out.extend(odd.map(|odd| unreadable(&feature.name, &feature.rest.path, odd)));
            }
            continue;
        };
        let trouble = Trouble { error, status: *status, detail };
        let path = &feature.rest.path;
        if answers > 0 {
            let found = format!("{all} of {} polls failed: {}", answers + all, described(&trouble));
            let cure = "a feed that fails now and then is no control: look at the back end before enabling";
            out.push(complaint("rest-sometimes", Weight::Hint, &feature.name, found, cure));
        } else {
            out.push(refused_poll(case, &feature.name, path, &trouble));
        }
    }
}

fn described(trouble: &Trouble<'_>) -> String {
    let status = trouble.status.map(|status| format!(" {status}")).unwrap_or_default();
    let detail = if trouble.detail.is_empty() { String::new() } else { format!(" ({})", trouble.detail) };
    format!("{}{status}{detail}", trouble.error)
}

fn beginning(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(60).collect()
}

fn unreadable(feature: &str, path: &str, (code, text): (&'static str, String)) -> Complaint {
    let is_page = text.trim_start().to_lowercase().starts_with("<!doctype") || text.contains("<html");
    let (code, found, cure) = match code {
        "rest-not-json" if is_page => (
            "rest-page",
            format!("{path} answers with a page of HTML: {text}"),
            "a single-page application answers every path it does not know with its page: check `path` and `base_url`",
        ),
        "rest-not-json" => (
            "rest-not-json",
            format!("{path} answers, and not with JSON: {text}"),
            "check `path`; some back ends need `headers = { Accept = \"application/json\" }` or `?format=json`",
        ),
        code => (code, format!("{path} answers without a body"), "check `path` and `method`"),
    };
    complaint(code, Weight::Fault, feature, found, cure)
}

fn refused_poll(case: &Case<'_>, feature: &str, path: &str, trouble: &Trouble<'_>) -> Complaint {
    let base = &case.contract.rest.base_url;
    let fault = |code, cure: String| {
        complaint(code, Weight::Fault, feature, format!("{path}: {}", described(trouble)), cure)
    };
    if let Some((code, cure)) = tls_cure(trouble.detail, "[rest]", "https", "http") {
        return fault(code, cure);
    }
    if trouble.detail.contains("could not log in") || trouble.detail.contains("the login at") {
        return fault(
            "login",
            "no poll is sent without a token: check `path` and the body of `login`".into(),
        );
    }
    let has_login = case.contract.rest.login.is_some();
    match (trouble.error, trouble.status) {
        ("connect", _) => fault(
            "rest-unreachable",
            format!("nobody answers at {base}: check `base_url` (host and port), a VPN, a proxy (HTTPS_PROXY)"),
        ),
        ("timeout", _) => fault(
            "rest-slow",
            format!("no answer within {}: raise `timeout` of [rest], or ask why it is slow", case.contract.rest.timeout),
        ),
        ("too_big", _) => fault("rest-too-big", "raise `max_body` of [rest], or ask for less".into()),
        (_, Some(401 | 403)) if has_login => fault(
            "rest-unauthorized",
            "the login gave a token, and it is refused: check how it is carried (`header` and `format`, `cookie` or \
             `param`), and whether this user may read it"
                .into(),
        ),
        (_, Some(401 | 403)) => fault(
            "rest-unauthorized",
            "add `login` to [rest], or a token: headers = { Authorization = \"Bearer ${TOKEN}\" }".into(),
        ),
        (_, Some(404)) => fault(
            "rest-not-found",
            match path.split('?').next().unwrap_or_default().ends_with('/') {
                true => "check `path`: perhaps without the last `/`, or without what `base_url` has already".into(),
                false => "check `path`: perhaps with a last `/`, or without what `base_url` has already".into(),
            },
        ),
        (_, Some(300..=399)) => fault(
            "rest-redirect",
            "it leads to another host, often a login page: set `base_url` to where the API is, or add `login`".into(),
        ),
        (_, Some(405)) => fault("rest-method", "set `method` of the feature's `rest`".into()),
        (_, Some(429)) => fault(
            "rest-too-often",
            "the server bounds how often it is asked: lengthen `poll`, or set `most_per_minute` of [rest]".into(),
        ),
        (_, Some(500..)) => {
            fault("rest-broken", "the back end fails: its log says why; no contract can cure that".into())
        }
        _ => fault("rest-refused", "check `path`, `method`, `query` and `headers` of the feature's `rest`".into()),
    }
}

/// What rustls says, and what to do about it.
fn tls_cure(detail: &str, table: &str, secure: &str, plain: &str) -> Option<(&'static str, String)> {
    let says = |word: &str| detail.contains(word);
    Some(match () {
        () if says("UnknownIssuer") => (
            "tls-unknown-issuer",
            format!(
                "nobody here knows who signed the certificate: set `ca` of {table} to the authority's PEM file"
            ),
        ),
        () if says("NotValidForName") => {
            ("tls-other-name", "the certificate is for another host: use the name that it has".into())
        }
        () if says("Expired") => ("tls-expired", "the certificate has expired: it needs a new one".into()),
        () if says("CertificateRequired") || says("HandshakeFailure") => (
            "tls-client",
            format!("the server wants a certificate: set `client_cert` and `client_key` of {table}"),
        ),
        () if says("InvalidContentType") || says("corrupt message") => {
            ("tls-none", format!("there is no TLS at this port: write {plain}:// instead of {secure}://"))
        }
        () => return None,
    })
}

// ---- the WebSocket ----

pub fn websocket(case: &Case<'_>, out: &mut Vec<Complaint>) {
    let connection = &case.outcome.connection;
    if connection.opens == 0 {
        out.extend(never_open(case));
        return;
    }
    closes(case, out);
    if connection.frames == 0 {
        let pings = case.observations.iter().filter(|o| matches!(o.event, Event::WsRtt { .. })).count();
        let found = format!(
            "it opens, stays open, answers {}, and nothing comes: no message of any feature",
            counted(pings, "ping")
        );
        let cure = if case.contract.ws.subscribe.is_empty() {
            "perhaps it wants a message first (`subscribe`), or a login of its own (`open`); else nothing is being \
             sent: is the process that broadcasts running?"
        } else {
            "is the process that broadcasts running, and does `subscribe` name what it sends?"
        };
        out.push(complaint("ws-silent", Weight::Fault, "WebSocket", found, cure));
        return;
    }
    stops(case, out);
}

fn never_open(case: &Case<'_>) -> Option<Complaint> {
    let mut failed: BTreeMap<(&str, Option<u16>, &str), usize> = BTreeMap::new();
    for observation in case.observations {
        if let Event::WsError { error, status, detail, .. } = &observation.event {
            *failed.entry((error, *status, detail)).or_default() += 1;
        }
    }
    let Some(((error, status, detail), _)) = failed.into_iter().max_by_key(|(_, count)| *count) else {
        let ends = case.observations.first().zip(case.observations.last());
        if ends.is_none_or(|(first, last)| last.at.since(first.at) < Span::from_secs(1)) {
            // Nobody had the time to fail.
            return None;
        }
        let found = "it neither opens nor fails: somebody listens there and does not answer";
        let cure = "try longer (--for), and look at what stands between: a firewall, a proxy, a busy server";
        return Some(complaint("ws-no-answer", Weight::Fault, "WebSocket", found, cure));
    };
    let trouble = Trouble { error, status, detail };
    let found = format!("it never opens: {}", described(&trouble));
    let fault = |code, cure: String| complaint(code, Weight::Fault, "WebSocket", &found, cure);
    let ws = &case.contract.ws;
    let is_page = detail.to_lowercase().contains("text/html");
    if let Some((code, cure)) = tls_cure(detail, "[ws]", "wss", "ws") {
        return Some(fault(code, cure));
    }
    let path = ws.url.split(['?', '#']).next().unwrap_or_default();
    let slash_lacks = !path.ends_with('/');
    let with_slash = || {
        let query = &ws.url[path.len()..];
        // A URL with a credential in it is no text to print.
        query.is_empty().then(|| Edit {
            place: Place::Feed("ws"),
            key: "url".into(),
            value: toml::Value::from(format!("{path}/")).to_string(),
        })
    };
    Some(match (error, status) {
        _ if detail.starts_with("step ") => fault(
            "ws-dialogue",
            "the dialogue of `open` went otherwise: look at what the server says first, and at the token".into(),
        ),
        _ if detail.starts_with("no token") => {
            fault("login", "the WebSocket needs the token of `login`, which gave none".into())
        }
        _ if detail.contains("SubProtocol") || detail.contains("subprotocol") => {
            fault("ws-protocol", "the server speaks none of `protocols`: name those it has".into())
        }
        ("connect", None) => fault(
            "ws-unreachable",
            "nobody answers there: check `url` of [ws] (host and port), a VPN, a proxy (HTTPS_PROXY)".into(),
        ),
        (_, Some(401)) => fault(
            "ws-unauthorized",
            "it wants to know who asks: `?token={token}` in `url` with `login` of [rest], or `headers` of [ws]".into(),
        ),
        (_, Some(403)) if !ws.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("origin")) => {
            let mut origin = fault(
                "ws-origin",
                "a browser says which page it is on, and servers check that: send the page's `Origin`".into(),
            );
            origin.edits.push(Edit {
                place: Place::In("ws", "headers"),
                key: "Origin".into(),
                value: toml::Value::from(page_of(&case.contract.rest.base_url)).to_string(),
            });
            origin
        }
        (_, Some(403)) => fault(
            "ws-forbidden",
            "the `Origin` is not one that the server lets in (ALLOWED_HOSTS, allowed origins), or the token is not".into(),
        ),
        (_, Some(200)) if is_page => fault(
            "ws-page",
            "a web server answers with a page instead of passing the upgrade on: check the path of `url`, and that \
             the proxy has a location of its own for it (single-page fallback)"
                .into(),
        ),
        (_, Some(404)) => fault(
            "ws-not-found",
            "check the path of `url` (a last `/`?); if it is right, a proxy in between does not pass `Upgrade` and \
             `Connection` on (nginx: proxy_http_version 1.1, proxy_set_header Upgrade $http_upgrade)"
                .into(),
        ),
        (_, Some(500)) if slash_lacks => {
            let mut slash = fault(
                "ws-slash",
                "routers often know the path only with a last `/`: try it, and look at the server's log".into(),
            );
            slash.edits.extend(with_slash());
            slash
        }
        (_, Some(300..=399)) => fault(
            "ws-redirect",
            "upgrades are not redirected: write the URL it leads to (https: wss://, a last `/`)".into(),
        ),
        (_, Some(400 | 426 | 501)) => fault(
            "ws-no-upgrade",
            "the server does not speak WebSocket here, or a proxy took `Upgrade` away; a WSGI server alone never does".into(),
        ),
        (_, Some(500..)) => fault("ws-broken", "the server fails at the handshake: its log says why".into()),
        ("handshake", _) => fault("ws-no-websocket", "what answers there is no WebSocket server: check `url`".into()),
        _ => fault("ws-refused", "check `url` and `headers` of [ws]".into()),
    })
}

/// Scheme and host of a URL.
fn page_of(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
    let host = rest.split('/').next().unwrap_or_default();
    let host = host.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}")
}

fn closes(case: &Case<'_>, out: &mut Vec<Complaint>) {
    let mut closed: BTreeMap<(u16, &str), usize> = BTreeMap::new();
    let mut lived = Vec::new();
    let mut opened: BTreeMap<u32, Timestamp> = BTreeMap::new();
    for observation in case.observations {
        match &observation.event {
            Event::WsOpen { conn } => {
                opened.insert(*conn, observation.at);
            }
            Event::WsClose { conn, code, reason, by } if *by != ClosedBy::Us => {
                *closed.entry((*code, reason)).or_default() += 1;
                lived.extend(opened.get(conn).map(|at| observation.at.since(*at)));
            }
            _ => {}
        }
    }
    let Some(((code, reason), count)) = closed.into_iter().max_by_key(|(_, count)| *count) else { return };
    let reason = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
    let longest = lived.into_iter().max().unwrap_or_default();
    let found = format!(
        "the server closes it with {code}{reason}, {}, after {longest} at most",
        counted(count, "time")
    );
    let (name, cure) = match code {
        1008 | 4000..=4999 => (
            "ws-closed-by-policy",
            "it lets nobody stay without a token, or a subscription in time: `{token}` in `url`, `open`, `subscribe`",
        ),
        1011 => (
            "ws-closed-by-error",
            "something in the server failed while the connection was open, often a message without a handler, and \
             then every client is closed: its log says which",
        ),
        1009 => ("ws-too-big", "a message of ours was too long for it: look at `subscribe`"),
        _ => (
            "ws-closed",
            "each drop is a gap for the front end: look for timeouts of proxies, restarts, and pings it expects (`keepalive`)",
        ),
    };
    out.push(complaint(name, Weight::Fault, "WebSocket", found, cure));
}

/// Data that ends while the connection and REST go on.
fn stops(case: &Case<'_>, out: &mut Vec<Complaint>) {
    let plan = Plan::compile(case.contract);
    let mut extraction = Extraction::default();
    let (mut opened, mut data, mut signs, mut others) = (None, None, 0_usize, 0_usize);
    let mut end = None;
    for observation in case.observations {
        extraction.clear();
        end = Some(observation.at);
        match &observation.event {
            Event::WsOpen { .. } => (opened, data, signs) = (Some(observation.at), None, 0),
            Event::WsRtt { .. } => signs += 1,
            Event::Ws { .. } => {
                match read(&plan, &observation.event, &mut extraction).ok().and_then(|r| r.routed) {
                    Some(Routed::Features(_) | Routed::Several(_) | Routed::Messages) => {
                        (data, signs) = (Some(observation.at), 0);
                    }
                    Some(Routed::Ignored | Routed::Keepalive) => signs += 1,
                    _ => others += 1,
                }
            }
            _ => {}
        }
    }
    let (Some(opened), Some(end)) = (opened, end) else { return };
    let longest = case.contract.features.iter().filter(|f| f.cadence == crate::contract::Cadence::Periodic);
    let Some(longest) = longest.map(|f| f.interval).max() else { return };
    let patience = (longest * 3).max(Span::from_secs(3));
    match data {
        Some(last) if end.since(last) > patience => {
            let found = format!(
                "the last message came {} after it opened; since then, for {}, {} and nothing else, while REST goes on",
                last.since(opened),
                end.since(last),
                counted(signs, "sign of life")
            );
            let cure = "the server forgot this client while the socket stayed open, as a channel layer does whose \
                        groups expire (CHANNEL_GROUP_EXPIRY): a reconnect would only hide it";
            out.push(complaint("ws-stops", Weight::Fault, "WebSocket", found, cure));
        }
        None if others == 0 && end.since(opened) > patience => {
            let found = format!("{} came, and no message of any feature", counted(signs, "sign of life"));
            let cure = "the socket lives and the feeds do not: is the process that broadcasts running, and does it \
                        send to this user? (`subscribe`, a login, a lock that another process holds)";
            out.push(complaint("ws-only-keepalive", Weight::Fault, "WebSocket", found, cure));
        }
        _ => {}
    }
}
