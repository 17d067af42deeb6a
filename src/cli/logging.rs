//! Owns the log: what is written to stderr, from RUST_LOG or -v. Must not carry results.

use super::arguments::Global;
use super::console::{Console, variable};
use super::exit::WrongUse;
use anyhow::Context;
use indicatif::MultiProgress;
use std::io::{self, Write};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Starts the log for the life of the process.
pub fn start(global: &Global, console: &Console) -> anyhow::Result<()> {
    let filter = filter(global, variable("RUST_LOG").as_deref())?;
    let progress = console.progress().clone();
    let layer = tracing_subscriber::fmt::layer()
        .with_ansi(console.colour_err)
        .with_target(global.verbose > 1)
        .with_writer(move || AboveProgress(progress.clone()))
        .with_filter(filter);
    tracing_subscriber::registry().with(layer).try_init().context("could not start the log")
}

/// RUST_LOG where it is set and we need not be quiet, else what -q and -v say.
fn filter(global: &Global, rust_log: Option<&str>) -> Result<Targets, WrongUse> {
    if global.quiet {
        return Ok(Targets::new().with_default(LevelFilter::ERROR));
    }
    match rust_log.map(str::trim) {
        Some(text) if !text.is_empty() => text.parse().map_err(|error| {
            WrongUse(format!("could not read RUST_LOG={text}: {error}; write e.g. `info,cutover=debug`"))
        }),
        _ => Ok(by_verbosity(global.verbose)),
    }
}

/// The libraries' own chatter comes one step later than ours.
fn by_verbosity(verbose: u8) -> Targets {
    let (ours, theirs) = match verbose {
        0 => (LevelFilter::WARN, LevelFilter::ERROR),
        1 => (LevelFilter::INFO, LevelFilter::WARN),
        2 => (LevelFilter::DEBUG, LevelFilter::INFO),
        _ => (LevelFilter::TRACE, LevelFilter::DEBUG),
    };
    Targets::new().with_default(theirs).with_target("cutover", ours)
}

/// Writes to stderr with the live view out of the way; a formatted event comes in one piece.
struct AboveProgress(MultiProgress);

impl Write for AboveProgress {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stderr().write(bytes))
    }
    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::arguments::ColorChoice;
    use tracing::Level;

    #[test]
    fn what_is_logged_follows_the_flags() {
        let flags = |quiet, verbose| Global { quiet, verbose, color: ColorChoice::Auto };
        let logs = |global: &Global, rust_log: Option<&str>, target: &str, level: Level| {
            filter(global, rust_log).unwrap().would_enable(target, &level)
        };
        assert!(logs(&flags(false, 0), None, "cutover::source", Level::WARN));
        assert!(!logs(&flags(false, 0), None, "cutover::source", Level::INFO));
        assert!(logs(&flags(false, 1), None, "cutover::source", Level::INFO));
        assert!(!logs(&flags(false, 1), None, "hyper", Level::INFO));
        assert!(logs(&flags(false, 0), Some("hyper=trace"), "hyper", Level::TRACE));
        assert!(!logs(&flags(true, 0), Some("trace"), "cutover", Level::WARN));
        assert!(filter(&flags(false, 0), Some("cutover=loud")).is_err());
    }
}
