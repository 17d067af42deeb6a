//! Owns the words around a verdict: the headline, and what to do next. Must not judge anew, and
//! must name only commands that exist.

use super::text::rounded;
use crate::contract::builtin_sha256;
use crate::model::{CheckResult, FeatureOutcome, Outcome, Phase, Span, Verdict};

/// One sentence each, the worst first; the first one is the verdict in words.
pub(super) fn headlines(outcome: &Outcome) -> Vec<String> {
    let asked: usize = outcome.features.iter().map(|f| asked(f).count()).sum();
    let total = outcome.features.len();
    let mut lines = Vec::new();
    for (verdict, one, many) in
        [(Verdict::Fail, "fails", "fail"), (Verdict::Inconclusive, "is not proven", "are not proven")]
    {
        let hit: Vec<_> = outcome.features.iter().filter(|f| with(f, verdict).next().is_some()).collect();
        if !hit.is_empty() {
            let names: Vec<_> = hit.iter().map(|f| format!("{} ({})", f.name, checks(f, verdict))).collect();
            let verb = if hit.len() == 1 { one } else { many };
            lines.push(format!("{} of {total} features {verb}: {}", hit.len(), names.join(", ")));
        }
    }
    if asked == 0 {
        lines.push("no check was asked, so nothing is proven".into());
    } else if lines.is_empty() && outcome.verdict == Verdict::Pass {
        lines.push(format!("{}, {}, all pass", plural(total, "feature"), plural(asked, "check")));
    } else if lines.is_empty() {
        lines.push("the run as a whole decides this verdict; see the remarks".into());
    }
    lines
}

/// The options by which `cutover watch` goes on as this run did, as far as the outcome tells: a contract that is not
/// built in has a file, which nobody recorded.
pub(crate) fn again(outcome: &Outcome) -> String {
    if outcome.contract_sha256 == builtin_sha256() { String::new() } else { " --contract FILE".into() }
}

/// What to do next, a step a line; `again` is written behind each `cutover watch`.
pub(super) fn steps(outcome: &Outcome, again: &str) -> Vec<String> {
    let watch = |features: &[&FeatureOutcome], duration| watch(outcome, again, features, duration);
    let mut steps = first_causes(outcome);
    for feature in &outcome.features {
        steps.extend(after_failures(feature));
    }
    let failed = names(outcome, Verdict::Fail);
    if !failed.is_empty() {
        steps.push("every finding stands in findings.csv; filter it by feature and class".into());
        steps.push(format!("after the repair: {}", watch(&failed, shortest(outcome, &failed))));
    }
    steps.extend(lacking(outcome));
    let unproven = names(outcome, Verdict::Inconclusive);
    if unproven.iter().any(|f| with(f, Verdict::Fail).next().is_none()) {
        steps.push(format!("watch longer: {}", watch(&unproven, longer(outcome, &unproven))));
    }
    if steps.is_empty() && outcome.verdict == Verdict::Pass {
        steps.extend(after_pass(outcome, again));
    }
    steps
}

/// The phases that any check was asked for.
pub(super) fn asked_phases(outcome: &Outcome) -> Vec<Phase> {
    let is_asked = |phase: &Phase| outcome.features.iter().flat_map(asked).any(|check| check.phase == *phase);
    Phase::ALL.into_iter().filter(is_asked).collect()
}

fn asked(feature: &FeatureOutcome) -> impl Iterator<Item = &CheckResult> {
    feature.checks.iter().filter(|check| check.verdict.is_some())
}

fn with(feature: &FeatureOutcome, verdict: Verdict) -> impl Iterator<Item = &CheckResult> {
    feature.checks.iter().filter(move |check| check.verdict == Some(verdict))
}

fn checks(feature: &FeatureOutcome, verdict: Verdict) -> String {
    let mut names: Vec<_> = with(feature, verdict).map(|check| check.check).collect();
    // One name may stand in two phases.
    let mut seen = Vec::new();
    names.retain(|name| {
        !seen.contains(name) && {
            seen.push(*name);
            true
        }
    });
    names.join(", ")
}

fn names(outcome: &Outcome, verdict: Verdict) -> Vec<&FeatureOutcome> {
    outcome.features.iter().filter(|f| with(f, verdict).next().is_some()).collect()
}

fn flag(feature: &FeatureOutcome) -> String {
    if feature.flag.is_empty() { format!("the stream of {}", feature.name) } else { feature.flag.clone() }
}

/// What a failure forbids, by phase.
fn after_failures(feature: &FeatureOutcome) -> Vec<String> {
    let in_phase = |phase| with(feature, Verdict::Fail).filter(move |c| c.phase == phase).map(|c| c.check);
    let mut steps = Vec::new();
    for phase in Phase::ALL {
        let failed: Vec<_> = in_phase(phase).collect();
        if failed.is_empty() {
            continue;
        }
        let because = format!("{} fails {}", feature.name, failed.join(", "));
        steps.push(match (phase, feature.flag_on) {
            (Phase::BeforeEnabling, Some(true)) => format!("turn {} off again: {because}", flag(feature)),
            (Phase::BeforeEnabling, _) => format!("do not enable {}: {because}", flag(feature)),
            (Phase::AfterEnabling, _) => format!("turn {} off again: {because}", flag(feature)),
            (Phase::BeforeDeleting, _) => format!("do not delete the REST polling: {because}"),
        });
    }
    steps
}

/// Where a feed told nothing at all, that comes before anything else.
fn first_causes(outcome: &Outcome) -> Vec<String> {
    let address = |feed: &str| {
        let known = outcome.feeds.iter().find(|(name, _)| name == feed);
        known.map(|(_, address)| format!(" {address}")).unwrap_or_default()
    };
    let all =
        |told: fn(&FeatureOutcome) -> bool| !outcome.features.is_empty() && outcome.features.iter().all(told);
    let mut causes = Vec::new();
    if all(|f| f.measures.rest_errors > 0 && f.measures.rest_records == 0) {
        let rest = address("rest");
        causes.push(format!("REST{rest} gave no record: check `base_url`, `headers` and `login` of [rest]"));
    }
    if outcome.connection.opens == 0 && outcome.connection.errors > 0 {
        let ws = address("ws");
        causes.push(format!("the WebSocket{ws} was never open: check `url` and `headers` of [ws]"));
    } else if outcome.connection.opens > 0 && all(|f| f.measures.ws_messages == 0) {
        let ws = address("ws");
        causes.push(format!(
            "the WebSocket{ws} was open and no feature's message came: check `subscribe` and `type` of [ws], and \
             each feature's `ws`"
        ));
    }
    causes
}

/// What checks lack, and of which features.
struct Lack<'a> {
    why: &'a str,
    phase: Phase,
    checks: Vec<&'static str>,
    features: Vec<&'a str>,
}

/// What is lacking for a verdict: one cause, one line, however many checks and features wait for it.
fn lacking(outcome: &Outcome) -> Vec<String> {
    let mut lacks: Vec<Lack<'_>> = Vec::new();
    for lack in outcome.features.iter().flat_map(lacks_of) {
        let same = |known: &&mut Lack<'_>| {
            (known.why, known.phase, &known.checks) == (lack.why, lack.phase, &lack.checks)
        };
        match lacks.iter_mut().find(same) {
            Some(known) => known.features.extend(lack.features),
            None => lacks.push(lack),
        }
    }
    lacks.iter().map(|lack| told(lack, outcome.features.len())).collect()
}

fn lacks_of(feature: &FeatureOutcome) -> Vec<Lack<'_>> {
    let mut lacks: Vec<Lack<'_>> = Vec::new();
    for check in with(feature, Verdict::Inconclusive) {
        let why = if check.note.is_empty() { &check.observed } else { &check.note };
        match lacks.iter_mut().find(|lack| lack.why == why && lack.phase == check.phase) {
            Some(known) => known.checks.push(check.check),
            None => {
                lacks.push(Lack {
                    why,
                    phase: check.phase,
                    checks: vec![check.check],
                    features: vec![&feature.name],
                });
            }
        }
    }
    lacks
}

fn told(lack: &Lack<'_>, features: usize) -> String {
    let whole = lack.features.len() == features && features > 1;
    let whose = if whole { "all features".into() } else { lack.features.join(", ") };
    let verb = if lack.features.len() * lack.checks.len() == 1 { "lacks" } else { "lack" };
    format!("{whose} / {} ({}) {verb} evidence: {}", lack.checks.join(", "), lack.phase.name(), lack.why)
}

/// The command that watches just these features.
fn watch(outcome: &Outcome, again: &str, features: &[&FeatureOutcome], duration: Span) -> String {
    let mut command = format!("cutover watch{again}");
    if features.len() < outcome.features.len() {
        for feature in features {
            command.push_str(&format!(" --feature {}", feature.name));
        }
    }
    format!("{command} --for {duration}")
}

/// Twelve intervals of the slowest feature: enough for every minimum, with a head and a tail.
fn shortest(_: &Outcome, features: &[&FeatureOutcome]) -> Span {
    let interval = features.iter().map(|f| f.interval).max().unwrap_or_default();
    whole_minutes(interval * 12)
}

/// The shortest useful run, and at least twice as long as the one that was too short.
fn longer(outcome: &Outcome, features: &[&FeatureOutcome]) -> Span {
    let watched = match (outcome.first, outcome.last) {
        (Some(first), Some(last)) => last - first,
        _ => Span::ZERO,
    };
    whole_minutes(watched * 2).max(shortest(outcome, features))
}

fn whole_minutes(span: Span) -> Span {
    const MINUTE: i64 = 60_000_000_000;
    Span((span.0.max(1).saturating_add(MINUTE - 1) / MINUTE).saturating_mul(MINUTE))
}

fn after_pass(outcome: &Outcome, again: &str) -> Vec<String> {
    let phase = asked_phases(outcome).last().copied();
    let first = outcome.features.iter().find(|f| f.flag_on != Some(true) && !f.flag.is_empty());
    let mut steps = vec!["have signoff.csv reviewed and signed (columns reviewer, signed_at)".to_string()];
    match (phase, first) {
        (Some(Phase::BeforeEnabling), Some(feature)) => {
            steps.push(format!("enable one flag at a time, first {}", feature.flag));
            steps.push(format!(
                "then: cutover watch{again} --feature {} --phase after-enabling --for {}",
                feature.name,
                whole_minutes(feature.interval * 12)
            ));
        }
        (Some(Phase::BeforeEnabling | Phase::AfterEnabling), _) => {
            steps.push("watch whole market sessions before the REST polling is deleted".into());
        }
        _ => steps.push("the REST polling of these features may be deleted".into()),
    }
    steps
}

/// A freshness gain in words: `2.95s sooner`, `371ms later`.
pub(in crate::report) fn sooner(gain: Span) -> String {
    format!("{} {}", rounded(gain.abs()), if gain.0 < 0 { "later" } else { "sooner" })
}

/// `1 feature`, `2 features`, `1,204 pairs`.
pub(super) fn plural(count: usize, noun: &str) -> String {
    format!("{} {noun}{}", thousands(count as u64), if count == 1 { "" } else { "s" })
}

/// `1204` as `1,204`.
pub(super) fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn a_failure_forbids_and_says_what_then() {
        let outcome = sample::failing();
        assert_eq!(
            headlines(&outcome),
            [
                "1 of 4 features fails: positions (values-match)",
                "1 of 4 features is not proven: intraday_bar (interval-match)"
            ]
        );
        assert_eq!(
            steps(&outcome, ""),
            [
                "do not enable WS_FEATURE_POSITIONS: positions fails values-match",
                "every finding stands in findings.csv; filter it by feature and class",
                "after the repair: cutover watch --feature positions --for 2m",
                "intraday_bar / interval-match (before-enabling) lacks evidence: needs 5 ticks a stream; the \
                 fewest is 3 (country=USA,symbol=SPY)",
                "watch longer: cutover watch --feature intraday_bar --for 20m",
            ]
        );
    }

    #[test]
    fn a_failing_flag_that_is_on_goes_off() {
        let mut outcome = sample::failing();
        outcome.features[1].flag_on = Some(true);
        assert!(steps(&outcome, "")[0].starts_with("turn WS_FEATURE_POSITIONS off again"));
    }

    #[test]
    fn a_pass_names_the_next_phase() {
        let told = steps(&sample::passing(), " --contract a.toml");
        assert!(
            told[2].starts_with("then: cutover watch --contract a.toml --feature account_balance --phase")
        );
        let steps = steps(&sample::passing(), "");
        assert!(steps[1].ends_with("first WS_FEATURE_ACCOUNT_BALANCE"));
        assert_eq!(steps[2], "then: cutover watch --feature account_balance --phase after-enabling --for 2m");
    }

    #[test]
    fn nothing_asked_proves_nothing() {
        let mut outcome = sample::passing();
        outcome.features.clear();
        outcome.verdict = Verdict::Inconclusive;
        assert_eq!(headlines(&outcome), ["no check was asked, so nothing is proven"]);
        assert_eq!(steps(&outcome, ""), Vec::<String>::new());
    }

    #[test]
    fn one_cause_is_told_once() {
        let mut outcome = sample::passing();
        for feature in &mut outcome.features {
            for check in feature.checks.iter_mut().filter(|c| ["no-gaps", "no-drops"].contains(&c.check)) {
                (check.verdict, check.note) = (Some(Verdict::Inconclusive), "REST showed no stream".into());
            }
        }
        outcome.features[1].checks[0].verdict = Some(Verdict::Inconclusive);
        outcome.features[1].checks[0].note = "too short".into();
        let steps = steps(&outcome, "");
        assert_eq!(
            steps[..2],
            [
                "all features / no-drops, no-gaps (before-enabling) lack evidence: REST showed no stream",
                "positions / messages-seen (before-enabling) lacks evidence: too short",
            ]
        );
        assert_eq!(steps.len(), 3, "{steps:?}");
    }

    #[test]
    fn a_feed_that_told_nothing_comes_first() {
        let mut outcome = sample::passing();
        outcome.verdict = Verdict::Fail;
        (outcome.connection.opens, outcome.connection.errors) = (0, 3);
        for feature in &mut outcome.features {
            (feature.measures.rest_errors, feature.measures.rest_records) = (5, 0);
        }
        let told = steps(&outcome, "");
        assert!(told[0].starts_with("REST") && told[0].contains("`base_url`"), "{told:?}");
        assert!(told[1].starts_with("the WebSocket") && told[1].contains("never open"), "{told:?}");
        outcome.connection.opens = 1;
        outcome.features.iter_mut().for_each(|f| f.measures.ws_messages = 0);
        assert!(steps(&outcome, "")[1].contains("was open and no feature's message came"));
    }

    #[test]
    fn counts_read_easily() {
        assert_eq!((thousands(0), thousands(999)), ("0".into(), "999".into()));
        assert_eq!((thousands(1204), thousands(1_234_567)), ("1,204".into(), "1,234,567".into()));
        assert_eq!((plural(1, "check"), plural(24, "check")), ("1 check".into(), "24 checks".into()));
    }
}
