//! Archives: `.npz` files, which are ZIP archives of `.npy` files.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::decode::{Total, decode};
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
    members: Vec<Member>,
    names: Vec<String>,
    /// From the name of an array to its member.
    by_name: HashMap<String, usize>,
    decoded: Total,
}

impl Npz {
    /// Opens an archive by mapping it into memory.
    ///
    /// # Errors
    ///
    /// What the file system says; [`ErrorClass::Magic`] for a file that is no archive;
    /// [`ErrorClass::Zip`] for an archive that is malformed or contradicts itself;
    /// [`ErrorClass::Duplicate`] if two members have one name.
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
        let members = Directory::read(&storage)
            .map_err(|error| error.in_file(path))?
            .members;
        let mut names = Vec::new();
        let mut by_name = HashMap::new();
        for (index, member) in members.iter().enumerate() {
            let Some(name) = array_name(&member.name) else {
                continue;
            };
            // `A.NPY` and `A.NPY.npy` are two members, but one array.
            if by_name.insert(name.to_owned(), index).is_some() {
                let error = Error::new(ErrorClass::Duplicate, "two members with this name");
                return Err(error.in_array(name).in_file(path));
            }
            names.push(name.to_owned());
        }
        Ok(Self {
            path: path.to_path_buf(),
            options,
            storage,
            members,
            names,
            by_name,
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
            if member.is_stored() {
                let start = contents.data_start();
                return Array::in_storage(self.storage.clone(), start, member.size, named);
            }
            let storage = decode(contents, member, &self.options, &self.decoded)?;
            Array::in_storage(storage, 0, member.size, named)
        })
    }

    /// Reads a member from its start to its end and compares its size and its checksum with what the
    /// archive says. Whether it is an array is not looked at. Takes no more memory for a large member.
    ///
    /// # Errors
    ///
    /// [`ErrorClass::Crc`] if the checksum is not that of the data, and otherwise those of
    /// [`array`](Self::array) that are about the archive.
    pub fn verify(&self, name: &str) -> Result<()> {
        self.with_member(name, |_, contents| contents.verify())
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
            let index = *self.by_name.get(name).ok_or_else(|| {
                let known = known_names(self.names.iter().map(String::as_str));
                Error::new(ErrorClass::Name, format!("no such array; {known}"))
            })?;
            self.storage.check()?;
            let member = &self.members[index];
            then(member, Contents::open(&self.storage, member)?)
        };
        find().map_err(|error| {
            // What was read of a file that changes while it is read is wrong in any way.
            let error = self.storage.check().err().unwrap_or(error);
            error.in_array(name).in_file(&self.path)
        })
    }
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
