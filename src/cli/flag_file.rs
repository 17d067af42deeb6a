//! Owns env files on disk: read, and changed in one step that keeps owner and permissions. Must not decide
//! whether a flag may change.

use super::exit::WrongUse;
use crate::env_file::{self, Assignment, State};
use anyhow::{Context, bail};
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// An env file as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlagFile {
    /// As given, for messages.
    path: PathBuf,
    text: String,
}

impl FlagFile {
    #[allow(clippy::disallowed_methods, reason = "the one place where env files are read")]
    pub fn read(path: &Path) -> anyhow::Result<FlagFile> {
        let could_not = || format!("could not read env file {}", path.display());
        let bytes = match fs::read(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(WrongUse(format!("{}: there is no such file", could_not())).into());
            }
            read => read.with_context(could_not)?,
        };
        match String::from_utf8(bytes) {
            Ok(text) => Ok(FlagFile { path: path.into(), text }),
            Err(_) => Err(WrongUse(format!("{}: it is no UTF-8 text", could_not())).into()),
        }
    }

    /// What the last line with the flag says, as most readers take it; `None` where there is none.
    pub fn state(&self, flag: &str) -> Option<State> {
        env_file::find(&self.text, flag).last().map(|place| place.state)
    }

    /// The flag's one place; what is not one is wrong use.
    pub fn only(&self, flag: &str) -> anyhow::Result<Assignment> {
        let refused = |why| WrongUse(format!("could not change {}: {why}", self.path.display())).into();
        env_file::only(&self.text, flag).map_err(refused)
    }

    /// Turns a flag that stands once on; returns its line.
    pub fn enable(&self, flag: &str) -> anyhow::Result<usize> {
        let place = self.only(flag)?;
        let line = place.line;
        self.replace(&env_file::set(&self.text, &[place], true))?;
        Ok(line)
    }

    /// Turns a flag off wherever it stands, because it must be off whoever reads the file; returns the lines.
    /// Where it does not stand at all, or a quote is open, is wrong use.
    pub fn disable(&self, flag: &str) -> anyhow::Result<Vec<usize>> {
        let places = env_file::find(&self.text, flag);
        if matches!(
            env_file::only(&self.text, flag),
            Err(env_file::NotOne::Absent { .. } | env_file::NotOne::Unclosed { .. })
        ) {
            self.only(flag)?;
        }
        self.replace(&env_file::set(&self.text, &places, false))?;
        Ok(places.iter().map(|place| place.line).collect())
    }

    /// Refuses a file that cannot be changed, before any work is done for it.
    pub fn writable(&self) -> anyhow::Result<()> {
        self.target().map(|_| ())
    }

    /// The file itself, behind any link to it, if it may be written to.
    fn target(&self) -> anyhow::Result<(PathBuf, Metadata)> {
        let could_not = || format!("could not change {}", self.path.display());
        let target = self.path.canonicalize().with_context(could_not)?;
        let metadata = target.metadata().with_context(could_not)?;
        if metadata.permissions().readonly() {
            bail!("{}: it is read-only; give write permission to whoever turns flags", could_not());
        }
        Ok((target, metadata))
    }

    /// Writes the new text beside the file and puts it in its place in one step, unless somebody else
    /// changed the file meanwhile.
    fn replace(&self, text: &str) -> anyhow::Result<()> {
        let could_not = || format!("could not change {}", self.path.display());
        let (target, metadata) = self.target()?;
        if text == self.text {
            return Ok(());
        }
        let name = target.file_name().with_context(could_not)?.to_string_lossy().into_owned();
        let part = target.with_file_name(format!(".{name}.{}.part", std::process::id()));
        let written = write_like(&part, text, &metadata)
            .and_then(|()| match FlagFile::read(&target)?.text == self.text {
                true => Ok(()),
                false => bail!("it was changed by someone else meanwhile; try again"),
            })
            .and_then(|()| Ok(fs::rename(&part, &target)?));
        if written.is_err() {
            // It may never have been made.
            let _ = fs::remove_file(&part);
        }
        written.with_context(could_not)
    }
}

/// A new file with the owner and permissions of another; readable by nobody else while it is being made.
fn write_like(path: &Path, text: &str, like: &Metadata) -> anyhow::Result<()> {
    let mut file = private(path)?;
    file.write_all(text.as_bytes())?;
    keep_owner(path, like)?;
    file.set_permissions(like.permissions())?;
    Ok(file.sync_all()?)
}

#[cfg(unix)]
fn private(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

#[cfg(not(unix))]
fn private(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

#[cfg(unix)]
fn keep_owner(path: &Path, like: &Metadata) -> anyhow::Result<()> {
    use std::os::unix::fs::{MetadataExt, chown};
    let own = path.metadata()?;
    if (own.uid(), own.gid()) != (like.uid(), like.gid()) {
        chown(path, Some(like.uid()), Some(like.gid())).context("its owner could not be kept")?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn keep_owner(_: &Path, _: &Metadata) -> anyhow::Result<()> {
    Ok(())
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "a test writes and reads files")]
mod tests {
    use super::*;
    use crate::cli::exit::Exit;

    const FLAG: &str = "WS_FEATURE_X";

    fn file(folder: &Path, text: &str) -> PathBuf {
        let path = folder.join(".env");
        fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn one_value_changes_on_disk_and_nothing_stays_behind() {
        let temp = tempfile::tempdir().unwrap();
        let path = file(temp.path(), "# mine\r\nSECRET=1\r\nexport WS_FEATURE_X='false' # why\r\n");
        let read = FlagFile::read(&path).unwrap();
        assert_eq!((read.state(FLAG), read.enable(FLAG).unwrap()), (Some(State::Off), 3));
        let now = fs::read_to_string(&path).unwrap();
        assert_eq!(now, "# mine\r\nSECRET=1\r\nexport WS_FEATURE_X='true' # why\r\n");
        assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 1);
        // What was read before somebody's change is not written over it.
        let error = read.enable(FLAG).unwrap_err();
        assert!(format!("{error:#}").contains("changed by someone else meanwhile"), "{error:#}");
        assert_eq!(
            (fs::read_to_string(&path).unwrap(), fs::read_dir(temp.path()).unwrap().count()),
            (now, 1)
        );
        assert_eq!(FlagFile::read(&path).unwrap().disable(FLAG).unwrap(), [3]);
    }

    #[cfg(unix)]
    #[test]
    fn permissions_and_links_are_kept() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let temp = tempfile::tempdir().unwrap();
        let path = file(temp.path(), "WS_FEATURE_X=false\n");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let link = temp.path().join("link");
        symlink(&path, &link).unwrap();
        FlagFile::read(&link).unwrap().enable(FLAG).unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read_to_string(&path).unwrap(), "WS_FEATURE_X=true\n");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o640);
    }

    #[test]
    fn what_cannot_be_changed_is_told_with_its_cure() {
        let temp = tempfile::tempdir().unwrap();
        let path = file(temp.path(), "A=1\nWS_FEATURE_X=maybe\nWS_FEATURE_X=true\n");
        let read = FlagFile::read(&path).unwrap();
        for (flag, says) in [(FLAG, "in lines 2, 3"), ("B", "add a line B=false")] {
            let error = read.enable(flag).unwrap_err();
            assert_eq!(Exit::of_error(&error), Exit::WrongUse);
            assert!(error.to_string().contains(says), "{error}");
        }
        let absent = FlagFile::read(&temp.path().join("absent")).unwrap_err();
        assert_eq!(Exit::of_error(&absent), Exit::WrongUse);
        // Off wherever it stands.
        assert_eq!(read.disable(FLAG).unwrap(), [2, 3]);
        assert_eq!(fs::read_to_string(&path).unwrap(), "A=1\nWS_FEATURE_X=false\nWS_FEATURE_X=false\n");

        let mut permissions = path.metadata().unwrap().permissions();
        permissions.set_readonly(true);
        fs::set_permissions(&path, permissions).unwrap();
        let read = FlagFile::read(&path).unwrap();
        for error in [read.writable().unwrap_err(), read.disable(FLAG).unwrap_err()] {
            assert_eq!(Exit::of_error(&error), Exit::Unable);
            assert!(error.to_string().contains("it is read-only"), "{error}");
        }
        fs::write(temp.path().join("latin"), b"A=\xe9").unwrap();
        let error = FlagFile::read(&temp.path().join("latin")).unwrap_err();
        assert!(error.to_string().ends_with("latin: it is no UTF-8 text"), "{error}");
    }
}
