//! Files that a command writes: each is there only when it is complete.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use burn_npy_core::internal::{Complete, io_error};
use burn_npy_core::{Error, ErrorKind, Result};

/// Folders that were made. Those without a file are removed when this is dropped.
#[derive(Debug, Default)]
pub(crate) struct Folders {
    /// Each before the one that it is in.
    made: Vec<PathBuf>,
}

impl Folders {
    /// Makes the folder of a file, and those that it is in, unless they are there.
    pub(crate) fn make(&mut self, file: &Path) -> Result<()> {
        let Some(folder) = file.parent() else {
            return Ok(());
        };
        let folders = folder.ancestors();
        let missing = folders.filter(|folder| !folder.as_os_str().is_empty() && !folder.exists());
        self.made.splice(0..0, missing.map(Path::to_path_buf));
        fs::create_dir_all(folder)
            .map_err(|error| io_error("cannot create the folder", error).in_file(folder))
    }
}

impl Drop for Folders {
    fn drop(&mut self) {
        for folder in &self.made {
            // It fails if there is something in it.
            let _ = fs::remove_dir(folder);
        }
    }
}

/// Writes a file, and gives it its name as [`name`] does.
pub(crate) fn file(
    path: &Path,
    force: bool,
    write: &mut dyn FnMut(&mut File) -> Result<()>,
) -> Result<()> {
    name(Complete::new(path, write)?, path, force)
}

/// Gives a file its name. With `force` it replaces one that is there; otherwise such a file stays,
/// even if it has come while this one was written, and that is an error.
pub(crate) fn name(file: Complete, path: &Path, force: bool) -> Result<()> {
    if file.name(force)? {
        return Ok(());
    }
    let message = "the file has appeared meanwhile; --force replaces it";
    Err(Error::new(ErrorKind::Io, message).in_file(path))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;

    #[test]
    fn a_file_that_appears_meanwhile_stays_unless_it_may_be_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("y.npy");
        let write = |force| {
            let _ = fs::remove_file(&path);
            file(&path, force, &mut |file| {
                file.write_all(b"new").unwrap();
                fs::write(&path, "other").unwrap();
                Ok(())
            })
        };
        let error = write(false).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        let message = error.to_string();
        assert!(
            message.contains("y.npy: the file has appeared meanwhile; --force replaces it"),
            "{message}"
        );
        assert_eq!(fs::read(&path).unwrap(), b"other");
        write(true).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
