//! TOML in, `Contract` out, or all errors of the file at once, each with its place and its cure.
//!
//! Owns the order of the work: syntax, then every table by its own reader (`parse/`), then what only the
//! whole file can tell. Reads nothing by itself: text and environment are passed in. No message ever shows a
//! value of a header, of a login or of the environment.

mod calendars;
mod connection;
mod feature;
mod field;
mod governance;
mod limits;
mod login;
mod market;
mod mask;
mod place;
mod reader;
mod records;
mod reshape;
mod rows;
mod text;

#[cfg(test)]
mod tests;

pub use mask::BLOT as MASKED;

use super::{Contract, Feature};
use crate::model::Span;
use reader::{Reader, Table};
use toml::de::DeTable;

/// Looks up an environment variable; passed in because this room reads nothing by itself.
pub type Environment<'e> = &'e dyn Fn(&str) -> Option<String>;

/// The language's version that this program reads; raised when a contract of before would mean another thing.
pub const VERSION: i64 = 1;

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{file}:{line}:{column}: {message}")]
pub struct ContractError {
    pub file: String,
    pub line: usize,
    pub column: usize,
    /// What is wrong and what would be right.
    pub message: String,
    /// The offending line of the file, credentials as `*`.
    pub excerpt: String,
    /// How many characters of the line are meant, from `column` on; at least one.
    pub length: usize,
}

impl ContractError {
    /// The error in a compiler's form: place, line with a mark under it, cure. Without colour.
    pub fn render(&self) -> String {
        place::render(self)
    }
}

/// Parses a contract. `connects`: whether unset variables in `[rest]` and `[ws]` are errors too.
pub fn parse(
    file: &str,
    text: &str,
    environment: Environment<'_>,
    connects: bool,
) -> Result<Contract, Vec<ContractError>> {
    let (document, syntax) = DeTable::parse_recoverable(text);
    let (repeated, torn): (Vec<_>, Vec<_>) = syntax.iter().partition(|error| error.message() == REPEATED);
    let reader = Reader::new(text, environment, connects);
    // In a torn file keys only seem to repeat, because a table's head was lost.
    for error in if torn.is_empty() { &repeated } else { &torn } {
        reader.error(error.span().unwrap_or(0..0), &syntax_message(text, error));
    }
    // After other syntax errors the table is only what could be recovered, and its errors would mislead.
    let contract = if torn.is_empty() {
        let root = Table::root(&reader, document.get_ref());
        if connects {
            for span in mask::blots(document.get_ref()) {
                reader.error(
                    span,
                    "a credential was hidden here; write \"${NAME}\", and set NAME in the environment",
                );
            }
        }
        contract(&root, text)
    } else {
        None
    };
    let errors = reader.into_errors();
    match contract {
        Some(contract) if errors.is_empty() => Ok(contract),
        _ => Err(place::located(file, text, document.get_ref(), !torn.is_empty(), errors)),
    }
}

/// Reads all tables even where one is wrong, so that every error is found in one go. What is wrong may stand
/// in the result by a default: whoever asks must see first that no error was reported.
fn contract(root: &Table<'_, '_>, text: &str) -> Option<Contract> {
    if !version_is_known(root) {
        return None;
    }
    let rest = connection::rest(root);
    let ws = connection::ws(root);
    let calendars = calendars::Calendars::read(root);
    let market = calendars::market(root, &calendars);
    let timing = governance::timing(root);
    let limits = limits::top(root);
    let defaults = feature::Defaults {
        calendar: market,
        time_tolerance: timing.time_tolerance,
        limits,
        settle: timing.settle,
    };
    let features = feature::features(root, &defaults, &calendars);
    let logs = governance::logs(root);
    let redact = governance::redact(root, features.as_deref());
    let reviewers = governance::reviewers(root);
    let waivers = governance::waivers(root, features.as_deref());
    root.finish();
    if let (Some(rest), Some(ws)) = (&rest, &ws) {
        login::check_token(root, rest.login.as_ref(), ws);
    }
    let features = features?;
    governance::check_ignored_types(root, &features);
    governance::check_timing(root, &features);
    Some(Contract {
        rest: rest?,
        ws: ws?,
        settle: timing.settle,
        features,
        calendars: calendars.rules(),
        redact: redact?,
        reviewers: reviewers?,
        waivers: waivers?,
        logs: logs?,
        recorded_text: mask::recorded_text(text, root.entries()),
        sha256: sha256(text),
    })
}

/// With another version nothing else can be judged, so this error stands alone.
fn version_is_known(root: &Table<'_, '_>) -> bool {
    let Some(version) = root.integer("version") else {
        if !root.has("version") {
            root.lacks("version", format!("`version` is lacking; begin the file with `version = {VERSION}`"));
        }
        return true;
    };
    if version.value == VERSION {
        return true;
    }
    let cure = if version.value > VERSION {
        "a newer `cutover` reads it; upgrade, or write it in version 1"
    } else {
        "no such version was ever released"
    };
    root.error(
        version.at,
        &format!(
            "contract version {} is unknown to this program, which reads version {VERSION}; {cure}",
            version.value
        ),
    );
    false
}

/// Default of `time_tolerance`: a tenth of the interval, at most a second.
fn default_time_tolerance(interval: Span) -> Span {
    Span(interval.0 / 10).min(Span::from_secs(1))
}

/// Over a contract file's bytes, in hexadecimal.
pub(super) fn sha256(text: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What the TOML reader says of a key that stands twice.
const REPEATED: &str = "duplicate key";

fn syntax_message(text: &str, error: &toml::de::Error) -> String {
    let message = error.message();
    if message != REPEATED {
        return format!("not TOML: {message}");
    }
    let key = error.span().and_then(|span| text.get(span)).unwrap_or_default();
    format!("repeated key `{key}`; keep one of the two")
}

/// The feature's own fields and those of its rows.
fn all_fields(feature: &Feature) -> impl Iterator<Item = &super::Field> {
    feature.fields.iter().chain(feature.rows.iter().flat_map(|rows| &rows.fields))
}
