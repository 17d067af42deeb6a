//! After enabling, with a real browser: a page in headless Chromium behind `tap`, whose flag decides whether it
//! polls or subscribes. Skipped, with the reason, where no Chromium is installed.

use super::support::{Browser, FLAG, PATH, Place, Tap, live_contract, serve};

/// Loads its data once, then lives on the WebSocket, or polls; asks for `/done` when it has shown enough.
/// `how` is `socket`, `polls` (no WebSocket) or `both` (the timer that somebody forgot).
fn page(address: &str, how: &str) -> String {
    format!(
        r#"<!doctype html><title>{how}</title><script>
const how = "{how}", base = "http://{address}";
const ask = path => fetch(base + path, {{ mode: "no-cors", cache: "no-store" }}).catch(() => 0);
const pause = ms => new Promise(over => setTimeout(over, ms));
const polls = async () => {{ for (let i = 0; i < 8; i++) {{ await pause(500); await ask("{PATH}"); }} }};
let socket;
const opened = () => new Promise(open => {{ socket = new WebSocket("ws://{address}/ws"); socket.onopen = open; }});
(async () => {{
  await ask("{PATH}");
  if (how !== "polls") await opened();
  if (how === "socket") await pause(4000); else await polls();
  await ask("/done");
}})();
</script>"#
    )
}

/// What `websocket-only` makes of a page that behaves so while its flag is true: verdict, observed and note.
fn websocket_only(place: &Place, browser: &Browser, how: &str) -> (String, String) {
    let (_server, address) = serve(place, &[]);
    let contract = live_contract(&address)
        .replace("poll = \"10s\"", "poll = \"1s\"")
        .replace("settle = \"2s\"", "settle = \"500ms\"");
    place.write("c.toml", &contract);
    let capture = format!("{how}.jsonl");
    let tap = Tap::start(place, &address, &capture);
    place.write("page.html", &page(&tap.address, how));
    let open = browser.open(place, "page.html");
    tap.wait_for("/done");
    drop(open);
    tap.finish();
    let words = [
        "replay",
        &capture,
        "-q",
        "--phase",
        "after-enabling",
        "--feature",
        "account_balance",
        "--format",
        "json",
    ];
    let (_, told) = place.run(&words);
    let told = told.lines().find(|line| line.starts_with('{')).map_or(told.as_str(), |line| {
        // What stands on stderr comes behind the report.
        let begin = told.find(line).unwrap();
        &told[begin..]
    });
    let mut reports = serde_json::Deserializer::from_str(told).into_iter::<serde_json::Value>();
    let report = reports.next().unwrap().unwrap();
    assert_eq!(report["features"][0]["flag"], FLAG);
    let checks = report["features"][0]["checks"].as_array().unwrap();
    let found = checks.iter().find(|check| check["check"] == "websocket-only").unwrap();
    let text = |name: &str| found[name].as_str().unwrap_or_default().to_string();
    (text("verdict"), format!("{}; {}", text("observed"), text("note")))
}

#[test]
fn a_page_behind_tap_that_subscribes_passes_and_one_that_polls_does_not() {
    let Some(browser) = Browser::find() else { return };
    let place = Place::new();
    let (verdict, why) = websocket_only(&place, &browser, "socket");
    assert_eq!(verdict, "PASS", "{why}");
    let (verdict, why) = websocket_only(&place, &browser, "both");
    assert!(verdict == "FAIL" && why.contains("rest_still_polled"), "{verdict}: {why}");
    let (verdict, why) = websocket_only(&place, &browser, "polls");
    assert!(verdict == "FAIL" && why.contains("rest_still_polled"), "{verdict}: {why}");
}
