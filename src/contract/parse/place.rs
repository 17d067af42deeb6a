//! Where an error stands: line, column, the line itself, and its form for people.
//!
//! Excerpts are cut from the text with credentials blotted out, character by character, so that columns hold.

use super::{ContractError, mask};
use std::ops::Range;
use toml::de::DeTable;

/// An error before it has a line: a byte range of the text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    pub start: usize,
    pub end: usize,
    pub message: String,
}

/// An excerpt longer than this helps nobody.
const MOST_EXCERPT: usize = 240;

/// Gives each error its line and column, in the order of the file.
pub fn located(
    file: &str,
    text: &str,
    document: &DeTable<'_>,
    torn: bool,
    mut faults: Vec<Fault>,
) -> Vec<ContractError> {
    faults.sort();
    faults.dedup();
    let mut secrets = mask::secret_spans(document);
    if torn {
        secrets.extend(mask::suspect_spans(text));
    }
    faults.into_iter().map(|fault| locate(file, text, &secrets, fault)).collect()
}

fn locate(file: &str, text: &str, secrets: &[Range<usize>], fault: Fault) -> ContractError {
    let start = floor_boundary(text, fault.start);
    let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
    let end = floor_boundary(text, fault.end).clamp(start, line_end);
    let line = text[line_start..line_end].trim_end_matches('\r');
    let excerpt: String = line
        .char_indices()
        .take(MOST_EXCERPT)
        .map(|(i, c)| if secrets.iter().any(|span| span.contains(&(line_start + i))) { '*' } else { c })
        .collect();
    ContractError {
        file: file.to_string(),
        line: text[..line_start].matches('\n').count() + 1,
        column: text[line_start..start].chars().filter(|c| *c != '\u{feff}').count() + 1,
        message: fault.message,
        excerpt: excerpt.trim_start_matches('\u{feff}').to_string(),
        length: text[start..end].chars().count().max(1),
    }
}

/// Spans of a recovered document may point beyond the text or into a character.
fn floor_boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// ```text
/// error: unknown key `intervall`; did you mean `interval`?
///   --> cutover.toml:12:1
///    |
/// 12 | intervall = "10s"
///    | ^^^^^^^^^
/// ```
pub fn render(error: &ContractError) -> String {
    let number = error.line.to_string();
    let gutter = " ".repeat(number.len());
    let ContractError { file, line, column, message, .. } = error;
    let visible = |c: char| if c.is_control() && c != '\t' { ' ' } else { c };
    let excerpt: String = error.excerpt.chars().map(visible).collect();
    let message: String = message.chars().map(visible).collect();
    let mut out = format!("error: {message}\n{gutter}--> {file}:{line}:{column}\n");
    let width = excerpt.chars().count();
    if width == 0 || *column > width + 1 {
        return out;
    }
    // Tabs stay tabs, so that the mark stands under its text whatever their width.
    let indent: String =
        excerpt.chars().take(column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
    let mark = "^".repeat(error.length.min(width + 1 - (column - 1)).max(1));
    out.push_str(&format!("{gutter} |\n{number} | {excerpt}\n{gutter} | {indent}{mark}\n"));
    out
}
