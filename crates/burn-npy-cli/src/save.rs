//! Files that a command writes: each is there only when it is complete.

use std::fs::File;
use std::path::Path;

use burn_npy_core::internal::Complete;
use burn_npy_core::{Error, ErrorKind, Result};

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
