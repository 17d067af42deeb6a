//! How fast a recorded session is judged, and in how much memory: `cutover replay` with all checks and
//! reports against a bare sonic-rs parse of the same file (every line into a `Value`) on one core.
//!
//! ```text
//! cargo bench --bench replay                 both styles, about 1 million lines; memory at 1 and 10 million
//! cargo bench --bench replay -- --quick      speed alone
//! cargo bench --bench replay -- --long       memory at 20 million lines too
//! ```
//!
//! Two styles of capture are measured. `alike`: both servers format alike, so that most pairs of records are
//! equal byte for byte. `unlike`: REST has its members in another order and its numbers trimmed, so that no
//! two are. Each run is a process of its own; the three commands take turns, and what is printed is the median
//! of the ratios of those that ran one after another, because machines are noisy. `wall` is elapsed time,
//! `cpu` the processors' time of all threads.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "a bench reads clocks and files")]

use cutover::capture::{Writer, encode};
use cutover::contract::BUILTIN;
use cutover::model::{Event, Observation, Payload, Span, Start, Timestamp};
use cutover::reference::{Fault, Simulation, SimulationOptions};
use cutover::source::create_capture;
use std::borrow::Cow;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

/// Rounds of the three commands.
const ROUNDS: usize = 5;
/// Minutes of a session of about a million lines.
const MINUTES: i64 = 390;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["parse", file] => measure(|| bare_parse(Path::new(file))),
        // The arguments of this process are a command line of `cutover`.
        ["replay", ..] => measure(cutover::cli::main),
        ["generate", style, file] => drop(generate(Path::new(file), MINUTES, *style == "unlike")),
        flags => compare(flags),
    }
    ExitCode::SUCCESS
}

/// Generates the captures and runs the commands.
fn compare(flags: &[&str]) {
    let folder = tempfile::tempdir().expect("a folder for the captures");
    let file = folder.path().join("capture.jsonl");
    for style in ["alike", "unlike"] {
        let (lines, bytes) = generate(&file, MINUTES, style == "unlike");
        println!("{style}: {lines} lines, {} MB", bytes / 1_000_000);
        compare_speed(&file, lines);
        std::fs::remove_file(&file).expect("the capture to go");
    }
    let times: &[i64] = match flags {
        ["--quick"] => &[],
        ["--long"] => &[1, 10, 20],
        _ => &[1, 10],
    };
    let file = folder.path().join("capture.jsonl.zst");
    for times in times {
        let (lines, _) = generate(&file, MINUTES * times, false);
        let peak = run(&file, Job::Replay { threads: 2 }).peak_kb;
        println!("peak memory of {lines} lines on two threads: {} MB", peak / 1024);
        std::fs::remove_file(&file).expect("the capture to go");
    }
}

fn compare_speed(file: &Path, lines: u64) {
    let jobs = [Job::Parse, Job::Replay { threads: 1 }, Job::Replay { threads: 2 }];
    let rounds: Vec<[Measured; 3]> = (0..ROUNDS).map(|_| jobs.map(|job| run(file, job))).collect();
    for (i, name) in ["bare parse", "replay, 1 thread", "replay, 2 threads"].into_iter().enumerate() {
        let middle = |figure: &dyn Fn(&[Measured; 3]) -> f64| {
            let mut all: Vec<f64> = rounds.iter().map(figure).collect();
            all.sort_by(f64::total_cmp);
            all[all.len() / 2]
        };
        let seconds = middle(&|round| round[i].wall_s);
        let peak = rounds.iter().map(|round| round[i].peak_kb).max().unwrap_or(0);
        let wall = middle(&|round| round[i].wall_s / round[0].wall_s);
        let cpu = middle(&|round| round[i].cpu_s / round[0].cpu_s);
        let rate = lines as f64 / seconds;
        print!("  {name:<18} {seconds:>6.2} s {rate:>9.0} lines/s {:>4} MB peak", peak / 1024);
        println!("   ratio: wall {wall:.2}, cpu {cpu:.2}");
    }
}

#[derive(Debug, Clone, Copy)]
enum Job {
    Parse,
    Replay { threads: usize },
}

#[derive(Debug, Clone, Copy)]
struct Measured {
    wall_s: f64,
    cpu_s: f64,
    peak_kb: u64,
}

/// Runs a job in a process of its own; the figures are the last line that it prints.
fn run(file: &Path, job: Job) -> Measured {
    let program: PathBuf = std::env::current_exe().expect("this program");
    let reports = file.with_file_name("reports");
    let mut command = Command::new(program);
    match job {
        Job::Parse => command.arg("parse").arg(file),
        Job::Replay { threads } => command
            .arg("replay")
            .arg(file)
            .args(["--quiet", "--threads", &threads.to_string(), "--report-dir"])
            .arg(&reports),
    };
    let output = command.output().expect("a run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    if let Job::Replay { .. } = job {
        let report = std::fs::read_to_string(reports.join("signoff.csv")).expect("the report");
        assert!(report.contains("values-match"), "{report}");
    }
    let text = String::from_utf8(output.stdout).expect("figures");
    let figures: Vec<&str> = text.lines().last().expect("figures").split_whitespace().collect();
    let [wall, cpu, peak] = figures.as_slice() else { panic!("no figures in {text}") };
    Measured {
        wall_s: wall.parse().expect("seconds"),
        cpu_s: cpu.parse().expect("seconds"),
        peak_kb: peak.parse().expect("peak"),
    }
}

/// Prints the job's seconds, its processor seconds, and this process's peak memory in kB. The system tells the
/// latter two under /proc; elsewhere they are 0.
fn measure<T>(job: impl FnOnce() -> T) {
    let since = Instant::now();
    job();
    let wall_s = since.elapsed().as_secs_f64();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    let peak_kb = peak.and_then(|p| p.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0_u64);
    // Behind the name in parentheses: user and system time are the 12th and 13th, in hundredths of a second.
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let (_, after) = stat.rsplit_once(')').unwrap_or_default();
    let cpu: f64 = after.split_whitespace().skip(11).take(2).filter_map(|t| t.parse::<f64>().ok()).sum();
    println!("\n{wall_s} {} {peak_kb}", cpu / 100.0);
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

/// A session of 200 accounts with one position each, 5 symbols and 5 markets, with a fault in 500 messages:
/// about 400 bytes a line, as in captures of real sessions.
fn generate(file: &Path, minutes: i64, unlike: bool) -> (u64, u64) {
    let from = Timestamp::parse_rfc3339("2025-12-19T14:30:00Z").expect("an instant");
    let mut options = SimulationOptions::new(from, Span::from_secs(minutes * 60));
    options.world.accounts = 200;
    options.world.positions = 1;
    options.world.symbols = 5;
    options.faults = vec![Fault::parse("value_mismatch:every=500").expect("a fault")];
    options.start = Start { capture: 1, tool: "bench".into(), contract: BUILTIN.into(), ..Start::default() };
    let mut writer = Writer::new(create_capture(file).expect("the capture"));
    let mut line = String::new();
    Simulation::new(options).expect("the world").run(
        |observation| {
            line.clear();
            match unlike.then(|| restyled(observation)).flatten() {
                Some(other) => encode(&other, &mut line),
                None => encode(observation, &mut line),
            }
            writer.append(observation.at, &line).expect("a line");
        },
        |_| {},
    );
    let counts = (writer.lines(), writer.bytes());
    writer.finish().expect("the capture").finish().expect("the capture");
    counts
}

/// REST's answers with their members sorted by name and their numbers trimmed.
fn restyled<'o>(observation: &Observation<'o>) -> Option<Observation<'o>> {
    let mut other = observation.clone();
    let Event::Rest { payload: Payload::Json { text, .. }, bytes, .. } = &mut other.event else {
        return None;
    };
    let value: serde_json::Value = serde_json::from_str(text).expect("JSON");
    *text = Cow::Owned(value.to_string());
    *bytes = text.len() as u64;
    Some(other)
}
