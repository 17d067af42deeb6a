//! The engine against simulated worlds: innocent sessions have no finding, every injected fault is found
//! where it is and nothing is invented, and neither `advance` nor a replay changes anything. A failure
//! prints the seed, and the command that shows it again alone.

#[path = "../common/mod.rs"]
mod common;
mod grid;
mod session;

use common::fold;
use cutover::model::{Event, Observation, Span, Verdict};
use session::{judge, lines, options, simulate};

/// Runs the places on two threads; all that must not be, with the command that shows it again.
fn problems(places: &[grid::Place]) -> Vec<String> {
    let contract = grid::contract();
    let half = places.len().div_ceil(2);
    let run = |places: &[grid::Place]| -> Vec<String> {
        let results = places.iter().map(|place| place.run(&contract));
        let wrong = results.filter(|result| !result.problems.is_empty());
        wrong.map(|r| format!("{}\n  {}", r.place.command(), r.problems.join("\n  "))).collect()
    };
    std::thread::scope(|scope| {
        let parts: Vec<_> = places.chunks(half).map(|part| scope.spawn(move || run(part))).collect();
        parts.into_iter().flat_map(|part| part.join().unwrap()).collect()
    })
}

#[test]
fn every_class_is_found_where_it_is_and_nothing_is_invented() {
    let problems = problems(&grid::places(1..2));
    assert!(problems.is_empty(), "{} places:\n{}", problems.len(), problems.join("\n"));
}

#[test]
fn innocent_sessions_pass_without_a_finding() {
    for seed in 0..40 {
        let mut options = options(seed, 12);
        options.interleave = Span::from_millis((seed as i64 * 37) % 400);
        options.world.forming_updates = seed % 2 == 1;
        options.world.rest_decimal_strings = seed % 3 == 1;
        options.world.live_markets = seed % 5 == 1;
        options.network.clock_offset = Span::from_secs((seed as i64 % 5 - 2) * 45);
        let told = judge(&grid::contract(), &simulate(options).0).unwrap();
        assert_eq!(lines(&told), Vec::<String>::new(), "seed {seed}");
        assert_eq!(told.outcome.verdict, Verdict::Pass, "seed {seed}");
    }
}

/// The session with its connection closed by us and opened again at once, so that nothing is lost.
fn reopened(seen: Vec<Observation<'static>>, place: usize) -> Vec<Observation<'static>> {
    use cutover::model::ClosedBy;
    let at = seen[place].at;
    let close = Event::WsClose { conn: 0, code: 1000, reason: "".into(), by: ClosedBy::Us };
    let mut out: Vec<Observation<'static>> = Vec::with_capacity(seen.len() + 2);
    for (i, mut observation) in seen.into_iter().enumerate() {
        if i == place {
            out.push(Observation { at, event: close.clone() });
            out.push(Observation { at, event: Event::WsOpen { conn: 1 } });
        }
        if let (true, Event::Ws { conn, .. } | Event::WsRtt { conn, .. } | Event::WsClose { conn, .. }) =
            (i >= place, &mut observation.event)
        {
            *conn = 1;
        }
        out.push(observation);
    }
    out
}

#[test]
#[ignore = "a hundred seeds: cargo test --test accuracy varied -- --ignored"]
fn varied_innocent_sessions_have_no_finding() {
    for seed in 100..200_u64 {
        let mut options = options(seed, 8);
        options.interleave = Span::from_millis((seed as i64 * 37) % 400);
        options.world.sparse = (seed % 4) as usize;
        options.world.forming_updates = seed % 3 == 1;
        options.world.rest_decimal_strings = seed % 5 == 1;
        options.world.live_markets = seed % 7 == 1;
        options.network.clock_offset = Span::from_secs((seed as i64 % 5 - 2) * 45);
        let (seen, _) = simulate(options);
        let place = seen.len() / 5 + (seed as usize * 7_919) % (seen.len() / 2);
        let told = fold(&grid::contract(), &reopened(seen, place), false);
        assert_eq!(lines(&told), Vec::<String>::new(), "seed {seed}");
    }
}
