//! How well faults are found: the whole grid of classes, features and seeds, scored against its ledgers,
//! and innocent sessions, in which nothing may be found. Exits with 1 where anything was missed or invented.
//!
//! `cargo bench --bench accuracy [-- --seeds N --innocent N --pairs N --class C --feature F --seed S --pair S]`

#![allow(clippy::disallowed_methods, reason = "a bench reads its arguments")]

#[path = "../tests/common/mod.rs"]
mod common;
#[path = "../tests/accuracy/grid.rs"]
mod grid;
#[path = "../tests/accuracy/innocent.rs"]
mod innocent;
#[path = "../tests/accuracy/session.rs"]
mod session;

use cutover::model::Class;
use cutover::reference::Feature;
use grid::Place;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Seeds of the full grid, innocent sessions, and sessions with two faults of the full run.
const SEEDS: u64 = 30;
const INNOCENT: u64 = 1_000;
const PAIRS: u64 = 300;

#[derive(Default)]
struct Asked {
    seeds: Option<u64>,
    innocent: Option<u64>,
    class: Option<Class>,
    feature: Option<Feature>,
    seed: Option<u64>,
    pairs: Option<u64>,
    pair: Option<u64>,
}

fn asked() -> Result<Asked, String> {
    let mut asked = Asked::default();
    let mut arguments = std::env::args().skip(1).filter(|a| a != "--bench");
    while let Some(flag) = arguments.next() {
        let value = arguments.next().ok_or(format!("`{flag}` needs a value"))?;
        let number = || value.parse::<u64>().map_err(|_| format!("`{flag} {value}` must be a whole number"));
        match flag.as_str() {
            "--seeds" => asked.seeds = Some(number()?),
            "--innocent" => asked.innocent = Some(number()?),
            "--seed" => asked.seed = Some(number()?),
            "--pairs" => asked.pairs = Some(number()?),
            "--pair" => asked.pair = Some(number()?),
            "--class" => {
                asked.class = Some(Class::parse(&value).ok_or(format!("`{value}` is no class of findings"))?);
            }
            "--feature" => {
                let feature = Feature::ALL.into_iter().find(|f| f.name() == value);
                asked.feature = Some(feature.ok_or(format!("`{value}` is no feature"))?);
            }
            _ => {
                return Err(format!(
                    "`{flag}` is not known; known: --seeds, --innocent, --pairs, --class, --feature, --seed, --pair"
                ));
            }
        }
    }
    Ok(asked)
}

fn main() {
    let asked = asked().unwrap_or_else(|problem| {
        eprintln!("{problem}");
        std::process::exit(2);
    });
    // A place or a seed asked for is shown alone.
    let narrowed = asked.class.is_some() || asked.feature.is_some();
    let pairs_alone = asked.pairs.is_some() || asked.pair.is_some();
    let whole = !narrowed && asked.seed.is_none() && !pairs_alone;
    let grid_wanted = asked.seeds.is_some() || narrowed || whole;
    let innocent_wanted = asked.innocent.is_some() || (asked.seed.is_some() && !narrowed) || whole;
    let wrong_places = if grid_wanted { run_grid(&asked) } else { 0 };
    let guilty = if innocent_wanted { run_innocent(&asked) } else { 0 };
    let wrong_pairs = if whole || pairs_alone { run_pairs(&asked) } else { 0 };
    if wrong_places + guilty + wrong_pairs > 0 {
        println!(
            "\n{wrong_places} places of the grid, {guilty} innocent sessions and {wrong_pairs} of two faults are wrong"
        );
        std::process::exit(1);
    }
}

fn run_grid(asked: &Asked) -> usize {
    let seeds = match asked.seed {
        Some(seed) => seed..seed + 1,
        None => 1..asked.seeds.unwrap_or(SEEDS) + 1,
    };
    let places: Vec<Place> = grid::places(seeds)
        .into_iter()
        .filter(|p| asked.class.is_none_or(|class| p.class == class))
        .filter(|p| asked.feature.is_none_or(|feature| p.feature == Some(feature)))
        .collect();
    let contract = grid::contract();
    let results = in_parallel(&places, |place| place.run(&contract));
    println!("{}", grid::table(&results));
    let wrong: Vec<String> = results.iter().filter_map(grid::Result::wrong).collect();
    wrong.iter().for_each(|wrong| println!("{wrong}"));
    let empty = grid::never_due(&results);
    empty.iter().for_each(|cell| println!("{cell}: nothing of it was ever due, so nothing was shown"));
    wrong.len() + empty.len()
}

fn run_innocent(asked: &Asked) -> usize {
    let seeds: Vec<u64> = match asked.seed {
        Some(seed) => vec![seed],
        None => (0..asked.innocent.unwrap_or(INNOCENT)).collect(),
    };
    let problems = in_parallel(&seeds, |seed| innocent::problem(&innocent::Variety::of_seed(*seed)));
    let wrong: Vec<(u64, String)> =
        seeds.iter().copied().zip(problems).filter_map(|(seed, p)| Some((seed, p?))).collect();
    for (seed, problem) in &wrong {
        println!("cargo bench --bench accuracy -- --seed {seed}\n  {problem}");
    }
    println!("\n{} innocent sessions, {} with a finding above info or no PASS", seeds.len(), wrong.len());
    wrong.len()
}

/// Sessions with two faults at once.
fn run_pairs(asked: &Asked) -> usize {
    let contract = grid::contract();
    let seeds: Vec<u64> = match asked.pair {
        Some(seed) => vec![seed],
        None => (0..asked.pairs.unwrap_or(PAIRS)).collect(),
    };
    let problems = in_parallel(&seeds, |seed| grid::problem_of_two(&contract, *seed));
    let wrong: Vec<String> = problems.into_iter().flatten().collect();
    wrong.iter().for_each(|wrong| println!("{wrong}"));
    println!("\n{} sessions with two faults, {} with one missed or invented", seeds.len(), wrong.len());
    wrong.len()
}

/// Does all jobs on as many threads as there are cores; the results are in the order of the jobs.
fn in_parallel<J: Sync, R: Send>(jobs: &[J], run: impl Fn(&J) -> R + Sync) -> Vec<R> {
    let (next, done) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((i, job)) =
                    Some(next.fetch_add(1, Relaxed)).and_then(|i| Some((i, jobs.get(i)?)))
                {
                    let result = run(job);
                    done.lock().expect("a job panicked").insert(i, result);
                }
            });
        }
    });
    done.into_inner().expect("a job panicked").into_values().collect()
}
