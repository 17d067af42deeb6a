//! Owns what every command shares on the command line: the global flags, the list of commands, and
//! how one typed word becomes a value. Must not open or run anything.

use super::folder::Place;
use super::world::WorldSettings;
use super::{
    calendar, completions, demo, diff, doctor, drill, enable, explain, gate, import, init, man, plan, replay,
    report, rollback, serve, set_aside, sign, simulate, status, tap, verify, watch,
};
use crate::model::{Phase, Span, Timestamp};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  cutover demo                            all four features against the built-in server, about a minute
  cutover init                            write cutover.toml, the contract to adapt
  cutover watch --contract cutover.toml --for 10m
  cutover replay reports/*/capture.jsonl

Exit codes:
  0 PASS   1 FAIL   2 wrong use or contract   3 INCONCLUSIVE   4 the tool could not do its work";

/// Proves, with evidence, that a WebSocket stream can replace a polled REST endpoint.
#[derive(Debug, Parser)]
#[command(name = "cutover", version, after_help = EXAMPLES, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watch the built-in server: all four features over real sockets, a report at the end
    Demo(demo::Arguments),
    /// Watch both feeds live and judge the stream
    Watch(Box<watch::Arguments>),
    /// Judge recorded runs again
    Replay(replay::Arguments),
    /// Tell from reports and captures whether a feature may pass; for CI
    Gate(gate::Arguments),
    /// Tell per feature what its flag says, which phases are done, and what is next
    Status(status::Arguments),
    /// Turn a feature's flag on in an env file, through the gate, one at a time
    Enable(enable::Arguments),
    /// Turn a feature's flag off at once, and watch that REST serves again
    Rollback(rollback::Arguments),
    /// Begin anew with a feature after a repair: its stored runs count no more, and are told
    SetAside(set_aside::Arguments),
    /// Sign evidence as a reviewer, or make the key for it
    Sign(sign::Arguments),
    /// Tell of each signature of the evidence whether it holds, or what changed
    Verify(verify::Arguments),
    /// Render reports and captures again, in any format
    Report(report::Arguments),
    /// Serve the reference world, with faults on request, or a recording: REST and WebSocket on one port
    Serve(serve::Arguments),
    /// Step the reference world through virtual time into a capture
    Simulate(simulate::Arguments),
    /// Spoil a recording that passes in every known way, and tell what the gate sees of it
    Drill(drill::Arguments),
    /// Pass on what goes between frontend and backend, and record what the frontend asks for
    Tap(tap::Arguments),
    /// Make a capture of what a browser or a web server recorded
    Import(import::Arguments),
    /// Write a contract to begin with: the built-in one, or a guess from what feeds say
    Init(init::Arguments),
    /// Try a contract against its feeds for a few seconds, and tell what to change
    Doctor(doctor::Arguments),
    /// Lay two bodies or two recordings side by side: equal or not by a contract
    Diff(diff::Arguments),
    /// Show both sides' raw records around a finding, and the rule that decided
    Explain(explain::Arguments),
    /// Tell what a contract will check, and how long that takes to prove
    Plan(plan::Arguments),
    /// Print the sessions of an exchange, or which calendars are known
    Calendar(calendar::Arguments),
    /// Print what a shell needs to complete this command line
    Completions(completions::Arguments),
    /// Print the manual pages, or write them all
    Man(man::Arguments),
}

/// Under this heading help lists what every command takes.
const GLOBAL: &str = "Everywhere";

#[derive(Debug, Clone, Args)]
pub struct Global {
    /// No progress and no log, only results and errors
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = GLOBAL)]
    pub quiet: bool,
    /// Log more on stderr, twice more still; RUST_LOG=cutover=debug wins over it
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = GLOBAL)]
    pub verbose: u8,
    /// Colour: auto, always or never; auto heeds NO_COLOR and colours terminals only
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", help_heading = GLOBAL)]
    #[arg(hide_possible_values = true, hide_default_value = true)]
    pub color: ColorChoice,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    Auto,
    Always,
    Never,
}

/// How results are printed on stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For people; the last line is the report folder.
    #[default]
    #[value(help = None)]
    Text,
    /// `report.json` as it is and nothing else, because its readers take nothing else; the report
    /// folder is named on stderr.
    #[value(help = None)]
    Json,
}

/// Where reports go, and how results are printed.
#[derive(Debug, Clone, Args)]
pub struct ReportArguments {
    /// Folder that gets a folder of its own for this run
    #[arg(long, value_name = "DIR", default_value = "reports")]
    pub reports: PathBuf,
    /// Exactly this folder; an earlier report in it is replaced
    #[arg(long, value_name = "DIR", conflicts_with = "reports")]
    pub report_dir: Option<PathBuf>,
    /// Into a folder of its own below this store of evidence, chained to the runs before it
    #[arg(long, value_name = "DIR", conflicts_with_all = ["reports", "report_dir"])]
    pub evidence: Option<PathBuf>,
    /// How results are printed: text ends with the report folder, json is report.json alone
    #[arg(long, value_name = "text|json", default_value = "text")]
    #[arg(hide_possible_values = true, hide_default_value = true)]
    pub format: Format,
}

impl ReportArguments {
    pub fn place(&self) -> Place {
        match (&self.evidence, &self.report_dir) {
            (Some(dir), _) => Place::Stored(dir.clone()),
            (None, Some(dir)) => Place::Exact(dir.clone()),
            (None, None) => Place::Under(self.reports.clone()),
        }
    }
}

/// The reference world's size and seed.
#[derive(Debug, Clone, Args)]
pub struct WorldArguments {
    /// The world, its network and its faults follow from this number
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Accounts in the world
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub accounts: u32,
    /// Symbols in the world
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub symbols: u32,
    /// Inject NAME[:key=value,…], e.g. gap:feature=positions,rate=1% (repeatable; --help lists all)
    #[arg(long = "fault", value_name = "FAULT")]
    pub faults: Vec<String>,
    /// Write each injected fault to this file as it happens (JSON lines)
    #[arg(long, value_name = "FILE")]
    pub truth: Option<PathBuf>,
}

impl WorldArguments {
    pub fn settings(self) -> WorldSettings {
        WorldSettings {
            seed: self.seed,
            accounts: self.accounts,
            symbols: self.symbols,
            faults: self.faults,
            truth: self.truth,
        }
    }
}

/// How many times as fast a world's clock may run.
pub const MAX_SPEED: i64 = 1000;

/// `250ms`, `90s`, `10m`, `6.5h`.
pub fn duration(text: &str) -> Result<Span, String> {
    match Span::parse(text) {
        Some(span) if span > Span::ZERO => Ok(span),
        Some(_) => Err("it must be longer than nothing".into()),
        None => Err("a duration has a unit, e.g. `90s`, `10m`, `6.5h`".into()),
    }
}

pub fn instant(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse_rfc3339(text)
        .ok_or_else(|| "an instant is RFC 3339 with its offset, e.g. `2025-12-19T14:30:00Z`".into())
}

/// `0.1%`, a fraction of 0.001. Below a millionth the pairs outnumber what a lifetime can show.
pub fn rate(text: &str) -> Result<f64, String> {
    let percent = text.strip_suffix('%').map(str::trim).and_then(|number| number.parse::<f64>().ok());
    match percent {
        Some(percent) if (0.0001..=50.0).contains(&percent) => Ok(percent / 100.0),
        Some(_) => Err("a rate lies between `0.0001%` and `50%`".into()),
        None => Err("a rate is a percentage, e.g. `0.1%`".into()),
    }
}

/// A phase by its name, listed in the help.
pub fn phase() -> impl TypedValueParser<Value = Phase> {
    let names = Phase::ALL.map(Phase::name);
    PossibleValuesParser::new(names).try_map(|name| Phase::parse(&name).ok_or("unknown phase"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_help_with_an_example() {
        for command in Cli::command().get_subcommands_mut() {
            let name = command.get_name().to_string();
            let help = command.render_long_help().to_string();
            assert!(help.contains("Example") && help.contains(&format!("cutover {name}")), "{name}\n{help}");
        }
    }

    #[test]
    fn what_was_typed_becomes_settings() {
        let parse = |line: &str| {
            let cli = Cli::try_parse_from(std::iter::once("cutover").chain(line.split(' '))).unwrap();
            match cli.command {
                Command::Watch(arguments) => arguments.settings(),
                other => panic!("{other:?}"),
            }
        };
        let plain = parse("watch");
        assert_eq!((plain.stop, plain.speed), (watch::Stop::Never, 1));
        assert_eq!((plain.place, plain.format), (Place::Under("reports".into()), Format::Text));
        let proven = |line| parse(line).until_proven;
        let all = ["watch", "watch --until-proven", "watch --until-proven=1% --for 1h"].map(proven);
        assert_eq!(all, [None, Some(0.001), Some(0.01)]);
        let full = parse(
            "-v watch --for 10m --feature a --feature b --phase after-enabling --report-dir x --format json \
             --color never --contract c.toml --seed 7",
        );
        assert_eq!(full.stop, watch::Stop::After(Span::from_secs(600)));
        assert_eq!((full.features, full.phases), (vec!["a".into(), "b".into()], vec![Phase::AfterEnabling]));
        assert_eq!((full.place, full.format), (Place::Exact("x".into()), Format::Json));
        assert_eq!((full.contract, full.seed), (Some("c.toml".into()), Some(7)));
    }

    #[test]
    fn a_rate_is_a_percentage() {
        for (text, expect) in [("0.1%", Ok(0.001)), ("50 %", Ok(0.5)), ("1%", Ok(0.01))] {
            assert_eq!(rate(text), expect, "{text}");
        }
        for text in ["0.001", "0%", "-1%", "51%", "x%", "NaN%", "inf%", ""] {
            assert!(rate(text).is_err(), "{text}");
        }
    }

    #[test]
    fn wrong_use_is_refused() {
        for line in [
            "watch --for 10",
            "watch --for 0s",
            "watch --for 1m --until 16:00",
            "watch --until 25:00",
            "watch --until-proven=2",
            "watch --phase later",
            "watch --speed 0",
            "watch --reports a --report-dir b",
            "watch -q -v",
            "replay",
            "serve --listen nowhere",
            "simulate",
            "simulate out.jsonl --from 2025-12-19T14:30:00",
            "simulate out.jsonl --session XNYS:2025-12-19 --for 1h",
            "simulate out.jsonl --connections 0",
            "simulate out.jsonl --drift 20",
            "gate",
            "gate reports --feature positions",
            "gate reports --phase before-enabling",
            "gate reports --feature positions --phase before-enabling --wait 5",
        ] {
            let words = std::iter::once("cutover").chain(line.split(' '));
            let error = Cli::try_parse_from(words).expect_err(line);
            assert!(error.use_stderr(), "{line}");
        }
    }
}
