//! The program in a folder of a test's own, a contract with short sessions, and captures with what a backend
//! and a frontend left beside the feeds.

use cutover::capture::encode;
use cutover::contract::BUILTIN;
use cutover::model::{Event, Observation, Timestamp};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The feature that walks.
pub const FEATURE: &str = "account_balance";
pub const FLAG: &str = "WS_FEATURE_ACCOUNT_BALANCE";
pub const PATH: &str = "/api/balances";

pub struct Place {
    folder: TempDir,
}

impl Place {
    pub fn new() -> Place {
        Place { folder: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cutover"));
        command.current_dir(self.folder.path()).args(words).env("NO_COLOR", "1").env("COLUMNS", "200");
        for name in ["RUST_LOG", "GITHUB_STEP_SUMMARY", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"]
        {
            command.env_remove(name);
        }
        command
    }

    /// Exit code, and both streams.
    pub fn run(&self, words: &[&str]) -> (i32, String) {
        let output = self.command(words).output().unwrap();
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        (output.status.code().unwrap(), text.concat())
    }

    /// A line of words that has to end so.
    pub fn expect(&self, code: i32, line: &str) -> String {
        let (told, text) = self.run(&line.split(' ').collect::<Vec<_>>());
        assert_eq!(told, code, "cutover {line}\n{text}");
        text
    }
}

/// The built-in contract with sessions of ten minutes a day, and these lines at its top.
pub fn contract(top: &str) -> String {
    let mut text = BUILTIN.replacen("version = 1", &format!("version = 1\n{top}"), 1);
    for (from, to) in [
        ("calendar = \"24/7\"", "calendar = \"SHORT\""),
        ("account_number = { type = \"string\" }", "account_number = { type = \"string\", static = true }"),
    ] {
        assert!(text.contains(from), "the built-in contract has no {from}");
        text = text.replacen(from, to, 1);
    }
    text + r#"
[calendar.SHORT]
tz = "UTC"
covered = ["2025-12-01", "2025-12-31"]
days = "Mon-Sun"
hours = [{ from = "2025-12-01", segments = ["14:30-14:40"] }]

[logs]
sources = { prod = "prod.log" }
"#
}

pub fn at(day: u32, seconds: f64) -> Timestamp {
    let open = Timestamp::parse_rfc3339(&format!("2025-12-{day:02}T14:30:00Z")).unwrap();
    Timestamp(open.0 + (seconds * 1e9) as i64)
}

/// What stands beside the feeds in the capture of a day; seconds after the session's opening.
#[derive(Default)]
pub struct Beside(Vec<(f64, Event<'static>)>);

impl Beside {
    pub fn log(mut self, t: f64, line: &'static str) -> Beside {
        self.0.push((t, Event::Log { source: "prod".into(), line: line.into() }));
        self
    }

    /// A sample each five seconds, of so much memory.
    pub fn process(mut self, mib: u64) -> Beside {
        self.0.extend((0..144_u32).map(|k| {
            let sample = Event::Sample {
                process: "backend".into(),
                cpu_seconds: f64::from(k),
                rss_bytes: (mib << 20) + u64::from(k % 7) * 4_096,
            };
            (f64::from(k) * 5.0, sample)
        }));
        self
    }

    pub fn request(mut self, t: f64, path: &'static str, status: u16) -> Beside {
        let event = Event::Frontend {
            method: "GET".into(),
            path: path.into(),
            feature: None,
            status: Some(status),
            agent: None,
        };
        self.0.push((t, event));
        self
    }

    /// A page that loads its data once and lives on the WebSocket.
    pub fn page(self) -> Beside {
        self.request(10.0, "/", 200).request(10.3, PATH, 200).request(10.5, "/ws", 101)
    }

    /// Others who ask for other things, from before the session to after it: the log is seen to be alive.
    pub fn alive(mut self) -> Beside {
        for k in 0..36_u32 {
            self = self.request(-60.0 + 20.0 * f64::from(k), "/api/orders", 200);
        }
        self
    }

    pub fn polls(mut self) -> Beside {
        for k in 1..20_u32 {
            self = self.request(10.3 + 10.0 * f64::from(k), PATH, 200);
        }
        self
    }
}

/// A simulated session of a day, from before it opens to after it closes, as `DAY.jsonl`.
pub fn session(place: &Place, day: u32, faults: &[&str], beside: Beside, is_on: bool) -> String {
    let capture = format!("{day}.jsonl");
    let from = format!("2025-12-{day:02}T14:28:00Z");
    let mut words = vec!["simulate", &capture, "--contract", "c.toml", "--from", &from, "--for", "14m", "-q"];
    faults.iter().for_each(|fault| words.extend(["--fault", fault]));
    let (code, text) = place.run(&words);
    assert_eq!(code, 0, "{text}");
    weave(place, &capture, beside.0.into_iter().map(|(t, event)| (at(day, t), event)).collect(), is_on);
    capture
}

/// Puts observations in their places in a capture, and says what the flag was.
fn weave(place: &Place, capture: &str, mut more: Vec<(Timestamp, Event<'static>)>, is_on: bool) {
    more.sort_by_key(|(at, _)| *at);
    let mut more = more.into_iter().peekable();
    let mut out = String::new();
    for line in place.read(capture).lines() {
        let read: serde_json::Value = serde_json::from_str(line).unwrap();
        let its_at = Timestamp::parse_rfc3339(read["at"].as_str().unwrap()).unwrap();
        while let Some((at, event)) = more.next_if(|(at, _)| *at < its_at) {
            let mut text = String::new();
            encode(&Observation { at, event }, &mut text);
            out.push_str(text.trim_end());
            out.push('\n');
        }
        match read["kind"].as_str() {
            Some("start") => {
                let flags = format!("\"{FLAG}\":{is_on}");
                let other = format!("\"{FLAG}\":{}", !is_on);
                let line = line.replace(&other, &flags);
                assert!(line.contains(&flags), "{line}");
                out.push_str(&line);
            }
            _ => out.push_str(line),
        }
        out.push('\n');
    }
    assert!(more.next().is_none(), "beyond the end of the capture");
    place.write(capture, &out);
}

/// A program that runs beside a test, ended with it.
pub struct Running(Child);

impl Running {
    /// Starts it and waits for its first line on stdout.
    pub fn start(mut command: Command) -> (Running, String) {
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        (Running(child), line)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The reference server on a port of its own, and its address.
pub fn serve(place: &Place, more: &[&str]) -> (Running, String) {
    let (running, line) =
        Running::start(place.command(&[&["-q", "serve", "--listen", "127.0.0.1:0"], more].concat()));
    let address = line.split("ws://").nth(1).and_then(|rest| rest.split("/ws").next());
    let address = address.unwrap_or_else(|| panic!("no address in {line:?}")).to_string();
    (running, address)
}

/// The built-in contract for the reference server at this address.
pub fn live_contract(address: &str) -> String {
    BUILTIN.replace("127.0.0.1:8787", address)
}

/// Longer than anything healthy needs, on any machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// Looks again and again until `found` has something.
fn wait_for<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(since.elapsed() < PATIENCE, "waited in vain for {what}");
        sleep(Duration::from_millis(20));
    }
}

/// `cutover tap` before a server, with the flag true.
pub struct Tap {
    child: Child,
    pub address: String,
    capture: PathBuf,
}

impl Tap {
    pub fn start(place: &Place, server: &str, capture: &str) -> Tap {
        let target = format!("127.0.0.1:0=http://{server}");
        let mut command = place.command(&["-v", "tap", "--contract", "c.toml", &target, "--out", capture]);
        command.env(FLAG, "true").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut told = String::new();
        let address = loop {
            let line = lines.next().unwrap_or_else(|| panic!("no address in {told:?}")).unwrap();
            if let Some((address, _)) = line.split("tap: ").nth(1).and_then(|rest| rest.split_once(' ')) {
                break address.to_string();
            }
            told.push_str(&line);
        };
        // What it says later is read away, so that it never waits for us.
        std::thread::spawn(move || lines.for_each(drop));
        Tap { child, address, capture: place.path(capture) }
    }

    /// Until the page asked for this path.
    pub fn wait_for(&self, path: &str) {
        let asked = format!("\"path\":\"{path}\"");
        wait_for(path, || fs::read_to_string(&self.capture).ok().filter(|text| text.contains(&asked)));
    }

    /// Ends it in order.
    pub fn finish(mut self) {
        let kill = format!("kill -TERM {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        // It has ended already where the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A headless Chromium.
pub struct Browser(&'static str);

impl Browser {
    /// `None`, with the reason printed, where there is none.
    pub fn find() -> Option<Browser> {
        let known = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
        let found = known.into_iter().find(|path| Path::new(path).exists());
        if found.is_none() {
            // Not by `println`, which is kept from whoever looks at tests that pass.
            let words = format!("skipped: no Chromium at {}\n", known.join(", "));
            let _ = std::io::stderr().write_all(words.as_bytes());
        }
        found.map(Browser)
    }

    pub fn open(&self, place: &Place, page: &str) -> OpenBrowser {
        let profile = format!("--user-data-dir={}", place.path("profile").display());
        let url = format!("file://{}", place.path(page).display());
        let mut command = Command::new(self.0);
        command.args([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
        ]);
        command.args(["--remote-debugging-port=0", "--no-proxy-server", &profile, &url]);
        command.env("HOME", place.path("")).process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        OpenBrowser(command.spawn().unwrap())
    }
}

/// Closed, with every process it started, when it is dropped.
pub struct OpenBrowser(Child);

impl Drop for OpenBrowser {
    fn drop(&mut self) {
        let kill = format!("kill -s KILL -- -{}", self.0.id());
        // Waiting for what could not be killed would never end.
        if Command::new("sh").args(["-c", &kill]).status().is_ok_and(|status| status.success()) {
            let _ = self.0.wait();
        }
    }
}
