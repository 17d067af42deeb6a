//! Owns `cutover diff`: two bodies or two recordings, equal or not by a contract's comparing. Must not judge a run.

use super::arguments::Format;
use super::console::Console;
use super::exit::{Exit, WrongUse};
use super::judging::{load_contract, narrow, read_contract};
use crate::capture::{Reader, ReaderOptions};
use crate::contract::{Contract, spelling};
use crate::engine::compare::Side;
use crate::engine::contrast::{Contraster, Items, trees};
use crate::model::tree::Tree;
use crate::report::Layout;
use crate::report::contrast::{Named, to_json, to_text, trees_to_json, trees_to_text};
use crate::source::open_capture;
use anyhow::Context;
use clap::{Args, ValueEnum};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const EXAMPLES: &str = "\
Examples:
  cutover diff rest.json message.json --contract cutover.toml --feature positions
  cutover diff before.json after.json --contract cutover.toml --feature positions --side rest
  cutover diff monday.jsonl tuesday.jsonl.zst      by the contract in the first
  cutover diff a.json b.json                       without a contract, value by value

Recordings are compared each side with its like: versions of one event time, or each stream's last
record where there is none.

Exit codes: 0 equal, 1 different, 2 wrong use, 3 nothing to compare, 4 the tool could not do its work";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// A body (JSON) or a capture
    #[arg(value_name = "A")]
    a: PathBuf,
    /// Another one of its kind
    #[arg(value_name = "B")]
    b: PathBuf,
    /// Compare by this contract; recordings carry one, bodies need none
    #[arg(long, value_name = "FILE")]
    contract: Option<PathBuf>,
    /// The feature that the bodies belong to; of recordings only this one (repeatable)
    #[arg(long = "feature", value_name = "NAME")]
    features: Vec<String>,
    /// Both bodies are of this side; by default A is REST's and B the WebSocket's
    #[arg(long, value_name = "rest|ws", hide_possible_values = true)]
    side: Option<Bodies>,
    /// How it is printed
    #[arg(long, value_name = "text|json", default_value = "text")]
    #[arg(hide_possible_values = true, hide_default_value = true)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Bodies {
    Rest,
    Ws,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub a: PathBuf,
    pub b: PathBuf,
    pub contract: Option<PathBuf>,
    pub features: Vec<String>,
    pub side: Option<Bodies>,
    pub format: Format,
}

impl Arguments {
    pub fn settings(self) -> Settings {
        let Arguments { a, b, contract, features, side, format } = self;
        Settings { a, b, contract, features, side, format }
    }
}

pub fn run(settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    match (is_capture(&settings.a)?, is_capture(&settings.b)?) {
        (true, true) => captures(settings, console),
        (false, false) => bodies(settings, console),
        (true, false) | (false, true) => {
            let message = "one is a capture and the other is not; give two bodies or two captures";
            Err(WrongUse(message.into()).into())
        }
    }
}

/// Whether the first line is an observation's.
fn is_capture(path: &Path) -> anyhow::Result<bool> {
    let mut first = Vec::new();
    let opened = open_capture(path);
    let read =
        opened.and_then(|file| BufReader::new(file).take(MOST_LOOKED_AT).read_until(b'\n', &mut first));
    read.with_context(|| format!("could not read {}", path.display()))?;
    let text = String::from_utf8_lossy(&first);
    Ok(text.starts_with("{\"kind\":\"") && text.contains("\"at\":"))
}

/// A start's line holds a contract.
const MOST_LOOKED_AT: u64 = 4 << 20;

/// Bodies beyond this are none that anybody lays side by side.
const MOST_BODY: u64 = 256 << 20;

fn captures(settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    if settings.side.is_some() {
        return Err(WrongUse("--side is for bodies; a capture tells its own".into()).into());
    }
    let contract = match &settings.contract {
        Some(path) => load_contract(Some(path), false)?,
        None => embedded(&settings.a)?,
    };
    let contract = narrowed(contract, &settings.features)?;
    let mut contraster = Contraster::new(Arc::new(contract));
    let a = items(&mut contraster, &settings.a)?;
    let b = items(&mut contraster, &settings.b)?;
    show(settings, console, &contraster, [a, b])
}

fn narrowed(mut contract: Contract, features: &[String]) -> anyhow::Result<Contract> {
    narrow(&mut contract, features)?;
    Ok(contract)
}

fn embedded(path: &Path) -> anyhow::Result<Contract> {
    let could_not = || format!("could not read {}", path.display());
    let mut reader = Reader::new(open_capture(path).with_context(could_not)?, ReaderOptions::default());
    match reader.read_start().with_context(could_not)? {
        Some((_, start)) if !start.contract.is_empty() => {
            read_contract(&format!("the contract in {}", path.display()), &start.contract, false)
        }
        _ => load_contract(None, false),
    }
}

fn items(contraster: &mut Contraster, path: &Path) -> anyhow::Result<Items> {
    let could_not = || format!("could not read {}", path.display());
    let mut reader = Reader::new(open_capture(path).with_context(could_not)?, ReaderOptions::default());
    let mut items = Items::default();
    while let Some(line) = reader.next() {
        contraster.observe(&line.with_context(could_not)?.observation, &mut items);
    }
    Ok(items)
}

fn bodies(settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let (a, b) = (body(&settings.a)?, body(&settings.b)?);
    if settings.contract.is_none() && settings.features.is_empty() {
        if settings.side.is_some() {
            return Err(WrongUse("--side needs a contract; name it, and the feature".into()).into());
        }
        return without_contract(settings, console, [&a, &b]);
    }
    let contract = load_contract(settings.contract.as_deref(), false)?;
    let feature = feature(&contract, &settings.features)?;
    let sides = match settings.side {
        None => [Side::Rest, Side::Ws],
        Some(Bodies::Rest) => [Side::Rest; 2],
        Some(Bodies::Ws) => [Side::Ws; 2],
    };
    let mut contraster = Contraster::new(Arc::new(contract));
    let mut read = |path: &Path, side, text: &str| {
        contraster.body(feature, side, text).map_err(|why| {
            let name = if side == Side::Rest { "REST body" } else { "WebSocket message" };
            WrongUse(format!("could not read {} as a {name}: {why}", path.display()))
        })
    };
    let found = [read(&settings.a, sides[0], &a)?, read(&settings.b, sides[1], &b)?];
    show(settings, console, &contraster, found)
}

#[allow(clippy::disallowed_methods, reason = "bodies are read here alone")]
fn body(path: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    let could_not = || format!("could not read {}", path.display());
    let file = std::fs::File::open(path).with_context(could_not)?;
    file.take(MOST_BODY).read_to_string(&mut text).with_context(could_not)?;
    Ok(text)
}

/// The one that is named, or the only one.
fn feature(contract: &Contract, names: &[String]) -> anyhow::Result<usize> {
    let known = || contract.features.iter().map(|feature| &*feature.name);
    let found = match names {
        [] if contract.features.len() == 1 => Some(0),
        [name] => {
            let place = known().position(|known| known == name);
            if place.is_none() {
                let cure = spelling::cure(name, known().collect::<Vec<_>>());
                return Err(WrongUse(format!("the contract has no feature `{name}`; {cure}")).into());
            }
            place
        }
        _ => None,
    };
    found.ok_or_else(|| {
        let all: Vec<&str> = known().collect();
        WrongUse(format!("bodies belong to one feature; name it by --feature: {}", all.join(", "))).into()
    })
}

fn named<'n>(settings: &Settings, names: &'n mut [String; 2], notes: &'n [String]) -> Named<'n> {
    *names = [&settings.a, &settings.b].map(|path| path.display().to_string());
    Named { a: &names[0], b: &names[1], notes }
}

fn layout(console: &Console) -> Layout {
    Layout { width: console.columns(), colour: console.colour_out }
}

fn without_contract(settings: &Settings, console: &Console, texts: [&str; 2]) -> anyhow::Result<Exit> {
    let tree = |path: &Path, text: &str| {
        Tree::read(text).ok_or_else(|| WrongUse(format!("could not read {}: it is no JSON", path.display())))
    };
    let found = trees(&tree(&settings.a, texts[0])?, &tree(&settings.b, texts[1])?);
    let mut names = Default::default();
    let named = named(settings, &mut names, &[]);
    let printed = match settings.format {
        Format::Text => trees_to_text(named, texts[0], texts[1], &found, layout(console)),
        Format::Json => trees_to_json(named, &found),
    };
    console.result(printed.as_bytes()).context("could not print the difference")?;
    Ok(if found.is_empty() { Exit::Pass } else { Exit::Fail })
}

fn show(
    settings: &Settings,
    console: &Console,
    contraster: &Contraster,
    [a, b]: [Items; 2],
) -> anyhow::Result<Exit> {
    let contrasted = contraster.contrast(&a, &b);
    let nothing = contrasted.is_equal() && contrasted.equal == 0;
    let mut notes = Vec::new();
    for (name, items) in [("A", &a), ("B", &b)] {
        if items.repeated > 0 {
            notes.push(format!(
                "{} records of {name} have the key of another one; the last counts",
                items.repeated
            ));
        }
    }
    if nothing {
        notes.push("nothing was compared: neither has a record of the other's time, or any".into());
    }
    let mut names = Default::default();
    let named = named(settings, &mut names, &notes);
    let printed = match settings.format {
        Format::Text => to_text(named, &contrasted, layout(console)),
        Format::Json => to_json(named, &contrasted),
    };
    console.result(printed.as_bytes()).context("could not print the difference")?;
    Ok(match (nothing, contrasted.is_equal()) {
        (true, _) => Exit::Inconclusive,
        (false, true) => Exit::Pass,
        (false, false) => Exit::Fail,
    })
}
