//! Owns the lines by which GitHub marks a job: one a check that did not pass, one for the verdict.
//! Must not let what a server sent begin a command of its own.

use super::terminal::{clean, shortened};
use crate::model::{Outcome, Verdict};

/// Longer messages are cut by the reader anyway.
const MESSAGE: usize = 300;

/// All lines, each with its line break.
pub fn to_annotations(outcome: &Outcome) -> String {
    let mut lines = String::new();
    for feature in &outcome.features {
        for check in &feature.checks {
            let level = match check.verdict {
                Some(Verdict::Fail) => "error",
                Some(Verdict::Inconclusive) => "warning",
                _ => continue,
            };
            let title = format!("{} {} {}", feature.name, check.phase.name(), check.check);
            let parts = [check.observed.as_str(), check.note.as_str()];
            let said: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
            let said = format!("{}: {}", check.verdict.unwrap_or(Verdict::Inconclusive), said.join("; "));
            lines.push_str(&format!("::{level} title={}::{}\n", property(&title), message(&said)));
        }
    }
    let verdict = format!("{}: {}", outcome.tool, outcome.verdict);
    lines.push_str(&format!("::notice title=cutover::{}\n", message(&verdict)));
    lines
}

/// A message: one line, its own signs escaped.
fn message(text: &str) -> String {
    shortened(&clean(text), MESSAGE).replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    message(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn what_did_not_pass_is_marked() {
        let lines = to_annotations(&sample::failing());
        let told: Vec<&str> = lines.lines().collect();
        assert_eq!(told.len(), 3, "{lines}");
        assert!(
            told.iter().any(|l| l.starts_with("::error title=positions before-enabling values-match::FAIL"))
        );
        assert!(told.iter().any(|l| l.starts_with("::warning title=") && l.contains("INCONCLUSIVE")));
        assert_eq!(told[2], "::notice title=cutover::cutover 0.1.0: FAIL");
        assert_eq!(to_annotations(&sample::passing()).lines().count(), 1);
    }

    #[test]
    fn hostile_text_begins_no_command() {
        let mut outcome = sample::failing();
        let evil = "x\n::set-output name=a::b\r::error::% \u{1b}[2J".to_string();
        for check in outcome.features.iter_mut().flat_map(|f| &mut f.checks) {
            check.observed.clone_from(&evil);
            check.note.clone_from(&evil);
        }
        outcome.features[0].name = std::sync::Arc::from("a:b,c\n::error::");
        for line in to_annotations(&outcome).lines() {
            assert!(
                ["::error title=", "::warning title=", "::notice title="].iter().any(|s| line.starts_with(s))
            );
            assert!(!line.chars().any(char::is_control), "{line}");
        }
    }
}
