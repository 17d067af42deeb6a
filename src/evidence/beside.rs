//! What still stands of a run's files: of the captures that its report was made from, and of the pages that
//! were written beside it; which were changed since, which are not there any more, and the words for both.
//! Must not open a file.

use std::collections::BTreeMap;

/// Digests by the name of the file, in a run's folder.
pub type Files = BTreeMap<String, String>;

/// A digest that was stored or signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// `None`: a capture, which may be called anything and may be compressed.
    pub name: Option<String>,
    pub sha256: String,
}

/// A file that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct There {
    /// For people: the run's folder and the file in it.
    pub file: String,
    /// As in `Known`.
    pub name: Option<String>,
    /// Its digest, or why it has none.
    pub found: Result<String, String>,
}

/// A run's folder: what was stored of it, and what is there now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Folder {
    pub known: Vec<Known>,
    /// `None`: nobody looked.
    pub there: Option<Vec<There>>,
}

/// Of one run's files, what is beside its report now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Beside {
    pub changed: Vec<Changed>,
    /// What no file beside the report has.
    pub absent: Vec<Known>,
}

/// A file that is not the one the run was judged with, or wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// For people: the run's folder and the file in it.
    pub file: String,
    /// The digest that was signed, or stored in the chain.
    pub signed: Known,
    /// The digest that is there, or why there is none.
    pub found: Result<String, String>,
}

impl Known {
    pub fn capture(sha256: &str) -> Known {
        Known { name: None, sha256: sha256.into() }
    }

    pub fn file(name: &str, sha256: &str) -> Known {
        Known { name: Some(name.into()), sha256: sha256.into() }
    }

    pub fn of(captures: &[String], files: &Files) -> Vec<Known> {
        let captures = captures.iter().map(|sha256| Known::capture(sha256));
        captures.chain(files.iter().map(|(name, sha256)| Known::file(name, sha256))).collect()
    }
}

/// Holds digests against those of the files that are there, in the order of these. Of a capture with another
/// digest it cannot be told which one it was, so they are told in order.
pub fn compare(known: &[Known], there: &[There]) -> Beside {
    let is_there = |k: &Known| there.iter().any(|t| t.name == k.name && t.found.as_ref() == Ok(&k.sha256));
    let is_known = |t: &There| known.iter().any(|k| t.name == k.name && t.found.as_ref() == Ok(&k.sha256));
    let mut absent: Vec<Known> = known.iter().filter(|k| !is_there(k)).cloned().collect();
    let mut changed = Vec::new();
    for other in there.iter().filter(|t| !is_known(t)) {
        if let Some(at) = absent.iter().position(|k| k.name == other.name) {
            let There { file, found, .. } = other.clone();
            changed.push(Changed { file, signed: absent.remove(at), found });
        }
    }
    Beside { changed, absent }
}

impl Folder {
    /// Against what was stored, and what a signature says of the same run: its word on a file goes first.
    pub fn beside(&self, signed: &Files) -> Beside {
        let Some(there) = &self.there else { return Beside::default() };
        let is_signed = |known: &Known| known.name.as_ref().is_some_and(|name| signed.contains_key(name));
        let stored = self.known.iter().filter(|known| !is_signed(known)).cloned();
        let known: Vec<Known> = stored.chain(Known::of(&[], signed)).collect();
        compare(&known, there)
    }

    /// A file besides captures that has no digest to sign, and why.
    pub fn unread(&self) -> Option<(&str, &str)> {
        let files = self.there.iter().flatten().filter(|there| there.name.is_some());
        files.filter_map(|there| Some((&*there.file, &**there.found.as_ref().err()?))).next()
    }

    /// What a signature covers besides the report and its captures: files as they were stored, and those that
    /// nothing was stored of as they are there.
    pub fn to_sign(&self) -> Files {
        let there = self.there.iter().flatten();
        let lying = there.filter_map(|t| Some((t.name.clone()?, t.found.as_ref().ok()?.clone())));
        let stored = self.known.iter().filter_map(|known| Some((known.name.clone()?, known.sha256.clone())));
        lying.chain(stored).collect()
    }
}

impl Changed {
    /// What befell it, after its name.
    pub fn why(&self) -> String {
        let found = match &self.found {
            Ok(digest) => format!("{digest} is there"),
            Err(why) => format!("what is there cannot be read: {why}"),
        };
        let cure = match self.signed.name {
            Some(_) => "; put back what the run wrote or remove it, and keep what is made anew elsewhere",
            None => "",
        };
        format!("was changed after it was judged: {} was signed, {found}{cure}", self.signed.sha256)
    }
}

impl Beside {
    /// A remark on what could not be checked, or nothing.
    pub fn remark(&self, run: &str) -> Option<String> {
        let files = self.absent.iter().filter_map(|known| known.name.clone());
        let captures = match self.absent.iter().filter(|known| known.name.is_none()).count() {
            0 => None,
            1 => Some("the capture".to_string()),
            n => Some(format!("{n} captures")),
        };
        let (be, what) = (self.verb(), captures.into_iter().chain(files).collect::<Vec<_>>().join(" and "));
        (!what.is_empty()).then(|| format!("{what} of {run} {be} not there to be checked"))
    }

    fn verb(&self) -> &'static str {
        if self.absent.len() == 1 { "is" } else { "are" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capture(name: &str, digest: &str) -> There {
        There { file: name.into(), name: None, found: Ok(digest.into()) }
    }

    fn file(name: &str, digest: &str) -> There {
        There { file: format!("r/{name}"), name: Some(name.into()), found: Ok(digest.into()) }
    }

    #[test]
    fn what_is_there_changed_and_gone() {
        let signed = ["a", "b"].map(Known::capture);
        assert_eq!(compare(&signed, &[capture("x", "b"), capture("y", "a")]), Beside::default());
        let one = compare(&signed, &[capture("x", "a")]);
        assert_eq!((one.changed.len(), one.remark("r").unwrap()), {
            (0, "the capture of r is not there to be checked".to_string())
        });
        assert_eq!(compare(&signed, &[]).remark("r").unwrap(), "2 captures of r are not there to be checked");
        let changed = compare(&signed, &[capture("x", "a"), capture("y", "c")]);
        assert_eq!(changed.absent, []);
        assert_eq!(changed.changed[0].file, "y");
        assert_eq!(changed.changed[0].why(), "was changed after it was judged: b was signed, c is there");
        // What else lies there while all captures are whole is no concern of theirs.
        let more = [capture("x", "a"), capture("y", "b"), capture("z", "c"), file("p", "q")];
        assert_eq!(compare(&signed, &more), Beside::default());
        let torn = There { found: Err("no zstd".into()), ..capture("x", "") };
        let torn = compare(&signed[..1], &[torn]);
        assert!(torn.changed[0].why().ends_with("what is there cannot be read: no zstd"));
    }

    #[test]
    fn a_file_is_known_by_its_name() {
        let signed = [Known::capture("a"), Known::file("p", "a"), Known::file("q", "b")];
        let all = [capture("x", "a"), file("p", "a"), file("q", "b")];
        assert_eq!(compare(&signed, &all), Beside::default());
        // Two that changed places are both changed, and a capture stands for no page.
        let swapped = compare(&signed, &[capture("x", "a"), file("p", "b"), file("q", "a")]);
        assert_eq!(swapped.changed.iter().map(|c| &*c.file).collect::<Vec<_>>(), ["r/p", "r/q"]);
        let why = swapped.changed[0].why();
        assert!(
            why.starts_with("was changed after it was judged: a was signed, b is there; put back"),
            "{why}"
        );
        let gone = compare(&signed, &[file("q", "b")]);
        assert_eq!(gone.changed, []);
        assert_eq!(gone.remark("r").unwrap(), "the capture and p of r are not there to be checked");
    }

    #[test]
    fn a_signature_goes_before_the_chain() {
        let folder = |there: &[There]| Folder {
            known: vec![Known::file("p", "stored"), Known::file("q", "stored")],
            there: Some(there.to_vec()),
        };
        let signed = Files::from([("p".to_string(), "signed".to_string())]);
        let beside = folder(&[file("p", "stored"), file("q", "stored")]).beside(&signed);
        assert_eq!((&*beside.changed[0].file, &*beside.changed[0].signed.sha256), ("r/p", "signed"));
        assert_eq!((beside.changed.len(), beside.absent.len()), (1, 0));
        assert_eq!(folder(&[file("p", "signed"), file("q", "stored")]).beside(&signed), Beside::default());
        // What is signed: the stored digest of what is gone, the one that is there of what was not stored.
        let names = |folder: &Folder| folder.to_sign().into_iter().collect::<Vec<_>>();
        let pair = |name: &str, digest: &str| (name.to_string(), digest.to_string());
        let all = [pair("p", "stored"), pair("q", "stored"), pair("z", "there")];
        assert_eq!(names(&folder(&[capture("x", "c"), file("p", "stored"), file("z", "there")])), all);
        assert_eq!(Folder::default().beside(&signed), Beside::default());
    }
}
