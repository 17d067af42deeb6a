//! The REST side: what each kind of answer becomes.

use crate::support::*;
use bytes::Bytes;
use cutover::capture::decode_checked;
use cutover::contract::{Body, Carried, Contract, Login, Pointer};
use cutover::model::{Event, Payload, Span};
use cutover::source::{LoginError, RunError};
use http_body_util::Full;
use hyper::{Request, Response, body::Incoming};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const GZIPPED: [u8; 61] = [
    31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 171, 86, 74, 76, 78, 206, 47, 205, 43, 41, 86, 178, 138, 174, 134, 113,
    226, 51, 83, 148, 172, 12, 117, 148, 146, 19, 139, 51, 148, 172, 148, 76, 13, 128, 64, 207, 192, 64, 169,
    54, 182, 22, 0, 13, 76, 231, 10, 49, 0, 0, 0,
];

/// Runs a contract with one feature until its first poll is answered or fails; gives that line.
async fn first_poll(contract: Contract) -> String {
    let mut run = watch_contract(contract);
    let line = run.until("poll", is_rest).await;
    run.finish().await.unwrap();
    run.check_capture();
    line
}

async fn check(answer: fn() -> Response<Full<Bytes>>, expect: &str) {
    let rest = http(move |_| async move { answer() }).await;
    let line = first_poll(contract(rest, silent_websocket().await, &["x"])).await;
    assert!(line.contains(expect), "{expect} not in {line}");
    assert!(line.contains("\"feature\":\"x\",\"params\":{}"), "{line}");
}

#[tokio::test]
async fn answers_become_observations() {
    check(|| ok("{\"a\":\n1.50}\n"), r#""status":200,"bytes":12,"body":{"a": 1.50}}"#).await;
    check(|| status(200, "text/html", "<html>\n"), r#""status":200,"bytes":7,"text":"<html>\n"}"#).await;
    check(|| status(204, "text/plain", ""), r#""status":204,"bytes":0}"#).await;
    check(|| status(304, "text/plain", ""), r#""status":304,"bytes":0}"#).await;
    check(|| ok(""), r#""status":200,"bytes":0}"#).await;
    check(|| ok(&b"\xff\xfe{"[..]), r#""bytes":3,"base64":"//57"}"#).await;
    check(
        || status(503, "text/html; charset=utf-8", "<h1>"),
        r#""error":"status","status":503,"detail":"text/html; charset=utf-8"}"#,
    )
    .await;
}

#[tokio::test]
async fn bodies_over_the_limit_are_not_read() {
    check(
        || ok(vec![b'7'; 65 * 1024]),
        r#""error":"too_big","status":200,"detail":"the body is over max_body, 65536"#,
    )
    .await;
    let chunked = accept(|mut stream, _| async move {
        let mut asked = [0; 1024];
        let _ = stream.read(&mut asked).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
        // Endless: only a client that stops by itself gets away.
        while stream.write_all(b"4\r\n1111\r\n").await.is_ok() {}
    })
    .await;
    let line = first_poll(contract(chunked, silent_websocket().await, &["x"])).await;
    assert!(line.contains(r#""error":"too_big","status":200"#), "{line}");
}

#[tokio::test]
async fn compressed_bodies_are_judged_by_what_they_hold() {
    let rest = http(|request: Request<Incoming>| async move {
        assert_eq!(request.headers()["accept-encoding"], "gzip");
        assert_eq!(request.headers()["accept"], "application/json");
        let builder = Response::builder().header("content-encoding", "gzip");
        builder.body(Full::new(Bytes::from_static(&GZIPPED))).unwrap()
    })
    .await;
    let line = first_poll(contract(rest, silent_websocket().await, &["x"])).await;
    assert!(
        line.contains(r#""bytes":49,"body":{"accounts":[{"account_id":1,"cash":"50000.00"}]}}"#),
        "{line}"
    );
}

#[tokio::test]
async fn connections_that_fail_say_where() {
    let ws = silent_websocket().await;
    let line = first_poll(contract(nobody().await, ws, &["x"])).await;
    assert!(line.contains(r#""error":"connect","detail":"Connection refused"#), "{line}");

    let cut = accept(|mut stream, _| async move {
        let mut asked = [0; 1024];
        let _ = stream.read(&mut asked).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"a\":").await;
    })
    .await;
    let line = first_poll(contract(cut, ws, &["x"])).await;
    assert!(line.contains(r#""error":"body","status":200"#), "{line}");

    let silent = accept(|mut stream, _| async move {
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let mut hasty = contract(silent, ws, &["x"]);
    hasty.rest.timeout = Span::from_millis(50);
    let line = first_poll(hasty).await;
    assert!(line.contains(r#""error":"timeout","detail":"no answer within 50ms"#), "{line}");
}

#[tokio::test]
async fn one_slow_endpoint_delays_no_other() {
    let rest = http(|request: Request<Incoming>| async move {
        if request.uri().path() == "/slow" {
            std::future::pending::<()>().await;
        }
        ok("{}")
    })
    .await;
    let mut contract = contract(rest, silent_websocket().await, &["slow", "fast"]);
    contract.rest.timeout = Span::from_millis(400);
    // As many combinations as permits: the slow feature uses up all of its own.
    contract.features[0].rest.each = vec![("n".to_string(), (0..8).map(Into::into).collect())];
    let mut run = watch_contract(contract);
    run.until_many(8, "time-out of the slow", |event| {
        matches!(event, Event::RestError { feature, error, .. } if feature == "slow" && error == "timeout")
    })
    .await;
    run.finish().await.unwrap();
    let kinds = |wanted: fn(&Event<'_>) -> bool| {
        run.seen().iter().filter(|line| wanted(&decode_checked(line).unwrap().event)).count()
    };
    let answered = kinds(|event| matches!(event, Event::Rest { feature, .. } if feature == "fast"));
    let skipped = kinds(|event| matches!(event, Event::RestSkipped { feature, .. } if feature == "slow"));
    // 400 ms are 20 intervals of 20 ms; half of them leaves room for a busy machine.
    assert!(answered >= 10 && skipped >= 40, "{answered} answered, {skipped} skipped");
}

/// An answer that stays as it is has a tag; asked with it, the server has nothing to send.
#[tokio::test]
async fn what_did_not_change_is_not_sent_again() {
    let polls = Arc::new(AtomicUsize::new(0));
    let asked = Arc::clone(&polls);
    let rest = http(move |request: Request<Incoming>| {
        let version = asked.fetch_add(1, Ordering::SeqCst) / 3;
        async move {
            let tag = format!("\"v{version}\"");
            if request.headers().get("if-none-match").is_some_and(|known| known == tag.as_str()) {
                return status(304, "text/plain", "");
            }
            let mut answer = ok(format!("{{\"version\":{version}}}"));
            answer.headers_mut().insert("etag", tag.parse().unwrap());
            answer
        }
    })
    .await;
    let mut run = watch_contract(contract(rest, silent_websocket().await, &["x"]));
    run.until_many(7, "polls", is_rest).await;
    run.finish().await.unwrap();
    let statuses: Vec<u16> = (run.seen().iter())
        .filter_map(|line| match decode_checked(line).unwrap().event {
            Event::Rest { status, .. } => Some(status),
            _ => None,
        })
        .take(7)
        .collect();
    assert_eq!(statuses, [200, 304, 304, 200, 304, 304, 200]);
    run.check_capture();
}

#[tokio::test]
async fn a_server_that_asks_to_be_left_alone_is() {
    let polls = Arc::new(AtomicUsize::new(0));
    let asked = Arc::clone(&polls);
    let rest = http(move |_| {
        asked.fetch_add(1, Ordering::SeqCst);
        async {
            let mut answer = status(429, "text/plain", "");
            answer.headers_mut().insert("retry-after", "3600".parse().unwrap());
            answer
        }
    })
    .await;
    let mut run = watch_contract(contract(rest, silent_websocket().await, &["x"]));
    let line = run.until("refusal", is_rest).await;
    assert!(line.contains("\"error\":\"status\",\"status\":429"), "{line}");
    let skipped = |event: &Event<'_>| matches!(event, Event::RestSkipped { .. });
    run.until_many(5, "polls that are skipped", skipped).await;
    run.finish().await.unwrap();
    assert_eq!(polls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn requests_carry_what_the_contract_says() {
    let rest = http(|request: Request<Incoming>| async move {
        let header =
            |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap().to_string());
        let target = request.uri().path_and_query().unwrap().to_string();
        let told =
            (request.method().to_string(), target, header("x-all"), header("x-one"), header("user-agent"));
        ok(serde_json::to_string(&told).unwrap())
    })
    .await;
    let mut contract = contract(rest, silent_websocket().await, &["x"]);
    contract.rest.base_url.push_str("/base/");
    contract.rest.headers = vec![("X-All".to_string(), "1".to_string())];
    let feed = &mut contract.features[0].rest;
    feed.path = "/v/{id}".to_string();
    feed.query = vec![("q".to_string(), "a b".to_string())];
    feed.headers = vec![("X-One".to_string(), "2".to_string())];
    feed.method = "POST".to_string();
    feed.each = vec![("id".to_string(), vec!["a/b".into(), 5.into()])];
    let mut run = watch_contract(contract);
    for (param, path) in [("\"a/b\"", "/base/v/a%2Fb?q=a+b"), ("5", "/base/v/5?q=a+b")] {
        let line = run
            .until(path, |event| matches!(event, Event::Rest { params, .. } if params.contains(param)))
            .await;
        let agent = format!("cutover/{}", env!("CARGO_PKG_VERSION"));
        let body = format!(r#""body":["POST","{path}","1","2","{agent}"]}}"#);
        assert!(line.contains(&body) && line.contains(&format!("\"params\":{{\"id\":{param}}}")), "{line}");
    }
    run.finish().await.unwrap();
}

#[tokio::test]
async fn redirects_stay_with_the_host() {
    let other = http(|_| async { ok("\"another host\"") }).await;
    let rest = http(move |request: Request<Incoming>| async move {
        let to = match request.uri().path() {
            "/near" => "/there".to_string(),
            "/far" => format!("http://{other}/"),
            _ => return ok("\"here\""),
        };
        Response::builder().status(302).header("location", to).body(Full::default()).unwrap()
    })
    .await;
    let mut run = watch_contract(contract(rest, silent_websocket().await, &["near", "far"]));
    run.until("the near one", |event| json_of(event).as_deref() == Some("\"here\"")).await;
    run.until("the far one", |event| {
        matches!(event, Event::RestError { status: Some(302), detail, .. } if detail.contains("another host"))
    })
    .await;
    run.finish().await.unwrap();
    assert!(!run.text().contains("\"another host\""));
}

fn with_login(mut contract: Contract) -> Contract {
    contract.rest.login = Some(Login {
        method: "POST".to_string(),
        path: "/login".to_string(),
        body: Body::Json(serde_json::json!({"user": "anna", "password": "hunter22"})),
        token: Pointer(vec!["data".to_string(), "access".to_string()]),
        carried: Carried::Header { name: "Authorization".to_string(), format: "Bearer {}".to_string() },
        renew: None,
        refresh: None,
    });
    contract
}

#[tokio::test]
async fn a_token_that_ran_out_is_renewed_and_is_no_news_of_the_feed() {
    let logins = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&logins);
    let rest = http(move |request: Request<Incoming>| {
        let logins = Arc::clone(&counted);
        async move {
            if request.uri().path() == "/login" {
                let number = logins.fetch_add(1, Ordering::SeqCst);
                return ok(format!("{{\"data\":{{\"access\":\"token-{number}\"}}}}"));
            }
            match request.headers().get("authorization").map(|value| value.to_str().unwrap()) {
                Some("Bearer token-1") => ok("\"welcome back\""),
                Some(_) => status(401, "text/plain", ""),
                None => panic!("a poll without a token"),
            }
        }
    })
    .await;
    let mut run = watch_contract(with_login(contract(rest, silent_websocket().await, &["x"])));
    let first =
        run.until("an answer", |event| matches!(event, Event::Rest { .. } | Event::RestError { .. })).await;
    assert!(first.contains("welcome back"), "{first}");
    run.finish().await.unwrap();
    assert_eq!(logins.load(Ordering::SeqCst), 2);
    assert!(!run.text().contains("token-"));
}

#[tokio::test]
async fn a_401_that_stays_is_a_failed_poll_and_no_storm_of_logins() {
    let logins = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&logins);
    let rest = http(move |request: Request<Incoming>| {
        let logins = Arc::clone(&counted);
        async move {
            if request.uri().path() == "/login" {
                let number = logins.fetch_add(1, Ordering::SeqCst);
                return ok(format!("{{\"data\":{{\"access\":\"token-{number}\"}}}}"));
            }
            // The server repeats the token, as servers do.
            let sent = request.headers()["authorization"].to_str().unwrap().replace("Bearer ", "text/");
            status(401, &sent, "")
        }
    })
    .await;
    let mut run = watch_contract(with_login(contract(rest, silent_websocket().await, &["x"])));
    for _ in 0..3 {
        let refused =
            run.until("401", |event| matches!(event, Event::RestError { status: Some(401), .. })).await;
        assert!(refused.contains(r#""detail":"text/***"}"#), "{refused}");
    }
    run.finish().await.unwrap();
    assert_eq!(logins.load(Ordering::SeqCst), 2, "one more than the first, and then none for a while");
    assert!(!run.text().contains("token-"));
}

#[tokio::test]
async fn a_refused_login_ends_the_run_at_once() {
    let rest = http(|_| async { status(403, "text/hunter22", "hunter22") }).await;
    let ws = silent_websocket().await;
    let mut run = watch_contract(with_login(contract(rest, ws, &["x"])));
    let error = run.ended().await.unwrap_err();
    let message = error.to_string();
    assert!(matches!(error, RunError::Login(LoginError::Refused { status: 403, .. })), "{message}");
    assert_eq!(
        message,
        format!(
            "the login at http://{rest}/login was refused with status 403 (text/***); see `login` of [rest]"
        )
    );
    assert!(run.seen().last().unwrap().contains(r#""reason":"interrupted""#));
    assert!(!run.text().contains("hunter22"));

    let rest = http(|_| async { ok("{}") }).await;
    let error = watch_contract(with_login(contract(rest, ws, &["x"]))).ended().await.unwrap_err();
    assert!(error.to_string().contains("has no text where `token` points"), "{error}");
}

#[tokio::test]
async fn a_login_that_cannot_be_reached_is_a_failed_poll() {
    let run = with_login(contract(nobody().await, silent_websocket().await, &["x"]));
    let line = first_poll(run).await;
    assert!(line.contains(r#""error":"connect","detail":"could not log in: Connection refused"#), "{line}");
}

#[tokio::test]
async fn redacted_fields_never_reach_the_capture() {
    let rest = http(|request: Request<Incoming>| async move {
        match request.uri().path() {
            "/x/4711" => ok(r#"{"accounts":[{"account_number":"4711","cash":4711.5}]}"#),
            _ => ok("account 4711 <html>"),
        }
    })
    .await;
    let ws = accept(|stream, _| async move {
        let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        let text = r#"{"type":"x","data":{"account_number":4711}}"#;
        futures_util::SinkExt::send(&mut socket, tokio_tungstenite::tungstenite::Message::text(text))
            .await
            .unwrap();
        while let Some(Ok(_)) = futures_util::StreamExt::next(&mut socket).await {}
    })
    .await;
    let mut contract = contract(rest, ws, &["x", "y"]);
    contract.redact = vec!["account_number".to_string()];
    contract.features[0].rest.path = "/x/{account_number}".to_string();
    contract.features[0].rest.each = vec![("account_number".to_string(), vec![4711.into()])];
    let mut run = watch_contract(contract);
    let hash = |line: &str| line[line.find("redacted:").expect(line)..][..25].to_string();
    let message = run.until("message", is_ws).await;
    let answer = run.until("answer", |event| json_of(event).is_some()).await;
    run.until("text", |event| {
        matches!(event, Event::Rest { payload: Payload::Text(text), .. } if text.starts_with("[withheld"))
    })
    .await;
    run.finish().await.unwrap();
    assert_eq!(hash(&message), hash(&answer));
    assert_eq!(answer.matches(&hash(&answer)).count(), 2, "params and body: {answer}");
    assert!(!run.text().replace("4711.5", "").contains("4711"), "{}", run.text());
}
