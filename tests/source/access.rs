//! Ways to a feed that asks who is there: logins and how they are carried, renewed and refused, dialogues on a new
//! connection, answers in pages, servers that must not be asked too often.

use crate::support::*;
use cutover::contract::{Body, Carried, Contract, Login, OpenStep, Pages, Pointer, Refresh};
use cutover::model::{Event, Span};
use futures_util::{SinkExt, StreamExt};
use hyper::header::HeaderMap;
use hyper::{Request, body::Incoming};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request as Upgrade, Response as Upgraded};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

fn pointer(text: &str) -> Pointer {
    Pointer::parse(text).unwrap()
}

fn login(carried: Carried) -> Login {
    Login {
        method: "POST".to_string(),
        path: "/login".to_string(),
        body: Body::Form(vec![("username".into(), "anna".into()), ("password".into(), "hunter 22&".into())]),
        token: pointer("/access"),
        carried,
        renew: None,
        refresh: None,
    }
}

fn logged_in(rest: SocketAddr, ws: SocketAddr, login: Login) -> Contract {
    let mut contract = contract(rest, ws, &["x"]);
    contract.rest.login = Some(login);
    contract
}

fn bearer() -> Carried {
    Carried::Header { name: "Authorization".to_string(), format: "Bearer {}".to_string() }
}

/// What a login answers: the token of this number.
fn token(number: usize, more: &str) -> String {
    format!(r#"{{"access":"secret-token-{number}"{more}}}"#)
}

/// A WebSocket server that tells what each client's request said, and sends one message.
async fn telling_websocket() -> (SocketAddr, mpsc::UnboundedReceiver<(String, HeaderMap)>) {
    let (told, heard) = mpsc::unbounded_channel();
    let address = accept(move |stream, _| {
        let told = told.clone();
        async move {
            #[allow(clippy::result_large_err, reason = "the handshake's own type")]
            let tell = |request: &Upgrade, mut response: Upgraded| {
                if let Some(offered) = request.headers().get("sec-websocket-protocol") {
                    let first = offered.to_str().unwrap().split(", ").next().unwrap().to_string();
                    response.headers_mut().insert("sec-websocket-protocol", first.parse().unwrap());
                }
                let _ = told.send((request.uri().to_string(), request.headers().clone()));
                Ok(response)
            };
            let mut socket = accept_hdr_async(stream, tell).await.unwrap();
            socket.send(Message::text(r#"{"type":"x"}"#)).await.unwrap();
            while let Some(Ok(_)) = socket.next().await {}
        }
    })
    .await;
    (address, heard)
}

#[tokio::test]
async fn a_token_is_carried_as_the_contract_says() {
    type Sent = fn(&Request<Incoming>) -> bool;
    let cases: [(Carried, Sent); 3] = [
        (Carried::Header { name: "X-Auth".into(), format: "Token {}".into() }, |request| {
            request.headers().get("x-auth").is_some_and(|v| v == "Token secret-token-0")
        }),
        (Carried::Cookie("jwt".into()), |request| {
            request.headers().get("cookie").is_some_and(|v| v == "jwt=secret-token-0")
        }),
        (Carried::Param("token".into()), |request| request.uri().query() == Some("token=secret-token-0")),
    ];
    for (carried, is_right) in cases {
        let rest = http(move |request: Request<Incoming>| async move {
            if request.uri().path() == "/login" {
                let kind = request.headers()["content-type"].clone();
                let form = http_body_util::BodyExt::collect(request.into_body()).await.unwrap().to_bytes();
                let is_form = kind == "application/x-www-form-urlencoded"
                    && form == "username=anna&password=hunter+22%26";
                return if is_form { ok(token(0, "")) } else { status(400, "text/plain", "no form") };
            }
            if is_right(&request) { ok("\"in\"") } else { status(401, "text/plain", "") }
        })
        .await;
        let mut run = watch_contract(logged_in(rest, silent_websocket().await, login(carried)));
        let first = run.until("answer", is_rest).await;
        assert!(first.contains("\"in\""), "{first}");
        run.finish().await.unwrap();
        assert!(!run.text().contains("secret-token") && !run.text().contains("hunter"));
    }
}

#[tokio::test]
async fn cookies_that_a_login_sets_go_to_both_feeds_of_its_host() {
    let rest = http(|request: Request<Incoming>| async move {
        let cookie = request.headers().get("cookie").map(|value| value.to_str().unwrap().to_string());
        match request.uri().path() {
            "/login" => hyper::Response::builder()
                .header("set-cookie", "sessionid=secret-session; HttpOnly; Path=/")
                .header("set-cookie", "csrftoken=secret-csrf; Path=/")
                .body(http_body_util::Full::new("".into()))
                .unwrap(),
            _ if cookie.as_deref() == Some("sessionid=secret-session; csrftoken=secret-csrf") => ok("\"in\""),
            _ => status(401, "text/plain", ""),
        }
    })
    .await;
    let (ws, mut heard) = telling_websocket().await;
    let mut run = watch_contract(logged_in(rest, ws, login(Carried::Cookies)));
    let first = run.until("answer", is_rest).await;
    assert!(first.contains("\"in\""), "{first}");
    let (_, headers) = heard.recv().await.unwrap();
    assert_eq!(headers["cookie"], "sessionid=secret-session; csrftoken=secret-csrf");
    run.finish().await.unwrap();
    assert!(!run.text().contains("secret-"));

    // Another host is another's: it gets none.
    let mut other = logged_in(rest, ws, login(Carried::Cookies));
    other.ws.url = format!("ws://localhost:{}/ws", ws.port());
    let mut run = watch_contract(other);
    let (_, headers) = heard.recv().await.unwrap();
    assert!(!headers.contains_key("cookie"));
    run.finish().await.unwrap();

    let bare = http(|_| async { ok("{}") }).await;
    let error = watch_contract(logged_in(bare, ws, login(Carried::Cookies))).ended().await.unwrap_err();
    assert!(error.to_string().contains("sets no cookie"), "{error}");
}

/// Follows polls until something has happened meanwhile.
async fn polled_until(run: &mut Watched, has_happened: impl Fn() -> bool) {
    let polled = async {
        while !has_happened() {
            run.until("poll", is_rest).await;
        }
    };
    tokio::time::timeout(PATIENCE, polled).await.expect("it happens in time");
}

/// What was asked for tokens, and with what.
#[derive(Clone, Default)]
struct Desk {
    logins: Arc<AtomicUsize>,
    refreshes: Arc<Mutex<Vec<String>>>,
    issued: Arc<AtomicUsize>,
}

/// A server whose tokens are good for a moment, and which takes only the last two of them.
async fn short_lived(desk: Desk, said: &'static str, takes_refresh: bool) -> SocketAddr {
    http(move |request: Request<Incoming>| {
        let desk = desk.clone();
        async move {
            match request.uri().path() {
                "/login" => {
                    desk.logins.fetch_add(1, Ordering::SeqCst);
                    ok(token(desk.issued.fetch_add(1, Ordering::SeqCst), said))
                }
                "/refresh" => {
                    let body =
                        http_body_util::BodyExt::collect(request.into_body()).await.unwrap().to_bytes();
                    desk.refreshes.lock().unwrap().push(String::from_utf8(body.to_vec()).unwrap());
                    match takes_refresh {
                        true => {
                            ok(token(desk.issued.fetch_add(1, Ordering::SeqCst), r#","expires_in":0.05"#))
                        }
                        false => status(401, "application/json", "{}"),
                    }
                }
                _ => {
                    let issued = desk.issued.load(Ordering::SeqCst);
                    let good = (issued.saturating_sub(2)..issued).any(|number| {
                        request.headers()["authorization"] == format!("Bearer secret-token-{number}").as_str()
                    });
                    if good { ok("\"in\"") } else { status(401, "text/plain", "") }
                }
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_token_is_renewed_before_its_end_and_without_the_password() {
    let refresh = Refresh {
        path: "/refresh".into(),
        body: Body::Json(serde_json::json!({"refresh": "{refresh}"})),
        token: pointer("/access"),
        from: pointer("/refresh"),
    };
    let desk = Desk::default();
    let said = r#","refresh":"secret-refresh","expires_in":0.05"#;
    let rest = short_lived(desk.clone(), said, true).await;
    let login = Login { refresh: Some(refresh), ..login(bearer()) };
    let mut run = watch_contract(logged_in(rest, silent_websocket().await, login.clone()));
    polled_until(&mut run, || desk.issued.load(Ordering::SeqCst) >= 4).await;
    run.finish().await.unwrap();
    assert_eq!(desk.logins.load(Ordering::SeqCst), 1, "the password is used once");
    // A refresh token that is not answered with another stays good.
    assert!(desk.refreshes.lock().unwrap().iter().all(|body| body == r#"{"refresh":"secret-refresh"}"#));
    assert!(!run.text().contains("secret-") && !run.text().contains("\"status\":401"), "{}", run.text());

    // Where it is not taken, the password still is.
    let desk = Desk::default();
    let rest = short_lived(desk.clone(), said, false).await;
    let mut run = watch_contract(logged_in(rest, silent_websocket().await, login));
    polled_until(&mut run, || desk.logins.load(Ordering::SeqCst) >= 3).await;
    run.finish().await.unwrap();
    assert!(!run.text().contains("\"status\":401"), "{}", run.text());
}

#[tokio::test]
async fn the_end_of_a_token_is_known_from_it_or_from_the_contract() {
    use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
    // Issued by a clock of its own, and good for a twentieth of a second.
    let claims = BASE64_URL_SAFE_NO_PAD.encode(r#"{"iat":1000,"exp":1000.05}"#);
    let issued = Arc::new(AtomicUsize::new(0));
    let counted = issued.clone();
    let rest = http(move |request: Request<Incoming>| {
        let (issued, claims) = (counted.clone(), claims.clone());
        async move {
            if request.uri().path() != "/login" {
                return ok("\"in\"");
            }
            let number = issued.fetch_add(1, Ordering::SeqCst);
            ok(format!(r#"{{"access":"e30.{claims}.signature{number}"}}"#))
        }
    })
    .await;
    let mut run = watch_contract(logged_in(rest, silent_websocket().await, login(bearer())));
    polled_until(&mut run, || issued.load(Ordering::SeqCst) >= 3).await;
    run.finish().await.unwrap();

    let desk = Desk::default();
    let rest = short_lived(desk.clone(), "", true).await;
    let renewed = Login { renew: Some(Span::from_millis(50)), ..login(bearer()) };
    let mut run = watch_contract(logged_in(rest, silent_websocket().await, renewed));
    polled_until(&mut run, || desk.logins.load(Ordering::SeqCst) >= 3).await;
    run.finish().await.unwrap();
}

#[tokio::test]
async fn the_websocket_gets_the_token_where_the_contract_has_it() {
    let rest = http(|request: Request<Incoming>| async move {
        if request.uri().path() == "/login" { ok(r#"{"access":"secret/token+1"}"#) } else { ok("\"in\"") }
    })
    .await;
    let (ws, mut heard) = telling_websocket().await;
    let mut contract = logged_in(rest, ws, login(bearer()));
    contract.ws.url.push_str("?token={token}");
    contract.ws.headers = vec![("X-Token".into(), "T {token}".into())];
    contract.ws.protocols = vec!["v2".into(), "v1".into()];
    let mut run = watch_contract(contract);
    run.until("message", is_ws).await;
    let (uri, headers) = heard.recv().await.unwrap();
    assert_eq!(
        (uri.as_str(), &headers["x-token"]),
        ("/ws?token=secret%2Ftoken%2B1", &"T secret/token+1".parse().unwrap())
    );
    assert_eq!(headers["sec-websocket-protocol"], "v2, v1");
    run.finish().await.unwrap();
    assert!(!run.text().contains("secret"), "{}", run.text());
}

#[tokio::test]
async fn a_stream_that_is_open_to_all_does_not_wait_for_a_login() {
    let (ws, _heard) = telling_websocket().await;
    let mut run = watch_contract(logged_in(nobody().await, ws, login(bearer())));
    run.until("message", is_ws).await;
    run.finish().await.unwrap();
    assert!(!run.text().contains("ws_error"), "{}", run.text());

    let mut asking = logged_in(nobody().await, ws, login(bearer()));
    asking.ws.url.push_str("?token={token}");
    let mut run = watch_contract(asking);
    let line = run.until("refusal", |event| matches!(event, Event::WsError { .. })).await;
    assert!(line.contains("no token: could not log in"), "{line}");
    run.finish().await.unwrap();
}

fn steps() -> Vec<OpenStep> {
    let expect = |kind: &str| OpenStep::Expect {
        says: vec![(pointer("/type"), kind.to_string())],
        timeout: Span::from_secs(20),
    };
    let send = r#"{"type":"auth","access_token":"{token}"}"#;
    vec![expect("auth_required"), OpenStep::Send(send.into()), expect("auth_ok")]
}

/// A server that asks who is there before it says anything; it wants this token.
async fn asking_websocket(wanted: &'static str) -> SocketAddr {
    accept(move |stream, _| async move {
        let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        socket.send(Message::text(r#"{"type":"auth_required"}"#)).await.unwrap();
        let Some(Ok(Message::Text(said))) = socket.next().await else { return };
        if said.as_str() != format!(r#"{{"type":"auth","access_token":"{wanted}"}}"#) {
            let frame = CloseFrame { code: 4001.into(), reason: "auth_invalid".into() };
            let _ = socket.close(Some(frame)).await;
            return;
        }
        for text in [r#"{"type":"early"}"#, r#"{"type":"auth_ok"}"#] {
            socket.send(Message::text(text)).await.unwrap();
        }
        let Some(Ok(Message::Text(said))) = socket.next().await else { return };
        socket.send(Message::text(format!(r#"{{"type":"subscribed","to":{said}}}"#))).await.unwrap();
        while let Some(Ok(_)) = socket.next().await {}
    })
    .await
}

#[tokio::test]
async fn a_connection_is_open_once_its_dialogue_has_ended() {
    let rest = http(|request: Request<Incoming>| async move {
        if request.uri().path() == "/login" { ok(token(0, "")) } else { ok("\"in\"") }
    })
    .await;
    let mut contract = logged_in(rest, asking_websocket("secret-token-0").await, login(bearer()));
    contract.ws.open = steps();
    contract.ws.subscribe = vec![r#"{"id":1}"#.to_string()];
    let mut run = watch_contract(contract.clone());
    run.until("open", |event| matches!(event, Event::WsOpen { conn: 0 })).await;
    let early = run.until("early message", is_ws).await;
    assert!(early.contains(r#"{"type":"early"}"#), "{early}");
    let subscribed = run.until("subscription", is_ws).await;
    assert!(subscribed.contains(r#""to":{"id":1}"#), "{subscribed}");
    run.finish().await.unwrap();
    assert!(!run.text().contains("auth_"), "the dialogue is no data: {}", run.text());

    contract.ws.url = format!("ws://{}/ws", asking_websocket("another").await);
    let mut run = watch_contract(contract.clone());
    let line = run.until("refusal", |event| matches!(event, Event::WsError { conn: 0, .. })).await;
    let said = "step 3 of `open`: no message with /type = auth_ok came before the connection ended: close 4001 auth_invalid";
    assert!(line.contains(r#""error":"handshake""#) && line.contains(said), "{line}");
    run.finish().await.unwrap();
    assert!(!run.text().contains("secret-token") && !run.text().contains("ws_open"));

    // One that waits for something else waits no longer than it was told to.
    contract.ws.open.truncate(1);
    contract.ws.open[0] =
        OpenStep::Expect { says: vec![(pointer("/type"), "hello".into())], timeout: Span::from_millis(50) };
    let mut run = watch_contract(contract);
    let line = run.until("refusal", |event| matches!(event, Event::WsError { conn: 0, .. })).await;
    assert!(line.contains("step 1 of `open`: no message with /type = hello came within 50ms"), "{line}");
    run.finish().await.unwrap();
}

#[tokio::test]
async fn pages_are_followed_and_are_one_body() {
    // A back end that names itself as it is called behind its proxy.
    let rest = http(|request: Request<Incoming>| async move {
        match (request.uri().path(), request.uri().query()) {
            ("/x", None) => ok(r#"{"next":"http://backend.internal:8000/x?page=2","results":[1]}"#),
            ("/x", Some("page=2")) => ok(r#"{"next":"?page=3","results":[2]}"#),
            ("/x", Some("page=3")) => ok(r#"{"next":null,"results":[3]}"#),
            _ => status(404, "text/plain", ""),
        }
    })
    .await;
    let ws = silent_websocket().await;
    let mut contract = contract(rest, ws, &["x"]);
    contract.features[0].rest.pages = Some(Pages { next: pointer("/next"), param: None, most: 3 });
    let mut run = watch_contract(contract.clone());
    let line = run.until("answer", is_rest).await;
    let whole = r#"[{"next":"http://backend.internal:8000/x?page=2","results":[1]},{"next":"?page=3","results":[2]},{"next":null,"results":[3]}]"#;
    assert!(line.contains(whole) && line.contains(&format!("\"bytes\":{}", whole.len())), "{line}");
    run.finish().await.unwrap();

    contract.features[0].rest.pages = Some(Pages { next: pointer("/next"), param: None, most: 2 });
    let line = {
        let mut run = watch_contract(contract.clone());
        let line = run.until("answer", is_rest).await;
        run.finish().await.unwrap();
        line
    };
    // Half of the records would look like all of them.
    assert!(line.contains("more than 2 pages") && line.contains(r#""error":"too_big""#), "{line}");

    let rest = http(|request: Request<Incoming>| async move {
        match request.uri().query() {
            Some("limit=1") => ok(r#"{"meta":{"cursor":"a b"},"items":[1]}"#),
            Some("limit=1&after=a+b") => ok(r#"{"meta":{"cursor":7},"items":[2]}"#),
            Some("limit=1&after=7") => ok(r#"{"meta":{},"items":[3]}"#),
            _ => status(404, "text/plain", ""),
        }
    })
    .await;
    contract.rest.base_url = format!("http://{rest}");
    contract.features[0].rest.query = vec![("limit".into(), "1".into())];
    contract.features[0].rest.pages =
        Some(Pages { next: pointer("/meta/cursor"), param: Some("after".into()), most: 20 });
    let mut run = watch_contract(contract);
    let line = run.until("answer", is_rest).await;
    assert!(line.contains(r#""items":[1]},"#) && line.contains(r#""items":[3]}]"#), "{line}");
    run.finish().await.unwrap();
}

#[tokio::test]
async fn a_server_is_not_asked_more_often_than_the_contract_allows() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    let rest = http(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        async { ok("\"in\"") }
    })
    .await;
    let mut contract = contract(rest, silent_websocket().await, &["x", "y"]);
    contract.rest.most_per_minute = Some(3);
    let mut run = watch_contract(contract);
    run.until_many(5, "skipped poll", |event| matches!(event, Event::RestSkipped { .. })).await;
    run.finish().await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 3);
}
