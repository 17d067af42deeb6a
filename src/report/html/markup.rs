//! Owns how the page is written: names of tags and attributes are the program's own, and everything else
//! is escaped. Must not let any text through that a browser could take for markup.

use crate::model::text::is_control;

/// A page on its way.
#[derive(Debug, Default)]
pub struct Markup {
    out: String,
}

/// Names and values of attributes.
pub type Attributes<'a> = &'a [(&'static str, &'a str)];

impl Markup {
    /// A tag with what stands inside it.
    pub fn tag(&mut self, name: &'static str, attributes: Attributes<'_>, inside: impl FnOnce(&mut Markup)) {
        self.begin(name, attributes);
        inside(self);
        self.out.push_str("</");
        self.out.push_str(name);
        self.out.push('>');
        if is_block(name) {
            self.out.push('\n');
        }
    }

    /// A tag with a text inside.
    pub fn element(&mut self, name: &'static str, attributes: Attributes<'_>, text: &str) -> &mut Markup {
        self.tag(name, attributes, |page| {
            page.text(text);
        });
        self
    }

    /// A tag of which there is no end.
    pub fn begin(&mut self, name: &'static str, attributes: Attributes<'_>) -> &mut Markup {
        self.out.push('<');
        self.out.push_str(name);
        for (attribute, value) in attributes {
            self.out.push(' ');
            self.out.push_str(attribute);
            self.out.push_str("=\"");
            for c in value.chars() {
                match escape(c) {
                    Some(entity) => self.out.push_str(entity),
                    None if is_control(c) => self.out.push_str(&code_point(c)),
                    None => self.out.push(c),
                }
            }
            self.out.push('"');
        }
        self.out.push('>');
        self
    }

    /// Text: what would be markup is shown as it is, what would not be seen by its number.
    pub fn text(&mut self, text: &str) -> &mut Markup {
        for c in text.chars() {
            match escape(c) {
                Some(entity) => self.out.push_str(entity),
                None if is_control(c) => {
                    self.out.push_str("<span class=\"control\">");
                    self.out.push_str(&code_point(c));
                    self.out.push_str("</span>");
                }
                None => self.out.push(c),
            }
        }
        self
    }

    /// The program's own text, as it is: style sheet and script.
    pub fn own(&mut self, text: &'static str) -> &mut Markup {
        self.out.push_str(text);
        self
    }

    pub fn finish(self) -> String {
        self.out
    }
}

fn escape(c: char) -> Option<&'static str> {
    Some(match c {
        '&' => "&amp;",
        '<' => "&lt;",
        '>' => "&gt;",
        '"' => "&quot;",
        '\'' => "&#39;",
        _ => return None,
    })
}

fn code_point(c: char) -> String {
    format!("U+{:04X}", u32::from(c))
}

/// After these a line may break without being seen.
fn is_block(name: &str) -> bool {
    matches!(
        name,
        "head"
            | "style"
            | "script"
            | "header"
            | "nav"
            | "main"
            | "section"
            | "h1"
            | "h2"
            | "h3"
            | "p"
            | "thead"
            | "tr"
            | "table"
            | "div"
            | "details"
            | "figure"
            | "ul"
            | "dl"
            | "footer"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_came_in_is_markup() {
        let mut page = Markup::default();
        page.element(
            "p",
            &[("title", "\"><script>\u{202e}'")],
            "</p><script>alert(1)</script>&\u{202e}\u{7}",
        );
        assert_eq!(
            page.finish(),
            "<p title=\"&quot;&gt;&lt;script&gt;U+202E&#39;\">&lt;/p&gt;&lt;script&gt;alert(1)&lt;/script&gt;&amp;\
             <span class=\"control\">U+202E</span><span class=\"control\">U+0007</span></p>\n"
        );
    }
}
