//! `.npz` files, which are ZIP archives of `.npy` files.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use crate::array::{self, Source};
use crate::decode::{self, Total, check_size, decode};
use crate::message::{known, listed, shown};
use crate::remote::{ReadAt, url::without_secrets};
use crate::storage::Storage;
use crate::zip::{Contents, Directory, Member, SpareDecoder, Stored, duplicate};
use crate::{Array, Error, ErrorKind, Header, OpenOptions, Result};

/// An open `.npz` archive.
///
/// Opening an archive reads its directory. Stored arrays (`np.savez`,
/// [`NpzWriter`](crate::NpzWriter)) are read from the archive itself. Deflated arrays
/// (`np.savez_compressed`) are decoded when they are opened, into memory or, if they are large,
/// into a temporary file.
///
/// Archives are read strictly. An archive that contradicts itself, or that other readers would read
/// differently, is refused. The checksum of a deflated array is checked whenever it is decoded. The
/// checksum of a stored array is checked when it is opened for the first time, which reads all of
/// it once; [`OpenOptions::skip_checksums`](OpenOptions#structfield.skip_checksums) skips that for
/// a trusted file.
pub struct Npz {
    path: PathBuf,
    options: OpenOptions,
    storage: Storage,
    directory: Directory,
    names: Vec<String>,
    pub(crate) decoded: Total,
    spare: Box<SpareDecoder>,
    /// What is known of each member, in the order of the directory.
    known: Vec<Known>,
}

/// What is known of a stored member once it was looked at.
#[derive(Default)]
struct Known {
    array: OnceLock<Box<(Stored, Header)>>,
    /// Whether its checksum has been checked.
    is_verified: AtomicBool,
}

impl Npz {
    /// Opens an archive by mapping it into memory.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] from the file system; [`ErrorKind::Magic`] for a file that is not an
    /// archive; [`ErrorKind::Zip`] for an archive that is malformed or contradicts itself;
    /// [`ErrorKind::Duplicate`] if two members have the same name, or if one has the name of
    /// another's array.
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
        let storage = Storage::open(path, &options)?;
        Self::in_storage(path, storage, options)
    }

    /// Opens an archive whose bytes are in memory.
    ///
    /// # Errors
    ///
    /// Those of [`Npz::open`], except those of the file system.
    pub fn from_bytes(
        bytes: impl AsRef<[u8]> + Send + Sync + 'static,
        options: OpenOptions,
    ) -> Result<Self> {
        Self::in_storage(Path::new("memory"), Storage::memory(bytes), options)
    }

    /// Opens an archive that is read by a reader of your own. As for an archive at a URL, the
    /// checksums of its stored arrays are not checked when they are opened.
    ///
    /// # Errors
    ///
    /// Those of [`Npz::open`], and of the reader.
    pub fn from_reader(reader: Arc<dyn ReadAt>, options: OpenOptions) -> Result<Self> {
        let name = PathBuf::from(reader.name());
        Self::in_storage(&name, Storage::remote(reader, &options)?, options)
    }

    pub(crate) fn in_storage(path: &Path, storage: Storage, options: OpenOptions) -> Result<Self> {
        let directory = Directory::read(&storage).map_err(|error| {
            let error = storage.check().err().unwrap_or(error);
            error.in_file(path)
        })?;
        let mut names = Vec::with_capacity(directory.members.len());
        for member in &directory.members {
            let Some(name) = array_name(&member.name) else {
                // A damaged name may be the name of an array, which would silently be missing. The
                // header of the member repeats the name.
                expect_header(&storage, member).map_err(|error| error.in_file(path))?;
                continue;
            };
            // NumPy has one name for the members `x` and `x.npy`, and reads `x`.
            if name != member.name && directory.index(name).is_some() {
                return Err(duplicate(name).in_file(path));
            }
            if !is_apple_double(&member.name) {
                names.push(name.to_owned());
            }
        }
        Ok(Self {
            known: directory.members.iter().map(|_| Known::default()).collect(),
            path: without_secrets(path),
            options,
            storage,
            directory,
            names,
            decoded: Total::default(),
            spare: Box::default(),
        })
    }

    /// The path of the archive; `memory` for an archive in memory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The names of the arrays, without `.npy`, in the order of the archive.
    ///
    /// Members whose names do not end in `.npy` are left out. So are those that macOS adds to the
    /// archives it makes: the folder `__MACOSX`, and files whose names start with `._`. If an array
    /// has such a name, [`array`](Self::array) still finds it.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The names of all members as they are in the archive, including those that are not arrays.
    pub fn members(&self) -> impl ExactSizeIterator<Item = &str> {
        self.directory.members.iter().map(|member| &*member.name)
    }

    /// The header of an array, with its dtype and shape. It decodes no data and checks no checksum.
    ///
    /// # Errors
    ///
    /// Those of [`array`](Self::array), except [`ErrorKind::Crc`] and [`ErrorKind::Limit`].
    ///
    /// # Example
    ///
    /// ```
    /// # extern crate burn_npy_core as burn_npy;
    /// use burn_npy::file::{Npz, NpzWriter};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("train.npz");
    /// # let mut npz = NpzWriter::create(&path)?;
    /// # npz.add("images", &ndarray::Array3::<u8>::zeros((10, 28, 28)))?;
    /// # npz.finish()?;
    /// let npz = Npz::open(&path)?;
    /// for name in npz.names() {
    ///     println!("{name}: {}", npz.header(name)?); // images: uint8 [10, 28, 28]
    /// }
    /// # assert_eq!(npz.header("images")?.to_string(), "uint8 [10, 28, 28]");
    /// # Ok(())
    /// # }
    /// ```
    pub fn header(&self, name: &str) -> Result<Header> {
        self.with_member(name, |index| match self.stored(index)? {
            Some((_, header)) => Ok(header.clone()),
            None => {
                let (member, mut contents) = self.contents(index)?;
                Ok(decode::read_header(&mut contents, member, &self.options.limits)?.0)
            }
        })
    }

    /// Opens an array of the archive. Bytes after its data are ignored, as in NumPy.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Name`] if there is no such array; [`ErrorKind::Crc`] if the checksum is wrong;
    /// [`ErrorKind::Limit`] if decoding would exceed the [`Limits`](crate::Limits);
    /// [`ErrorKind::Zip`], [`ErrorKind::Encrypted`] or [`ErrorKind::Method`] for a member that is
    /// damaged, encrypted, or compressed by a method that NumPy does not use; and those of
    /// [`Array::open`].
    pub fn array(&self, name: &str) -> Result<Array> {
        self.with_member(name, |index| {
            let Some((stored, header)) = self.stored(index)? else {
                let (member, contents) = self.contents(index)?;
                let storage = decode(contents, member, &self.options, &self.decoded)?;
                let len = storage.len();
                let source = Source::member(&self.path, name, None);
                let header_bytes = self.options.limits.header_bytes;
                return Array::in_storage(storage, 0, len, header_bytes, source);
            };
            let is_verified = &self.known[index].is_verified;
            // To check a remote array would fetch all of it, and what fetches it has checksums.
            let is_skipped = self.options.skip_checksums || self.storage.is_remote();
            if !is_skipped && !is_verified.load(Ordering::Acquire) {
                stored.verify(&self.storage)?;
                is_verified.store(true, Ordering::Release);
            }
            let source = Source::member(&self.path, name, Some(stored.clone()));
            let storage = self.storage.clone();
            Ok(Array::with_header(
                header.clone(),
                storage,
                stored.start(),
                source,
            ))
        })
    }

    /// Reads a whole member and checks its size and its checksum, even if it was checked before.
    ///
    /// It does not check that the member is an array. The memory it takes does not depend on the
    /// size of the member, but the time does, so a compressed member must be within
    /// [`Limits::member_bytes`](crate::Limits::member_bytes).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Crc`] if the checksum is wrong, and those of [`array`](Self::array) that are
    /// about the archive.
    pub fn verify(&self, name: &str) -> Result<()> {
        self.with_member(name, |index| {
            let (member, contents) = self.contents(index)?;
            let Some(stored) = contents.stored() else {
                check_size(member.size, &self.options.limits)?;
                return contents.verify();
            };
            stored.verify(&self.storage)?;
            self.known[index].is_verified.store(true, Ordering::Release);
            Ok(())
        })
    }

    /// [Verifies](Self::verify) the members of all arrays.
    ///
    /// # Errors
    ///
    /// Those of [`verify`](Self::verify), for the first member that has one.
    pub fn verify_all(&self) -> Result<()> {
        self.names.iter().try_for_each(|name| self.verify(name))
    }

    /// Whether an array is stored as it is, so that it is read from the archive itself.
    pub(crate) fn is_stored(&self, name: &str) -> Result<bool> {
        self.with_member(name, |index| Ok(self.stored(index)?.is_some()))
    }

    fn with_member<T>(&self, name: &str, then: impl FnOnce(usize) -> Result<T>) -> Result<T> {
        let find = || {
            let index = self.directory.index(&member_name(name));
            // An array whose member ends in `.NPY` has the whole name of the member.
            let as_it_is = || {
                let index = self.directory.index(name);
                index.filter(|_| array_name(name) == Some(name))
            };
            let index = index.or_else(as_it_is).ok_or_else(|| {
                let known = known(&self.names, |name| self.described(name));
                Error::new(ErrorKind::Name, format!("no such array; {known}"))
            })?;
            self.storage.check()?;
            then(index)
        };
        find().map_err(|error| {
            // A change of the file comes first, since it may be the cause of the error.
            let error = self.storage.check().err().unwrap_or(error);
            error.in_array(name).in_file(&self.path)
        })
    }

    /// A member, and its contents from their start on.
    fn contents(&self, index: usize) -> Result<(&Member, Contents<'_>)> {
        let member = &self.directory.members[index];
        let contents = Contents::open(&self.storage, member)?;
        Ok((member, contents.with_spare(&self.spare)))
    }

    /// Where a stored array is, and its header; `None` for a member that is not stored.
    fn stored(&self, index: usize) -> Result<Option<&(Stored, Header)>> {
        let known = &self.known[index].array;
        if let Some(array) = known.get() {
            return Ok(Some(array));
        }
        let (member, contents) = self.contents(index)?;
        let Some(stored) = contents.stored() else {
            return Ok(None);
        };
        let limit = self.options.limits.header_bytes;
        let (head, start) = (contents.head(), stored.start());
        let header = array::read_header(head, start, member.size, limit)?;
        Ok(Some(known.get_or_init(|| Box::new((stored, header)))))
    }

    /// A name, followed by the dtype and shape of its array if the header can be read.
    fn described(&self, name: &str) -> String {
        let short = shown(name);
        match self.header(name) {
            Ok(header) => format!("{short}: {header}"),
            Err(_) => short,
        }
    }
}

/// Whether macOS uses such a name for the metadata of another file.
fn is_apple_double(member: &str) -> bool {
    let file = member.rsplit('/').next().unwrap_or(member);
    member.starts_with("__MACOSX/") || file.starts_with("._")
}

/// Checks that the header of a member agrees with the directory. A member that cannot be read for
/// another reason is not an error until it is opened.
fn expect_header(storage: &Storage, member: &Member) -> Result<()> {
    match Contents::open(storage, member) {
        Err(error) if error.kind() == ErrorKind::Zip => Err(error.in_array(&member.name)),
        _ => Ok(()),
    }
}

/// The member of an array, if its name ends in lower-case `.npy`.
fn member_name(array: &str) -> String {
    format!("{array}.npy")
}

/// The name that NumPy gives to the array of a member. It removes a lower-case `.npy` only.
fn array_name(member: &str) -> Option<&str> {
    let stem = member.len().checked_sub(4)?;
    if member.as_bytes()[stem..].eq_ignore_ascii_case(b".npy") {
        Some(member.strip_suffix(".npy").unwrap_or(member))
    } else {
        None
    }
}

impl std::fmt::Debug for Npz {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = listed(&self.names, |name| shown(name));
        f.debug_struct("Npz")
            .field("path", &self.path)
            .field("names", &format_args!("[{names}]"))
            .finish()
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

    fn kind<T>(result: Result<T>) -> ErrorKind {
        result.err().expect("an error").kind()
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
            assert_eq!(kind(npz.array(name)), ErrorKind::Name, "{name}");
        }
        for twice in [
            ["A.NPY", "A.NPY.npy"],
            ["x.npy", "x"],
            ["x.npy.npy", "x.npy"],
        ] {
            let twice = twice.map(|name| Entry::stored(name, &bytes));
            let error = open(twice).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Duplicate);
            assert!(error.message().contains("np.savez("), "{error}");
        }
    }

    #[test]
    fn what_is_too_large_to_decode_is_too_large_to_verify() {
        let bytes = npy(&[7; 1000]);
        let entries = [
            Entry::deflated("x.npy", &bytes),
            Entry::stored("y.npy", &bytes),
        ];
        let limits = Limits::new().member_bytes(bytes.len() as u64 - 1);
        let options = OpenOptions::new().limits(limits);
        let npz = open_with(Archive::of(entries).bytes(), options).unwrap();
        assert_eq!(kind(npz.array("x")), ErrorKind::Limit);
        assert_eq!(kind(npz.verify("x")), ErrorKind::Limit);
        npz.verify("y").unwrap();
        assert_eq!(kind(npz.verify_all()), ErrorKind::Limit);
    }

    #[test]
    fn large_members_are_decoded_into_a_file_without_a_name() {
        let values: Vec<i32> = (0..1_000_000).collect();
        let dir = tempfile::tempdir().unwrap();
        let options = OpenOptions::new()
            .cache_dir(dir.path())
            .limits(Limits::new().memory_bytes(1_000_000));
        let mut entry = Entry::deflated("x.npy", &npy(&values));
        let small = Entry::deflated("small.npy", &npy(&values[..100]));
        let bytes = Archive::of([entry.clone(), small]).bytes();
        let npz = open_with(bytes, options.clone()).unwrap();
        for name in ["x", "small"] {
            let array = npz.array(name).unwrap();
            let kind = format!("{:?}", array.storage());
            assert_eq!(kind.starts_with("Temporary"), name == "x", "{kind}");
            let expected = ndarray::aview1(&values[..array.shape()[0]]).into_dyn();
            assert_eq!(array.read::<i32>().unwrap(), expected);
            assert_eq!(array.view::<i32>().unwrap(), expected);
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);

        (entry.crc, entry.local_crc) = (1, 1);
        let bytes = Archive::of([entry]).bytes();
        let npz = open_with(bytes.clone(), options.clone()).unwrap();
        assert_eq!(kind(npz.array("x")), ErrorKind::Crc);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);

        let options = options.cache_dir(dir.path().join("missing"));
        let error = open_with(bytes, options).unwrap().array("x").unwrap_err();
        assert!(error.to_string().contains("temporary file"), "{error}");
        assert_eq!(error.kind(), ErrorKind::Io);
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
        let limited =
            |limits: Limits| open_with(archive.clone(), OpenOptions::new().limits(limits)).unwrap();
        let npz = limited(Limits::new().member_bytes(len - 1));
        assert_eq!(kind(npz.array("x")), ErrorKind::Limit);
        npz.array("stored").unwrap();
        let npz = limited(Limits::new().total_bytes(2 * len));
        let _first = npz.array("x").unwrap();
        // An array that fails takes nothing of the total.
        for _ in 0..3 {
            assert_eq!(kind(npz.array("bad")), ErrorKind::Crc);
        }
        let _second = npz.array("x").unwrap();
        assert_eq!(kind(npz.array("x")), ErrorKind::Limit);
        npz.array("stored").unwrap();
    }

    #[test]
    fn bytes_after_an_array_are_ignored_and_belong_to_the_checksum() {
        let values = vec![7; 1000];
        let bytes = npy(&values);
        let zeros = vec![0; 1_000_000];
        for after in [&[0; 10][..], &npy(&[1, 2]), &zeros] {
            let more = [&bytes[..], after].concat();
            for entry in [
                Entry::stored("x.npy", &more),
                Entry::deflated("x.npy", &more),
            ] {
                for memory_bytes in [1 << 30, 100] {
                    let limits = Limits::new().memory_bytes(memory_bytes);
                    let options = OpenOptions::new().limits(limits);
                    let npz = open_with(Archive::of([entry.clone()]).bytes(), options).unwrap();
                    let array = npz.array("x").unwrap();
                    assert_eq!(
                        array.read::<i32>().unwrap(),
                        ndarray::aview1(&values).into_dyn()
                    );
                    // Nothing but the array is kept.
                    let kept = if entry.method == 0 {
                        0
                    } else {
                        bytes.len() as u64
                    };
                    assert!(kept == 0 || array.storage().len() == kept);
                    npz.verify_all().unwrap();
                }
                let mut wrong = entry.clone();
                (wrong.crc, wrong.local_crc) = (1, 1);
                assert_eq!(kind(open([wrong]).unwrap().array("x")), ErrorKind::Crc);
            }
            // The bytes after it are read no further than the limits allow.
            let limits = Limits::new().member_bytes(more.len() as u64 - 1);
            let options = OpenOptions::new().limits(limits);
            let archive = Archive::of([Entry::deflated("x.npy", &more)]).bytes();
            let npz = open_with(archive, options).unwrap();
            let error = npz.array("x").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Trailing);
            assert!(error.message().contains("Limits::member_bytes"), "{error}");
            assert_eq!(npz.header("x").unwrap().shape(), [1000]);
        }
        let less = Entry::deflated("less.npy", &bytes[..bytes.len() - 1]);
        let npz = open([less]).unwrap();
        assert_eq!(kind(npz.array("less")), ErrorKind::TruncatedData);
    }

    fn damaged(name: &str, values: &[i32]) -> Entry {
        let mut entry = Entry::stored(name, &npy(values));
        *entry.data.last_mut().unwrap() ^= 1;
        entry
    }

    #[test]
    fn a_damaged_stored_array_is_not_opened() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.npz");
        // The second array is read in several pieces, and the last of them is damaged.
        for values in [&[1, 2, 3][..], &[7; 200_000]] {
            let bytes = Archive::of([damaged("x.npy", values), Entry::stored("y.npy", &npy(&[1]))]);
            let bytes = bytes.bytes();
            std::fs::write(&path, &bytes).unwrap();
            for access in [
                None,
                Some(Access::Mapped),
                Some(Access::Positioned),
                Some(Access::Memory),
            ] {
                let open = |skip_checksums| {
                    let options = OpenOptions::new()
                        .access(access.unwrap_or_default())
                        .skip_checksums(skip_checksums);
                    match access {
                        None => open_with(bytes.clone(), options),
                        Some(_) => Npz::open_with(&path, options),
                    }
                    .unwrap()
                };
                let npz = open(false);
                let file = access.map_or("memory".into(), |_| path.display().to_string());
                // It fails again when it is opened again.
                for error in [npz.array("x").unwrap_err(), npz.array("x").unwrap_err()] {
                    assert_eq!(error.kind(), ErrorKind::Crc);
                    let start = format!("{file}: `x`: the checksum is 0x");
                    assert!(error.to_string().starts_with(&start), "{error}");
                }
                npz.array("y").unwrap().verify().unwrap();
                assert_eq!(npz.header("x").unwrap().shape(), [values.len()]);

                let trusted = open(true);
                let array = trusted.array("x").unwrap();
                let error = array.verify().unwrap_err();
                assert_eq!((error.kind(), error.array()), (ErrorKind::Crc, Some("x")));
                assert_eq!(kind(trusted.verify_all()), ErrorKind::Crc);
            }
        }
    }

    #[test]
    fn a_stored_checksum_is_compared_once() {
        let npz = open([
            Entry::stored("x.npy", &npy(&[1])),
            Entry::stored("y.npy", &npy(&[1])),
        ]);
        let npz = npz.unwrap();
        let verified = |npz: &Npz| -> Vec<bool> {
            let each = npz.known.iter();
            each.map(|known| known.is_verified.load(Ordering::Relaxed))
                .collect()
        };
        npz.header("y").unwrap();
        assert_eq!(verified(&npz), [false, false]);
        npz.array("y").unwrap();
        assert_eq!(verified(&npz), [false, true]);
        npz.verify("x").unwrap();
        assert_eq!(verified(&npz), [true, true]);
        npz.array("x").unwrap();
    }

    #[test]
    fn headers_are_read_without_the_data() {
        let large = npy(&[7; 1000]);
        let mut cut = Entry::deflated("cut.npy", &large);
        cut.data.truncate(cut.data.len() - 5);
        cut.compressed = cut.data.len() as u64;
        let options = OpenOptions::new().limits(Limits::new().member_bytes(200));
        let entries = [
            Entry::deflated("deflated.npy", &large),
            Entry::stored("stored.npy", &large),
            cut,
            Entry::deflated("text.npy", b"version https://git-lfs.github.com/spec/v1"),
            Entry::stored("empty.npy", b""),
        ];
        let npz = open_with(Archive::of(entries).bytes(), options).unwrap();
        for name in ["deflated", "stored", "cut"] {
            assert_eq!(npz.header(name).unwrap().to_string(), "int32 [1000]");
        }
        assert_eq!(kind(npz.array("deflated")), ErrorKind::Limit);
        let error = npz.header("text").unwrap_err();
        assert!(error.message().contains("git lfs pull"), "{error}");
        assert_eq!(
            (error.kind(), error.array()),
            (ErrorKind::Magic, Some("text"))
        );
        assert_eq!(kind(npz.header("empty")), ErrorKind::Magic);
        // The error for a wrong name lists the names that exist.
        let said = "no such array; there are deflated: int32 [1000], stored: int32 [1000], \
                    cut: int32 [1000], text, empty";
        for error in [npz.header("z").unwrap_err(), npz.array("z").unwrap_err()] {
            assert_eq!((error.kind(), error.message()), (ErrorKind::Name, said));
        }
    }

    #[test]
    fn members_decode_one_after_the_other_and_at_once_whatever_was_before() {
        let values = |member: i32| (0..500).map(|i| i * member).collect::<Vec<_>>();
        let entries: Vec<_> = (0..20)
            .map(|member| {
                let mut entry = Entry::deflated(&format!("{member}.npy"), &npy(&values(member)));
                match member % 4 {
                    // Damaged at its end, its middle, and its start.
                    1 => (entry.crc, entry.local_crc) = (1, 1),
                    2 => {
                        let middle = entry.data.len() / 2;
                        entry.data[middle..].fill(0xff);
                    }
                    3 if member > 10 => entry.data.fill(0xff),
                    _ => {}
                }
                entry
            })
            .collect();
        let npz = open(entries).unwrap();
        let read = |member: i32| {
            let name = member.to_string();
            let header = npz.header(&name).map(|header| header.shape().to_vec());
            let array = npz.array(&name).and_then(|array| array.read::<i32>());
            (header.ok(), array.ok())
        };
        let all: Vec<_> = (0..20).map(read).collect();
        for (member, (_, array)) in all.iter().enumerate() {
            let whole = member % 4 == 0 || member % 4 == 3 && member < 10;
            assert_eq!(array.is_some(), whole, "{member}");
            if let Some(array) = array {
                assert_eq!(array.as_slice(), Some(&values(member as i32)[..]));
            }
        }
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (read, all) = (&read, &all);
                scope.spawn(move || {
                    for round in 0..100 {
                        let member = (round * 7 + thread * 3) % 20;
                        assert_eq!(read(member as i32), all[member]);
                    }
                });
            }
        });
    }

    #[test]
    fn what_a_mac_adds_is_no_array() {
        let bytes = npy(&[1, 2]);
        let names = [
            "x.npy",
            "__MACOSX/._x.npy",
            "d/._y.npy",
            "._z.npy",
            "__MACOSX.npy",
        ];
        let npz = open(names.map(|name| Entry::stored(name, &bytes))).unwrap();
        assert_eq!(npz.names(), ["x", "__MACOSX"]);
        assert!(npz.members().eq(names));
        // An array with such a name can still be opened.
        assert_eq!(npz.array("._z").unwrap().shape(), [2]);
    }

    #[test]
    fn what_names_are_listed_is_short() {
        let names = (0..2000).map(|i| Entry::stored(&format!("{i}{}.npy", "x".repeat(99)), b""));
        let npz = open(names.collect::<Vec<_>>()).unwrap();
        let message = npz.array("y").unwrap_err().to_string();
        assert!(message.ends_with("..., and 1988 more"), "{message}");
        assert!(message.len() < 2000, "{message}");
    }

    #[test]
    fn an_array_does_not_disappear_with_a_damaged_name() {
        let bytes = npy(&[1, 2]);
        let archive = Archive::of([
            Entry::stored("x.npy", &bytes),
            Entry::stored("y.npy", &bytes),
            Entry::stored("notes.txt", b"notes"),
        ])
        .bytes();
        assert_eq!(
            open_with(archive.clone(), OpenOptions::default())
                .unwrap()
                .names()
                .len(),
            2
        );
        // Damage each bit of the name of an array, in the directory only.
        let at = archive
            .windows(5)
            .rposition(|bytes| bytes == b"x.npy")
            .unwrap();
        for byte in 1..5 {
            for bit in 0..8 {
                let mut damaged = archive.clone();
                damaged[at + byte] ^= 1 << bit;
                match open_with(damaged, OpenOptions::default()) {
                    // A letter of another case still ends in `.npy`, so the header is read when the
                    // array is opened.
                    Ok(npz) => assert_eq!(kind(npz.array(&npz.names()[0])), ErrorKind::Zip),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Zip),
                }
            }
        }
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
            let options = OpenOptions::new().access(access);
            let npz = Npz::open_with(&path, options).unwrap();
            npz.verify("x").unwrap();
            std::fs::write(&path, b"").unwrap();
            assert_eq!(kind(npz.array("x")), ErrorKind::Changed);
            assert_eq!(kind(npz.verify("x")), ErrorKind::Changed);
        }
    }

    /// Asserts that an array, if it can be opened, equals the one that was written.
    fn read_all(bytes: Vec<u8>, expected: &ArrayD<i32>) {
        let Ok(npz) = open_with(bytes, OpenOptions::default()) else {
            return;
        };
        for name in npz.names() {
            if let Ok(array) = npz.array(name) {
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
                    0 | 1 => ErrorKind::Magic,
                    _ => ErrorKind::Zip,
                };
                assert_eq!(kind(cut), expected, "cut off at {end}");
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
