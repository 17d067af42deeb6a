//! Owns the folder that a run leaves behind: made before the work begins, each file in it whole or
//! not there. Must not know what the files say.

use crate::evidence::sign::Hash;
use crate::model::Timestamp;
use crate::report::{drill, findings, html, json, junit, signoff, summary};
use anyhow::Context;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// What is being written carries this suffix until it is whole.
const PART: &str = "part";

/// All files that a report consists of besides `report.json`, which all of them follow from.
pub const OTHER_FILES: [&str; 6] =
    [html::FILE, signoff::FILE, findings::FILE, summary::FILE, junit::FILE, drill::FILE];

/// Folders of one name are told apart by a number; more than this is a mistake.
const MOST_OF_ONE_NAME: u32 = 10_000;

/// Where the user wants the report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In a new folder of its own below this one.
    Under(PathBuf),
    Exact(PathBuf),
    /// As `Under`, and what is stored there is chained to what was stored before (`evidence.jsonl`).
    Stored(PathBuf),
}

impl Place {
    /// The evidence folder that what is stored there is chained in.
    pub fn store(&self) -> Option<&Path> {
        match self {
            Place::Stored(folder) => Some(folder),
            Place::Under(_) | Place::Exact(_) => None,
        }
    }
}

/// `20251219T143000Z-ab12`: sorts by time, and tells apart what began in the same second.
pub fn run_name(start: Timestamp, short: &str) -> String {
    let seconds = Timestamp(start.0 - start.0.rem_euclid(1_000_000_000)).to_string();
    let digits: String = seconds.chars().filter(|c| !matches!(c, '-' | ':')).collect();
    let short: String = short.chars().filter(char::is_ascii_alphanumeric).take(8).collect();
    if short.is_empty() { digits } else { format!("{digits}-{short}") }
}

/// A folder that can be written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportFolder {
    dir: PathBuf,
}

impl ReportFolder {
    /// Makes the folder and proves that it takes files, before any work is done for it. An earlier
    /// report in an exact folder goes away now: if this run fails, nobody may take the old for the new.
    pub fn create(place: &Place, run: &str) -> anyhow::Result<ReportFolder> {
        let dir = match place {
            Place::Under(parent) | Place::Stored(parent) => new_folder(parent, run)?,
            Place::Exact(dir) => {
                folders(dir).with_context(|| refusal(dir))?;
                remove_earlier_report(dir).with_context(|| refusal(dir))?;
                dir.clone()
            }
        };
        let folder = ReportFolder { dir };
        folder.probe().with_context(|| refusal(&folder.dir))?;
        Ok(folder)
    }

    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// Writes a file whole: first under another name, which its own replaces at the end. Its digest.
    pub fn write(&self, name: &str, bytes: &[u8]) -> anyhow::Result<String> {
        let mut part = self.stream(name)?;
        part.write_all(bytes)
            .with_context(|| format!("could not write {}", self.dir.join(name).display()))?;
        part.commit()
    }

    /// A file that is written over time and gets its name when it is whole.
    pub fn stream(&self, name: &str) -> anyhow::Result<PartFile> {
        let whole = self.dir.join(name);
        let part = self.dir.join(format!("{name}.{PART}"));
        let file = create(&part).with_context(|| format!("could not write {}", part.display()))?;
        Ok(PartFile { file: BufWriter::new(file), hash: Hash::default(), part, whole })
    }

    fn probe(&self) -> io::Result<()> {
        let probe = self.dir.join(format!(".probe.{PART}"));
        create(&probe)?.write_all(b"\n")?;
        fs::remove_file(&probe)
    }
}

/// Writes a file whole, wherever it is.
pub fn write_whole(file: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let could_not = || format!("could not write {}", file.display());
    let name = file.file_name().with_context(could_not)?.to_string_lossy().into_owned();
    let dir = file.parent().map(Path::to_path_buf).filter(|dir| !dir.as_os_str().is_empty());
    ReportFolder { dir: dir.unwrap_or_else(|| ".".into()) }.write(&name, bytes).map(|_| ())
}

fn refusal(dir: &Path) -> String {
    format!("could not write the report folder {} (see --reports and --report-dir)", dir.display())
}

#[allow(clippy::disallowed_methods)] // the one place where report files are created
fn create(path: &Path) -> io::Result<File> {
    File::create(path)
}

/// Makes a folder and those above it; where a file stands in its place the system's own word for it
/// would be that it exists already.
fn folders(dir: &Path) -> io::Result<()> {
    if dir.is_file() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    fs::create_dir_all(dir)
}

fn new_folder(parent: &Path, run: &str) -> anyhow::Result<PathBuf> {
    folders(parent).with_context(|| refusal(parent))?;
    for number in 1..MOST_OF_ONE_NAME {
        let name = if number == 1 { run.to_string() } else { format!("{run}-{number}") };
        let dir = parent.join(name);
        match fs::create_dir(&dir) {
            Ok(()) => return Ok(dir),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error).with_context(|| refusal(&dir)),
        }
    }
    anyhow::bail!("{}: there are too many of the name {run}", refusal(parent))
}

fn remove_earlier_report(dir: &Path) -> io::Result<()> {
    for name in OTHER_FILES.into_iter().chain([json::FILE]) {
        for path in [dir.join(name), dir.join(format!("{name}.{PART}"))] {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}

/// A file on its way; without `commit` it keeps the name that says it is not whole.
#[derive(Debug)]
pub struct PartFile {
    file: BufWriter<File>,
    hash: Hash,
    part: PathBuf,
    whole: PathBuf,
}

impl PartFile {
    /// Brings everything to the disk, then gives the file its name. The digest of what was written.
    pub fn commit(mut self) -> anyhow::Result<String> {
        self.file
            .flush()
            .and_then(|()| self.file.get_ref().sync_all())
            .and_then(|()| fs::rename(&self.part, &self.whole))
            .with_context(|| format!("could not write {}", self.whole.display()))?;
        Ok(self.hash.sha256())
    }
}

impl Write for PartFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.write_all(&bytes[..written])?;
        Ok(written)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn runs_are_named_by_their_start() {
        let start = Timestamp::parse_rfc3339("2025-12-19T14:30:00.123456Z").unwrap();
        assert_eq!(run_name(start, "ab12"), "20251219T143000Z-ab12");
        assert_eq!(run_name(start, "../ab12cdef99"), "20251219T143000Z-ab12cdef");
        assert_eq!(run_name(start, ""), "20251219T143000Z");
    }

    #[test]
    fn runs_of_one_name_do_not_meet() {
        let temp = tempfile::tempdir().unwrap();
        let place = Place::Under(temp.path().join("deep/reports"));
        let first = ReportFolder::create(&place, "run").unwrap();
        let second = ReportFolder::create(&place, "run").unwrap();
        assert!(first.path().ends_with("deep/reports/run") && second.path().ends_with("deep/reports/run-2"));
        assert!(names(first.path()).is_empty(), "the probe is gone");
    }

    #[test]
    fn files_are_whole_or_not_there() {
        let temp = tempfile::tempdir().unwrap();
        let folder = ReportFolder::create(&Place::Exact(temp.path().join("exact")), "run").unwrap();
        let mut part = folder.stream("findings.csv").unwrap();
        part.write_all(b"half").unwrap();
        folder.write("signoff.csv", b"whole").unwrap();
        assert_eq!(names(folder.path()), ["findings.csv.part", "signoff.csv"]);
        part.commit().unwrap();
        assert_eq!(names(folder.path()), ["findings.csv", "signoff.csv"]);
    }

    #[test]
    fn an_earlier_report_goes_and_other_files_stay() {
        let temp = tempfile::tempdir().unwrap();
        let place = Place::Exact(temp.path().to_path_buf());
        let folder = ReportFolder::create(&place, "run").unwrap();
        for name in ["report.json", "findings.csv.part", "capture.jsonl"] {
            folder.write(name, b"old").unwrap();
        }
        ReportFolder::create(&place, "run").unwrap();
        assert_eq!(names(temp.path()), ["capture.jsonl"]);
    }

    #[test]
    fn a_folder_that_takes_no_files_stops_the_run() {
        let temp = tempfile::tempdir().unwrap();
        let file = temp.path().join("file");
        create(&file).unwrap();
        for place in
            [Place::Under(file.clone()), Place::Exact(file.clone()), Place::Exact(file.join("below"))]
        {
            let error = ReportFolder::create(&place, "run").unwrap_err();
            assert!(error.to_string().starts_with("could not write the report folder"), "{error}");
        }
    }
}
