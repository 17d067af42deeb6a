//! survey
mod common;

use common::fold;
use cutover::contract::BUILTIN;
use cutover::model::{Class, Event, Observation, Payload, Severity, Span, Timestamp};
use cutover::reference::fault::{MANNERS, injectable};
use cutover::reference::{Fault, Simulation, SimulationOptions, TruthEntry};

fn options(seed: u64, minutes: i64) -> SimulationOptions {
    let from = Timestamp::parse_rfc3339("2025-12-19T14:30:00Z").unwrap()
        + Span((seed as i64 * 7_919_000_003) % 60_000_000_000);
    let mut options = SimulationOptions::new(from, Span::from_secs(minutes * 60));
    options.seed = seed;
    options.world.seed = seed;
    options
}

#[test]
fn survey() {
    let contract = common::contract(BUILTIN);
    let only = std::env::var("ONLY").unwrap_or_default();
    let names = MANNERS.iter().map(|m| m.name).chain(injectable().map(|c| c.name()));
    for name in names.filter(|n| n.contains(&only)) {
        for feature in ["account_balance", "positions", "intraday_bar", "market_status", ""] {
            let text =
                if feature.is_empty() { name.to_string() } else { format!("{name}:feature={feature}") };
            let Ok(fault) = Fault::parse(&text) else { continue };
            if feature.is_empty() && !fault.features.is_empty() {
                continue;
            }
            for seed in 1..3 {
                let mut options = options(seed, 15);
                options.faults = vec![fault.clone()];
                let mut lines: Vec<String> = Vec::new();
                let mut truth: Vec<TruthEntry> = Vec::new();
                let remarks = Simulation::new(options).unwrap().run(
                    |o| {
                        let mut l = String::new();
                        cutover::capture::encode(o, &mut l);
                        lines.push(l);
                    },
                    |e| truth.push(e.clone()),
                );
                let seen: Vec<Observation<'_>> =
                    lines.iter().map(|l| cutover::capture::decode(l).unwrap()).collect();
                let told = fold(&contract, &seen, false);
                let mut found: std::collections::BTreeMap<String, usize> = Default::default();
                for f in told
                    .findings
                    .iter()
                    .filter(|f| f.severity > Severity::Info || Some(f.class) == fault.class)
                {
                    *found
                        .entry(format!("{}/{}", f.feature.as_deref().unwrap_or("-"), f.class))
                        .or_default() += 1;
                }
                let mut inj: std::collections::BTreeMap<String, usize> = Default::default();
                for e in &truth {
                    *inj.entry(format!("{}/{}", e.feature, e.class)).or_default() += 1;
                }
                println!("{text} #{seed}: {inj:?} found {found:?} {remarks:?}");
            }
        }
    }
    let _ = (Class::Gap, |p: Payload<'_>, e: Event<'_>| drop((p, e)));
}
