//! Files that are written atomically.

use std::io;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// A temporary file that replaces another one when it is complete. If it is dropped before
/// [`commit`](Self::commit), it is deleted. A program that has the old file open keeps it, and a
/// crash leaves either the old file or the new one.
#[derive(Debug)]
pub(crate) struct AtomicFile {
    pub(crate) temporary: NamedTempFile,
    path: PathBuf,
}

impl AtomicFile {
    pub(crate) fn new(path: &Path) -> io::Result<Self> {
        // A symbolic link is kept, and its target is replaced.
        let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        let mut builder = tempfile::Builder::new();
        // A temporary file would be private to the user. This one gets the mode of any new file.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let file = builder.tempfile_in(folder(&path))?;
        // The old file may be more private than that.
        #[cfg(unix)]
        if let Ok(old) = std::fs::metadata(&path) {
            file.as_file().set_permissions(old.permissions())?;
        }
        Ok(Self {
            temporary: file,
            path,
        })
    }

    /// Writes the file to the disk and then renames it to its path.
    pub(crate) fn commit(self) -> io::Result<()> {
        self.temporary.as_file().sync_all()?;
        let renamed = self.temporary.persist(&self.path);
        renamed.map_err(|error| error.error)?;
        // The new name is on the disk once the folder is.
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
