//! What a contract will check, and how long that takes to prove: per feature and item of the checklist, how
//! much evidence it needs and how much market time that takes when both sides keep the promised intervals.
//!
//! Owns the arithmetic. It knows the contract and no run: nothing here was measured, and a verdict can only
//! come later than it says, never sooner with less evidence.

use super::of;
use crate::calendar::{CalendarKind, CalendarRule, SessionKind};
use crate::contract::{Align, Cadence, Contract, Feature, Field, Tolerance};
use crate::model::{Phase, Span};
use crate::stats::{anytime_clean_trials, clean_trials};

/// One-sided, as everywhere (SPEC §7).
pub const CONFIDENCE: f64 = 0.95;

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Assumed {
    /// Streams of each feature.
    pub streams: u64,
    /// The rate to be claimed, a fraction: 0.001.
    pub rate: f64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    pub assumed: Assumed,
    /// Clean pairs, ticks or messages that the claim needs.
    pub clean: u64,
    /// Clean pairs that `watch --until-proven` needs for it, because it looks all the time.
    pub until_proven: u64,
    pub features: Vec<FeaturePlan>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct FeaturePlan {
    pub name: String,
    pub align: Align,
    pub cadence: Cadence,
    pub interval: Span,
    pub poll: Span,
    pub calendar: String,
    /// Market time of an ordinary session.
    pub session: Span,
    pub key: Vec<String>,
    /// Fields that are held against each other, with their tolerance.
    pub compared: Vec<String>,
    /// Fields that the contract leaves out of the comparison.
    pub uncompared: Vec<String>,
    pub sums: Vec<String>,
    pub items: Vec<Item>,
    /// The pairs that `watch --until-proven` needs.
    pub until_proven: Wait,
}

/// An item of the checklist.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    pub check: &'static str,
    pub phase: Phase,
    /// What PASS needs at least: `10 pairs`.
    pub needs: String,
    pub judged: Wait,
    /// What the claim of the asked rate needs, where the item counts something.
    pub claim: Option<Claim>,
}

/// How long something takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Market time, from the start of the run.
    Market(Span),
    /// Full market sessions.
    Sessions(u64),
    /// As long as the world takes to do something: nobody can say.
    Unknown,
    /// Passes without evidence.
    Nothing,
}

/// So many of something, all clean, for the asked rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    pub unit: &'static str,
    pub needs: u64,
    /// By one stream alone, so that it holds for each.
    pub one: Wait,
    /// By all streams of the feature together, as the report counts them.
    pub all: Wait,
}

pub fn plan(contract: &Contract, assumed: Assumed) -> Plan {
    let clean = clean_trials(assumed.rate, CONFIDENCE);
    let until_proven = anytime_clean_trials(assumed.rate, CONFIDENCE);
    let outline = |feature| Outline { contract, feature, assumed, clean, until_proven };
    let features = contract.features.iter().map(|feature| outline(feature).plan());
    Plan { assumed, clean, until_proven, features: features.collect() }
}

impl FeaturePlan {
    /// When the last item of a phase can be judged; `None` where that depends on more than time.
    pub fn judged(&self, phase: Phase) -> Option<Span> {
        let waits = self.items.iter().filter(|item| item.phase == phase);
        waits.map(|item| self.market(item.judged)).try_fold(Span::ZERO, |most, wait| Some(most.max(wait?)))
    }

    /// When the claim holds for every item of the phase that can make it.
    pub fn claimed(&self, phase: Phase) -> Option<Span> {
        let claims = self.items.iter().filter(|item| item.phase == phase).filter_map(|item| item.claim);
        claims.map(|claim| self.market(claim.all)).try_fold(Span::ZERO, |most, wait| Some(most.max(wait?)))
    }

    /// When `watch --until-proven` of the phase ends, where all is clean.
    pub fn proven(&self, phase: Phase) -> Option<Span> {
        Some(self.judged(phase)?.max(self.market(self.until_proven)?))
    }

    fn market(&self, wait: Wait) -> Option<Span> {
        match wait {
            Wait::Market(span) => Some(span),
            Wait::Sessions(n) => Some(Span(self.session.0.saturating_mul(n as i64))),
            Wait::Nothing => Some(Span::ZERO),
            Wait::Unknown => None,
        }
    }

    /// Ordinary sessions that so much market time fills.
    pub fn sessions(&self, span: Span) -> f64 {
        span.as_secs_f64() / self.session.as_secs_f64()
    }
}

/// One feature while it is planned.
struct Outline<'c> {
    contract: &'c Contract,
    feature: &'c Feature,
    assumed: Assumed,
    clean: u64,
    until_proven: u64,
}

impl Outline<'_> {
    fn plan(&self) -> FeaturePlan {
        let f = self.feature;
        let rows = f.rows.iter().flat_map(|rows| &rows.fields);
        let named = |field: &Field, row: bool| match (row, f.rows.as_ref()) {
            (true, Some(rows)) => format!("{}[].{}", rows.at_rest.join("/"), field.name),
            _ => field.name.clone(),
        };
        let all = f.fields.iter().map(|field| (field, false)).chain(rows.map(|field| (field, true)));
        let (mut compared, mut uncompared) = (Vec::new(), Vec::new());
        for (field, row) in all {
            let keys = if row { f.rows.as_ref().map_or(&[][..], |rows| &rows.key) } else { &f.key[..] };
            let aligns = keys.contains(&field.name) || (!row && f.time.as_ref() == Some(&field.name));
            if aligns {
                continue;
            }
            let sided = [&field.rest, &field.ws].contains(&&crate::contract::Source::Absent);
            match field.compare && !sided {
                true => compared.push(format!("{}{}", named(field, row), within(&field.tolerance))),
                false => uncompared.push(named(field, row)),
            }
        }
        FeaturePlan {
            name: f.name.to_string(),
            align: f.align,
            cadence: f.cadence,
            interval: f.interval,
            poll: f.rest.poll,
            calendar: f.calendar.name.clone(),
            session: ordinary_session(&f.calendar),
            key: f.key.clone(),
            compared,
            uncompared,
            sums: f.invariants.iter().map(|sum| sum.text.clone()).collect(),
            items: of(f).map(|check| self.item(check.name, check.phase)).collect(),
            until_proven: self.pairs(self.until_proven, self.assumed.streams),
        }
    }

    fn item(&self, check: &'static str, phase: Phase) -> Item {
        let limits = &self.feature.limits;
        let periodic = self.feature.cadence == Cadence::Periodic;
        let sessions = Wait::Sessions(limits.sessions);
        let (needs, judged, claim) = match check {
            "messages-seen" => {
                let n = limits.min_messages;
                (format!("{} each", count(n, "message")), self.messages(n), None)
            }
            "interval-match" if !periodic => ("not applicable".into(), Wait::Nothing, None),
            "interval-match" => {
                (format!("{} each", count(limits.min_ticks, "tick")), self.messages(limits.min_ticks), None)
            }
            "required-fields" => {
                let n = limits.min_required_messages;
                let claim = self.claim("messages", |n, _| self.messages(n));
                (count(n, "message"), self.messages(n), Some(claim))
            }
            "no-drops" => ("a connection".into(), Wait::Market(self.feature.settle), None),
            "no-gaps" if !periodic => (count(limits.min_ticks, "REST version"), Wait::Unknown, None),
            "no-gaps" => {
                let n = limits.min_ticks;
                let claim = self.claim("ticks", |n, streams| self.messages(n.div_ceil(streams)));
                (format!("{} each", count(n, "tick")), self.messages(n), Some(claim))
            }
            "values-match" => {
                let n = limits.min_pairs;
                let claim = self.claim("pairs", |n, streams| self.pairs(n, streams));
                (count(n, "pair"), self.pairs(n, self.assumed.streams), Some(claim))
            }
            "resources-flat" => {
                (format!("{} each", count(limits.min_samples, "sample")), Wait::Unknown, None)
            }
            "websocket-only" => ("1 request".into(), Wait::Unknown, None),
            "logs-clean" => ("a log source".into(), Wait::Unknown, None),
            "prod-logs-clean" => ("a log source".into(), sessions, None),
            "sessions-covered" => (count(limits.sessions, "full session"), sessions, None),
            "rest-retired" => {
                let own = limits.retired.as_ref().and_then(|retired| retired.sessions);
                let n = own.unwrap_or(limits.sessions);
                (format!("{} unasked", count(n, "session")), Wait::Sessions(n), None)
            }
            "values-proven" => ("every change".into(), sessions, None),
            "signed-off" => match self.contract.reviewers.len() {
                0 => ("reviewers".into(), Wait::Unknown, None),
                n => (count(n as u64, "signature"), Wait::Unknown, None),
            },
            _ => (String::new(), Wait::Unknown, None),
        };
        Item { check, phase, needs, judged, claim }
    }

    fn claim(&self, unit: &'static str, wait: impl Fn(u64, u64) -> Wait) -> Claim {
        let needs = self.clean;
        Claim { unit, needs, one: wait(needs, 1), all: wait(needs, self.assumed.streams) }
    }

    /// `n` messages of one stream: the first comes within an interval, the last may be late by as much as is
    /// no gap.
    fn messages(&self, n: u64) -> Wait {
        match self.feature.cadence {
            Cadence::Periodic => self.market(self.feature.interval, n),
            Cadence::OnChange => Wait::Unknown,
        }
    }

    /// `n` pairs of so many streams.
    fn pairs(&self, n: u64, streams: u64) -> Wait {
        let f = self.feature;
        let periodic = f.cadence == Cadence::Periodic;
        let (every, head) = match f.align {
            // Each poll is held against the messages around it.
            Align::Arrival => (f.rest.poll, f.interval),
            _ if !periodic => return Wait::Unknown,
            // A version is paired once, however often it is polled, and one that no poll shows never.
            Align::Time => (f.interval.max(f.rest.poll), Span::ZERO),
            // The bucket in which the run begins may have been heard in part.
            Align::Bucket => (f.interval, f.interval),
        };
        match self.market(every, n.div_ceil(streams)) {
            Wait::Market(span) => Wait::Market(span + head),
            other => other,
        }
    }

    /// `n` steps of `every`, with the head that nothing is judged in and the wait for the last one.
    fn market(&self, every: Span, n: u64) -> Wait {
        let settle = self.feature.settle;
        let steps = every.0.saturating_mul(i64::try_from(n).unwrap_or(i64::MAX));
        Wait::Market(Span(steps.saturating_add((settle + every.half().max(settle)).0)))
    }
}

/// The market time of the calendar's latest regular session; of `24/7` a UTC day.
fn ordinary_session(calendar: &CalendarRule) -> Span {
    let CalendarKind::Sessions { sessions, .. } = &calendar.kind else { return Span::from_secs(86_400) };
    let regular = sessions.iter().rev().find(|session| session.kind == SessionKind::Regular);
    let open = regular.or(sessions.last()).map_or(&[][..], |session| &session.segments);
    open.iter().fold(Span::ZERO, |sum, (open, close)| sum + (*close - *open))
}

/// ` ±0.005`; nothing where values must be equal.
fn within(tolerance: &Tolerance) -> String {
    match tolerance {
        Tolerance::Exact => String::new(),
        Tolerance::Absolute(most) => format!(" ±{}", most.to_plain_string()),
        Tolerance::Relative(most) => {
            format!(" ±{} %", (most * bigdecimal::BigDecimal::from(100)).normalized().to_plain_string())
        }
        Tolerance::Time(most) if *most == Span::ZERO => String::new(),
        Tolerance::Time(most) => format!(" ±{most}"),
    }
}

fn count(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}
