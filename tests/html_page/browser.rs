//! A real browser without a window, driven over its own debugging protocol. Owns the process it started, and
//! ends it when dropped.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

const NAMES: [&str; 5] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];
/// A browser that says nothing for so long is broken; no test waits for this to be right.
const PATIENCE: Duration = Duration::from_secs(180);
/// One browser at a time: each is many processes, and a small machine starts them all at once badly.
static TURN: Mutex<()> = Mutex::new(());

pub struct Browser {
    child: Child,
    _profile: tempfile::TempDir,
    runtime: Runtime,
    socket: WebSocketStream<TcpStream>,
    session: String,
    calls: u64,
    /// Console messages, exceptions and what the browser itself complained of.
    pub complaints: Vec<String>,
    /// Every address that was asked for.
    pub requests: Vec<String>,
    _turn: MutexGuard<'static, ()>,
}

/// The first browser on the path that runs; `None`, and a reason printed, where there is none. What bears the name
/// may only say how to install one.
fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let runs = |program: &PathBuf| {
        let mut command = Command::new(program);
        command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let mut known = std::env::split_paths(&path).flat_map(|dir| NAMES.map(|name| dir.join(name)));
    let found = known.find(|program| program.is_file() && runs(program));
    if found.is_none() {
        // Not by `eprintln`, which is kept from whoever looks at tests that pass.
        let name = std::thread::current().name().unwrap_or_default().to_string();
        let words = format!("skipped: {name}: no browser on the path (looked for {})\n", NAMES.join(", "));
        let _ = std::io::stderr().write_all(words.as_bytes());
    }
    found
}

impl Browser {
    pub fn start() -> Option<Browser> {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let program = find()?;
        let profile = tempfile::tempdir().unwrap();
        let child = Command::new(program)
            .args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
                "--disable-extensions",
            ])
            // The shared memory of a container may be too small for a page.
            .args(["--disable-dev-shm-usage", "--no-proxy-server"])
            .args(["--disable-background-networking", "--remote-debugging-port=0", "about:blank"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let address = address(&profile.path().join("DevToolsActivePort"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (port, path) = address;
        let socket = runtime.block_on(async {
            let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            let url = format!("ws://127.0.0.1:{port}{path}");
            tokio_tungstenite::client_async(url, stream).await.unwrap().0
        });
        let mut browser = Browser {
            child,
            _profile: profile,
            runtime,
            socket,
            session: String::new(),
            calls: 0,
            complaints: Vec::new(),
            requests: Vec::new(),
            _turn: turn,
        };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = browser.call("Target.attachToTarget", attach);
        browser.session = attached["sessionId"].as_str().unwrap().to_string();
        for domain in ["Page.enable", "Runtime.enable", "Log.enable", "Network.enable"] {
            browser.call(domain, json!({}));
        }
        Some(browser)
    }

    /// Opens an address, and waits until it is loaded.
    pub fn open(&mut self, url: &str) {
        self.call("Page.navigate", json!({"url": url}));
        let there = serde_json::Value::from(url);
        self.until(&format!("document.readyState === 'complete' && location.href === {there}"));
    }

    /// A file, as a double click opens it.
    pub fn open_file(&mut self, file: &Path) {
        self.open(&format!("file://{}", file.display()));
    }

    pub fn width(&mut self, width: u32) {
        let size = json!({"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500});
        self.call("Emulation.setDeviceMetricsOverride", size);
    }

    /// What an expression is in the page.
    pub fn value(&mut self, expression: &str) -> Value {
        let asked = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let answer = self.call("Runtime.evaluate", asked);
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    /// Waits until an expression holds.
    pub fn until(&mut self, expression: &str) {
        let began = Instant::now();
        while self.value(expression) != Value::Bool(true) {
            assert!(began.elapsed() < PATIENCE, "it never was that {expression}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A key pressed and let go, as the keyboard sends it; `text` is what it writes.
    pub fn press(&mut self, key: &str, code: &str, number: u32, text: &str) {
        for kind in ["keyDown", "keyUp"] {
            let mut event = json!({"type": kind, "key": key, "code": code, "windowsVirtualKeyCode": number});
            if kind == "keyDown" && !text.is_empty() {
                event["text"] = json!(text);
            }
            self.call("Input.dispatchKeyEvent", event);
        }
    }

    /// Words typed where the focus is.
    pub fn write(&mut self, words: &str) {
        for c in words.chars() {
            self.press(&c.to_string(), "", 0, &c.to_string());
        }
    }

    /// The left button of a mouse on the middle of an element, wherever it stands.
    pub fn click(&mut self, selector: &str) {
        let place = format!(
            "(() => {{ const e = document.querySelector({}); e.scrollIntoView({{block: 'center'}}); \
             const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; }})()",
            Value::from(selector)
        );
        let place = self.value(&place);
        for kind in ["mousePressed", "mouseReleased"] {
            let event =
                json!({"type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1});
            self.call("Input.dispatchMouseEvent", event);
        }
    }

    /// As on paper, of this width in pixels.
    pub fn on_paper(&mut self, width: u32) {
        self.call("Emulation.setEmulatedMedia", json!({"media": "print"}));
        self.width(width);
    }

    /// The page printed: the bytes of a PDF, in base64.
    pub fn printed(&mut self) -> String {
        self.call("Page.printToPDF", json!({}))["data"].as_str().unwrap().to_string()
    }

    fn call(&mut self, method: &str, params: Value) -> Value {
        self.calls += 1;
        let number = self.calls;
        let mut asked = json!({"id": number, "method": method, "params": params});
        if !self.session.is_empty() {
            asked["sessionId"] = json!(self.session);
        }
        self.runtime.block_on(self.socket.send(Message::text(asked.to_string()))).unwrap();
        loop {
            let socket = &mut self.socket;
            let next = self.runtime.block_on(async { tokio::time::timeout(PATIENCE, socket.next()).await });
            let message = next.expect("the browser answers").unwrap().unwrap();
            let Message::Text(text) = message else { continue };
            let told: Value = serde_json::from_str(&text).unwrap();
            if told["id"] == json!(number) {
                assert!(told.get("error").is_none(), "{method}: {told}");
                return told["result"].clone();
            }
            self.note(&told);
        }
    }

    fn note(&mut self, event: &Value) {
        match event["method"].as_str() {
            Some("Runtime.consoleAPICalled" | "Runtime.exceptionThrown" | "Log.entryAdded") => {
                self.complaints.push(event["params"].to_string());
            }
            Some("Network.requestWillBeSent") => {
                self.requests
                    .push(event["params"]["request"]["url"].as_str().unwrap_or_default().to_string());
            }
            _ => {}
        }
    }
}

/// Where a browser that just started listens: it writes its port and path into its profile.
#[allow(clippy::disallowed_methods, reason = "the browser tells it in a file")]
fn address(file: &Path) -> (u16, String) {
    let began = Instant::now();
    loop {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let mut lines = text.lines();
        if let (Some(Ok(port)), Some(path)) = (lines.next().map(str::parse), lines.next()) {
            return (port, path.to_string());
        }
        assert!(began.elapsed() < PATIENCE, "the browser did not start");
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
