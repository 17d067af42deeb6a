use super::*;
use crate::report::sample;

const ALL: [Phase; 3] = Phase::ALL;

/// A run on a day of December 2025, ten minutes of the session by default, with a capture of its own.
fn run(day: u32, from: Outcome) -> Outcome {
    let later = Span::from_secs(i64::from(day) * 86_400);
    let mut run = Outcome {
        capture_sha256: vec![format!("capture {day}")],
        first: from.first.map(|t| t + later),
        last: from.last.map(|t| t + later),
        ..from
    };
    for session in run.features.iter_mut().flat_map(|f| &mut f.sessions) {
        session.day += i64::from(day);
    }
    run
}

fn whole(mut run: Outcome) -> Outcome {
    for session in run.features.iter_mut().flat_map(|f| &mut f.sessions) {
        session.covered = session.length;
    }
    run
}

fn check<'o>(outcome: &'o Outcome, feature: &str, phase: Phase, name: &str) -> &'o CheckResult {
    let feature = outcome.features.iter().find(|f| *f.name == *feature).unwrap();
    feature.checks.iter().find(|c| c.check == name && c.phase == phase).unwrap()
}

#[test]
fn one_run_says_what_it_said() {
    let one = run(0, sample::failing());
    let merged = merge(std::slice::from_ref(&one), &[Phase::BeforeEnabling]).unwrap();
    assert_eq!(merged.verdict, Verdict::Fail);
    for feature in &one.features {
        for before in feature.checks.iter().filter(|c| c.phase == Phase::BeforeEnabling) {
            let after = check(&merged, &feature.name, before.phase, before.check);
            assert_eq!((after.verdict, &after.observed), (before.verdict, &before.observed));
            assert_eq!((&after.evidence, &after.note), (&before.evidence, &before.note));
        }
    }
}

#[test]
fn a_failure_in_any_run_stands() {
    for runs in [
        [run(0, sample::failing()), run(1, sample::passing())],
        [run(1, sample::passing()), run(0, sample::failing())],
    ] {
        let merged = merge(&runs, &[Phase::BeforeEnabling]).unwrap();
        let told = check(&merged, "positions", Phase::BeforeEnabling, "values-match");
        assert_eq!(told.verdict, Some(Verdict::Fail));
        assert!(told.evidence.starts_with("2 runs: 1 fail, 1 pass"), "{}", told.evidence);
        assert_eq!(merged.verdict, Verdict::Fail);
        let counts = merged.features.iter().map(|f| f.measures.pairs).sum::<u64>();
        let single: u64 = runs.iter().flat_map(|r| &r.features).map(|f| f.measures.pairs).sum();
        assert_eq!(counts, single);
    }
}

#[test]
fn what_no_run_was_asked_is_inconclusive_never_a_pass() {
    let merged = merge(&[run(0, sample::passing()), run(1, sample::passing())], &ALL).unwrap();
    let told = check(&merged, "positions", Phase::AfterEnabling, "logs-clean");
    assert_eq!((told.verdict, &*told.note), (Some(Verdict::Inconclusive), "no run judged it"));
    let unasked = merge(&[run(0, sample::passing())], &[Phase::BeforeEnabling]).unwrap();
    assert_eq!(check(&unasked, "positions", Phase::AfterEnabling, "logs-clean").verdict, None);
    assert_eq!(unasked.verdict, Verdict::Pass);
}

#[test]
fn overlapping_runs_are_refused_and_touching_ones_are_not() {
    let (first, mut second) = (run(0, sample::passing()), run(1, sample::passing()));
    second.first = first.last;
    assert!(merge(&[first.clone(), second.clone()], &ALL).is_ok());
    second.first = first.last.map(|t| t - Span(1));
    let refused = merge(&[second, first.clone()], &ALL).unwrap_err();
    let NotOneEvidence::Overlap { first: a, second: b, from, to } = refused else { panic!("{refused:?}") };
    assert_eq!((a, b, to - from), (1, 0, Span(1)));
    assert_eq!(merge(&[], &ALL), Err(NotOneEvidence::Nothing));
}

#[test]
fn the_same_evidence_twice_counts_once() {
    let mut more = run(0, sample::passing());
    more.features[0].checks[6].verdict = Some(Verdict::Pass);
    let merged = merge(&[run(0, sample::passing()), more, run(1, sample::passing())], &ALL).unwrap();
    let pairs = merge(&[run(0, sample::passing()), run(1, sample::passing())], &ALL).unwrap();
    assert_eq!(merged.features[0].measures.pairs, pairs.features[0].measures.pairs);
    assert_eq!(merged.notes[0], "1 given more than once, counted once");
    // Of two judgings of one capture the one stands that was asked more.
    assert_eq!(merged.features[0].checks[6].verdict, Some(Verdict::Pass));
}

#[test]
fn no_judging_of_a_capture_hides_what_another_one_found() {
    // One against a baseline that it fails, one against another; one of a single feature.
    let (clean, mut failed) = (run(0, sample::passing()), run(0, sample::passing()));
    failed.features[0].checks[5].verdict = Some(Verdict::Fail);
    let mut narrow = run(0, sample::passing());
    narrow.features.truncate(1);
    for given in [[clean.clone(), failed.clone()], [failed.clone(), clean.clone()]] {
        assert_eq!(merge(&given, &[Phase::BeforeEnabling]).unwrap().verdict, Verdict::Fail);
    }
    let merged = merge(&[narrow, clean], &[Phase::BeforeEnabling]).unwrap();
    assert_eq!((merged.features.len(), merged.verdict), (4, Verdict::Pass));
}

#[test]
fn sessions_and_values_build_up_over_runs() {
    let runs = [whole(run(0, sample::passing())), whole(run(3, sample::passing()))];
    let covered = |runs: &[Outcome]| {
        let merged = merge(runs, &ALL).unwrap();
        let told = check(&merged, "positions", Phase::BeforeDeleting, "sessions-covered");
        (told.verdict.unwrap(), told.sessions)
    };
    assert_eq!(covered(&runs), (Verdict::Pass, 2));
    assert_eq!(covered(&runs[..1]), (Verdict::Inconclusive, 1));
    // Two halves of one day are one session.
    let half = |hour: i64| {
        let mut part = run(0, sample::passing());
        part.capture_sha256 = vec![hour.to_string()];
        part.first = part.first.map(|t| t + Span::from_secs(3_600 * hour));
        part.last = part.last.map(|t| t + Span::from_secs(3_600 * hour));
        for session in part.features.iter_mut().flat_map(|f| &mut f.sessions) {
            session.covered = session.length.half();
        }
        part
    };
    assert_eq!(covered(&[half(0), half(3), runs[1].clone()]), (Verdict::Pass, 2));
    // An interrupted run covers nothing, a dirty one fails.
    let mut interrupted = runs.clone();
    interrupted[1].interrupted = true;
    assert_eq!(covered(&interrupted), (Verdict::Inconclusive, 1));
    let mut dirty = runs.clone();
    dirty[1].features.iter_mut().for_each(|f| f.sessions[0].findings = 1);
    assert_eq!(covered(&dirty), (Verdict::Fail, 1));
    // The sample's enum was shown in a way that no pair matched; a later run matched it.
    let proven = |runs: &[Outcome]| {
        check(&merge(runs, &ALL).unwrap(), "positions", Phase::BeforeDeleting, "values-proven").verdict
    };
    assert_eq!(proven(&runs), Some(Verdict::Inconclusive));
    let mut matched = runs.clone();
    for proof in matched[1].features.iter_mut().flat_map(|f| &mut f.proofs) {
        proof.matched = proof.shown.clone();
    }
    assert_eq!(proven(&matched), Some(Verdict::Pass));
    assert_eq!(proven(&matched[1..]), Some(Verdict::Inconclusive), "over too few sessions");
}

#[test]
fn what_changed_between_runs_is_said() {
    let mut second = run(1, sample::passing());
    second.contract_sha256 = "0123456789abcdef".into();
    second.feeds[0].1 = "https://elsewhere".into();
    second.tool = "cutover 9.9.9".into();
    let notes = merge(&[run(0, sample::passing()), second], &ALL).unwrap().notes;
    assert_eq!(
        notes,
        [
            "another contract from 2025-12-20T14:30:00Z on: 01234567, before it abc123",
            "other feeds from 2025-12-20T14:30:00Z on",
            "another tool from 2025-12-20T14:30:00Z on: cutover 9.9.9, before it cutover 0.1.0",
        ]
    );
}

#[test]
fn as_many_sessions_as_are_asked_for_have_to_have_clean_logs() {
    let logged = |day: u32, verdict: Option<Verdict>, note: &str| {
        let mut run = whole(run(day, sample::passing()));
        for feature in &mut run.features {
            feature.checks.retain(|c| c.check != "prod-logs-clean");
            let mut told = feature.checks[0].clone();
            (told.check, told.phase) = ("prod-logs-clean", Phase::BeforeDeleting);
            (told.verdict, told.note) = (verdict, note.into());
            feature.checks.push(told);
        }
        run
    };
    let alone = "1 of at least 2 full, clean sessions";
    let clean = |day| logged(day, Some(Verdict::Inconclusive), alone);
    let judged = |runs: &[Outcome]| {
        let merged = merge(runs, &ALL).unwrap();
        let told = check(&merged, "positions", Phase::BeforeDeleting, "prod-logs-clean");
        (told.verdict.unwrap(), told.note.clone())
    };
    assert_eq!(judged(&[clean(0), clean(1)]), (Verdict::Pass, String::new()));
    assert_eq!(judged(&[clean(0)]), (Verdict::Inconclusive, alone.into()));
    let unread = logged(1, Some(Verdict::Inconclusive), "no log was read");
    assert_eq!(judged(&[clean(0), unread.clone()]), (Verdict::Inconclusive, "no log was read".into()));
    // A session that nobody read the logs of takes nothing from two that were read.
    assert_eq!(judged(&[clean(0), unread, clean(2)]), (Verdict::Pass, String::new()));
    assert_eq!(judged(&[clean(0), logged(1, None, "")]), (Verdict::Inconclusive, "no run judged it".into()));
    assert_eq!(judged(&[clean(0), logged(1, Some(Verdict::Fail), "")]).0, Verdict::Fail);
}

#[test]
fn the_bound_on_wrong_values_is_that_of_all_pairs_together() {
    let told = |runs: &[Outcome]| {
        let merged = merge(runs, &ALL).unwrap();
        check(&merged, "positions", Phase::BeforeEnabling, "values-match").clone()
    };
    let runs = [run(0, sample::passing()), run(1, sample::passing()), run(2, sample::passing())];
    // 1 - 0.05^(1/3612)
    let all = told(&runs).confidence;
    assert!(all.starts_with("3612 pairs of 3 runs: mismatch rate below 0.083 % (95 %; "), "{all}");
    let one = check(&runs[0], "positions", Phase::BeforeEnabling, "values-match");
    assert_eq!(told(&runs[..1]).confidence, one.confidence, "one run says what it said");
    // A run that was not asked adds nothing.
    let mut unasked = runs.clone();
    for found in unasked[2].features.iter_mut().flat_map(|f| &mut f.checks) {
        found.verdict = found.verdict.filter(|_| found.check != "values-match");
    }
    let two = told(&unasked).confidence;
    assert!(two.starts_with("2408 pairs of 2 runs: mismatch rate below 0.124 %"), "{two}");
    // What went wrong in one run counts over the time of both.
    let mut wrong = runs[..2].to_vec();
    let episode = Episode {
        class: Class::ValueMismatch,
        feature: Some("positions".into()),
        field: "pnl".into(),
        first: wrong[0].first.unwrap(),
        last: wrong[0].first.unwrap(),
        findings: 1,
        streams: 1,
    };
    wrong[0].episodes = vec![episode];
    for feature in wrong.iter_mut().flat_map(|run| &mut run.features) {
        feature.measures.market_time = Span::from_secs(3_600);
    }
    for (nth, run) in wrong.iter_mut().enumerate() {
        let found = run.features.iter_mut().find(|f| &*f.name == "positions").unwrap();
        found.measures.mismatched_pairs = u64::from(nth == 0);
        found.measures.episodes = u64::from(nth == 0);
    }
    let said = told(&wrong).confidence;
    assert!(said.starts_with("2408 pairs of 2 runs: mismatch rate below 0.197 %"), "{said}");
    assert!(said.ends_with("; 0.5 episodes an hour"), "{said}");
}
