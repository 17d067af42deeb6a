//! Owns `replay --truth LEDGER`: what was told held against what was really wrong. Reads the captures once
//! more for it, so that it knows when each finding was told; must not change the verdict.

use super::exit::WrongUse;
use crate::capture::{Reader, ReaderOptions, decode_slow};
use crate::contract::Contract;
use crate::engine::Engine;
use crate::model::{Event, Finding, Observation, Timestamp};
use crate::reference::{ClassScore, Covered, Score, Sights, Told, TruthEntry, parse_ledger, score};
use crate::source::open_capture;
use anyhow::Context;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

/// Missed entries and invented findings that the text lists; JSON has all of them.
const MAX_LISTED: usize = 20;

#[allow(clippy::disallowed_methods, reason = "the one place where ledgers are read")]
pub fn read_ledger(path: &Path) -> anyhow::Result<Vec<TruthEntry>> {
    let wrong =
        |problem: String| WrongUse(format!("could not read the ledger {}: {problem}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    Ok(parse_ledger(&text).map_err(|error| wrong(error.to_string()))?)
}

/// Judges the captures again and holds every finding against the ledger.
pub fn of(
    captures: &[PathBuf],
    contract: &Arc<Contract>,
    truth: &[TruthEntry],
    skip_damaged: bool,
) -> anyhow::Result<Score> {
    let told: Arc<Mutex<Vec<Told>>> = Arc::default();
    let now = Arc::new(AtomicI64::new(0));
    let (kept, clock) = (Arc::clone(&told), Arc::clone(&now));
    let sink = move |finding: &Finding| {
        let told_at = Timestamp(clock.load(Relaxed));
        kept.lock().unwrap_or_else(PoisonError::into_inner).push(Told { finding: finding.clone(), told_at });
    };
    let mut engine = Engine::new(Arc::clone(contract), Box::new(sink));
    let mut sights = Sights::default();
    for path in captures {
        fold(path, skip_damaged, &mut engine, &mut sights, &now)
            .with_context(|| format!("could not read {}", path.display()))?;
    }
    engine.finish();
    let outcome = crate::checks::conclude(&engine, crate::checks::Provenance::default());
    drop(engine);
    let Some((first, last)) = outcome.first.zip(outcome.last) else { return Ok(Score::default()) };
    let streams = outcome.features.iter().map(|f| f.measures.streams).collect();
    let told = std::mem::take(&mut *told.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(score(contract, truth, &told, &Covered { first, last, streams, sights }))
}

fn fold(
    path: &Path,
    skip_damaged: bool,
    engine: &mut Engine,
    sights: &mut Sights,
    now: &AtomicI64,
) -> anyhow::Result<()> {
    let mut reader = Reader::new(open_capture(path)?, ReaderOptions { skip_damaged });
    if let Some((at, start)) = reader.read_start()? {
        // A start has no body to be damaged.
        let _ = engine.observe(&Observation { at, event: Event::Start(Box::new(start)) });
    }
    while let Some(line) = reader.next() {
        let line = line?;
        now.store(line.observation.at.0, Relaxed);
        sights.note(&line.observation);
        if engine.observe(&line.observation).is_err()
            && let Ok(observation) = decode_slow(line.text)
        {
            // The first reading has told of damage already.
            let _ = engine.observe(&observation);
        }
    }
    engine.end_of_capture();
    Ok(())
}

/// What was found of what was injected, a line a class; then what was missed and what was invented.
pub fn to_text(score: &Score) -> String {
    let mut out = String::from("Against the ledger\n");
    let _ = writeln!(
        out,
        "  {:<18} {:>8} {:>5} {:>6} {:>8} {:>9} {:>10}  delay p50 / p95 / max",
        "class", "injected", "due", "found", "recall", "invented", "precision"
    );
    score.classes.iter().for_each(|class| row(&mut out, class.class.name(), class));
    let total = score.total();
    row(&mut out, "all", &total);
    if let Some(rate) = score.false_alarms_per_clean_stream_hour() {
        let hours = score.clean_stream_hours;
        let _ = writeln!(out, "  {rate} false alarms per clean stream-hour ({hours:.1} of them)");
    }
    if total.out_of_reach > 0 {
        let _ = writeln!(out, "  {} entries cannot be told of their feature", total.out_of_reach);
    }
    for entry in total.missed.iter().take(MAX_LISTED) {
        let _ = writeln!(out, "  missed    {}", entry.to_json());
    }
    for finding in total.invented.iter().take(MAX_LISTED) {
        let _ = writeln!(out, "  invented  {}", in_words(finding));
    }
    let more =
        total.missed.len().saturating_sub(MAX_LISTED) + total.invented.len().saturating_sub(MAX_LISTED);
    if more > 0 {
        let _ = writeln!(out, "  and {more} more; --format json lists all");
    }
    out
}

fn row(out: &mut String, name: &str, class: &ClassScore) {
    let percent = |part: Option<f64>| part.map_or("-".into(), |part| format!("{:.1} %", part * 100.0));
    let delay = |p| class.delay(p).map_or("-".to_string(), |d| format!("{:.1} s", d.as_secs_f64()));
    let _ = writeln!(
        out,
        "  {name:<18} {:>8} {:>5} {:>6} {:>8} {:>9} {:>10}  {} / {} / {}",
        class.injected,
        class.due,
        class.found,
        percent(class.recall()),
        class.invented.len(),
        percent(class.precision()),
        delay(50),
        delay(95),
        delay(100),
    );
}

fn in_words(finding: &Finding) -> String {
    let feature = finding.feature.as_deref().unwrap_or("");
    let parts = [&finding.at.to_string(), finding.class.name(), feature, &finding.stream, &finding.row];
    let parts = parts.into_iter().chain([&*finding.field, &*finding.detail]);
    parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// The same with every missed entry and invented finding; a delay in seconds, absent where nothing was found.
pub fn to_json(score: &Score) -> serde_json::Value {
    let total = score.total();
    let mut all = class_json(&total);
    all["class"] = serde_json::Value::Null;
    serde_json::json!({
        "classes": score.classes.iter().map(class_json).collect::<Vec<_>>(),
        "total": all,
        "clean_stream_hours": score.clean_stream_hours,
        "false_alarms": score.false_alarms,
        "false_alarms_per_clean_stream_hour": score.false_alarms_per_clean_stream_hour(),
    })
}

fn class_json(class: &ClassScore) -> serde_json::Value {
    let delay = |p| class.delay(p).map(|d| d.as_secs_f64());
    let entry = |e: &TruthEntry| serde_json::from_str(&e.to_json()).unwrap_or(serde_json::Value::Null);
    serde_json::json!({
        "class": class.class.name(),
        "injected": class.injected,
        "due": class.due,
        "found": class.found,
        "found_not_due": class.found_early,
        "out_of_reach": class.out_of_reach,
        "recall": class.recall(),
        "true_findings": class.true_findings,
        "precision": class.precision(),
        "delay_p50_s": delay(50),
        "delay_p95_s": delay(95),
        "delay_max_s": delay(100),
        "missed": class.missed.iter().map(entry).collect::<Vec<_>>(),
        "invented": class.invented.iter().map(in_words).collect::<Vec<_>>(),
    })
}
