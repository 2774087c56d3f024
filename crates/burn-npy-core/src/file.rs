//! Files and arrays: what is in them, how they are opened, and how they are written.
//!
//! A dataset needs none of this. It is for programs that look into files, read rows by themselves,
//! or write files:
//!
//! * A [`NumpyFile`] is a `.npy` file or an archive, by its first bytes. An [`Npz`] is an archive.
//!   [`OpenOptions`] sets how files are opened, and [`Limits`] what they may ask for. A
//!   [`RawFormat`] says what is in a file without a header.
//! * A [`Header`] is the header of a `.npy` file. It has an [`ItemType`], with [`Field`]s if the
//!   items are structures.
//! * A [`Column`] is an array as rows, which [`gather_columns`] copies into [`Buffer`]s. A
//!   [`RaggedColumn`] has rows of any length.
//! * [`write_npy`], [`append_npy`] and [`NpzWriter`] write files.

pub use crate::array::{OpenOptions, RawFormat};
pub use crate::buffer::Buffer;
pub use crate::column::{Column, RaggedColumn, gather_columns};
pub use crate::dtype::{ByteOrder, Layout};
pub use crate::element::Element;
pub use crate::format::{Field, Header, ItemKind, ItemType};
pub use crate::limits::Limits;
pub use crate::npz::Npz;
pub use crate::numpy_file::NumpyFile;
pub use crate::storage::Access;
pub use crate::write::{NpzWriter, WriteElement, append_npy, write_npy};
