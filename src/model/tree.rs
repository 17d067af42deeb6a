//! A JSON body as a tree with every scalar's text as received. Unlike the engine, which walks a known shape
//! without one, whoever knows no shape needs it. Must not know what a member means.

use super::json::{Kind, MAX_DEPTH, NotJson, Scanner, scalar};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tree {
    Null,
    Bool(bool),
    /// Its text, so that no digit is lost.
    Number(String),
    Text(String),
    List(Vec<Tree>),
    /// In the order received; of members with one name the first counts.
    Object(Vec<(String, Tree)>),
}

impl Tree {
    /// `None`: no JSON, or nested deeper than any body may be.
    pub fn read(text: &str) -> Option<Tree> {
        let mut scanner = Scanner::new(text);
        let tree = read(&mut scanner, text, 0).ok()?;
        scanner.at_end().then_some(tree)
    }

    pub fn members(&self) -> &[(String, Tree)] {
        match self {
            Tree::Object(members) => members,
            _ => &[],
        }
    }

    pub fn member(&self, name: &str) -> Option<&Tree> {
        self.members().iter().find(|(known, _)| known == name).map(|(_, tree)| tree)
    }

    /// What stands at a path of member names.
    pub fn at(&self, path: &[String]) -> Option<&Tree> {
        path.iter().try_fold(self, |tree, name| tree.member(name))
    }

    pub fn is_object(&self) -> bool {
        matches!(self, Tree::Object(_))
    }

    pub fn is_scalar(&self) -> bool {
        !matches!(self, Tree::Object(_) | Tree::List(_))
    }

    /// A list of nothing but objects, one at least.
    pub fn objects(&self) -> Option<&[Tree]> {
        match self {
            Tree::List(items) if !items.is_empty() && items.iter().all(Tree::is_object) => Some(items),
            _ => None,
        }
    }
}

fn read(scanner: &mut Scanner<'_>, text: &str, depth: u32) -> Result<Tree, NotJson> {
    if depth > MAX_DEPTH {
        return Err(NotJson { offset: scanner.position() });
    }
    let mut first = true;
    Ok(match scanner.peek() {
        Kind::Object => {
            let mut members = Vec::new();
            scanner.enter();
            while let Some((name, _)) = scanner.member(&mut first)? {
                let name = scalar(&format!("\"{name}\"")).into_owned();
                members.push((name, read(scanner, text, depth + 1)?));
            }
            Tree::Object(members)
        }
        Kind::Array => {
            let mut items = Vec::new();
            scanner.enter();
            while scanner.element(&mut first)? {
                items.push(read(scanner, text, depth + 1)?);
            }
            Tree::List(items)
        }
        _ => {
            let slot = scanner.value()?;
            let value = slot.scalar(text);
            match slot.kind {
                Kind::Bool => Tree::Bool(value == "true"),
                Kind::Number => Tree::Number(value.into_owned()),
                Kind::String => Tree::Text(value.into_owned()),
                _ => Tree::Null,
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_digit_and_escape_is_kept() {
        let tree = Tree::read(r#" {"a":[1.50,"x\n",null,true],"q\"":{}} "#).unwrap();
        let items = vec![Tree::Number("1.50".into()), Tree::Text("x\n".into()), Tree::Null, Tree::Bool(true)];
        assert_eq!(tree.member("a"), Some(&Tree::List(items)));
        assert_eq!(tree.at(&["q\"".into()]), Some(&Tree::Object(Vec::new())));
        assert_eq!(tree.at(&["a".into(), "b".into()]), None);
    }

    #[test]
    fn damage_and_depth_are_refused() {
        for bad in ["", "{", "[1,]", "{\"a\":1}x"] {
            assert_eq!(Tree::read(bad), None, "{bad}");
        }
        assert_eq!(Tree::read(&"[".repeat(100_000)), None);
        assert_eq!(Tree::read(&("[".repeat(200) + &"]".repeat(200))), None);
    }
}
