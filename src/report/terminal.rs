//! Owns what may reach a terminal: text without control codes, the few colours, display widths.
//! Must not know what is being shown, nor whether there is a terminal.

use crate::model::text::is_control;
use std::borrow::Cow;

/// `text` on one line without control codes; line breaks and tabs become spaces.
pub fn clean(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_control) {
        return Cow::Borrowed(text);
    }
    let space = |c| matches!(c, '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}');
    Cow::Owned(
        text.chars()
            .filter(|c| !is_control(*c) || space(*c))
            .map(|c| if space(c) { ' ' } else { c })
            .collect(),
    )
}

/// Columns that `text` takes on a terminal.
pub fn width(text: &str) -> usize {
    text.chars().map(char_width).sum()
}

/// East Asian wide characters and emoji take two columns, combining marks none.
fn char_width(c: char) -> usize {
    match c {
        '\u{300}'..='\u{36f}' | '\u{fe00}'..='\u{fe0f}' => 0,
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{a4cf}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}'
        | '\u{ff00}'..='\u{ff60}'
        | '\u{ffe0}'..='\u{ffe6}'
        | '\u{1f300}'..='\u{1faff}'
        | '\u{20000}'..='\u{3fffd}' => 2,
        _ => 1,
    }
}

/// `text` in at most `columns`, its end replaced by `…` where it is longer.
pub fn shortened(text: &str, columns: usize) -> Cow<'_, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let mut used = 0;
    let mut short = String::new();
    for c in text.chars() {
        used += char_width(c);
        if used + 1 > columns {
            break;
        }
        short.push(c);
    }
    if columns > 0 {
        short.push('…');
    }
    Cow::Owned(short)
}

/// `text` in lines of at most `columns`, broken at spaces; a longer word stands whole on its line.
pub fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split_whitespace() {
        let wide = width(word);
        let gap = usize::from(used > 0);
        if used > 0 && used + gap + wide > columns {
            lines.push(String::new());
            used = 0;
        }
        let line = lines.last_mut().expect("there is always a last line");
        if used > 0 {
            line.push(' ');
            used += 1;
        }
        line.push_str(word);
        used += wide;
    }
    lines
}

/// The few ways text is set off; each also reads without colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    Plain,
    Strong,
    Faint,
    Good,
    Bad,
    Unsure,
}

impl Style {
    fn code(self) -> &'static str {
        match self {
            Style::Plain => "",
            Style::Strong => "1",
            Style::Faint => "2",
            Style::Good => "1;32",
            Style::Bad => "1;31",
            Style::Unsure => "1;33",
        }
    }
}

/// Text for a terminal that grows line by line. Whatever is put in loses its control codes here,
/// so that no caller can forget it.
#[derive(Debug)]
pub struct Page {
    text: String,
    colour: bool,
}

impl Page {
    pub fn new(colour: bool) -> Page {
        Page { text: String::new(), colour }
    }

    pub fn put(&mut self, style: Style, text: &str) -> &mut Page {
        let text = clean(text);
        if self.colour && style != Style::Plain && !text.is_empty() {
            self.text.push_str(&format!("\u{1b}[{}m{text}\u{1b}[0m", style.code()));
        } else {
            self.text.push_str(&text);
        }
        self
    }

    pub fn plain(&mut self, text: &str) -> &mut Page {
        self.put(Style::Plain, text)
    }

    /// Ends the line, without the spaces at its end.
    pub fn end(&mut self) -> &mut Page {
        self.text.truncate(self.text.trim_end_matches(' ').len());
        self.text.push('\n');
        self
    }

    /// Wrapped lines, each behind `indent` spaces, the first behind `mark`.
    pub fn paragraph(&mut self, style: Style, mark: &str, text: &str, columns: usize) -> &mut Page {
        let indent = width(mark);
        for (i, line) in wrapped(&clean(text), columns.saturating_sub(indent).max(20)).iter().enumerate() {
            self.plain(&if i == 0 { mark.to_string() } else { " ".repeat(indent) });
            self.put(style, line).end();
        }
        self
    }

    pub fn finish(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_is_harmless() {
        for (text, expected) in [
            ("plain", "plain"),
            ("\u{1b}[31mred\u{1b}[0m", "[31mred[0m"),
            ("\u{9b}31mred", "31mred"),
            ("\u{1b}]0;title\u{7}", "]0;title"),
            ("two\r\nlines\tand tab", "two  lines and tab"),
            ("invoice\u{202e}fdp.exe", "invoicefdp.exe"),
            ("zero\u{200b}width\u{feff}", "zerowidth"),
            ("Zürich 東京 €", "Zürich 東京 €"),
        ] {
            assert_eq!(clean(text), expected);
        }
    }

    #[test]
    fn lines_keep_their_width() {
        assert_eq!(shortened("abcdef", 6), "abcdef");
        assert_eq!(shortened("abcdefg", 6), "abcde…");
        assert_eq!(shortened("東京東京", 5), "東京…");
        assert_eq!(shortened("abc", 0), "");
        assert_eq!(wrapped("one two  three", 7), ["one two", "three"]);
        assert_eq!(wrapped("", 7), [""]);
    }

    #[test]
    fn colour_is_a_wrapper_around_the_same_text() {
        let mut page = Page::new(true);
        page.put(Style::Bad, "FAIL\u{1b}").plain(" x  ").end();
        assert_eq!(page.finish(), "\u{1b}[1;31mFAIL\u{1b}[0m x\n");
    }
}
