//! `cutover plan`: what a claim needs, and that its promise of time holds in a simulated world.

#![allow(clippy::disallowed_methods, reason = "a test writes a contract")]

mod common;

use assert_cmd::Command;
use common::told;
use cutover::checks::CHECKS;
use cutover::checks::plan::{Assumed, Plan, Wait, plan};
use cutover::contract::{BUILTIN, Contract};
use cutover::model::{Phase, Span, Timestamp, Verdict};
use cutover::reference::{Simulation, SimulationOptions};
use serde_json::Value;
use std::sync::Arc;

fn planned(contract: &str, streams: u64, rate: f64) -> Plan {
    plan(&common::contract(contract), Assumed { streams, rate })
}

fn cli(arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cutover"));
    let output = command.arg("plan").args(arguments).env("COLUMNS", "80").output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// The verdicts of before-enabling after so long in an innocent world, one account and one symbol.
fn after(contract: &Arc<Contract>, length: Span, seed: u64) -> Vec<(String, Verdict)> {
    let from = Timestamp::parse_rfc3339("2025-12-19T14:30:17Z").unwrap();
    let mut options = SimulationOptions::new(from, length);
    (options.seed, options.world.seed) = (seed, seed);
    (options.world.accounts, options.world.symbols) = (1, 1);
    let simulation = Simulation::new(options).unwrap();
    let told = told(contract, |engine| {
        simulation.run(|observation| _ = engine.observe(observation), |_| {});
    });
    let mut verdicts = Vec::new();
    for feature in &told.outcome.features {
        for check in feature.checks.iter().filter(|check| check.phase == Phase::BeforeEnabling) {
            verdicts.push((format!("{} {}", feature.name, check.check), check.verdict.unwrap()));
        }
    }
    verdicts
}

fn items_of(retires: bool) -> Vec<(&'static str, Phase)> {
    let asked = CHECKS.iter().filter(|check| retires || check.name != "rest-retired");
    asked.map(|check| (check.name, check.phase)).collect()
}

#[test]
fn an_endpoint_that_is_to_go_away_is_planned_where_the_contract_says_so() {
    let plan = planned(&format!("{BUILTIN}\n[checks.rest-retired]\nsessions = 3\n"), 1, 0.001);
    let items: Vec<_> = plan.features[0].items.iter().map(|item| (item.check, item.phase)).collect();
    assert_eq!(items, items_of(true));
    let own = plan.features[0].items.iter().find(|item| item.check == "rest-retired").unwrap();
    assert_eq!((own.needs.as_str(), own.judged), ("3 sessions unasked", Wait::Sessions(3)));
}

#[test]
fn every_item_of_the_checklist_is_planned() {
    let plan = planned(BUILTIN, 1, 0.001);
    for feature in &plan.features {
        let items: Vec<_> = feature.items.iter().map(|item| (item.check, item.phase)).collect();
        assert_eq!(items, items_of(false));
        assert!(feature.items.iter().all(|item| !item.needs.is_empty()), "{}", feature.name);
    }
}

#[test]
fn the_time_that_is_planned_is_enough_and_not_far_too_much() {
    let contract = common::contract(BUILTIN);
    let plan = planned(BUILTIN, 1, 0.001);
    let longest = plan.features.iter().map(|f| f.judged(Phase::BeforeEnabling).unwrap()).max().unwrap();
    for seed in [1, 2, 3] {
        for (what, verdict) in after(&contract, longest, seed) {
            assert_eq!(verdict, Verdict::Pass, "seed {seed}: {what} after {longest}");
        }
        let early = after(&contract, longest.half(), seed);
        assert!(early.contains(&("intraday_bar values-match".into(), Verdict::Inconclusive)), "{early:?}");
    }
    for feature in &plan.features {
        let judged = feature.judged(Phase::BeforeEnabling).unwrap();
        let verdicts = after(&contract, judged, 4);
        for (what, verdict) in verdicts.iter().filter(|(what, _)| what.starts_with(&feature.name)) {
            assert_eq!(*verdict, Verdict::Pass, "{what} after {judged}");
        }
    }
}

#[test]
fn a_claim_counts_all_streams_together_and_each_alone() {
    let of = |streams| {
        let plan = planned(BUILTIN, streams, 0.001);
        let items = &plan.features[0].items;
        items.iter().find(|item| item.check == "values-match").unwrap().claim.unwrap()
    };
    let (one, ten) = (of(1), of(10));
    assert_eq!((one.needs, ten.needs, one.unit), (2_995, 2_995, "pairs"));
    assert_eq!((one.one, one.all), (ten.one, one.one));
    // 300 rounds of ten seconds, the head and the tail.
    assert_eq!(ten.all, Wait::Market(Span::from_secs(3_007)));
    assert_eq!(one.all, Wait::Market(Span::from_secs(29_957)));
}

#[test]
fn what_is_sent_on_change_has_no_time() {
    let contract = BUILTIN.replacen("interval = \"10s\"", "interval = \"10s\"\ncadence = \"on-change\"", 1);
    let plan = planned(&contract, 1, 0.001);
    assert_eq!(plan.features[0].judged(Phase::BeforeEnabling), None);
    assert_eq!(plan.features[0].claimed(Phase::BeforeEnabling), None);
    assert!(plan.features[1].judged(Phase::BeforeEnabling).is_some());
}

#[test]
fn sessions_are_those_of_the_calendar() {
    let xnys = BUILTIN.replace("calendar = \"24/7\"", "calendar = \"XNYS\"");
    let plan = planned(&xnys, 1, 0.001);
    let balance = &plan.features[0];
    assert_eq!(balance.session, Span::from_secs(6 * 3600 + 1800));
    let claimed = balance.claimed(Phase::BeforeEnabling).unwrap();
    assert_eq!(format!("{:.2}", balance.sessions(claimed)), "1.28");
}

#[test]
fn the_plan_is_printed_for_people_and_programs() {
    let (code, text, err) = cli(&["--streams", "4"]);
    assert_eq!((code, err.as_str()), (0, ""));
    for line in [
        "Under 0.1 % wrong, with 95 % confidence, needs 2,995 clean pairs",
        "needs 3,100 clean",
        "  compares account_number, cash ±0.005, buying_power ±0.005",
        "    values-match      10 pairs         37s         2,995    2h 5m   8h 20m",
        "    sessions-covered  2 full sessions  2 sessions",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    let (_, json, _) = cli(&["--rate", "1%", "--feature", "positions", "--format", "json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((json["clean"].as_u64(), json["features"].as_array().unwrap().len()), (Some(299), 1));
    let values = json["features"][0]["checks"].as_array().unwrap();
    let values = values.iter().find(|item| item["check"] == "values-match").unwrap();
    assert_eq!(values["claim"]["needs"], 299);
    // 309 rounds of ten seconds, the head and the tail.
    assert_eq!(json["until_proven"], 309);
    let own = &json["features"][0]["before_enabling"];
    assert_eq!(own["until_proven_ns"].as_i64(), Some(3_097_000_000_000));
    assert_eq!(values["claim"]["all_streams"]["market_ns"].as_i64(), Some(2_997_000_000_000));
}

#[test]
fn wrong_words_are_told() {
    for (arguments, expect) in [
        (&["--rate", "0.001"][..], "a rate is a percentage"),
        (&["--rate", "0%"], "a rate lies between"),
        (&["--streams", "0"], "--streams"),
        (&["--feature", "orders"], "the contract has no feature `orders`"),
    ] {
        let (code, out, err) = cli(arguments);
        assert_eq!((code, out.as_str()), (2, ""), "{arguments:?}");
        assert!(err.contains(expect), "{arguments:?}: {err}");
    }
}
