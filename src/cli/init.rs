//! Owns `cutover init`: a contract to begin with, the built-in one or a guess from what feeds say. Must not
//! overwrite one unasked.

use super::arguments::{Format, duration};
use super::console::Console;
use super::exit::{Exit, WrongUse};
use super::infer::{Addresses, Guessed, from_capture, from_feeds, verdicts};
use crate::contract::BUILTIN;
use crate::model::Span;
use anyhow::Context;
use clap::Args;
use serde_json::json;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  cutover init                            writes cutover.toml, the built-in contract
  cutover init staging.toml
  cutover init -                          prints it
  cutover init --from capture.jsonl       guesses a contract from a recording
  cutover init --rest https://h/api/accounts --rest https://h/api/bars --ws wss://h/ws --for 2m
  cutover init --rest https://h/api/accounts --ws wss://h/ws --header 'Authorization: Bearer ${TOKEN}'

What speaks for a guess stands beside it in the contract; UNSURE marks what needs your eye. Feeds
behind a login: record them with `cutover watch` and a contract that has it, then use --from.";

const GUESS: &str = "Guessing";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The file to write; `-` is stdout [default: cutover.toml]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// The same as FILE
    #[arg(short, long, value_name = "FILE", conflicts_with = "file")]
    output: Option<PathBuf>,
    /// Replace the file if it exists
    #[arg(long)]
    force: bool,
    /// Guess from this recording
    #[arg(long, value_name = "CAPTURE", conflicts_with_all = ["rest", "ws"], help_heading = GUESS)]
    from: Option<PathBuf>,
    /// Watch this REST endpoint, one a feature (repeatable)
    #[arg(long, value_name = "URL", requires = "ws", help_heading = GUESS)]
    rest: Vec<String>,
    /// Watch this WebSocket
    #[arg(long, value_name = "URL", requires = "rest", help_heading = GUESS)]
    ws: Option<String>,
    /// How long to watch
    #[arg(long = "for", value_name = "DURATION", value_parser = duration, default_value = "60s", help_heading = GUESS)]
    duration: Span,
    /// How often to poll each endpoint
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "2s", help_heading = GUESS)]
    poll: Span,
    /// Send this to both, `${NAME}` from the environment (repeatable)
    #[arg(long = "header", value_name = "NAME: VALUE", help_heading = GUESS)]
    headers: Vec<String>,
    /// Send this text after each WebSocket connect (repeatable)
    #[arg(long, value_name = "TEXT", help_heading = GUESS)]
    subscribe: Vec<String>,
    /// Keep what was watched (.jsonl or .jsonl.zst)
    #[arg(long, value_name = "CAPTURE", requires = "ws", help_heading = GUESS)]
    record: Option<PathBuf>,
    /// How the result is printed
    #[arg(long, value_name = "text|json", default_value = "text")]
    #[arg(hide_possible_values = true, hide_default_value = true)]
    format: Format,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// `-` is stdout.
    pub file: PathBuf,
    pub force: bool,
    pub origin: Origin,
    pub format: Format,
}

/// Where the contract comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum Origin {
    Builtin,
    Capture(PathBuf),
    Feeds(Addresses),
}

impl Arguments {
    pub fn settings(self) -> Settings {
        let origin = match (self.from, self.ws) {
            (Some(capture), _) => Origin::Capture(capture),
            (None, Some(ws)) => Origin::Feeds(Addresses {
                rest: self.rest,
                ws,
                headers: self.headers,
                subscribe: self.subscribe,
                poll: self.poll,
                duration: self.duration,
                record: self.record,
            }),
            (None, None) => Origin::Builtin,
        };
        let file = self.file.or(self.output).unwrap_or_else(|| "cutover.toml".into());
        Settings { file, force: self.force, origin, format: self.format }
    }
}

pub fn run(settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    // Said before a minute of watching, not after it.
    if !settings.force && settings.file.is_file() {
        return Err(exists()).with_context(|| could_not(settings));
    }
    let guessed = match &settings.origin {
        Origin::Builtin => return builtin(settings, console),
        Origin::Capture(path) => from_capture(path)?,
        Origin::Feeds(addresses) => from_feeds(addresses, console)?,
    };
    let Some(text) = &guessed.inferred.contract else {
        console.result(shown(settings, &guessed).as_bytes()).context("could not print the result")?;
        return Ok(Exit::Inconclusive);
    };
    if to_stdout(settings) {
        console.result(text.as_bytes()).context("could not print the contract")?;
        shown(settings, &guessed).lines().for_each(|line| console.note(line));
    } else {
        write(settings, text).with_context(|| could_not(settings))?;
        console.result(shown(settings, &guessed).as_bytes()).context("could not print the result")?;
    }
    Ok(Exit::Pass)
}

fn to_stdout(settings: &Settings) -> bool {
    settings.file == Path::new("-")
}

fn could_not(settings: &Settings) -> String {
    format!("could not write {}", settings.file.display())
}

fn exists() -> anyhow::Error {
    WrongUse("it exists already; --force replaces it".into()).into()
}

fn builtin(settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let file = &settings.file;
    if to_stdout(settings) {
        console.result(BUILTIN.as_bytes()).context("could not print the contract")?;
        return Ok(Exit::Pass);
    }
    write(settings, BUILTIN).with_context(|| could_not(settings))?;
    let next = format!(
        "wrote {0}\nset base_url, url and the features in it, then: cutover watch --contract {0} --for 10m\n",
        file.display()
    );
    console.result(next.as_bytes()).context("could not print the result")?;
    Ok(Exit::Pass)
}

/// What was guessed, how sure that is, and what stays alone.
fn shown(settings: &Settings, guessed: &Guessed) -> String {
    match settings.format {
        Format::Json => in_json(settings, guessed),
        Format::Text => in_words(settings, guessed),
    }
}

fn in_words(settings: &Settings, Guessed { inferred, outcome, cures }: &Guessed) -> String {
    let file = settings.file.display();
    let mut out = match &inferred.contract {
        None => "nothing could be paired, so no contract was written\n".to_string(),
        Some(_) => format!(
            "wrote {file}: {} features, {} guesses marked UNSURE\n",
            inferred.paired.len(),
            inferred.unsure
        ),
    };
    for pairing in &inferred.paired {
        let _ = writeln!(
            out,
            "  {} with message type {}: {} fields, {} pairs",
            pairing.feature, pairing.message_type, pairing.fields, pairing.pairs
        );
    }
    for alone in &inferred.unpaired {
        let _ = writeln!(out, "  not paired: {alone}");
    }
    for cure in cures {
        let _ = writeln!(out, "  cure: {cure}");
    }
    if let Some(outcome) = outcome {
        out.push_str("judged by it, the same observations give:\n");
        verdicts(outcome).iter().for_each(|line| out.push_str(&format!("  {line}\n")));
        let _ =
            writeln!(out, "look at what is marked UNSURE, then: cutover watch --contract {file} --for 10m");
    }
    out
}

fn in_json(settings: &Settings, Guessed { inferred, outcome, cures }: &Guessed) -> String {
    let verdict = |name: &str| {
        let feature = outcome.as_ref()?.features.iter().find(|feature| *feature.name == *name)?;
        Some(feature.verdict.name())
    };
    let features: Vec<_> = inferred
        .paired
        .iter()
        .map(|pairing| {
            json!({
                "feature": pairing.feature,
                "message_type": pairing.message_type,
                "fields": pairing.fields,
                "pairs": pairing.pairs,
                "verdict": verdict(&pairing.feature),
            })
        })
        .collect();
    let written = inferred.contract.is_some().then(|| settings.file.display().to_string());
    let all = json!({
        "contract": written,
        "features": features,
        "not_paired": inferred.unpaired,
        "unsure": inferred.unsure,
        "cures": cures,
    });
    format!("{all:#}\n")
}

fn write(settings: &Settings, text: &str) -> anyhow::Result<()> {
    let mut file = match open(settings) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(exists());
        }
        opened => opened?,
    };
    file.write_all(text.as_bytes())?;
    Ok(file.sync_all()?)
}

fn open(settings: &Settings) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true);
    if settings.force {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    options.open(&settings.file)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // what was written is read back
mod tests {
    use super::*;

    fn settings_of(file: &Path) -> Settings {
        Settings { file: file.into(), force: false, origin: Origin::Builtin, format: Format::Text }
    }

    #[test]
    fn a_file_is_written_once_and_replaced_on_request() {
        let temp = tempfile::tempdir().unwrap();
        let file = temp.path().join("cutover.toml");
        let settings = |force| Settings { force, ..settings_of(&file) };
        write(&settings(false), BUILTIN).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), BUILTIN);
        std::fs::write(&file, "mine").unwrap();
        let error = write(&settings(false), BUILTIN).unwrap_err();
        assert_eq!(Exit::of_error(&error), Exit::WrongUse);
        assert!(error.to_string().ends_with("it exists already; --force replaces it"));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
        write(&settings(true), BUILTIN).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), BUILTIN);
        let nowhere = settings_of(&temp.path().join("no/such/folder.toml"));
        assert_eq!(Exit::of_error(&write(&nowhere, BUILTIN).unwrap_err()), Exit::Unable);
    }
}
