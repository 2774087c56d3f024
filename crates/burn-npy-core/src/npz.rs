//! Archives: `.npz` files, which are ZIP archives of `.npy` files.

use std::path::{Path, PathBuf};

use crate::decode::{Total, check_size, decode};
use crate::storage::Storage;
use crate::zip::{Contents, Directory, Member};
use crate::{Array, Error, ErrorClass, OpenOptions, Result};

/// An open `.npz` archive.
///
/// Opening one reads its directory. Arrays that are stored (`np.savez`, [`NpzWriter`](crate::NpzWriter)) are
/// used where they lie in the file; arrays that are deflated (`np.savez_compressed`) are decoded when they
/// are asked for, into memory or, if they are large, into a temporary file.
///
/// Archives are read strictly: one that contradicts itself, or of which other readers would see
/// different arrays, is refused. Checksums are compared whenever a deflated array is decoded. Those of stored
/// arrays are not, since that would read all of the file; [`verify`](Self::verify) does it.
pub struct Npz {
    path: PathBuf,
    options: OpenOptions,
    storage: Storage,
    directory: Directory,
    names: Vec<String>,
    decoded: Total,
}

impl Npz {
    /// Opens an archive by mapping it into memory.
    ///
    /// # Errors
    ///
    /// What the file system says; [`ErrorClass::Magic`] for a file that is no archive;
    /// [`ErrorClass::Zip`] for an archive that is malformed or contradicts itself;
    /// [`ErrorClass::Duplicate`] if two members have one name, or one has the name of another's array.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, OpenOptions::default())
    }

    /// Opens an archive with options.
    ///
    /// # Errors
    ///
    /// Those of [`Npz::open`].
    pub fn open_with(path: impl AsRef<Path>, options: OpenOptions) -> Result<Self> {
        let path = path.as_ref();
        let storage = Storage::open(path, options.access)?;
        Self::in_storage(path, storage, options)
    }

    /// The archive whose bytes are in memory.
    ///
    /// # Errors
    ///
    /// Those of [`Npz::open`], but for the file system's.
    pub fn from_bytes(
        bytes: impl AsRef<[u8]> + Send + Sync + 'static,
        options: OpenOptions,
    ) -> Result<Self> {
        Self::in_storage(Path::new("memory"), Storage::memory(bytes), options)
    }

    fn in_storage(path: &Path, storage: Storage, options: OpenOptions) -> Result<Self> {
        let directory = Directory::read(&storage).map_err(|error| error.in_file(path))?;
        let mut names = Vec::with_capacity(directory.members.len());
        for member in &directory.members {
            match array_name(&member.name) {
                // `x` and `x.npy` are two members, but NumPy has one name for both, and gives the other one.
                Some(name) if name != member.name && directory.get(name).is_some() => {
                    let error = Error::new(ErrorClass::Duplicate, "two members with this name");
                    return Err(error.in_array(name).in_file(path));
                }
                Some(name) => names.push(name.to_owned()),
                None => {}
            }
        }
        Ok(Self {
            path: path.to_path_buf(),
            options,
            storage,
            directory,
            names,
            decoded: Total::default(),
        })
    }

    /// The names of the arrays, without `.npy`, in the order of the archive. Members of other names are
    /// no arrays.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// An array of the archive.
    ///
    /// # Errors
    ///
    /// [`ErrorClass::Name`] if there is none of that name; [`ErrorClass::Limit`] if decoding it
    /// would exceed the [`Limits`](crate::Limits); what [`Array::open`] refuses; and by their classes an archive
    /// that is damaged, encrypted, or compressed in another way than NumPy does.
    pub fn array(&self, name: &str) -> Result<Array> {
        self.with_member(name, |member, contents| {
            let named = Some((self.path.as_path(), name));
            let header_bytes = self.options.limits.header_bytes;
            let (storage, start) = match member.is_stored() {
                true => (self.storage.clone(), contents.data_start()),
                false => (decode(contents, member, &self.options, &self.decoded)?, 0),
            };
            Array::in_storage(storage, start, member.size, header_bytes, named)
        })
    }

    /// Reads a member from its start to its end and compares its size and its checksum with what the
    /// archive says. Whether it is an array is not looked at. Takes no more memory for a large member, but time, so one that is
    /// compressed must be within [`Limits::member_bytes`](crate::Limits::member_bytes).
    ///
    /// # Errors
    ///
    /// [`ErrorClass::Crc`] if the checksum is not that of the data, and otherwise those of
    /// [`array`](Self::array) that are about the archive.
    pub fn verify(&self, name: &str) -> Result<()> {
        self.with_member(name, |member, contents| {
            if !member.is_stored() {
                check_size(member.size, &self.options.limits)?;
            }
            contents.verify()
        })
    }

    /// [Verifies](Self::verify) the members of all arrays.
    ///
    /// # Errors
    ///
    /// Those of [`verify`](Self::verify), for the first member that is not whole.
    pub fn verify_all(&self) -> Result<()> {
        self.names.iter().try_for_each(|name| self.verify(name))
    }

    fn with_member<T>(
        &self,
        name: &str,
        then: impl FnOnce(&Member, Contents<'_>) -> Result<T>,
    ) -> Result<T> {
        let find = || {
            let member = self.directory.get(&member_name(name));
            // As it is, if that is a name of an array.
            let as_it_is = || {
                self.directory
                    .get(name)
                    .filter(|_| array_name(name) == Some(name))
            };
            let member = member.or_else(as_it_is).ok_or_else(|| {
                let known = known_names(self.names.iter().map(String::as_str));
                Error::new(ErrorClass::Name, format!("no such array; {known}"))
            })?;
            self.storage.check()?;
            then(member, Contents::open(&self.storage, member)?)
        };
        find().map_err(|error| {
            // What was read of a file that changes while it is read is wrong in any way.
            let error = self.storage.check().err().unwrap_or(error);
            error.in_array(name).in_file(&self.path)
        })
    }
}

/// The member of an array, unless its name ends in another case.
fn member_name(array: &str) -> String {
    format!("{array}.npy")
}

/// What NumPy calls the array of a member: only a lower-case `.npy` is taken off.
fn array_name(member: &str) -> Option<&str> {
    let stem = member.len().checked_sub(4)?;
    match member.as_bytes()[stem..].eq_ignore_ascii_case(b".npy") {
        true => Some(member.strip_suffix(".npy").unwrap_or(member)),
        false => None,
    }
}

impl std::fmt::Debug for Npz {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Npz")
            .field("path", &self.path)
            .field("names", &self.names)
            .finish()
    }
}

/// The names that would have been right, for a message.
pub(crate) fn known_names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const SHOWN: usize = 20;
    let mut names: Vec<_> = names.take(SHOWN + 1).collect();
    let more = if names.len() > SHOWN { ", ..." } else { "" };
    names.truncate(SHOWN);
    match names.len() {
        0 => "there are none".to_owned(),
        _ => format!("there are {}{more}", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{ArrayD, array};
    use ndarray_npy::WriteNpyExt;

    use super::*;
    use crate::zip::naive::{Archive, Entry};
    use crate::{Access, Limits};

    fn npy(values: &[i32]) -> Vec<u8> {
        let mut bytes = Vec::new();
        ndarray::aview1(values).write_npy(&mut bytes).unwrap();
        bytes
    }

    fn open_with(bytes: Vec<u8>, options: OpenOptions) -> Result<Npz> {
        Npz::from_bytes(bytes, options)
    }

    fn open(entries: impl Into<Vec<Entry>>) -> Result<Npz> {
        open_with(Archive::of(entries).bytes(), OpenOptions::default())
    }

    fn class<T>(result: Result<T>) -> ErrorClass {
        result.err().expect("an error").class()
    }

    #[test]
    fn arrays_have_the_names_that_numpy_gives_them() {
        let bytes = npy(&[1, 2]);
        let names = [
            "x.npy",
            "A.NPY",
            "README.txt",
            "d/",
            "d/y.npy.npy",
            ".npy",
            "npy",
        ];
        let npz = open(names.map(|name| Entry::stored(name, &bytes))).unwrap();
        assert_eq!(npz.names(), ["x", "A.NPY", "d/y.npy", ""]);
        for name in npz.names() {
            let array = npz.array(name).unwrap();
            assert_eq!(array.member(), Some(name.as_str()));
            assert_eq!(array.read::<i32>().unwrap(), array![1, 2].into_dyn());
        }
        npz.verify_all().unwrap();
        for name in ["x.npy", "README.txt", "d/", "A", "a.npy", "npy"] {
            assert_eq!(class(npz.array(name)), ErrorClass::Name, "{name}");
        }
        for twice in [
            ["A.NPY", "A.NPY.npy"],
            ["x.npy", "x"],
            ["x.npy.npy", "x.npy"],
        ] {
            let twice = twice.map(|name| Entry::stored(name, &bytes));
            assert_eq!(class(open(twice)), ErrorClass::Duplicate);
        }
    }

    #[test]
    fn what_is_too_large_to_decode_is_too_large_to_verify() {
        let bytes = npy(&[7; 1000]);
        let entries = [
            Entry::deflated("x.npy", &bytes),
            Entry::stored("y.npy", &bytes),
        ];
        let mut options = OpenOptions::default();
        options.limits.member_bytes = bytes.len() as u64 - 1;
        let npz = open_with(Archive::of(entries).bytes(), options).unwrap();
        assert_eq!(class(npz.array("x")), ErrorClass::Limit);
        assert_eq!(class(npz.verify("x")), ErrorClass::Limit);
        npz.verify("y").unwrap();
        assert_eq!(class(npz.verify_all()), ErrorClass::Limit);
    }

    #[test]
    fn large_members_are_decoded_into_a_file_without_a_name() {
        let values: Vec<i32> = (0..1_000_000).collect();
        let dir = tempfile::tempdir().unwrap();
        let mut options = OpenOptions {
            cache_dir: Some(dir.path().to_path_buf()),
            ..Default::default()
        };
        options.limits.memory_bytes = 1_000_000;
        let mut entry = Entry::deflated("x.npy", &npy(&values));
        let small = Entry::deflated("small.npy", &npy(&values[..100]));
        let bytes = Archive::of([entry.clone(), small]).bytes();
        let npz = open_with(bytes, options.clone()).unwrap();
        for name in ["x", "small"] {
            let array = npz.array(name).unwrap();
            let kind = format!("{:?}", array.storage());
            assert_eq!(kind.starts_with("Unnamed"), name == "x", "{kind}");
            let expected = ndarray::aview1(&values[..array.shape()[0]]).into_dyn();
            assert_eq!(array.read::<i32>().unwrap(), expected);
            assert_eq!(array.view::<i32>().unwrap(), expected);
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);

        (entry.crc, entry.local_crc) = (1, 1);
        let bytes = Archive::of([entry]).bytes();
        let npz = open_with(bytes.clone(), options.clone()).unwrap();
        assert_eq!(class(npz.array("x")), ErrorClass::Crc);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);

        options.cache_dir = Some(dir.path().join("missing"));
        let error = open_with(bytes, options).unwrap().array("x").unwrap_err();
        assert!(error.to_string().contains("temporary file"), "{error}");
        assert_eq!(error.class(), ErrorClass::Io);
    }

    #[test]
    fn what_decoding_takes_is_limited() {
        let bytes = npy(&[7; 1000]);
        let len = bytes.len() as u64;
        let mut bad = Entry::deflated("bad.npy", &bytes);
        (bad.crc, bad.local_crc) = (1, 1);
        let entries = [
            Entry::deflated("x.npy", &bytes),
            bad,
            Entry::stored("stored.npy", &bytes),
        ];
        let archive = Archive::of(entries).bytes();
        let limited = |change: &dyn Fn(&mut Limits)| {
            let mut options = OpenOptions::default();
            change(&mut options.limits);
            open_with(archive.clone(), options).unwrap()
        };
        let npz = limited(&|limits| limits.member_bytes = len - 1);
        assert_eq!(class(npz.array("x")), ErrorClass::Limit);
        npz.array("stored").unwrap();
        let npz = limited(&|limits| limits.total_bytes = 2 * len);
        npz.array("x").unwrap();
        // What fails takes nothing of the total.
        for _ in 0..3 {
            assert_eq!(class(npz.array("bad")), ErrorClass::Crc);
        }
        npz.array("x").unwrap();
        assert_eq!(class(npz.array("x")), ErrorClass::Limit);
        npz.array("stored").unwrap();
    }

    #[test]
    fn a_deflated_member_holds_its_array_and_nothing_else() {
        let bytes = npy(&[7; 1000]);
        let more = [&bytes[..], &[0; 10]].concat();
        let npz = open([
            Entry::deflated("more.npy", &more),
            Entry::deflated("less.npy", &bytes[..bytes.len() - 1]),
            Entry::stored("stored.npy", &more),
        ])
        .unwrap();
        assert_eq!(class(npz.array("more")), ErrorClass::Trailing);
        assert_eq!(class(npz.array("less")), ErrorClass::TruncatedData);
        npz.array("stored").unwrap();
        npz.verify_all().unwrap();
    }

    #[test]
    fn a_stored_checksum_is_compared_when_asked_for() {
        let mut entry = Entry::stored("x.npy", &npy(&[1, 2, 3]));
        *entry.data.last_mut().unwrap() ^= 1;
        let npz = open([entry]).unwrap();
        npz.array("x").unwrap();
        let error = npz.verify_all().unwrap_err();
        assert_eq!(error.class(), ErrorClass::Crc);
        assert!(
            error
                .to_string()
                .starts_with("memory: `x`: the checksum is 0x")
        );
    }

    #[test]
    fn an_archive_that_changes_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.npz");
        for access in [Access::Mapped, Access::Positioned] {
            std::fs::write(
                &path,
                Archive::of([Entry::stored("x.npy", &npy(&[1]))]).bytes(),
            )
            .unwrap();
            let options = OpenOptions {
                access,
                ..Default::default()
            };
            let npz = Npz::open_with(&path, options).unwrap();
            npz.verify("x").unwrap();
            std::fs::write(&path, b"").unwrap();
            assert_eq!(class(npz.array("x")), ErrorClass::Changed);
            assert_eq!(class(npz.verify("x")), ErrorClass::Changed);
        }
    }

    /// Whatever the bytes are, an array whose checksum is right is the array that was written.
    fn read_all(bytes: Vec<u8>, expected: &ArrayD<i32>) {
        let Ok(npz) = open_with(bytes, OpenOptions::default()) else {
            return;
        };
        for name in npz.names() {
            let array = npz.array(name);
            if npz.verify(name).is_ok()
                && let Ok(array) = array
            {
                assert_eq!(array.read::<i32>().unwrap(), expected);
            }
        }
    }

    #[test]
    fn archives_that_are_cut_off_or_damaged_are_errors() {
        let values = array![1, -2, 3].into_dyn();
        let data = npy(&[1, -2, 3]);
        let mut zip64 = Entry::stored("z.npy", &data);
        zip64.zip64 = true;
        let mut archive = Archive::of([
            Entry::stored("x.npy", &data).piped(),
            Entry::deflated("y.npy", &data),
            zip64,
        ]);
        for zip64 in [false, true] {
            archive.zip64 = zip64;
            archive.comment = b"a comment".to_vec();
            let bytes = archive.bytes();
            for end in 0..bytes.len() {
                let cut = open_with(bytes[..end].to_vec(), OpenOptions::default());
                let expected = match end {
                    0 | 1 => ErrorClass::Magic,
                    _ => ErrorClass::Zip,
                };
                assert_eq!(class(cut), expected, "cut off at {end}");
            }
            for index in 0..bytes.len() {
                for change in [1, 0x80, 0xff] {
                    let mut bytes = bytes.clone();
                    bytes[index] ^= change;
                    read_all(bytes, &values);
                }
            }
        }
    }
}
