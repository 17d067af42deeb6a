//! `cutover doctor` as it is typed, against servers that refuse, redirect, answer with pages or speak no TLS: what it
//! says, what it would change, and its exit code.

#![allow(clippy::disallowed_methods, reason = "tests write the files they need")]

use futures_util::{SinkExt, StreamExt};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;

/// Longer than any healthy run needs, on any machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a server answers: to polls, and to the upgrade; `None`: it upgrades, and sends what it has.
#[derive(Clone)]
struct Manners {
    rest: &'static str,
    ws: Option<&'static str>,
    /// The upgrade's request must hold this text.
    wanted: &'static str,
    messages: &'static [&'static str],
    /// After its messages it closes with this code.
    close: Option<u16>,
}

const GOOD: Manners = Manners {
    rest: "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{\"accounts\":[{\"id\":1,\"cash\":\"5.0\"}]}",
    ws: None,
    wanted: "",
    messages: &[r#"{"type":"balances","data":[{"id":1,"cash":5.0}]}"#],
    close: None,
};

async fn serve(manners: Manners) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, manners.clone()));
        }
    });
    address
}

async fn answer(stream: TcpStream, manners: Manners) {
    let mut head = [0; 4096];
    // Looked at and left there for the handshake.
    loop {
        match stream.peek(&mut head).await {
            Ok(0) | Err(_) => return,
            // As web servers answer TLS on a plain port.
            Ok(_) if head[0] == 0x16 => return refuse(stream, "HTTP/1.1 400 Bad Request\r\n\r\n").await,
            Ok(length) if head[..length].windows(4).any(|four| four == b"\r\n\r\n") => break,
            Ok(_) => tokio::task::yield_now().await,
        }
    }
    let text = String::from_utf8_lossy(&head).to_lowercase();
    if text.contains("upgrade: websocket") {
        match manners.ws {
            Some(refusal) if manners.wanted.is_empty() || !text.contains(manners.wanted) => {
                refuse(stream, refusal).await;
            }
            _ => talk(stream, manners).await,
        }
    } else if text.contains("if-none-match") {
        refuse(stream, "HTTP/1.1 304 Not Modified\r\n\r\n").await;
    } else {
        refuse(stream, manners.rest).await;
    }
}

async fn refuse(mut stream: TcpStream, text: &str) {
    let _ = stream.read(&mut [0; 4096]).await;
    let _ = stream.write_all(text.replacen("\r\n\r\n", "\r\nconnection: close\r\n\r\n", 1).as_bytes()).await;
    let _ = stream.shutdown().await;
}

async fn talk(stream: TcpStream, manners: Manners) {
    let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { return };
    let mut tick = tokio::time::interval(Duration::from_millis(200));
    loop {
        tokio::select! {
            _ = tick.tick() => {
                for text in manners.messages {
                    if socket.send(Message::text(*text)).await.is_err() {
                        return;
                    }
                }
                if let Some(code) = manners.close {
                    let frame = tokio_tungstenite::tungstenite::protocol::CloseFrame { code: code.into(), reason: "no".into() };
                    let _ = socket.close(Some(frame)).await;
                    return;
                }
            }
            message = socket.next() => if !matches!(message, Some(Ok(_))) { return },
        }
    }
}

fn contract(rest: &str, ws: &str) -> String {
    format!(
        r#"version = 1
[rest]
base_url = "{rest}"
[ws]
url = "{ws}"
type = "/type"
reconnect = {{ first = "50ms", most = "100ms" }}
[market]
calendar = "24/7"
[timing]
settle = "300ms"
[[feature]]
name = "balances"
align = "arrival"
interval = "200ms"
key = ["id"]
rest = {{ path = "/api/balances", poll = "200ms", records = "/accounts" }}
ws = {{ type = "balances", records = "/data" }}
[feature.fields]
id = {{ type = "integer" }}
cash = {{ type = "decimal" }}
"#
    )
}

/// What the command printed, as JSON, and its exit code.
async fn doctor(contract: String) -> (serde_json::Value, i32) {
    let output = tokio::task::spawn_blocking(move || {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("c.toml"), contract).unwrap();
        std::process::Command::new(env!("CARGO_BIN_EXE_cutover"))
            .args(["doctor", "--contract", "c.toml", "--for", "1500ms", "--format", "json", "-q"])
            .current_dir(folder.path())
            .env_remove("RUST_LOG")
            .output()
            .unwrap()
    });
    let output = tokio::time::timeout(PATIENCE, output).await.expect("the command ends").unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    (serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}\n{err}")), output.status.code().unwrap())
}

fn codes(told: &serde_json::Value) -> Vec<String> {
    let all = told["complaints"].as_array().unwrap().iter().filter(|c| c["weight"] == "fault");
    all.map(|c| c["code"].as_str().unwrap().to_string()).collect()
}

fn cure(told: &serde_json::Value, code: &str) -> String {
    let all = told["complaints"].as_array().unwrap();
    let one = all.iter().find(|c| c["code"] == code).unwrap_or_else(|| panic!("no {code} in {told:#}"));
    one["cure"].as_str().unwrap().to_string()
}

/// One server for both feeds with one fault: its code, and a phrase of the cure.
async fn check(manners: Manners, code: &str, phrase: &str) -> serde_json::Value {
    let at = serve(manners).await;
    let (told, exit) = doctor(contract(&format!("http://{at}"), &format!("ws://{at}/ws"))).await;
    assert!(codes(&told).contains(&code.to_string()), "{code} {told:#}");
    assert!(cure(&told, code).contains(phrase), "{told:#}");
    assert_eq!(exit, 1);
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn polls_that_are_refused() {
    for (rest, code, phrase) in [
        ("HTTP/1.1 401 Unauthorized\r\n\r\n", "rest-unauthorized", "add `login`"),
        ("HTTP/1.1 404 Not Found\r\n\r\n", "rest-not-found", "with a last `/`"),
        ("HTTP/1.1 302 Found\r\nlocation: http://login.test/\r\n\r\n", "rest-redirect", "often a login page"),
        ("HTTP/1.1 429 Too Many Requests\r\n\r\n", "rest-too-often", "lengthen `poll`"),
        ("HTTP/1.1 500 Oops\r\n\r\n", "rest-broken", "its log says why"),
        (
            "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n\r\n<!doctype html><html>",
            "rest-page",
            "single-page application",
        ),
        (
            "HTTP/1.1 200 OK\r\netag: \"1\"\r\ncontent-type: text/html\r\n\r\n<!doctype html><html>",
            "rest-page",
            "single-page application",
        ),
        ("HTTP/1.1 200 OK\r\n\r\nhello", "rest-not-json", "format=json"),
        (
            "HTTP/1.1 200 OK\r\n\r\n{\"results\":{\"accounts\":[{\"id\":1,\"cash\":\"5.0\"}]}}",
            "rest-records",
            "/results/accounts",
        ),
    ] {
        check(Manners { rest, ..GOOD }, code, phrase).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn upgrades_that_are_refused() {
    for (ws, code, phrase) in [
        ("HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n", "ws-unauthorized", "?token={token}"),
        ("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", "ws-not-found", "proxy_set_header Upgrade"),
        (
            "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>",
            "ws-page",
            "single-page fallback",
        ),
        (
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n",
            "ws-no-upgrade",
            "does not speak WebSocket",
        ),
        (
            "HTTP/1.1 301 Moved\r\nlocation: /ws/\r\ncontent-length: 0\r\n\r\n",
            "ws-redirect",
            "not redirected",
        ),
        ("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n", "ws-broken", "its log says why"),
        ("SSH-2.0-OpenSSH_9.6\r\n", "ws-no-websocket", "no WebSocket server"),
    ] {
        check(Manners { ws: Some(ws), ..GOOD }, code, phrase).await;
    }
    // What it would change is printed, and right.
    let ws = Some("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n");
    let told =
        check(Manners { ws, wanted: "origin: http://127.0.0.1", ..GOOD }, "ws-origin", "`Origin`").await;
    assert!(
        told["contract_diff"].as_str().unwrap().contains("+headers = { Origin = \"http://127.0.0.1"),
        "{told:#}"
    );
    let ws = Some("HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n");
    let told = check(Manners { ws, wanted: "get /ws/ ", ..GOOD }, "ws-slash", "with a last `/`").await;
    assert!(told["contract_diff"].as_str().unwrap().contains("/ws/\""), "{told:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sockets_that_open() {
    check(Manners { messages: &[], ..GOOD }, "ws-silent", "is the process that broadcasts running").await;
    check(Manners { messages: &[], close: Some(4401), ..GOOD }, "ws-closed-by-policy", "without a token")
        .await;
    check(Manners { close: Some(1011), ..GOOD }, "ws-closed-by-error", "a message without a handler").await;
    // And one with which nothing is wrong.
    let at = serve(GOOD).await;
    let (told, exit) = doctor(contract(&format!("http://{at}"), &format!("ws://{at}/ws"))).await;
    assert_eq!((codes(&told), exit), (Vec::new(), 0), "{told:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_there_no_tls_and_an_unknown_authority() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let at = serve(GOOD).await;
    let (told, exit) = doctor(contract(&format!("http://{nobody}"), &format!("ws://{nobody}/"))).await;
    assert_eq!(
        (codes(&told), exit),
        (vec!["rest-unreachable".into(), "ws-unreachable".into()], 1),
        "{told:#}"
    );
    let (told, _) = doctor(contract(&format!("https://{at}"), &format!("wss://{at}/"))).await;
    assert_eq!(codes(&told), ["tls-none", "tls-none"], "{told:#}");
    assert!(cure(&told, "tls-none").contains("http://"));

    let key = rcgen::KeyPair::generate().unwrap();
    let certificate =
        rcgen::CertificateParams::new(vec!["localhost".to_string()]).unwrap().self_signed(&key).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let _ = acceptor.accept(stream).await;
            });
        }
    });
    let (told, _) =
        doctor(contract(&format!("https://localhost:{port}"), &format!("wss://localhost:{port}/"))).await;
    assert_eq!(codes(&told), ["tls-unknown-issuer", "tls-unknown-issuer"], "{told:#}");
    assert!(cure(&told, "tls-unknown-issuer").contains("set `ca` of [rest]"));
    // What keeps the login from being heard is no fault of the login.
    let login = "login = { path = \"/login\", json = { password = \"secret-password\" } }\n[ws]";
    let text = contract(&format!("https://localhost:{port}"), &format!("wss://localhost:{port}/"));
    let (told, exit) = doctor(text.replacen("[ws]", login, 1)).await;
    assert_eq!(codes(&told).first().map(String::as_str), Some("tls-unknown-issuer"), "{told:#}");
    assert!(exit == 1 && !codes(&told).contains(&"login".to_string()), "{told:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_that_is_refused_says_so_and_keeps_its_secret() {
    let at = serve(Manners { rest: "HTTP/1.1 403 Forbidden\r\n\r\n", ..GOOD }).await;
    let login = "login = { path = \"/login\", json = { password = \"secret-password\" } }\n[ws]";
    let text = contract(&format!("http://{at}"), &format!("ws://{at}/ws")).replacen("[ws]", login, 1);
    let (told, exit) = doctor(text).await;
    assert_eq!((codes(&told), exit), (vec!["login".to_string()], 1), "{told:#}");
    assert!(
        cure(&told, "login").contains("CSRF") && !told.to_string().contains("secret-password"),
        "{told:#}"
    );
}
