//! `cutover init` on living feeds of other shapes than the reference server's: a small server of its own speaks as real
//! back ends do, `init` writes a contract from it, and `watch` judges the same feeds by that contract, unedited.
//! `ONLY=pages cargo test --test init_live` tries those shapes alone whose names contain it.

#![cfg(feature = "io")]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the program's files are read back; the server lives in real time"
)]

mod server;
mod shapes;

use server::Server;
use shapes::{SHAPES, Shape};
use std::path::Path;
use std::process::Command;

/// What a command printed, and its exit code.
fn run(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cutover"));
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "RUST_LOG"] {
        command.env_remove(name);
    }
    let output = command.current_dir(folder).args(arguments).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap_or(-1), text.into_owned())
}

/// A machine that is held up makes a second longer, which the stream is rightly blamed for: a matter of pace, not of
/// shapes.
const PACE: &str = "interval-match";

/// Which checks of the run did not pass, the pace aside.
fn not_passed(reports: &Path) -> Vec<String> {
    let rows = std::fs::read_to_string(reports.join("signoff.csv")).unwrap();
    let cells = |line: &str| line.split(',').skip(2).take(3).map(String::from).collect::<Vec<_>>();
    let rows: Vec<Vec<String>> = rows.lines().skip(1).map(cells).collect();
    let own: Vec<&Vec<String>> = rows.iter().filter(|row| row[0] == "before-enabling").collect();
    assert_eq!(own.len(), 6, "{rows:?}");
    own.iter().filter(|row| row[1] != PACE && row[2] != "PASS").map(|row| row.join(" ")).collect()
}

/// What became of one shape: nothing, or in words what was not as it should be.
fn tried(server: &Server, shape: &Shape) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let rest = format!("http://{}/{}/rest{}", server.address, shape.name, shape.query);
    let ws = format!("ws://{}/{}/ws", server.address, shape.name);
    let init = ["init", "c.toml", "--for", "14s", "--poll", "200ms", "--rest", &rest, "--ws", &ws, "-q"];
    let (code, said) = run(folder.path(), &init);
    let contract = std::fs::read_to_string(folder.path().join("c.toml")).unwrap_or_default();
    if code != 0 {
        return Err(format!("init exits with {code}: {said}\n{contract}"));
    }
    for line in shape.says {
        if !contract.contains(line) {
            return Err(format!("no `{line}` in\n{contract}"));
        }
    }
    let mut edited = contract.clone();
    for (from, to) in shape.edits {
        if !contract.contains(from) {
            return Err(format!("no `{from}` to edit in\n{contract}"));
        }
        edited = edited.replacen(from, to, 1);
    }
    if contract != edited {
        std::fs::write(folder.path().join("c.toml"), &edited).unwrap();
    }
    let watch = ["watch", "--contract", "c.toml", "--for", "16s", "--report-dir", "r", "-q"];
    let (code, told) = run(folder.path(), &watch);
    let failed = match code {
        0 | 1 | 3 => not_passed(&folder.path().join("r")),
        _ => vec![format!("watch exits with {code}")],
    };
    if failed.is_empty() { Ok(()) } else { Err(format!("{}: {told}\n{edited}", failed.join(", "))) }
}

#[test]
fn what_init_writes_judges_living_feeds_of_many_shapes() {
    let server = Server::start();
    let told: Vec<(&str, Result<(), String>)> = std::thread::scope(|scope| {
        let server = &server;
        let only = std::env::var("ONLY").unwrap_or_default();
        let all: Vec<_> = SHAPES
            .iter()
            .filter(|s| s.name.contains(&only))
            .map(|s| (s.name, scope.spawn(move || tried(server, s))))
            .collect();
        assert!(!all.is_empty(), "no shape has {only:?} in its name");
        all.into_iter().map(|(name, thread)| (name, thread.join().unwrap())).collect()
    });
    let failed: Vec<String> =
        told.into_iter().filter_map(|(name, told)| Some(format!("{name}: {}", told.err()?))).collect();
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}
