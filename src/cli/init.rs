//! Owns `cutover init`: the built-in contract as a file to adapt. Must not overwrite one unasked.

use super::console::Console;
use super::exit::{Exit, WrongUse};
use crate::contract::BUILTIN;
use anyhow::Context;
use clap::Args;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  cutover init                     writes cutover.toml
  cutover init staging.toml
  cutover init -                   prints it";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The file to write; `-` is stdout
    #[arg(value_name = "FILE", default_value = "cutover.toml")]
    file: PathBuf,
    /// Replace the file if it exists
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `-` is stdout.
    pub file: PathBuf,
    pub force: bool,
}

impl Arguments {
    pub fn settings(self) -> Settings {
        Settings { file: self.file, force: self.force }
    }
}

pub fn run(settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let file = &settings.file;
    if file == Path::new("-") {
        console.result(BUILTIN.as_bytes()).context("could not print the contract")?;
        return Ok(Exit::Pass);
    }
    write(settings).with_context(|| format!("could not write {}", file.display()))?;
    let next = format!(
        "wrote {0}\nset base_url, url and the features in it, then: cutover watch --contract {0} --for 10m\n",
        file.display()
    );
    console.result(next.as_bytes()).context("could not print the result")?;
    Ok(Exit::Pass)
}

fn write(settings: &Settings) -> anyhow::Result<()> {
    let mut file = match open(settings) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(WrongUse("it exists already; --force replaces it".into()).into());
        }
        opened => opened?,
    };
    file.write_all(BUILTIN.as_bytes())?;
    Ok(file.sync_all()?)
}

fn open(settings: &Settings) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true);
    if settings.force {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    options.open(&settings.file)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // what was written is read back
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_once_and_replaced_on_request() {
        let temp = tempfile::tempdir().unwrap();
        let file = temp.path().join("cutover.toml");
        let settings = |force| Settings { file: file.clone(), force };
        write(&settings(false)).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), BUILTIN);
        std::fs::write(&file, "mine").unwrap();
        let error = write(&settings(false)).unwrap_err();
        assert_eq!(Exit::of_error(&error), Exit::WrongUse);
        assert!(error.to_string().ends_with("it exists already; --force replaces it"));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
        write(&settings(true)).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), BUILTIN);
        let nowhere = Settings { file: temp.path().join("no/such/folder.toml"), force: false };
        assert_eq!(Exit::of_error(&write(&nowhere).unwrap_err()), Exit::Unable);
    }
}
