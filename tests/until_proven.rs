//! When a run that is asked to may end by itself: never before the bound that holds for all looks does, and
//! at once when something failed for good.

mod common;

use cutover::checks::proven::{Ending, Proving};
use cutover::contract::BUILTIN;
use cutover::engine::Engine;
use cutover::model::{Phase, Span, Timestamp};
use cutover::reference::{Fault, Simulation, SimulationOptions};
use cutover::stats::anytime_clean_trials;

/// One per cent: 309 clean pairs.
const RATE: f64 = 0.01;

/// After how long it would end, why, and each feature's pairs then.
type Found = (Span, Ending, Vec<(String, u64)>);

/// Looks every few seconds of three simulated hours: when it would end, why, and each feature's pairs then.
fn first_ending(fault: Option<&str>, phases: &[Phase]) -> Option<Found> {
    let from = Timestamp::parse_rfc3339("2025-12-19T14:30:17Z").unwrap();
    let mut options = SimulationOptions::new(from, Span::from_secs(3 * 3600));
    options.faults.extend(fault.map(|fault| Fault::parse(fault).unwrap()));
    options.seed = 7;
    let simulation = Simulation::new(options).unwrap();
    let mut engine = Engine::new(common::contract(BUILTIN), Box::new(|_| {}));
    let mut proving = Proving::new(RATE, phases);
    let mut found = None;
    let mut next = from;
    let look = |observation: &cutover::model::Observation<'_>| {
        engine.observe(observation).unwrap();
        if found.is_none() && observation.at >= next {
            next = observation.at + Span::from_secs(7);
            let progress = engine.progress();
            let pairs = progress.features.iter().map(|f| (f.name.to_string(), f.pairs)).collect();
            found = proving.look(&engine).map(|why| (observation.at - from, why, pairs));
        }
    };
    simulation.run(look, |_| {});
    found
}

#[test]
fn it_ends_when_the_bound_of_each_feature_holds() {
    let least = anytime_clean_trials(RATE, 0.95);
    let (after, why, pairs) = first_ending(None, &[]).unwrap();
    assert_eq!(why, Ending::Proven);
    assert!(pairs.iter().all(|(_, pairs)| *pairs >= least), "{pairs:?}");
    // The slowest feature, a bar a minute of four symbols, decides; nothing is waited for besides.
    let (slowest, fewest) = pairs.iter().min_by_key(|(_, pairs)| *pairs).unwrap();
    assert_eq!(slowest, "intraday_bar");
    assert!(*fewest <= least + 6, "{pairs:?}");
    assert!(after > Span::from_secs(77 * 60) && after < Span::from_secs(81 * 60), "{after}");
}

#[test]
fn it_ends_at_once_when_a_check_fails_for_good() {
    let fault = "value_mismatch:feature=positions,at=30m,for=1m";
    let (after, why, _) = first_ending(Some(fault), &[]).unwrap();
    assert_eq!(why, Ending::Failed("positions".into(), "values-match"));
    assert!(after >= Span::from_secs(30 * 60) && after < Span::from_secs(32 * 60), "{after}");
}

#[test]
fn what_lacks_evidence_does_not_end_it() {
    // Nobody recorded what a frontend asked for, nor a log.
    assert_eq!(first_ending(None, &[Phase::AfterEnabling]), None);
}

#[test]
fn a_pace_that_stays_wrong_ends_it_after_a_while() {
    let (after, why, _) = first_ending(Some("interval_drift:feature=positions"), &[]).unwrap();
    assert_eq!(why, Ending::Failed("positions".into(), "interval-match"));
    assert!(after > Span::from_secs(100) && after < Span::from_secs(600), "{after}");
}

#[test]
fn looking_changes_nothing() {
    let from = Timestamp::parse_rfc3339("2025-12-19T14:30:17Z").unwrap();
    let outcome = |looks: bool| {
        let simulation = Simulation::new(SimulationOptions::new(from, Span::from_secs(300))).unwrap();
        let mut proving = Proving::new(RATE, &[]);
        common::told(&common::contract(BUILTIN), |engine| {
            let mut count = 0;
            let see = |observation: &cutover::model::Observation<'_>| {
                engine.observe(observation).unwrap();
                count += 1;
                if looks && count % 50 == 0 {
                    proving.look(engine);
                }
            };
            simulation.run(see, |_| {});
        })
    };
    let (plain, looked) = (outcome(false), outcome(true));
    assert_eq!((plain.outcome, plain.findings), (looked.outcome, looked.findings));
}
