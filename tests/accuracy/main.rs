//! The engine against simulated worlds: innocent sessions have no finding, every injected fault is found
//! where it is and nothing is invented, and neither `advance` nor a replay changes anything. A failure
//! prints the seed, and the command that shows it again alone.

#![allow(clippy::disallowed_methods, reason = "how many cases is asked for by the environment")]

#[path = "../common/mod.rs"]
mod common;
mod grid;
mod innocent;
mod session;

use innocent::{Hours, Variety};
use proptest::prelude::*;
use proptest::{option, sample};

#[test]
fn every_class_is_found_where_it_is_and_nothing_is_invented() {
    let (contract, places) = (grid::contract(), grid::places(1..2));
    let run = |part: &[grid::Place]| part.iter().map(|place| place.run(&contract)).collect::<Vec<_>>();
    let results: Vec<grid::Result> = std::thread::scope(|scope| {
        let parts = places.chunks(places.len().div_ceil(2));
        let parts: Vec<_> = parts.map(|part| scope.spawn(move || run(part))).collect();
        parts.into_iter().flat_map(|part| part.join().unwrap()).collect()
    });
    println!("{}", grid::table(&results));
    let wrong: Vec<String> = results.iter().filter_map(grid::Result::wrong).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(grid::never_due(&results), Vec::<String>::new(), "of these nothing was shown");
}

/// What two faults at once do is told of each.
#[test]
fn two_faults_at_once_are_both_found() {
    let contract = grid::contract();
    let seeds = std::env::var("PAIRS").ok().and_then(|n| n.parse().ok()).unwrap_or(12);
    let problems: Vec<String> = (0..seeds).filter_map(|seed| grid::problem_of_two(&contract, seed)).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// A session that only looks wrong passes, whatever is unusual about it.
#[test]
fn innocent_sessions_pass_without_a_finding() {
    let problems: Vec<String> =
        (0..12).filter_map(|seed| innocent::problem(&Variety::of_seed(seed))).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn a_connection_lost_while_the_market_is_closed_passes() {
    let problems: Vec<String> = (0..8)
        .filter_map(|seed| {
            let variety = Variety { hours: Hours::Break, ..Variety::of_seed(seed) };
            innocent::problem(&variety)
        })
        .collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

prop_compose! {
    fn varieties()(
        seed in 0..1_000_000_u64,
        (interleave_ms, clock_offset_s) in (0..400_i64, -90..=90_i64),
        shift_ms in prop_oneof![Just(0), Just(-1), Just(1), -innocent::MOST_APART_MS..=innocent::MOST_APART_MS],
        (polls_each_second, forming, live_markets) in any::<(bool, bool, bool)>(),
        illiquid in 0..4_usize,
        (rest_decimal_strings, other_order, other_numbers, odd_keys) in any::<(bool, bool, bool, bool)>(),
        stamps in sample::select(&innocent::STAMPS[..]),
        hours in prop_oneof![3 => Just(Hours::Always), 1 => Just(Hours::Break)],
        reopened in option::of(200..800_usize),
    ) -> Variety {
        Variety {
            seed, interleave_ms, clock_offset_s, shift_ms, polls_each_second, forming, illiquid, live_markets,
            rest_decimal_strings, other_order, other_numbers, odd_keys, stamps, hours, reopened,
        }
    }
}

proptest! {
    // A few of endlessly many; more by PROPTEST_CASES=1000 cargo test --release --test accuracy any_innocent
    #![proptest_config(ProptestConfig {
        cases: std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(8),
        max_shrink_iters: 60,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]
    #[test]
    fn any_innocent_session_passes(variety in varieties()) {
        prop_assert_eq!(innocent::problem(&variety), None);
    }
}
