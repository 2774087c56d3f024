//! The text at the start of a `.npy` file, parsed once into validated types.

mod descr;
pub(crate) mod header;
pub(crate) mod item;
pub(crate) mod literal;
pub(crate) mod magic;

pub use header::Header;
pub use item::{Field, ItemKind, ItemType};
