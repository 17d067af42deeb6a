//! Owns `cutover simulate`: the reference world stepped through virtual time into a capture.
//! Must not read a clock: the same arguments give the same bytes.

use super::arguments::{WorldArguments, duration, instant};
use super::console::Console;
use super::exit::{Exit, WrongUse};
use super::judging::{TOOL, load_contract, read_contract};
use super::recording::{self, Recording};
use super::session::MarketSession;
use super::world::{TruthFile, WorldSettings, help_with_faults};
use crate::capture::VERSION;
use crate::contract::{BUILTIN, Contract};
use crate::model::{Span, Start, Timestamp};
use crate::reference::{Network, Poll, Simulation, SimulationOptions};
use anyhow::Context;
use clap::Args;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  cutover simulate session.jsonl.zst --session XNYS:2025-12-19 --accounts 100
  cutover simulate bad.jsonl --for 1h --fault gap:feature=positions,rate=0.01 --truth truth.jsonl
  cutover simulate far.jsonl --clock-offset -90s --drift 20ppm --latency 120ms --connections 3
  cutover replay session.jsonl.zst";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, after_long_help = help_with_faults(EXAMPLES))]
pub struct Arguments {
    /// The capture to write (.jsonl or .jsonl.zst)
    #[arg(value_name = "OUT")]
    out: PathBuf,
    /// The contract; without it the built-in one
    #[arg(long, value_name = "FILE")]
    contract: Option<PathBuf>,
    /// When the session begins (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = instant, default_value = "2025-12-19T14:30:00Z")]
    from: Timestamp,
    /// How long it lasts, in the world's time
    #[arg(long = "for", value_name = "DURATION", value_parser = duration, default_value = "10m")]
    duration: Span,
    /// Exactly this trading session, such as XNYS:2025-12-19, by its calendar
    #[arg(long, value_name = "CALENDAR:DATE", conflicts_with_all = ["from", "duration"])]
    session: Option<String>,
    #[command(flatten)]
    world: WorldArguments,
    #[command(flatten)]
    network: NetworkArguments,
}

/// The way between the server and us.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Network")]
struct NetworkArguments {
    /// A message takes at least this long; a REST request 3ms more each way
    #[arg(long, value_name = "DURATION", value_parser = latency, default_value = "5ms")]
    latency: Span,
    /// One message in 500 takes up to this much longer; one request in 100 half as much again
    #[arg(long, value_name = "DURATION", value_parser = latency, default_value = "200ms")]
    tail: Span,
    /// The server's clock minus ours, e.g. `-90s`
    #[arg(long, value_name = "DURATION", value_parser = offset, default_value = "0s", allow_hyphen_values = true)]
    clock_offset: Span,
    /// How much faster the server's clock runs, e.g. `20ppm` or `-0.01%`
    #[arg(long, value_name = "SHARE", value_parser = drift_ppm, default_value = "0ppm", allow_hyphen_values = true)]
    drift: i64,
    /// Parallel WebSocket connections, which share the streams among them
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    connections: u32,
}

impl NetworkArguments {
    fn network(&self) -> Network {
        let mut network = Network::default();
        network.ws.base = self.latency;
        network.rest.base = self.latency + Span::from_millis(3);
        network.ws.tail = self.tail;
        network.rest.tail = Span(self.tail.0 / 2 * 3);
        (network.clock_offset, network.clock_drift_ppm) = (self.clock_offset, self.drift);
        network
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub out: PathBuf,
    pub contract: Option<PathBuf>,
    pub from: Timestamp,
    pub duration: Span,
    /// CALENDAR:DATE.
    pub session: Option<String>,
    pub world: WorldSettings,
    pub network: Network,
    pub connections: usize,
}

impl Arguments {
    pub fn settings(self) -> Settings {
        Settings {
            out: self.out,
            contract: self.contract,
            from: self.from,
            duration: self.duration,
            session: self.session,
            world: self.world.settings(),
            network: self.network.network(),
            connections: self.network.connections as usize,
        }
    }
}

/// A delay; none at all is one too.
fn latency(text: &str) -> Result<Span, String> {
    let most = Span::from_secs(60);
    let span = Span::parse(text).filter(|span| *span <= most);
    span.ok_or_else(|| format!("a delay is a duration up to {most}, e.g. `5ms`"))
}

/// A duration with a sign, up to a day.
fn offset(text: &str) -> Result<Span, String> {
    let (sign, size) = text.strip_prefix('-').map_or((1, text), |size| (-1, size));
    let span = Span::parse(size).filter(|span| *span <= Span::from_secs(86_400));
    span.map(|span| span * sign)
        .ok_or_else(|| "an offset is a duration up to a day, e.g. `90s` or `-2m`".into())
}

/// Parts per million, at most a tenth.
fn drift_ppm(text: &str) -> Result<i64, String> {
    let scaled = |number: &str, scale: f64| Some(number.trim().parse::<f64>().ok()? * scale);
    let ppm = match (text.strip_suffix("ppm"), text.strip_suffix('%')) {
        (Some(number), _) => scaled(number, 1.0),
        (_, Some(number)) => scaled(number, 10_000.0),
        _ => None,
    };
    match ppm {
        Some(ppm) if ppm.abs() <= 100_000.0 => Ok(ppm.round() as i64),
        _ => Err("a drift is a share up to 10%, e.g. `20ppm` or `-0.01%`".into()),
    }
}

pub fn run(settings: Settings, console: &Console) -> anyhow::Result<Exit> {
    let session = settings.session.as_deref().map(MarketSession::find).transpose()?;
    let contract = contract(&settings, session.as_ref(), console)?;
    let mut options = SimulationOptions::new(settings.from, settings.duration);
    options.world = settings.world.options();
    if let Some(session) = &session {
        (options.from, options.duration) = (session.session.open(), session.length());
        options.world.hours = session.hours(options.world.markets);
    }
    options.faults = settings.world.faults()?;
    options.polls = polls(&contract);
    options.network = settings.network;
    options.connections = settings.connections;
    options.rest_timeout = contract.rest.timeout;
    options.max_message = contract.ws.max_message;
    options.seed = settings.world.seed;
    options.start = start(&contract);
    let simulation = Simulation::new(options).map_err(|error| WrongUse(format!("--fault: {error}")))?;
    let mut truth = TruthFile::create(settings.world.truth.as_deref())?;
    let mut recording = Recording::create(&settings.out)?;
    let remarks = simulation.run(
        |observation| recording.append(observation),
        |entry| {
            if let Some(truth) = &mut truth {
                truth.write(entry);
            }
        },
    );
    let lines = recording.finish().with_context(|| recording::could_not(&settings.out))?;
    truth.map_or(Ok(()), TruthFile::finish)?;
    remarks.iter().for_each(|remark| console.note(remark));
    console.note(&format!("{lines} lines; replay them with: cutover replay {}", settings.out.display()));
    Ok(Exit::Pass)
}

/// The contract that was named, or the built-in one, for an exchange's session with its calendar.
fn contract(
    settings: &Settings,
    session: Option<&MarketSession>,
    console: &Console,
) -> anyhow::Result<Contract> {
    let Some(session) = session else { return load_contract(settings.contract.as_deref(), false) };
    if settings.contract.is_none() {
        let text =
            BUILTIN.replacen("calendar = \"24/7\"", &format!("calendar = \"{}\"", session.calendar), 1);
        return read_contract("built-in contract", &text, false);
    }
    let contract = load_contract(settings.contract.as_deref(), false)?;
    for feature in contract.features.iter().filter(|feature| feature.calendar.name != session.calendar) {
        console.note(&format!(
            "{} is judged by the contract's calendar {}, not by {}",
            feature.name, feature.calendar.name, session.calendar
        ));
    }
    Ok(contract)
}

/// The contract's polls of what the reference world serves.
fn polls(contract: &Contract) -> Vec<Poll> {
    contract
        .features
        .iter()
        .map(|f| Poll { feature: f.name.to_string(), path: f.rest.path.clone(), every: f.rest.poll })
        .collect()
}

fn start(contract: &Contract) -> Start {
    Start {
        capture: VERSION,
        tool: TOOL.into(),
        contract: contract.recorded_text.clone(),
        contract_sha256: contract.sha256.clone(),
        feeds: vec![("rest".into(), "simulated".into()), ("ws".into(), "simulated".into())],
        flags: contract
            .features
            .iter()
            .filter(|f| !f.flag.is_empty())
            .map(|f| (f.flag.clone(), false))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_network_is_read_with_units_and_signs() {
        assert_eq!(offset("-90s"), Ok(Span::from_secs(-90)));
        assert_eq!(offset("2m"), Ok(Span::from_secs(120)));
        assert_eq!((drift_ppm("20ppm"), drift_ppm("-0.01%"), drift_ppm("0ppm")), (Ok(20), Ok(-100), Ok(0)));
        assert_eq!(latency("0s"), Ok(Span::ZERO));
        for wrong in ["90", "25h", ""] {
            assert!(offset(wrong).is_err(), "{wrong}");
        }
        for wrong in ["20", "11%", "ppm", "NaN%"] {
            assert!(drift_ppm(wrong).is_err(), "{wrong}");
        }
        assert!(latency("2m").is_err());
    }
}
