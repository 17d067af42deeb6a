//! The chain of stored evidence, `evidence.jsonl`: a line for each run, each change of a flag, and each time
//! earlier runs were set aside, with the digest of the line before it, so that nothing in the middle can be
//! changed, left out or put in without every later line telling. Must not open a file nor read a clock.
//!
//! What was cut off at the end no chain can tell; `verify` prints the last digest, to be kept elsewhere.

use super::beside::Files;
use super::sign::sha256;
use serde::{Deserialize, Serialize};

pub const FILE: &str = "evidence.jsonl";

/// History: 1, the first.
pub const VERSION: u32 = 1;

/// What a line stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Run,
    Enable,
    Rollback,
    SetAside,
}

/// One line; members in this order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    pub evidence: u32,
    /// SHA-256 of the line before this one, without its line break; of the first line, zeros.
    pub previous: String,
    pub kind: Kind,
    /// When it was stored: RFC 3339, UTC.
    pub at: String,
    /// The stored file, in the evidence folder, with `/`.
    pub file: String,
    pub sha256: String,
    pub contract_sha256: String,
    pub capture_sha256: Vec<String>,
    /// What the run wrote beside that file. Lines of earlier versions of the program do not have it.
    #[serde(default, skip_serializing_if = "Files::is_empty")]
    pub files: Files,
}

/// Where a chain is broken, and how; lines are counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct Broken {
    pub line: usize,
    pub why: Why,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    #[error("it is no line of a chain: {0}")]
    Malformed(String),
    #[error("it is not whole; the program was stopped while it wrote")]
    Torn,
    #[error("chain version {0} is unknown to this program, which reads version {VERSION}")]
    Version(u32),
    #[error(
        "it does not follow the line before it: one of the two was changed, or lines are missing between them"
    )]
    Gap,
    #[error("it is not the first of a chain: the lines before it are missing")]
    Beheaded,
    #[error("{file} was changed after it was stored: {stored} was stored, {found} is there")]
    Changed { file: String, stored: String, found: String },
    #[error("{0} is missing")]
    Missing(String),
}

/// What the first line names as the one before it.
fn nothing_before() -> String {
    "0".repeat(64)
}

/// The digest that the next line of this chain has to name.
pub fn head(text: &str) -> String {
    text.lines().next_back().map_or_else(nothing_before, |line| sha256(line.as_bytes()))
}

impl Link {
    /// As a line, with its line break.
    pub fn line(&self) -> String {
        serde_json::to_string(self).expect("plain structs become JSON") + "\n"
    }
}

/// The links of a whole chain.
pub fn read(text: &str) -> Result<Vec<Link>, Broken> {
    let mut previous = nothing_before();
    let mut links = Vec::new();
    for (n, line) in text.split_inclusive('\n').enumerate() {
        let broken = |why| Broken { line: n + 1, why };
        let whole = line.strip_suffix('\n').ok_or_else(|| broken(Why::Torn))?;
        let link: Link =
            serde_json::from_str(whole).map_err(|error| broken(Why::Malformed(error.to_string())))?;
        match () {
            () if link.evidence != VERSION => return Err(broken(Why::Version(link.evidence))),
            () if link.previous != previous && n == 0 => return Err(broken(Why::Beheaded)),
            () if link.previous != previous => return Err(broken(Why::Gap)),
            () => {}
        }
        previous = sha256(whole.as_bytes());
        links.push(link);
    }
    Ok(links)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(files: &[&str]) -> String {
        files.iter().fold(String::new(), |text, file| {
            let link = Link {
                evidence: VERSION,
                previous: head(&text),
                kind: Kind::Run,
                at: "2025-12-19T14:30:00Z".into(),
                file: (*file).into(),
                sha256: sha256(file.as_bytes()),
                contract_sha256: "c".into(),
                capture_sha256: vec!["d".into()],
                files: Files::new(),
            };
            text + &link.line()
        })
    }

    #[test]
    fn a_whole_chain_is_read_back() {
        let links = read(&chain(&["a", "b", "c"])).unwrap();
        assert_eq!(links.iter().map(|link| &*link.file).collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(read(""), Ok(vec![]));
    }

    #[test]
    fn a_line_holds_the_files_beside_a_report_and_may_lack_them() {
        let old = chain(&["a"]);
        assert!(!old.contains("files"), "{old}");
        let mut link = read(&old).unwrap().remove(0);
        link.files = [("signoff.csv".to_string(), "e".to_string())].into();
        assert!(link.line().ends_with(",\"files\":{\"signoff.csv\":\"e\"}}\n"), "{}", link.line());
        assert_eq!(read(&link.line()), Ok(vec![link]));
    }

    #[test]
    fn a_broken_chain_says_which_line() {
        let text = chain(&["a", "b", "c"]);
        let without = |n: usize| {
            let lines = text.split_inclusive('\n').enumerate().filter(|(at, _)| *at != n);
            lines.map(|(_, line)| line).collect::<String>()
        };
        let broken = |text: &str| read(text).unwrap_err().to_string();
        assert!(broken(&without(0)).starts_with("line 1: it is not the first of a chain"));
        assert!(broken(&without(1)).starts_with("line 2: it does not follow the line before it"));
        // The line that was changed is right by itself: the one after it tells.
        assert!(broken(&text.replace("\"b\"", "\"x\"")).starts_with("line 3: it does not follow"));
        assert!(broken(&text[..text.len() - 1]).starts_with("line 3: it is not whole"));
        assert!(
            broken(&text.replacen("\"kind\":\"run\"", "\"kind\":\"walk\"", 1))
                .starts_with("line 1: it is no")
        );
        assert!(broken("{}\n").starts_with("line 1: it is no line of a chain: missing field"));
        let newer = text.replacen("\"evidence\":1", "\"evidence\":2", 1);
        assert!(broken(&newer).starts_with("line 1: chain version 2 is unknown"));
        // What is cut off at the end leaves a chain: another head tells.
        assert_ne!(head(&without(2)), head(&text));
        assert_eq!(read(&without(2)).unwrap().len(), 2);
    }
}
