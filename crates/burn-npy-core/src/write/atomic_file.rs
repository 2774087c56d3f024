//! Files that are written whole or not at all.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

#[cfg(unix)]
use crate::write::rights::Rights;
use crate::{Error, ErrorKind, Result};

/// A file that takes the place of another one when it is complete. If it is dropped before
/// [`commit`](Self::commit), it is gone. A program that has the old file open keeps it, and a crash
/// leaves either the old file or the new one.
#[derive(Debug)]
pub(crate) struct AtomicFile {
    new: Unfinished,
    /// Where the file will be. No symbolic link.
    target: PathBuf,
    old: Option<Old>,
}

impl AtomicFile {
    /// Starts a file, if what is at the path may be replaced by one.
    pub(crate) fn new(path: &Path) -> Result<Self> {
        Self::new_as(path, Unfinished::new)
    }

    fn new_as(
        path: &Path,
        start: impl FnOnce(&Path, u32) -> io::Result<Unfinished>,
    ) -> Result<Self> {
        // By the path as it was given, so that the system checks the symbolic links in it.
        let old = Old::at(path)?;
        let target = resolve(path, old.is_some())?;
        // Whoever opens the file before it has the mode of the old one may read all of it later.
        let mode = if old.is_some() { 0o600 } else { 0o666 };
        let folder = folder(&target);
        let new = start(folder, mode)
            .map_err(|error| Error::io(&format!("cannot write to the folder {folder:?}"), error))?;
        Ok(Self { new, target, old })
    }

    pub(crate) fn file(&mut self) -> &mut File {
        match &mut self.new {
            #[cfg(target_os = "linux")]
            Unfinished::Unnamed(file) => file,
            Unfinished::Named(file) => file.as_file_mut(),
        }
    }

    /// Writes the file to the disk and puts it at its path. `done` says what has then happened: it
    /// starts the message of an error that comes after it.
    pub(crate) fn commit(self, done: &str) -> Result<()> {
        self.commit_and(done, true, sync_name).map(|_| ())
    }

    /// As [`commit`](Self::commit), but if there is a file at the path by now, that one stays, and
    /// this one is gone. Returns whether this one has the path.
    pub(crate) fn commit_if_none(self, done: &str) -> Result<bool> {
        self.commit_and(done, false, sync_name)
    }

    fn commit_and(
        mut self,
        done: &str,
        replaces: bool,
        sync_name: impl FnOnce(&Path, &File) -> io::Result<()>,
    ) -> Result<bool> {
        // What is there now, which may not be what was there when the file was started.
        let old = Old::at(&self.target)?.or(self.old.take());
        let complete = |file: &File| {
            if let Some(old) = &old {
                old.give_rights_to(file)?;
            }
            file.sync_all()
        };
        complete(self.file()).map_err(|error| Error::io("cannot complete the new file", error))?;
        let file = match self.new.rename(&self.target, replaces) {
            Err(error) if !replaces && error.kind() == io::ErrorKind::AlreadyExists => {
                return Ok(false);
            }
            renamed => {
                renamed.map_err(|error| Error::io("cannot put the new file at its path", error))?
            }
        };
        sync_name(folder(&self.target), &file).map_err(|error| {
            Error::io(
                &format!("{done}, but may be lost if the machine crashes soon"),
                error,
            )
        })?;
        Ok(true)
    }
}

/// A file that is being written.
#[derive(Debug)]
enum Unfinished {
    /// It has no name, so the system deletes it when the process ends, however that ends.
    #[cfg(target_os = "linux")]
    Unnamed(File),
    Named(NamedTempFile),
}

impl Unfinished {
    fn new(folder: &Path, mode: u32) -> io::Result<Self> {
        #[cfg(target_os = "linux")]
        if let Some(file) = Self::unnamed(folder, mode) {
            return Ok(file);
        }
        Self::named(folder, mode)
    }

    /// `None` if the file system has no such files, or if one could not be named later. Every other
    /// failure comes again with a named file.
    #[cfg(target_os = "linux")]
    fn unnamed(folder: &Path, mode: u32) -> Option<Self> {
        use rustix::fs::{Mode, OFlags, open};

        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let file = File::from(open(folder, flags, Mode::from_raw_mode(mode)).ok()?);
        matches!(fs::exists(in_proc(&file)), Ok(true)).then_some(Self::Unnamed(file))
    }

    /// `mode` is for Unix, where the umask is taken off it.
    #[cfg_attr(not(unix), allow(unused_variables, unused_mut))]
    fn named(folder: &Path, mode: u32) -> io::Result<Self> {
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(mode));
        builder.tempfile_in(folder).map(Self::Named)
    }

    fn rename(self, target: &Path, replaces: bool) -> io::Result<File> {
        match self {
            #[cfg(target_os = "linux")]
            Self::Unnamed(file) => {
                // Only a rename replaces a file, and it needs a name. A process that is killed
                // between the two leaves that name behind.
                let name = |name: &Path| {
                    use rustix::fs::{AtFlags, CWD, linkat};
                    Ok(linkat(
                        CWD,
                        in_proc(&file),
                        CWD,
                        name,
                        AtFlags::SYMLINK_FOLLOW,
                    )?)
                };
                let named = tempfile::Builder::new().make_in(folder(target), name)?;
                let path = named.into_temp_path();
                match replaces {
                    true => path.persist(target)?,
                    false => path.persist_noclobber(target)?,
                }
                Ok(file)
            }
            Self::Named(file) if replaces => Ok(file.persist(target)?),
            Self::Named(file) => Ok(file.persist_noclobber(target)?),
        }
    }
}

/// The path by which a file without a name can be given one.
#[cfg(target_os = "linux")]
fn in_proc(file: &File) -> String {
    use std::os::fd::AsRawFd;

    format!("/proc/self/fd/{}", file.as_raw_fd())
}

/// A file that is to be replaced.
#[derive(Debug)]
struct Old {
    #[cfg(unix)]
    rights: Rights,
}

impl Old {
    /// The file at a path, or an error if there is something that must not be replaced.
    #[cfg_attr(not(unix), allow(unused_variables))]
    fn at(path: &Path) -> Result<Option<Self>> {
        // NumPy writes into the file, so it must be writable though it is only replaced.
        let Some(file) = open_existing(path, File::options().write(true))? else {
            return Ok(None);
        };
        if is_mount(path) {
            return Err(Error::new(
                ErrorKind::Io,
                "a file that is mounted by itself cannot be replaced: write to another path, or \
                 mount its folder instead",
            ));
        }
        Ok(Some(Self {
            #[cfg(unix)]
            rights: Rights::of(&file)
                .map_err(|error| Error::io("cannot look at the old file", error))?,
        }))
    }

    #[cfg(unix)]
    fn give_rights_to(&self, file: &File) -> io::Result<()> {
        self.rights.give_to(file)
    }

    #[cfg(not(unix))]
    fn give_rights_to(&self, _: &File) -> io::Result<()> {
        Ok(())
    }
}

/// Opens a file that exists, for writing to it. Other things than regular files are refused.
pub(crate) fn open_existing(path: &Path, options: &OpenOptions) -> Result<Option<File>> {
    let open = || {
        // Before it is opened, since to open a pipe waits for a reader, and to open a device may do
        // something.
        let metadata = fs::metadata(path)?;
        if metadata.is_file() {
            return options.open(path);
        }
        let kind = kind_of(metadata.file_type());
        let error = format!("{kind}, and only regular files are written to");
        Err(io::Error::other(error))
    };
    match open() {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("cannot open the file for writing", error)),
    }
}

fn kind_of(kind: fs::FileType) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;

        if kind.is_fifo() {
            return "a pipe";
        }
        if kind.is_socket() {
            return "a socket";
        }
        if kind.is_char_device() || kind.is_block_device() {
            return "a device";
        }
    }
    if kind.is_dir() {
        "a folder"
    } else {
        "something special"
    }
}

/// Whether the file is a mount of its own, such as a single file that a container was given.
#[cfg(target_os = "linux")]
fn is_mount(path: &Path) -> bool {
    use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};

    statx(CWD, path, AtFlags::empty(), StatxFlags::empty())
        .is_ok_and(|found| found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

#[cfg(not(target_os = "linux"))]
fn is_mount(_: &Path) -> bool {
    false
}

/// Follows symbolic links, so that they are kept. The last one may lead to a file that does not
/// exist yet.
fn resolve(path: &Path, exists: bool) -> Result<PathBuf> {
    if exists {
        // The system's own links to open files lead to files that may have no name.
        return fs::canonicalize(path)
            .map_err(|error| Error::io("a file that has no path cannot be replaced", error));
    }
    let mut path = path.to_path_buf();
    // Linux follows as many in a row.
    for _ in 0..40 {
        if let Ok(path) = fs::canonicalize(&path) {
            return Ok(path);
        }
        match fs::read_link(&path) {
            Ok(to) => path = folder(&path).join(to),
            Err(_) => break,
        }
    }
    let name = path.file_name().map(OsStr::as_encoded_bytes);
    match name {
        // Not `name/`, which is a folder.
        Some(name) if path.as_os_str().as_encoded_bytes().ends_with(name) => {
            // So that the working directory does not matter any more.
            match fs::canonicalize(folder(&path)) {
                Ok(folder) => Ok(folder.join(path.file_name().unwrap_or_default())),
                Err(_) => Ok(path),
            }
        }
        _ => Err(Error::new(
            ErrorKind::Io,
            "the path of a folder, not of a file",
        )),
    }
}

/// Writes the new name of a file to the disk.
#[cfg(unix)]
fn sync_name(folder: &Path, file: &File) -> io::Result<()> {
    let synced = match File::open(folder) {
        // Who may write to a folder may not be allowed to read it. Most file systems write a new
        // name along with its file.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => file.sync_all(),
        folder => folder?.sync_all(),
    };
    match synced {
        // Some file systems cannot sync a folder.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        synced => synced,
    }
}

#[cfg(not(unix))]
fn sync_name(_: &Path, _: &File) -> io::Result<()> {
    Ok(())
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    type Start = fn(&Path, u32) -> io::Result<Unfinished>;
    /// With a name and, where the system can, without one.
    const STARTS: [Start; 2] = [Unfinished::new, Unfinished::named];

    fn start(path: &Path, start: Start) -> AtomicFile {
        let mut file = AtomicFile::new_as(path, start).unwrap();
        file.file().write_all(b"new").unwrap();
        file
    }

    fn names(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn a_file_is_there_when_it_is_complete_and_else_gone() {
        for begin in STARTS {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("x");
            drop(start(&path, begin));
            assert_eq!(names(dir.path()), 0);
            start(&path, begin).commit("").unwrap();
            fs::write(&path, "old").unwrap();
            drop(start(&path, begin));
            assert_eq!(fs::read(&path).unwrap(), b"old");
            assert!(!start(&path, begin).commit_if_none("").unwrap());
            assert_eq!(fs::read(&path).unwrap(), b"old");
            fs::remove_file(&path).unwrap();
            assert!(start(&path, begin).commit_if_none("").unwrap());
            assert_eq!(fs::read(&path).unwrap(), b"new");
            fs::write(&path, "old").unwrap();
            start(&path, begin).commit("").unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"new");
            assert_eq!(names(dir.path()), 1);
        }
    }

    #[test]
    fn a_folder_that_could_not_be_synced_does_not_hide_that_the_file_was_written() {
        for begin in STARTS {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("x");
            fs::write(&path, "old").unwrap();
            let fails = |_: &Path, _: &File| Err(io::Error::other("a test"));
            let error = start(&path, begin).commit_and("it was written", true, fails);
            let error = error.unwrap_err().to_string();
            assert!(
                error.starts_with("it was written, but may be lost"),
                "{error}"
            );
            assert_eq!(fs::read(&path).unwrap(), b"new");
            assert_eq!(names(dir.path()), 1);
        }
    }

    #[test]
    fn what_came_to_the_path_meanwhile_is_not_replaced_unless_it_is_a_file() {
        for begin in STARTS {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("x");
            let file = start(&path, begin);
            fs::create_dir(&path).unwrap();
            let error = file.commit("").unwrap_err().to_string();
            assert!(
                error.contains("a folder, and only regular files"),
                "{error}"
            );
            assert_eq!(names(dir.path()), 1);
        }
    }

    #[test]
    fn the_path_of_a_folder_is_no_path_of_a_file() {
        let dir = tempfile::tempdir().unwrap();
        for path in ["missing/", "missing/.", "missing/..", ""] {
            let path = if path.is_empty() {
                path.into()
            } else {
                dir.path().join(path)
            };
            AtomicFile::new(&path).unwrap_err();
            assert_eq!(names(dir.path()), 0);
        }
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_may_open_what_will_be_private() {
        use std::os::unix::fs::PermissionsExt;

        let mode = |file: &File| file.metadata().unwrap().permissions().mode() & 0o777;
        for begin in STARTS {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("x");
            let usual = mode(&File::create(dir.path().join("usual")).unwrap());
            assert_eq!(mode(start(&path, begin).file()), usual);
            for old in [0o600, 0o640, 0o777] {
                File::create(&path).unwrap();
                fs::set_permissions(&path, PermissionsExt::from_mode(old)).unwrap();
                let mut file = start(&path, begin);
                assert_eq!(mode(file.file()), 0o600);
                // The mode counts even if the file is gone by then.
                if old == 0o640 {
                    fs::remove_file(&path).unwrap();
                }
                file.commit("").unwrap();
                assert_eq!(mode(&File::open(&path).unwrap()), old);
                fs::remove_file(&path).unwrap();
            }
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_stay_and_lead_to_the_new_file() {
        use std::os::unix::fs::symlink;

        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("folder")).unwrap();
        symlink("folder/second", at("first")).unwrap();
        symlink("../x", at("folder/second")).unwrap();
        symlink("missing/x", at("broken")).unwrap();
        symlink("loop", at("loop")).unwrap();
        for begin in STARTS {
            // First it does not exist, then it does.
            for _ in 0..2 {
                start(&at("first"), begin).commit("").unwrap();
                assert_eq!(fs::read(at("x")).unwrap(), b"new");
            }
            fs::remove_file(at("x")).unwrap();
        }
        AtomicFile::new(&at("broken")).unwrap_err();
        AtomicFile::new(&at("loop")).unwrap_err();
        for link in ["first", "folder/second", "broken", "loop"] {
            assert!(fs::symlink_metadata(at(link)).unwrap().is_symlink());
        }
        assert_eq!(names(dir.path()), 4);
    }
}
