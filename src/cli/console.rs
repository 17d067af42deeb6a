//! Owns what is printed where: results on stdout, everything else on stderr, around a live view.
//! Must not know what is printed. It alone asks whether there is a terminal, and how wide it is.

use super::arguments::{ColorChoice, Global};
use crate::report::terminal::clean;
use indicatif::{MultiProgress, ProgressDrawTarget};
use std::io::{self, IsTerminal, Write};

/// Where no terminal says how wide it is: fits every one, and diffs of files stay readable.
const DEFAULT_COLUMNS: usize = 80;
/// Where results go into a file or a pipe, nothing breaks lines for us.
const PIPE_COLUMNS: usize = 120;

#[derive(Debug, Clone)]
pub struct Console {
    pub quiet: bool,
    /// Whether to colour results.
    pub colour_out: bool,
    /// Whether to colour progress and log.
    pub colour_err: bool,
    /// Whether stderr is a terminal, so that a live view can be drawn.
    pub live: bool,
    progress: MultiProgress,
}

impl Console {
    pub fn open(global: &Global) -> Console {
        let (out, err) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        let draws = err && !global.quiet;
        let target = if draws { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Console {
            quiet: global.quiet,
            colour_out: colours(global.color, out, variable),
            colour_err: colours(global.color, err, variable),
            live: err,
            progress: MultiProgress::with_draw_target(target),
        }
    }

    /// The live view's lines; log lines are written above them.
    pub fn progress(&self) -> &MultiProgress {
        &self.progress
    }

    /// How wide the text result may be; asked when it is printed, because a window can change meanwhile.
    pub fn columns(&self) -> usize {
        let terminal = io::stdout().is_terminal();
        columns(terminal.then(terminal_columns).flatten(), terminal, variable)
    }

    /// Results. A reader that has gone away (`| head`) is no failure of ours.
    pub fn result(&self, bytes: &[u8]) -> io::Result<()> {
        let mut out = io::stdout().lock();
        match out.write_all(bytes).and_then(|()| out.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            done => done,
        }
    }

    /// A line about the run on stderr, unless quiet.
    pub fn note(&self, line: &str) {
        if !self.quiet {
            self.line(line);
        }
    }

    /// `cutover: could not …: …`, the whole chain, on stderr.
    pub fn error(&self, error: &anyhow::Error) {
        for line in chain(error).lines() {
            self.line(line);
        }
    }

    fn line(&self, line: &str) {
        let line = clean(line);
        // Where stderr is gone there is nobody to tell.
        self.progress.suspend(|| {
            let _ = writeln!(io::stderr(), "{line}");
        });
    }
}

/// The chain of an error; a message that repeats what its cause says is said once.
fn chain(error: &anyhow::Error) -> String {
    let mut text = String::from("cutover");
    let mut last = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if !last.ends_with(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
        last = cause;
    }
    text
}

/// One variable of the environment.
pub fn variable(name: &str) -> Option<String> {
    #[allow(clippy::disallowed_methods)] // the one door through which the environment comes in
    std::env::var(name).ok()
}

fn colours(choice: ColorChoice, terminal: bool, variable: impl Fn(&str) -> Option<String>) -> bool {
    let refused = || variable("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = || variable("TERM").is_some_and(|value| value == "dumb");
    match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => terminal && !refused() && !dumb(),
    }
}

/// How wide the terminal on stdout says it is.
fn terminal_columns() -> Option<usize> {
    console::Term::stdout().size_checked().map(|(_, columns)| usize::from(columns))
}

/// COLUMNS wins, because it was set by hand or by the shell; then the terminal's own word.
fn columns(measured: Option<usize>, terminal: bool, variable: impl Fn(&str) -> Option<String>) -> usize {
    match variable("COLUMNS").and_then(|value| value.parse().ok()).or(measured) {
        Some(columns) if columns > 0 => columns,
        _ if terminal => DEFAULT_COLUMNS,
        _ => PIPE_COLUMNS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn colour_is_asked_for_allowed_and_possible() {
        let none = |_: &str| None;
        let no_color = |name: &str| (name == "NO_COLOR").then(|| "1".to_string());
        let empty = |name: &str| (name == "NO_COLOR").then(String::new);
        let dumb = |name: &str| (name == "TERM").then(|| "dumb".to_string());
        assert!(colours(ColorChoice::Auto, true, none) && colours(ColorChoice::Auto, true, empty));
        assert!(!colours(ColorChoice::Auto, false, none));
        assert!(!colours(ColorChoice::Auto, true, no_color) && !colours(ColorChoice::Auto, true, dumb));
        assert!(colours(ColorChoice::Always, false, no_color));
        assert!(!colours(ColorChoice::Never, true, none));
    }

    #[test]
    fn the_width_is_told_or_safe() {
        let told = |value: &'static str| move |name: &str| (name == "COLUMNS").then(|| value.to_string());
        assert_eq!(columns(Some(160), true, told("132")), 132);
        assert_eq!(columns(Some(160), true, told("wide")), 160);
        assert_eq!(columns(Some(0), true, |_| None), 80);
        assert_eq!(columns(None, true, told("wide")), 80);
        assert_eq!(columns(None, true, told("0")), 80);
        assert_eq!(columns(None, false, |_| None), 120);
    }

    #[test]
    fn a_chain_says_each_thing_once() {
        let error = io::Error::new(io::ErrorKind::StorageFull, "no space left");
        let error = Err::<(), _>(error).context("could not write report.json").unwrap_err();
        assert_eq!(chain(&error), "cutover: could not write report.json: no space left");
        let twice = anyhow::anyhow!("refused").context("could not connect: refused");
        assert_eq!(chain(&twice), "cutover: could not connect: refused");
    }
}
