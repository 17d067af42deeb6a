//! What still stands of the captures that a report was made from: those that were changed since, those
//! that are not there any more, and the words for both. Must not open a file.

/// Of one report's captures, what is beside it now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Beside {
    pub changed: Vec<Changed>,
    /// Digests that no file beside the report has.
    pub absent: Vec<String>,
}

/// A capture that is not the one the report was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// For people: the run's folder and the file in it.
    pub file: String,
    /// The digest that was signed, or stored in the chain.
    pub signed: String,
    /// The digest that is there, or why there is none.
    pub found: Result<String, String>,
}

/// Holds the digests of a report's captures against those of the files beside it, in the order of names.
/// Of a file with another digest it cannot be told which capture it was, so they are told in order.
pub fn compare(signed: &[String], files: Vec<(String, Result<String, String>)>) -> Beside {
    let is_there = |digest: &&String| files.iter().any(|(_, found)| found.as_ref() == Ok(digest));
    let mut absent: Vec<String> = signed.iter().filter(|digest| !is_there(digest)).cloned().collect();
    let mut changed = Vec::new();
    for (file, found) in files {
        let is_known = found.as_ref().is_ok_and(|digest| signed.contains(digest));
        if !is_known && !absent.is_empty() {
            changed.push(Changed { file, signed: absent.remove(0), found });
        }
    }
    Beside { changed, absent }
}

impl Changed {
    /// What befell it, after its name.
    pub fn why(&self) -> String {
        let found = match &self.found {
            Ok(digest) => format!("{digest} is there"),
            Err(why) => format!("what is there cannot be read: {why}"),
        };
        format!("was changed after it was judged: {} was signed, {found}", self.signed)
    }
}

impl Beside {
    /// A remark on what could not be checked, or nothing.
    pub fn remark(&self, run: &str) -> Option<String> {
        match self.absent.len() {
            0 => None,
            1 => Some(format!("the capture of {run} is not there to be checked")),
            n => Some(format!("{n} captures of {run} are not there to be checked")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, digest: &str) -> (String, Result<String, String>) {
        (name.into(), Ok(digest.into()))
    }

    #[test]
    fn what_is_there_changed_and_gone() {
        let signed = ["a".to_string(), "b".to_string()];
        assert_eq!(compare(&signed, vec![file("x", "b"), file("y", "a")]), Beside::default());
        let one = compare(&signed, vec![file("x", "a")]);
        assert_eq!((one.changed.len(), one.remark("r").unwrap()), {
            (0, "the capture of r is not there to be checked".to_string())
        });
        let changed = compare(&signed, vec![file("x", "a"), file("y", "c")]);
        assert_eq!(changed.absent, [] as [&str; 0]);
        assert_eq!(changed.changed[0].file, "y");
        assert_eq!(changed.changed[0].why(), "was changed after it was judged: b was signed, c is there");
        // What else lies there while all captures are whole is no concern of theirs.
        assert_eq!(compare(&signed, vec![file("x", "a"), file("y", "b"), file("z", "c")]), Beside::default());
        let torn = compare(&signed[..1], vec![("x".into(), Err("no zstd".into()))]);
        assert!(torn.changed[0].why().ends_with("what is there cannot be read: no zstd"));
    }
}
