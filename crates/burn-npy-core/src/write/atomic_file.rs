//! Files that appear whole or not at all.

use std::io;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// A file that is being written beside the one that it will replace; gone when it is dropped before
/// that. Whoever has the old file open keeps it, and a crash leaves either the old file or the new
/// one.
#[derive(Debug)]
pub(crate) struct AtomicFile {
    pub(crate) file: NamedTempFile,
    path: PathBuf,
}

impl AtomicFile {
    pub(crate) fn new(path: &Path) -> io::Result<Self> {
        // A link to a file stays one, to what is new.
        let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        let mut builder = tempfile::Builder::new();
        // As any new file, not only for the user as temporary files are.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let file = builder.tempfile_in(folder(&path))?;
        // It may be more private than new files are.
        #[cfg(unix)]
        if let Ok(old) = std::fs::metadata(&path) {
            file.as_file().set_permissions(old.permissions())?;
        }
        Ok(Self { file, path })
    }

    /// Puts the file, which is on the disk by then, in its place.
    pub(crate) fn commit(self) -> io::Result<()> {
        self.file.as_file().sync_all()?;
        self.file.persist(&self.path).map_err(|error| error.error)?;
        // The name is on the disk when the folder is.
        #[cfg(unix)]
        std::fs::File::open(folder(&self.path))?.sync_all()?;
        Ok(())
    }
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}
