//! Text that others wrote, and what in it must not reach a terminal or a cell as it is.
//! Owns which characters those are and how they are written instead; must not know where they stand.

/// Whether a character drives a terminal or hides or reorders text: C0 and C1 controls (with ESC),
/// bidirectional overrides and isolates, line separators, zero-width and tag characters.
pub fn is_control(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// `text` as a JSON string without such a character in it; any JSON reader gets the text back.
pub fn as_json_string(text: &str) -> String {
    let mut cell = String::with_capacity(text.len() + 8);
    cell.push('"');
    for c in text.chars() {
        match c {
            '"' => cell.push_str("\\\""),
            '\\' => cell.push_str("\\\\"),
            '\n' => cell.push_str("\\n"),
            '\r' => cell.push_str("\\r"),
            '\t' => cell.push_str("\\t"),
            c if is_control(c) => {
                let mut units = [0_u16; 2];
                for unit in c.encode_utf16(&mut units) {
                    cell.push_str(&format!("\\u{unit:04x}"));
                }
            }
            c => cell.push(c),
        }
    }
    cell.push('"');
    cell
}
