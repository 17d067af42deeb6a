//! Runs written down as scripts: what was seen when, in seconds after the start; what followed.
#![allow(dead_code)]

use cutover::capture::{Blocks, CaptureError, ReaderOptions, Sequence, Writer, encode};
use cutover::checks::{Provenance, conclude};
use cutover::contract::{Contract, parse};
use cutover::engine::{Batch, Engine};
use cutover::model::{
    Class, ClosedBy, EndReason, Event, Finding, Observation, Outcome, Payload, Severity, Start, Timestamp,
    Verdict,
};
use cutover::source::ahead::read_ahead;
use std::borrow::Cow;
use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

const READERS: NonZeroUsize = NonZeroUsize::new(2).unwrap();
/// 2025-12-19T14:30:00Z
pub const START: i64 = 1_766_154_600_000_000_000;

pub fn at(seconds: f64) -> Timestamp {
    Timestamp(START + (seconds * 1e6).round() as i64 * 1_000)
}

/// The instant as servers write it.
pub fn stamp(seconds: f64) -> String {
    at(seconds).to_string()
}

pub fn contract(text: &str) -> Arc<Contract> {
    let parsed = parse("test.toml", text, &|_| None, false);
    Arc::new(
        parsed.unwrap_or_else(|errors| panic!("{}", errors.iter().map(|e| e.render()).collect::<String>())),
    )
}

/// The head that every test contract shares.
pub const HEAD: &str = r#"
version = 1
[rest]
base_url = "http://127.0.0.1:1"
timeout = "5s"
[ws]
url = "ws://127.0.0.1:1/ws"
type = "/type"
ignore_types = ["heartbeat"]
[market]
calendar = "24/7"
[timing]
settle = "2s"
"#;

/// One feature of alignment `time`: a balance every ten seconds.
pub const BALANCE: &str = r#"
[[feature]]
name = "balance"
flag = "WS_FEATURE_BALANCE"
align = "time"
interval = "10s"
key = ["id"]
time = "ts"
rest = { path = "/b", poll = "10s", records = "/accounts" }
ws = { type = "balance", records = "/data" }
[feature.fields]
id = { type = "integer" }
cash = { type = "decimal", tolerance = "0.005" }
ts = { type = "timestamp" }
"#;

pub struct Script {
    contract: Arc<Contract>,
    events: Vec<(Timestamp, u64, Event<'static>)>,
    flags: Vec<(String, bool)>,
    /// Seconds of the `start` line.
    begins: f64,
}

pub struct Told {
    pub findings: Vec<Finding>,
    /// The `at` of the observation at which each was told.
    pub told_at: Vec<Timestamp>,
    pub outcome: Outcome,
}

impl Script {
    pub fn new(contract: &Arc<Contract>) -> Script {
        Script { contract: contract.clone(), events: Vec::new(), flags: Vec::new(), begins: 0.0 }
    }

    pub fn event(&mut self, seconds: f64, event: Event<'static>) -> &mut Script {
        let sequence = self.events.len() as u64;
        self.events.push((at(seconds), sequence, event));
        self
    }

    pub fn open(&mut self, seconds: f64) -> &mut Script {
        self.event(seconds, Event::WsOpen { conn: 0 })
    }

    pub fn close(&mut self, seconds: f64, by: ClosedBy) -> &mut Script {
        self.event(seconds, Event::WsClose { conn: 0, code: 1006, reason: Cow::Borrowed(""), by })
    }

    pub fn ws(&mut self, seconds: f64, body: impl Into<String>) -> &mut Script {
        let text: String = body.into();
        let payload = Payload::Json { text: text.clone().into(), binary: false };
        self.event(seconds, Event::Ws { conn: 0, bytes: text.len() as u64, payload })
    }

    pub fn ws_text(&mut self, seconds: f64, text: &str) -> &mut Script {
        let payload = Payload::Text(text.to_string().into());
        self.event(seconds, Event::Ws { conn: 0, bytes: text.len() as u64, payload })
    }

    /// A poll sent and answered.
    pub fn rest(
        &mut self,
        sent: f64,
        received: f64,
        feature: &'static str,
        body: impl Into<String>,
    ) -> &mut Script {
        self.rest_with(sent, received, feature, "{}", body)
    }

    pub fn rest_with(
        &mut self,
        sent: f64,
        received: f64,
        feature: &'static str,
        params: &'static str,
        body: impl Into<String>,
    ) -> &mut Script {
        let text: String = body.into();
        let event = Event::Rest {
            sent_at: at(sent),
            feature: feature.into(),
            params: params.into(),
            status: 200,
            bytes: text.len() as u64,
            payload: Payload::Json { text: text.into(), binary: false },
        };
        self.event(received, event)
    }

    pub fn end(&mut self, seconds: f64) -> &mut Script {
        self.event(seconds, Event::End { reason: EndReason::Done })
    }

    pub fn flag(&mut self, name: &str, on: bool) -> &mut Script {
        self.flags.push((name.to_string(), on));
        self
    }

    /// When the run begins, unless something was seen before it.
    pub fn begins(&mut self, seconds: f64) -> &mut Script {
        self.begins = seconds;
        self
    }

    /// Takes back what was written down last.
    pub fn drop_last(&mut self) -> &mut Script {
        self.events.pop();
        self
    }

    pub fn contract(&self) -> &Arc<Contract> {
        &self.contract
    }

    pub fn observations(&self) -> Vec<Observation<'static>> {
        let mut events = self.events.clone();
        events.sort_by_key(|(at, sequence, _)| (*at, *sequence));
        let start =
            Start { capture: 1, tool: "cutover test".into(), flags: self.flags.clone(), ..Start::default() };
        let mut begins = Some(events.first().map_or(at(self.begins), |e| e.0.min(at(self.begins))));
        let mut observations = Vec::new();
        for (at, _, event) in events {
            let ends = matches!(event, Event::End { .. });
            if let Some(first) = begins.take() {
                let event = Event::Start(Box::new(start.clone()));
                observations.push(Observation { at: first.min(at), event });
            }
            observations.push(Observation { at, event });
            // What follows an end is another capture.
            begins = ends.then_some(Timestamp::MAX);
        }
        observations
    }

    /// Runs it; and runs it again with `advance` called between all observations, and as a capture of which whole
    /// blocks are read before any line is judged. Neither may change anything.
    pub fn run(&self) -> Told {
        let observations = self.observations();
        let told = fold(&self.contract, &observations, false);
        let again = fold(&self.contract, &observations, true);
        assert_eq!(told.findings, again.findings, "advance changed the findings");
        assert_eq!(told.outcome, again.outcome, "advance changed the outcome");
        let again = replayed(&self.contract, &observations);
        assert_eq!(told.findings, again.findings, "the replay changed the findings");
        assert_eq!(told.outcome, again.outcome, "the replay changed the outcome");
        told
    }
}

/// The observations as lines of a capture.
pub fn recorded(observations: &[Observation<'_>]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    let mut line = String::new();
    for observation in observations {
        line.clear();
        encode(observation, &mut line);
        writer.append(observation.at, &line).unwrap();
    }
    writer.finish().unwrap()
}

/// As captures, each up to its end, that are read on another thread than they are judged on.
fn replayed(contract: &Arc<Contract>, observations: &[Observation<'_>]) -> Told {
    told(contract, |engine| {
        let plan = engine.plan().clone();
        for run in observations.split_inclusive(|seen| matches!(seen.event, Event::End { .. })) {
            let capture = recorded(run);
            let (mut blocks, mut sequence) =
                (Blocks::new(&*capture), Sequence::new(ReaderOptions::default()));
            let fold =
                |batch: &mut Batch| batch.fold(&mut sequence, engine, |_, _| Ok::<(), CaptureError>(()));
            read_ahead(&mut blocks, VecDeque::new(), &plan, READERS, fold).unwrap();
        }
    })
}

pub fn fold(contract: &Arc<Contract>, observations: &[Observation<'_>], advance: bool) -> Told {
    told_by_the_clock(contract, |engine, now| {
        let mut before: Option<Timestamp> = None;
        for observation in observations {
            if let (true, Some(before)) = (advance, before) {
                for part in 1..=3 {
                    engine.advance(Timestamp(before.0 + (observation.at.0 - before.0) / 3 * part));
                }
                engine.advance(observation.at);
            }
            now.store(observation.at.0, Relaxed);
            engine.observe(observation).unwrap();
            before = Some(observation.at);
        }
    })
}

/// What an engine says that was fed so.
pub fn told(contract: &Arc<Contract>, feed: impl FnOnce(&mut Engine)) -> Told {
    told_by_the_clock(contract, |engine, _| feed(engine))
}

/// As [`told`]; the feed says what time it is, for `told_at`.
fn told_by_the_clock(contract: &Arc<Contract>, feed: impl FnOnce(&mut Engine, &AtomicI64)) -> Told {
    let findings = Arc::new(Mutex::new(Vec::new()));
    let now = Arc::new(AtomicI64::new(0));
    let (kept, clock) = (findings.clone(), now.clone());
    let sink = move |f: &Finding| kept.lock().unwrap().push((f.clone(), Timestamp(clock.load(Relaxed))));
    let mut engine = Engine::new(contract.clone(), Box::new(sink));
    feed(&mut engine, &now);
    engine.finish();
    let outcome = conclude(&engine, Provenance { tool: "cutover test".into(), ..Provenance::default() });
    drop(engine);
    let (findings, told_at) = std::mem::take(&mut *findings.lock().unwrap()).into_iter().unzip();
    Told { findings, told_at, outcome }
}

impl Told {
    /// `class stream row field` of each finding above info, in order.
    pub fn lines(&self) -> Vec<String> {
        self.at_least(Severity::Warn)
    }

    pub fn at_least(&self, severity: Severity) -> Vec<String> {
        let line = |f: &Finding| {
            [f.class.name(), &f.stream, &f.row, &f.field]
                .iter()
                .filter(|p| !p.is_empty())
                .copied()
                .collect::<Vec<_>>()
                .join(" ")
        };
        self.findings.iter().filter(|f| f.severity >= severity).map(line).collect()
    }

    pub fn count(&self, class: Class) -> usize {
        self.findings.iter().filter(|f| f.class == class).count()
    }

    pub fn first(&self, class: Class) -> &Finding {
        self.findings
            .iter()
            .find(|f| f.class == class)
            .unwrap_or_else(|| panic!("no {class} in {:?}", self.lines()))
    }

    /// The verdict of one check of the only feature.
    pub fn verdict(&self, check: &str) -> Verdict {
        let result = self.outcome.features[0].checks.iter().find(|c| c.check == check && c.verdict.is_some());
        result.and_then(|c| c.verdict).unwrap_or_else(|| panic!("{check} was not asked"))
    }
}
