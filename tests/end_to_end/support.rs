//! The binary as a child process, and what it leaves in its report folder, read by outside readers.

use cutover::contract::BUILTIN;
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longer than any healthy run needs, on any machine.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// All files of a report whose capture is recorded elsewhere.
pub const REPORT_FILES: [&str; 5] = ["findings.csv", "junit.xml", "report.json", "signoff.csv", "summary.md"];

/// The binary, free of what the caller's environment says.
pub fn cutover(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cutover"));
    command.args(arguments);
    for name in ["RUST_LOG", "COLUMNS", "NO_COLOR", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        command.env_remove(name);
    }
    command
}

/// A finished run.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Ran {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

pub fn run(arguments: &[&str]) -> Ran {
    cutover(arguments).output().unwrap().into()
}

/// A running child, killed when the test is over.
pub struct Running {
    child: Child,
}

impl Running {
    pub fn start(command: &mut Command) -> Running {
        let piped = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Running { child: piped.spawn().unwrap() }
    }

    /// As the terminal's Ctrl-C or a script does.
    pub fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Kills it on the spot, without a chance to tidy up.
    pub fn kill(mut self) -> ExitStatus {
        self.child.kill().unwrap();
        self.child.wait().unwrap()
    }

    /// Waits until it has ended by itself.
    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// What it printed and how it ended; both streams are read at once, so that neither fills up.
    pub fn finish(mut self) -> Ran {
        let stderr = reader(self.child.stderr.take().expect("stderr was not taken before"));
        let stdout = reader(self.child.stdout.take().unwrap());
        let status = self.child.wait().unwrap();
        Ran { code: status.code(), out: stdout.join().unwrap(), err: stderr.join().unwrap() }
    }

    pub fn stderr(&mut self) -> impl Read + use<> {
        self.child.stderr.take().unwrap()
    }

    pub fn stdout(&mut self) -> impl Read + use<> {
        self.child.stdout.take().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already where the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn reader(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut text = String::new();
        pipe.read_to_string(&mut text).unwrap();
        text
    })
}

/// Looks again and again until `found` has something.
pub fn wait_for<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(since.elapsed() < PATIENCE, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A folder of one test's own.
pub struct Bench {
    dir: TempDir,
}

impl Bench {
    pub fn new() -> Bench {
        Bench { dir: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// As an argument.
    pub fn arg(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_string()
    }

    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> String {
        fs::write(self.path(name), contents).unwrap();
        self.arg(name)
    }

    pub fn report(&self, name: &str) -> Report {
        Report { dir: self.path(name) }
    }

    /// The built-in contract for feeds at these addresses.
    pub fn contract(&self, rest: SocketAddr, ws: SocketAddr) -> String {
        self.write("contract.toml", contract(rest, ws))
    }
}

pub fn contract(rest: SocketAddr, ws: SocketAddr) -> String {
    let there = |text: String, from: &str, to: String| {
        assert!(text.contains(from), "the built-in contract has no {from}");
        text.replace(from, &to)
    };
    let text = there(BUILTIN.to_string(), "http://127.0.0.1:8787", format!("http://{rest}"));
    there(text, "ws://127.0.0.1:8787", format!("ws://{ws}"))
}

pub type Row = BTreeMap<String, String>;

/// A report folder.
pub struct Report {
    pub dir: PathBuf,
}

impl Report {
    pub fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.dir).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    pub fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.dir.join(name)).unwrap()
    }

    pub fn signoff(&self) -> Vec<Row> {
        rows(&self.dir.join("signoff.csv"))
    }

    pub fn findings(&self) -> Vec<Row> {
        rows(&self.dir.join("findings.csv"))
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.bytes("report.json")).unwrap()
    }

    /// The row of one check before enabling.
    pub fn check(&self, feature: &str, check: &str) -> Row {
        let here = |row: &Row| {
            row["feature"] == feature && row["check"] == check && row["phase"] == "before-enabling"
        };
        self.signoff().into_iter().find(here).unwrap_or_else(|| panic!("no row for {feature} {check}"))
    }

    /// `feature check` of each row with this verdict.
    pub fn with_verdict(&self, verdict: &str) -> Vec<String> {
        let rows = self.signoff().into_iter().filter(|row| row["verdict"] == verdict);
        rows.map(|row| format!("{} {}", row["feature"], row["check"])).collect()
    }
}

fn rows(path: &Path) -> Vec<Row> {
    let mut reader = csv::Reader::from_path(path).unwrap();
    reader.deserialize().map(|row| row.unwrap()).collect()
}
