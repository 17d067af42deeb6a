//! What stands on a page beside the feeds: a process's resources over time, and what a drill found.

use super::browser::Browser;
use super::nothing_else_was_asked_for;
use cutover::capture::encode;
use cutover::model::{Event, Observation, Timestamp};
use cutover::report::html;
use std::path::Path;
use std::process::Command;

fn run(folder: &Path, words: &[&str]) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cutover"));
    let out = command.current_dir(folder).args(words).output().unwrap();
    assert!(out.status.success(), "{words:?}\n{}", String::from_utf8_lossy(&out.stderr));
}

/// A clean quarter of an hour with a sample of two processes each ten seconds.
fn capture_with_samples(folder: &Path) {
    run(folder, &["simulate", "plain.jsonl", "--for", "15m", "--seed", "3", "-q"]);
    let plain = std::fs::read_to_string(folder.join("plain.jsonl")).unwrap();
    let mut woven = String::new();
    let (mut due, mut count) = (None, 0_u32);
    for line in plain.lines() {
        let read: serde_json::Value = serde_json::from_str(line).unwrap();
        let at = Timestamp::parse_rfc3339(read["at"].as_str().unwrap()).unwrap();
        let mut next = due.unwrap_or(Timestamp(at.0 + 1_000_000_000));
        while next < at {
            for (process, mib) in [("backend", 200), ("<b>worker</b>", 80)] {
                let rss_bytes = (mib << 20) + u64::from(count % 7) * 65_536;
                let event =
                    Event::Sample { process: process.into(), cpu_seconds: f64::from(count), rss_bytes };
                let mut text = String::new();
                encode(&Observation { at: next, event }, &mut text);
                woven.push_str(text.trim_end());
                woven.push('\n');
            }
            count += 1;
            next = Timestamp(next.0 + 10_000_000_000);
        }
        due = Some(next);
        woven.push_str(line);
        woven.push('\n');
    }
    assert!(count > 60, "{count} samples");
    std::fs::write(folder.join("capture.jsonl"), woven).unwrap();
}

#[test]
fn resources_and_the_drill_stand_on_the_page() {
    let Some(mut page) = Browser::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    capture_with_samples(folder.path());
    let words = ["--feature", "positions", "--class", "value_mismatch", "--places", "1", "--report-dir", "r"];
    run(folder.path(), &[&["drill", "capture.jsonl", "-q"][..], &words].concat());
    page.width(1280);
    page.open_file(&folder.path().join("r").join(html::FILE));

    let heads = page.value("[...document.querySelectorAll('h2')].map(h => h.textContent).join('|')");
    let heads = heads.as_str().unwrap();
    assert!(heads.contains("|Resources|Drill: what the gate can see|"), "{heads}");
    // A line for processor and memory of each process, from edge to edge.
    let lines = "[...document.querySelectorAll('figure:not(.drift) path.trace')].filter(p => p.getBBox().width > 990)";
    assert_eq!(page.value(&format!("{lines}.length")), 4);
    let shown = format!("{lines}.every(p => p.getBoundingClientRect().width > 200)");
    assert_eq!(page.value(&shown), true);
    let named = "[...document.querySelectorAll('h3')].some(h => h.textContent.startsWith('<b>worker</b> ('))";
    assert_eq!(page.value(named), true);
    // The drill's table: each line in full.
    let rows = "[...document.querySelectorAll('#drill tbody tr')]";
    assert_ne!(page.value(&format!("{rows}.length")), 0);
    let told = format!(
        "{rows}.every(r => r.cells.length === 7 && r.cells[0].textContent === 'positions' && \
         r.cells[1].textContent === 'value_mismatch' && r.cells[5].textContent)"
    );
    assert_eq!(page.value(&told), true);
    let caught = format!("{rows}.some(r => r.cells[5].textContent === 'caught')");
    assert_eq!(page.value(&caught), true);
    // On a phone the table scrolls in its own frame, the page does not.
    page.width(360);
    assert_eq!(page.value("document.documentElement.scrollWidth"), 360);
    nothing_else_was_asked_for(&page);
}
