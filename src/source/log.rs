//! Logs, followed as they grow: through rotation by renaming, through truncation by copying, and
//! while they are away. Every line is recorded as it stands, credentials masked.
//!
//! `Tail` reads and owns no clock; `follow` asks it again and again. Must not: judge a line.

use super::clock::Clock;
use super::queue::{Arrival, BATCH_EVENTS, Queue};
use super::redact::Redactor;
use super::secret::{Secrets, without_credentials};
use super::sequencer::stopped;
use crate::model::json::is_json;
use crate::model::{Event, LogState};
use regex_lite::Regex;
use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;

/// How often a log is looked at: well below any settle, and nothing that a disk would feel.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Read at once, and at most between two looks at the rest of the world.
const CHUNK_BYTES: usize = 64 * 1024;
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// What is kept of a line: enough for a stack trace on one line, little enough for a runaway one.
const LONGEST_LINE: usize = 64 * 1024;

/// A log to follow, and what it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogTarget {
    pub name: String,
    pub path: PathBuf,
    /// It must be there at the start; otherwise it is waited for.
    pub must_exist: bool,
}

/// What a look at a log brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    State(LogState),
    Line(String),
}

/// A file that is read on from where it ended.
#[derive(Debug)]
pub struct Tail {
    path: PathBuf,
    file: Option<Open>,
    /// The last state that was told; a new file that is read from its begin came while we looked.
    told: Option<LogState>,
    partial: Vec<u8>,
    /// The rest of a line that is too long is passed over.
    skipping: bool,
}

#[derive(Debug)]
struct Open {
    file: File,
    identity: (u64, u64),
    position: u64,
}

impl Tail {
    /// Follows from the file's present end; one that is not there is waited for and read whole.
    pub fn open(path: &Path) -> (Tail, io::Result<()>) {
        let opened = open(path).and_then(|mut open| {
            open.position = open.file.seek(SeekFrom::End(0))?;
            Ok(open)
        });
        let (file, result) = match opened {
            Ok(open) => (Some(open), Ok(())),
            Err(error) => (None, Err(error)),
        };
        (Tail { path: path.into(), file, told: None, partial: Vec::new(), skipping: false }, result)
    }

    /// What is new since the last look. `true`: there is more to read at once.
    pub fn look(&mut self) -> (Vec<Seen>, bool) {
        let mut seen = Vec::new();
        if self.told.is_none() {
            let state = if self.file.is_some() { LogState::Open } else { LogState::Lost };
            self.tell(state, &mut seen);
        }
        if self.read(&mut seen) {
            return (seen, true);
        }
        // The old file is read to its end before another is begun.
        match open(&self.path) {
            Err(_) => self.tell(LogState::Lost, &mut seen),
            Ok(found) => {
                if self.is_another(&found) {
                    self.end_line(&mut seen);
                    self.file = Some(found);
                }
                self.tell(LogState::Open, &mut seen);
                return (seen, false);
            }
        }
        (seen, false)
    }

    /// The log is followed no longer: what has come of its last line counts.
    pub fn end(mut self) -> Vec<Seen> {
        let mut seen = Vec::new();
        loop {
            let (more, again) = self.look();
            seen.extend(more);
            if !again {
                break;
            }
        }
        self.end_line(&mut seen);
        seen
    }

    fn tell(&mut self, state: LogState, seen: &mut Vec<Seen>) {
        if self.told != Some(state) {
            self.told = Some(state);
            seen.push(Seen::State(state));
        }
    }

    /// Another file of that name, or the same one, emptied.
    fn is_another(&self, found: &Open) -> bool {
        let shorter = |open: &Open| found.file.metadata().is_ok_and(|m| m.len() < open.position);
        self.file.as_ref().is_none_or(|open| open.identity != found.identity || shorter(open))
    }

    fn read(&mut self, seen: &mut Vec<Seen>) -> bool {
        let Some(mut open) = self.file.take() else { return false };
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut taken = 0;
        let more = loop {
            match open.file.read(&mut chunk) {
                Ok(0) => break false,
                Ok(count) => {
                    open.position += count as u64;
                    taken += count;
                    self.split(&chunk[..count], seen);
                    if taken >= MOST_BYTES {
                        break true;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // What can no longer be read is opened anew, or told as lost.
                Err(_) => {
                    self.end_line(seen);
                    return false;
                }
            }
        };
        self.file = Some(open);
        more
    }

    fn split(&mut self, bytes: &[u8], seen: &mut Vec<Seen>) {
        let mut rest = bytes;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            self.keep(&rest[..end]);
            self.end_line(seen);
            rest = &rest[end + 1..];
        }
        self.keep(rest);
    }

    fn keep(&mut self, part: &[u8]) {
        let room = LONGEST_LINE - self.partial.len().min(LONGEST_LINE);
        self.skipping |= part.len() > room;
        self.partial.extend_from_slice(&part[..part.len().min(room)]);
    }

    fn end_line(&mut self, seen: &mut Vec<Seen>) {
        let line = std::mem::take(&mut self.partial);
        let mut text = String::from_utf8_lossy(&line).trim_end_matches('\r').to_string();
        if std::mem::take(&mut self.skipping) {
            text.push('…');
        }
        if !text.is_empty() {
            seen.push(Seen::Line(text));
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "this file owns reading logs")]
fn open(path: &Path) -> io::Result<Open> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    Ok(Open { file, identity: identity(&metadata), position: 0 })
}

/// What tells a file from another of its name, as long as the first is held open.
#[cfg(unix)]
fn identity(metadata: &Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}

/// Without numbers of files, the time of creation.
#[cfg(not(unix))]
fn identity(metadata: &Metadata) -> (u64, u64) {
    #[allow(clippy::disallowed_types, reason = "an instant of the file system, compared and never shown")]
    let since = metadata.created().ok().and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok());
    (0, since.map_or(0, |since| since.as_nanos() as u64))
}

/// What must not be recorded of a line: known secrets, credentials by their form, redacted fields.
#[derive(Debug, Clone)]
pub(super) struct Cleaner {
    secrets: Secrets,
    redactor: Option<Arc<Redactor>>,
    /// `name=value` and `name: value` of the redacted fields.
    named: Option<Regex>,
}

impl Cleaner {
    pub(super) fn new(secrets: Secrets, redactor: Option<Arc<Redactor>>, redact: &[String]) -> Cleaner {
        let names: Vec<String> = redact.iter().map(|name| regex_lite::escape(name)).collect();
        let pattern =
            format!(r#"(?i)\b((?:{})["']?\s*[:=]\s*)("[^"]*"|'[^']*'|[^\s,;&|)\]}}]+)"#, names.join("|"));
        let named = (!names.is_empty()).then(|| Regex::new(&pattern).ok()).flatten();
        Cleaner { secrets, redactor, named }
    }

    pub(super) fn clean(&self, line: &str) -> String {
        let line = without_credentials(&self.secrets.mask(line));
        match (&self.redactor, &self.named) {
            (Some(redactor), _) if is_json(&line) => redactor.redact(&line),
            (_, Some(named)) => named.replace_all(&line, "$1***").into_owned(),
            _ => line,
        }
    }
}

/// Follows a log until asked to stop.
pub(super) async fn follow(
    target: LogTarget,
    mut tail: Tail,
    cleaner: Cleaner,
    clock: Clock,
    queue: Queue,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let Ok((back, seen, more)) = tokio::task::spawn_blocking(move || {
            let (seen, more) = tail.look();
            (tail, seen, more)
        })
        .await
        else {
            return;
        };
        tail = back;
        if put(&target, seen, &cleaner, clock, &queue).await.is_err() {
            return;
        }
        if more {
            continue;
        }
        tokio::select! { biased;
            () = stopped(&mut stop) => break,
            () = sleep(LOOK_EVERY) => {}
        }
    }
    if let Ok(seen) = tokio::task::spawn_blocking(move || tail.end()).await {
        let _ = put(&target, seen, &cleaner, clock, &queue).await;
    }
}

async fn put(
    target: &LogTarget,
    seen: Vec<Seen>,
    cleaner: &Cleaner,
    clock: Clock,
    queue: &Queue,
) -> Result<(), super::queue::QueueClosed> {
    let at = clock.now();
    let source = || target.name.clone().into();
    let arrivals: Vec<Arrival> = seen
        .into_iter()
        .map(|seen| match seen {
            Seen::Line(line) => Event::Log { source: source(), line: cleaner.clean(&line).into() },
            Seen::State(state) => {
                match state {
                    LogState::Open => {
                        tracing::info!("log {}: reading {}", target.name, target.path.display())
                    }
                    LogState::Lost => {
                        tracing::warn!("log {}: {} is not there", target.name, target.path.display());
                    }
                }
                Event::LogState { source: source(), state }
            }
        })
        .map(|event| Arrival { at, event })
        .collect();
    let mut arrivals = arrivals.into_iter().peekable();
    while arrivals.peek().is_some() {
        queue.put_batch(arrivals.by_ref().take(BATCH_EVENTS).collect()).await?;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // logs are files
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write;

    fn append(path: &Path, text: impl AsRef<[u8]>) {
        let mut file = fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
        file.write_all(text.as_ref()).unwrap();
    }

    /// Everything new, as text; states in brackets.
    fn look(tail: &mut Tail) -> String {
        let mut words = Vec::new();
        loop {
            let (seen, more) = tail.look();
            words.extend(seen.into_iter().map(|seen| match seen {
                Seen::Line(line) => line,
                Seen::State(state) => format!("[{state:?}]"),
            }));
            if !more {
                return words.join(" ");
            }
        }
    }

    fn followed() -> (tempfile::TempDir, PathBuf, Tail) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.log");
        append(&path, "before\n");
        let (mut tail, opened) = Tail::open(&path);
        opened.unwrap();
        assert_eq!(look(&mut tail), "[Open]");
        (folder, path, tail)
    }

    #[test]
    fn only_what_is_new_is_read_line_by_line() {
        let (_folder, path, mut tail) = followed();
        append(&path, "one\r\n\ntw");
        assert_eq!(look(&mut tail), "one");
        append(&path, b"o\n\xc3");
        assert_eq!(look(&mut tail), "two");
        assert_eq!(look(&mut tail), "");
        append(&path, b"\xbc three");
        assert_eq!(tail.end(), [Seen::Line("ü three".into())]);
    }

    #[test]
    fn a_renamed_log_is_read_to_its_end_and_the_new_one_from_its_begin() {
        let (folder, path, mut tail) = followed();
        append(&path, "one\n");
        fs::rename(&path, folder.path().join("app.log.1")).unwrap();
        append(&folder.path().join("app.log.1"), "two\nthr");
        append(&path, "four\n");
        assert_eq!(look(&mut tail), "one two thr");
        assert_eq!(look(&mut tail), "four");
    }

    #[test]
    fn a_truncated_log_is_read_anew() {
        let (_folder, path, mut tail) = followed();
        append(&path, "one\n");
        assert_eq!(look(&mut tail), "one");
        fs::File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
        append(&path, "two\n");
        assert_eq!(look(&mut tail), "");
        assert_eq!(look(&mut tail), "two");
    }

    #[test]
    fn a_log_that_vanishes_is_told_and_read_when_it_is_back() {
        let (_folder, path, mut tail) = followed();
        append(&path, "one\n");
        fs::remove_file(&path).unwrap();
        assert_eq!(look(&mut tail), "one [Lost]");
        assert_eq!(look(&mut tail), "");
        append(&path, "two\n");
        assert_eq!(look(&mut tail), "[Open]");
        assert_eq!(look(&mut tail), "two");
        // It may not be there at first, and may never come.
        let (mut tail, opened) = Tail::open(&path.with_extension("other"));
        assert_eq!(opened.unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(look(&mut tail), "[Lost]");
        append(&path.with_extension("other"), "late\n");
        assert_eq!(look(&mut tail), "[Open]");
        assert_eq!(tail.end(), [Seen::Line("late".into())]);
    }

    #[test]
    fn endless_lines_and_floods_are_bounded() {
        let (_folder, path, mut tail) = followed();
        append(&path, "x".repeat(LONGEST_LINE * 3));
        append(&path, "\nshort\n");
        let seen = look(&mut tail);
        let (long, short) = seen.split_once(' ').unwrap();
        assert_eq!((long.chars().count(), short), (LONGEST_LINE + 1, "short"));
        append(&path, "line\n".repeat(MOST_BYTES / 5 + 10));
        let (seen, more) = tail.look();
        assert!(more && seen.len() <= MOST_BYTES / 5 + CHUNK_BYTES);
        assert_eq!(look(&mut tail).split(' ').count() + seen.len(), MOST_BYTES / 5 + 10);
    }

    #[test]
    fn what_must_not_be_stored_is_masked() {
        let redactor = Redactor::new(&["account_number".into()]).map(Arc::new);
        let cleaner = Cleaner::new(Secrets::default(), redactor, &["account_number".into()]);
        for (line, expect) in [
            ("GET /ws?a=1&token=eyJhbGciOi HTTP/1.1", "GET /ws?a=1&token=*** HTTP/1.1"),
            ("order of account_number=DU123, ok", "order of account_number=***, ok"),
            ("{'account_number': 'DU 123'}", "{'account_number': ***}"),
            ("nothing to hide", "nothing to hide"),
        ] {
            assert_eq!(cleaner.clean(line), expect);
        }
        let json = cleaner.clean(r#"{"level":"info","account_number":"DU123"}"#);
        assert!(json.contains("redacted:") && !json.contains("DU123"), "{json}");
    }
}
