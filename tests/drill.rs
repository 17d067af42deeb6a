//! The drill on simulated sessions and on captures of another shape: what is caught, what is
//! explained, and that every mutant is what it says.

mod common;

use cutover::contract::{BUILTIN, Contract};
use cutover::drill::{Bounds, Plan, Slicer, Stage, alone, mutants, score};
use cutover::model::drill::{DrilledMutant, NotDrilled, Seen};
use cutover::model::{Class, Event, Observation, Payload, Span, Timestamp, Verdict};
use cutover::reference::{Simulation, SimulationOptions};
use std::sync::Arc;

/// A simulated session of the built-in world, sliced for one feature.
fn stage(contract: &Arc<Contract>, feature: &str, minutes: i64) -> Stage {
    let from = Timestamp::parse_rfc3339("2025-12-19T14:30:00Z").unwrap();
    let options = SimulationOptions::new(from, Span::from_secs(minutes * 60));
    let index = contract.features.iter().position(|f| *f.name == *feature).unwrap();
    let bounds = Bounds { from: None, lasting: Span::from_secs(3_600), most: 100_000 };
    let mut slicer = Slicer::new(contract, index, bounds);
    Simulation::new(options).unwrap().run(|observation| slicer.observe(observation), |_| {});
    Stage::new(alone(contract, index), slicer.finish().unwrap())
}

fn drill(stage: &Stage, classes: &[Class]) -> (Vec<DrilledMutant>, Vec<NotDrilled>) {
    let plan = Plan { seed: 1, places: 2, classes: classes.to_vec() };
    let (mutants, none) = mutants(stage, &plan);
    (mutants.iter().map(|mutant| score(stage, mutant)).collect(), none)
}

#[test]
#[ignore]
fn survey() {
    let contract = common::contract(BUILTIN);
    for feature in ["account_balance", "positions", "intraday_bar", "market_status"] {
        let stage = stage(&contract, feature, 20);
        println!("== {feature} {} {}", stage.clean.outcome.verdict, stage.tape.len());
        let (told, none) = drill(&stage, &[]);
        for m in &told {
            println!(
                "{:<11} {:<16} {:<24} {:<40} by {:?} {:?} | {} | {} {}",
                m.seen.name(), m.class, m.field, m.size, m.by, m.checks, m.why, m.change, m.at
            );
        }
        for n in &none {
            println!("    not {} {}: {}", n.class, n.field, n.why);
        }
        for seen in Seen::ALL {
            println!("{}: {}", seen.name(), told.iter().filter(|m| m.seen == seen).count());
        }
    }
}
