//! How fast a recorded session is judged, and in how much memory: a replay of a generated capture of
//! about 1,000,000 lines with all checks and reports, against a bare sonic-rs parse of the same file.
//!
//! `cargo bench --bench replay [-- MINUTES]`: a session of so many minutes (default 390). Each figure is
//! the median of three runs of a whole process on one core's worth of work; machines are noisy, so the
//! ratio is what counts.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "a bench reads clocks and files")]

use cutover::capture::{Reader, ReaderOptions, Writer, decode_slow, encode};
use cutover::checks::{Provenance, conclude};
use cutover::contract::{BUILTIN, parse};
use cutover::engine::Engine;
use cutover::model::{Finding, Span, Start, Timestamp};
use cutover::reference::{Fault, Simulation, SimulationOptions};
use cutover::report::{FindingsCsv, json, signoff};
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Instant;

const RUNS: usize = 3;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    match arguments.as_slice() {
        [job, file] if job == "parse" => measure(|| bare_parse(Path::new(file))),
        [job, file] if job == "replay" => measure(|| replay(Path::new(file))),
        [job, file, minutes] if job == "generate" => drop(generate(Path::new(file), minutes.parse().expect("minutes"))),
        [minutes] => compare(minutes.parse().expect("minutes of the session")),
        _ => compare(390),
    }
}

/// Generates the capture and runs both jobs, each in processes of its own.
fn compare(minutes: i64) {
    let folder = tempfile::tempdir().expect("a folder for the capture");
    let file = folder.path().join("capture.jsonl");
    let (lines, bytes) = generate(&file, minutes);
    println!("{lines} lines, {} MB", bytes / 1_000_000);
    let parse = median(&file, "parse");
    let replay = median(&file, "replay");
    let row = |name: &str, m: &Measured| {
        let rate = lines as f64 / m.seconds;
        println!("{name:<14} {:>7.2} s {:>10.0} lines/s {:>6} MB peak", m.seconds, rate, m.peak_kb / 1024);
    };
    row("bare parse", &parse);
    row("replay", &replay);
    println!("ratio          {:>7.2}", replay.seconds / parse.seconds);
}

#[derive(Debug, Clone)]
struct Measured {
    seconds: f64,
    peak_kb: u64,
}

fn median(file: &Path, job: &str) -> Measured {
    let program: PathBuf = std::env::current_exe().expect("this program");
    let mut runs: Vec<Measured> = (0..RUNS)
        .map(|_| {
            let output = Command::new(&program).arg(job).arg(file).output().expect("a run");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let text = String::from_utf8(output.stdout).expect("figures");
            let mut figures = text.split_whitespace();
            let seconds = figures.next().and_then(|f| f.parse().ok()).expect("seconds");
            let peak_kb = figures.next().and_then(|f| f.parse().ok()).expect("peak");
            Measured { seconds, peak_kb }
        })
        .collect();
    runs.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
    runs[RUNS / 2].clone()
}

/// Prints the job's seconds and this process's peak memory in kB (0 where the system does not tell).
fn measure(job: impl FnOnce()) {
    let since = Instant::now();
    job();
    let seconds = since.elapsed().as_secs_f64();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    let peak_kb = peak.and_then(|p| p.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0_u64);
    println!("{seconds} {peak_kb}");
}

/// The yardstick: every line into a value, and no more.
fn bare_parse(file: &Path) {
    let mut input = BufReader::with_capacity(1 << 18, File::open(file).expect("the capture"));
    let mut line = Vec::new();
    let mut members = 0;
    while input.read_until(b'\n', &mut line).expect("a line") > 0 {
        let value: sonic_rs::Value = sonic_rs::from_slice(&line).expect("JSON");
        members += sonic_rs::JsonContainerTrait::as_object(&value).map_or(0, |o| o.len());
        line.clear();
    }
    assert!(members > 0);
}

/// What `cutover replay` does, on one thread: read, hash, judge, conclude, write the reports' bytes.
fn replay(file: &Path) {
    let contract = Arc::new(parse("built-in", BUILTIN, &|_| None, false).expect("the built-in contract"));
    let csv = Arc::new(Mutex::new(FindingsCsv::new(Vec::new()).expect("findings")));
    let sink = Arc::clone(&csv);
    let write = move |f: &Finding| sink.lock().expect("findings").write(f).expect("a finding");
    let mut engine = Engine::new(contract, Box::new(write));
    let input = BufReader::with_capacity(1 << 18, File::open(file).expect("the capture"));
    let mut reader = Reader::new(input, ReaderOptions::default());
    while let Some(line) = reader.next() {
        let line = line.expect("a line");
        if engine.observe(&line.observation).is_err() {
            engine.observe(&decode_slow(line.text).expect("a line")).expect("a body");
        }
    }
    engine.finish();
    let provenance = Provenance { capture_sha256: vec![reader.sha256()], ..Provenance::default() };
    let outcome = conclude(&engine, provenance);
    assert!(outcome.features.iter().all(|f| f.measures.pairs > 0));
    let written = signoff::to_csv(&outcome).len() + json::to_json(&outcome).len();
    assert!(written > 0);
}

/// A session of 200 accounts with one position each, 5 symbols and 5 markets, with a fault in 500 messages:
/// about 400 bytes a line, as in captures of real sessions.
fn generate(file: &Path, minutes: i64) -> (u64, u64) {
    let from = Timestamp::parse_rfc3339("2025-12-19T14:30:00Z").expect("an instant");
    let mut options = SimulationOptions::new(from, Span::from_secs(minutes * 60));
    options.world.accounts = 200;
    options.world.positions = 1;
    options.world.symbols = 5;
    options.faults = vec![Fault::parse("value_mismatch:every=500").expect("a fault")];
    options.start = Start { capture: 1, tool: "bench".into(), contract: BUILTIN.into(), ..Start::default() };
    let mut writer = Writer::new(BufWriter::new(File::create(file).expect("the capture")));
    let mut line = String::new();
    Simulation::new(options).expect("the world").run(
        |observation| {
            line.clear();
            encode(observation, &mut line);
            writer.append(observation.at, &line).expect("a line");
        },
        |_| {},
    );
    let counts = (writer.lines(), writer.bytes());
    writer.finish().expect("the capture");
    counts
}
