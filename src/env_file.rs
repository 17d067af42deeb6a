//! Env files as text: where a flag stands in one, what it says, and the same text with exactly that value
//! changed. Must not open a file; whatever it does not change stays byte for byte.
//!
//! Read as shells, dotenv libraries and Docker agree: `NAME=value`, with or without `export`, in single or
//! double quotes or none; a quoted value may go over several lines; ` #` begins a comment after a value.

use std::ops::Range;

/// What a flag's value says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    On,
    Off,
    /// Neither true nor false, as programs read it.
    Unclear,
}

/// One line that gives a name its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// Counted from 1.
    pub line: usize,
    /// The value without its quotes, in bytes of the text.
    pub value: Range<usize>,
    pub state: State,
    /// Its quote is never closed, so nobody knows where the value ends.
    unclosed: bool,
}

/// Why a flag cannot be changed, after "could not … FILE:".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotOne {
    #[error("it has no {name}; add a line {name}=false")]
    Absent { name: String },
    #[error("{name} stands in it more than once, in lines {}; leave one", numbers(.lines))]
    Repeated { name: String, lines: Vec<usize> },
    #[error("line {line}: the quote after {name}= is never closed")]
    Unclosed { name: String, line: usize },
    #[error("line {line}: `{value}` is neither true nor false; write {name}=false")]
    Unclear { name: String, line: usize, value: String },
}

fn numbers(lines: &[usize]) -> String {
    lines.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The words that flags are written in, on and off.
const WORDS: [(&str, &str); 5] = [("true", "false"), ("1", "0"), ("on", "off"), ("yes", "no"), ("t", "f")];

/// What a value says; spaces around it and letters' case do not count, nothing at all is off.
pub fn state(value: &str) -> State {
    let value = value.trim().to_ascii_lowercase();
    match WORDS.iter().find(|(on, off)| value == *on || value == *off) {
        Some((on, _)) if value == *on => State::On,
        Some(_) => State::Off,
        None if value.is_empty() => State::Off,
        None => State::Unclear,
    }
}

/// Every place that gives `name` a value, in order.
pub fn find(text: &str, name: &str) -> Vec<Assignment> {
    let mut found = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < text.len() {
        let end = text[at..].find('\n').map_or(text.len(), |n| at + n);
        let mut next = end;
        if let Some((its_name, begin)) = assigned(&text[at..end]) {
            let (value, unclosed) = value(text, at + begin, end);
            // What follows within the quotes is no line of its own, unless they are never closed.
            next = if unclosed { end } else { end.max(line_end(text, value.end)) };
            if its_name == name {
                let state = state(&text[value.clone()]);
                found.push(Assignment { line, value, state, unclosed });
            }
        }
        line += text[at..next].matches('\n').count() + 1;
        at = next + 1;
    }
    found
}

/// The one place of the flag, where there is exactly one that says true or false.
pub fn only(text: &str, name: &str) -> Result<Assignment, NotOne> {
    let mut all = find(text, name);
    let name = name.to_string();
    let one = match (all.pop(), all.is_empty()) {
        (None, _) => return Err(NotOne::Absent { name }),
        (Some(one), true) => one,
        (Some(last), false) => {
            let lines = all.iter().chain([&last]).map(|one| one.line).collect();
            return Err(NotOne::Repeated { name, lines });
        }
    };
    match one.state {
        _ if one.unclosed => Err(NotOne::Unclosed { name, line: one.line }),
        State::Unclear => {
            Err(NotOne::Unclear { name, line: one.line, value: text[one.value.clone()].to_string() })
        }
        _ => Ok(one),
    }
}

/// The text with the values at these places turned on or off, in the words they are written in; one that
/// says it already stays as it is. The places must be the text's own, in its order.
pub fn set(text: &str, places: &[Assignment], on: bool) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut from = 0;
    for place in places {
        let old = &text[place.value.clone()];
        out.push_str(&text[from..place.value.start]);
        match (place.state, on) {
            (State::On, true) | (State::Off, false) if !old.trim().is_empty() => out.push_str(old),
            _ => out.push_str(&in_the_manner_of(old, on)),
        }
        from = place.value.end;
    }
    out.push_str(&text[from..]);
    out
}

/// `TRUE` becomes `FALSE`, `1` becomes `0`, what says nothing becomes `true` or `false`.
fn in_the_manner_of(old: &str, on: bool) -> String {
    let old = old.trim();
    let known = WORDS.iter().find(|(yes, no)| old.eq_ignore_ascii_case(yes) || old.eq_ignore_ascii_case(no));
    let (yes, no) = known.unwrap_or(&WORDS[0]);
    let word = if on { yes } else { no };
    let upper = |c: Option<char>| c.is_some_and(|c| c.is_ascii_uppercase());
    match (upper(old.chars().next()), upper(old.chars().last())) {
        (true, true) => word.to_ascii_uppercase(),
        (true, false) => word[..1].to_ascii_uppercase() + &word[1..],
        (false, _) => (*word).to_string(),
    }
}

/// The name that a line assigns, and where its value begins.
fn assigned(line: &str) -> Option<(&str, usize)> {
    let text = line.trim_start_matches('\u{feff}').trim_start();
    let text = match text.strip_prefix("export") {
        Some(rest) if rest.starts_with([' ', '\t']) => rest.trim_start(),
        _ => text,
    };
    let (name, value) = text.split_once('=')?;
    let name = name.trim_end();
    let named = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '-'));
    named.then_some((name, line.len() - value.len()))
}

/// The value that begins here on a line which ends there, and whether its quote is never closed.
fn value(text: &str, begin: usize, end: usize) -> (Range<usize>, bool) {
    let line = &text[begin..end];
    let first = begin + (line.len() - line.trim_start_matches([' ', '\t']).len());
    let quote = text[first..end].chars().next().filter(|c| matches!(c, '"' | '\''));
    if let Some(quote) = quote {
        let inside = first + 1;
        return match closing(&text[inside..], quote) {
            Some(length) => (inside..inside + length, false),
            None => (inside..end, true),
        };
    }
    let bare = &text[first..end];
    let starts_comment = |(at, c): (usize, char)| c == '#' && (at == 0 || bare[..at].ends_with([' ', '\t']));
    let comment = bare.char_indices().find(|place| starts_comment(*place)).map_or(bare.len(), |(at, _)| at);
    let value = bare[..comment].trim_end();
    match value.is_empty() {
        // Right behind the `=`, so that no space comes between name and value.
        true => (begin..begin, false),
        false => (first..first + value.len(), false),
    }
}

/// How long the text is up to the quote that ends it.
fn closing(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, c)| {
        let ends = c == quote && !escaped;
        escaped = quote == '"' && c == '\\' && !escaped;
        ends.then_some(at)
    })
}

fn line_end(text: &str, from: usize) -> usize {
    text[from..].find('\n').map_or(text.len(), |n| from + n)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAG: &str = "WS_FEATURE_X";

    #[test]
    fn one_value_changes_and_nothing_else() {
        for (before, on, after) in [
            ("WS_FEATURE_X=false", true, "WS_FEATURE_X=true"),
            ("A=1\nWS_FEATURE_X=true\nB=2\n", false, "A=1\nWS_FEATURE_X=false\nB=2\n"),
            ("WS_FEATURE_X=false\r\nB=2\r\n", true, "WS_FEATURE_X=true\r\nB=2\r\n"),
            (
                "export WS_FEATURE_X='true' # on since May",
                false,
                "export WS_FEATURE_X='false' # on since May",
            ),
            ("\texport\tWS_FEATURE_X = \"0\"", true, "\texport\tWS_FEATURE_X = \"1\""),
            ("WS_FEATURE_X=False#1\n", true, "WS_FEATURE_X=False#1\n"),
            ("WS_FEATURE_X=TRUE  # why\n", false, "WS_FEATURE_X=FALSE  # why\n"),
            ("WS_FEATURE_X=Yes", false, "WS_FEATURE_X=No"),
            ("WS_FEATURE_X=off", true, "WS_FEATURE_X=on"),
            ("WS_FEATURE_X=  # nothing yet", true, "WS_FEATURE_X=true  # nothing yet"),
            ("WS_FEATURE_X=", true, "WS_FEATURE_X=true"),
            ("WS_FEATURE_X=\"\"\n", true, "WS_FEATURE_X=\"true\"\n"),
            ("\u{feff}WS_FEATURE_X=false", true, "\u{feff}WS_FEATURE_X=true"),
            ("WS_FEATURE_X=1", true, "WS_FEATURE_X=1"),
        ] {
            match only(before, FLAG) {
                Ok(place) => assert_eq!(set(before, &[place], on), after, "{before:?}"),
                Err(why) => assert_eq!((before, matches!(why, NotOne::Unclear { .. })), (after, true)),
            }
        }
    }

    #[test]
    fn what_only_looks_like_the_flag_is_none() {
        for text in [
            "",
            "# WS_FEATURE_X=true",
            "WS_FEATURE_XY=true",
            "MY_WS_FEATURE_X=true",
            "WS_FEATURE_X",
            "ws_feature_x=true",
            "NOTE=\"first line\nWS_FEATURE_X=true\nlast\"\n",
            "NOTE='WS_FEATURE_X=true'",
            "exportWS_FEATURE_X=true",
        ] {
            assert_eq!(only(text, FLAG), Err(NotOne::Absent { name: FLAG.into() }), "{text:?}");
        }
        // A stray quote does not swallow the rest of the file.
        assert_eq!(only("NOTE=\"it's\nB='\nWS_FEATURE_X=true", FLAG).map(|one| one.line), Ok(3));
    }

    #[test]
    fn what_is_not_one_flag_is_told_with_its_lines() {
        for (text, says) in [
            ("A=1", "it has no WS_FEATURE_X; add a line WS_FEATURE_X=false"),
            (
                "WS_FEATURE_X=true\nA=1\nexport WS_FEATURE_X='false'",
                "more than once, in lines 1, 3; leave one",
            ),
            ("N=\"a\nb\"\nWS_FEATURE_X=perhaps", "line 3: `perhaps` is neither true nor false"),
            ("\nWS_FEATURE_X=\"true\n", "line 2: the quote after WS_FEATURE_X= is never closed"),
        ] {
            let error = only(text, FLAG).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn a_flag_that_stands_twice_can_be_turned_off_everywhere() {
        let text = "WS_FEATURE_X=true\nA=1\nWS_FEATURE_X=\"perhaps\"\n";
        let off = set(text, &find(text, FLAG), false);
        assert_eq!(off, "WS_FEATURE_X=false\nA=1\nWS_FEATURE_X=\"false\"\n");
    }

    #[test]
    fn words_have_their_state() {
        for (value, expect) in [
            ("true", State::On),
            (" TRUE ", State::On),
            ("1", State::On),
            ("on", State::On),
            ("yes", State::On),
            ("", State::Off),
            ("false", State::Off),
            ("0", State::Off),
            ("no", State::Off),
            ("2", State::Unclear),
            ("truee", State::Unclear),
        ] {
            assert_eq!(state(value), expect, "{value:?}");
        }
    }

    proptest::proptest! {
        /// Whatever the text: nothing panics, and a flag that is on can be turned off and on again.
        #[test]
        fn any_text_survives(before in "[\"'#=\\\\ \r\na-z_X\u{e9}]{0,40}", after in "[\"'#=\\\\ \r\na-z]{0,40}") {
            let _ = find(&before, FLAG);
            let text = format!("{before}\n{FLAG}=true\n{after}");
            if let Ok(place) = only(&text, FLAG) {
                let off = set(&text, std::slice::from_ref(&place), false);
                let again = only(&off, FLAG).unwrap();
                proptest::prop_assert_eq!(again.state, State::Off);
                proptest::prop_assert_eq!(set(&off, &[again], true), text);
            }
        }
    }
}
