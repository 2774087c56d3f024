//! A short description of a dataset, by which a saved state knows it again.

use burn_npy_core::{Buffer, Column, Error, ErrorKind, Result, internal};
use serde::{Deserialize, Serialize};

use super::hex;
use crate::NpyDataset;
use crate::dataset::listed;

/// How many rows of a column are looked at, at most.
const ROWS: usize = 64;
/// How many bytes are gathered for that, and how many of those are hashed, which takes ten times as
/// long.
const GATHERED: usize = 1 << 20;
const HASHED: usize = 1 << 16;

/// A dataset in short. Of one that is not an [`NpyDataset`] only the length is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fingerprint {
    rows: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    columns: Vec<ColumnPrint>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct ColumnPrint {
    name: String,
    dtype: String,
    row_shape: Vec<usize>,
    /// FNV-1a (64 bits) over the bytes of up to 64 rows, the first and the last among them, evenly spread; fewer
    /// if they are more than 1 MiB, but two. If they are more than 64 KiB, the middle of each. The
    /// bytes are those of a batch, so conversions count; of a row that cannot be converted, those
    /// of the file.
    #[serde(with = "hex")]
    content: u64,
}

impl Fingerprint {
    /// A dataset of which nothing but the length is known.
    pub(crate) fn of_length(rows: usize) -> Self {
        Self {
            rows: rows as u64,
            columns: Vec::new(),
        }
    }

    pub(crate) fn of(dataset: &NpyDataset) -> Result<Self> {
        let columns = dataset.columns().map(|(name, column)| {
            Ok(ColumnPrint {
                name: name.to_owned(),
                dtype: column.dtype().to_string(),
                row_shape: column.row_shape().to_vec(),
                content: content(dataset, column).map_err(|error| error.in_column(name))?,
            })
        });
        Ok(Self {
            rows: dataset.len() as u64,
            columns: columns.collect::<Result<_>>()?,
        })
    }

    /// Refuses another dataset, naming what differs.
    pub(crate) fn expect(&self, saved: &Self) -> Result<()> {
        if saved.rows != self.rows {
            return Err(other(format!(
                "of {} rows, but there are {}",
                saved.rows, self.rows
            )));
        }
        let names = |of: &Self| -> Vec<String> {
            let names = of.columns.iter().map(|column| column.name.clone());
            names.collect()
        };
        let (found, expected) = (names(self), names(saved));
        if found != expected {
            let list = |names: Vec<String>| match names.len() {
                0 => "no known columns".to_owned(),
                _ => format!("the columns {}", listed(&names)),
            };
            return Err(other(format!(
                "with {}, but there are {}",
                list(expected),
                list(found)
            )));
        }
        for (found, saved) in self.columns.iter().zip(&saved.columns) {
            found
                .expect(saved)
                .map_err(|error| error.in_column(&found.name))?;
        }
        Ok(())
    }
}

impl ColumnPrint {
    fn expect(&self, saved: &Self) -> Result<()> {
        if saved.dtype != self.dtype {
            return Err(other(format!(
                "of {}, but the column is {}",
                saved.dtype, self.dtype
            )));
        }
        if saved.row_shape != self.row_shape {
            return Err(other(format!(
                "with rows of shape {:?}, but those of the column are {:?}",
                saved.row_shape, self.row_shape
            )));
        }
        if saved.content != self.content {
            return Err(other(
                "whose values were others: the fingerprints of some of the rows differ".to_owned(),
            ));
        }
        Ok(())
    }
}

fn other(what: String) -> Error {
    let message = format!("the state is one of a dataset {what}");
    Error::new(ErrorKind::Usage, message)
}

fn content(dataset: &NpyDataset, column: &Column) -> Result<u64> {
    let len = dataset.len();
    let affordable = GATHERED / column.row_bytes().max(1);
    let count = affordable.clamp(2, ROWS).min(len);
    // In 128 bits, since the product may be beyond 64.
    let place = |i: usize| i as u128 * (len - 1) as u128 / (count - 1).max(1) as u128;
    let rows = (0..count).map(|i| dataset.row_map().map(place(i) as usize));
    let rows: Vec<_> = rows.collect();
    let stored = column.clone().unconverted();
    let longest = column.row_bytes().max(stored.row_bytes());
    let mut row_bytes = Buffer::zeroed(longest)?;
    let mut hash = FNV_START;
    column.check()?;
    // Of a large file, nothing around these rows is wanted: to read ahead of each took 150 ms.
    internal::advise(column, true);
    internal::readahead(column, &rows);
    for row in rows {
        // One at a time: a row may be large.
        row_bytes.set_len(column.row_bytes());
        match column.gather(&[row], row_bytes.as_mut_slice()) {
            // A row that cannot be converted is an error of its batch, or skipped there.
            Err(error) if error.kind() == ErrorKind::Value => {
                row_bytes.set_len(stored.row_bytes());
                stored.gather(&[row], row_bytes.as_mut_slice())?;
            }
            gathered => gathered?,
        }
        hash = fnv(hash, middle(row_bytes.as_slice(), HASHED / count));
    }
    internal::advise(column, false);
    Ok(hash)
}

/// So many bytes of the middle; all if there are no more.
fn middle(bytes: &[u8], len: usize) -> &[u8] {
    let rest = bytes.len().saturating_sub(len);
    &bytes[rest / 2..][..bytes.len() - rest]
}

const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a (Fowler, Noll and Vo; RFC 9923), 64 bits, from the hash of the bytes before.
fn fnv(hash: u64, bytes: &[u8]) -> u64 {
    let add = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    bytes.iter().fold(hash, add)
}

#[cfg(test)]
mod tests {
    use burn_npy_core::ndarray::Array2;
    use burn_npy_core::{Convert, DType};

    use super::*;

    #[test]
    fn the_hash_is_that_of_its_authors() {
        assert_eq!(fnv(FNV_START, b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv(fnv(FNV_START, b"foo"), b"bar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn of_long_rows_the_middle_counts() {
        assert_eq!(middle(&[1, 2, 3, 4, 5], 2), [2, 3]);
        assert_eq!(middle(&[1, 2, 3], 3), [1, 2, 3]);
        assert_eq!(middle(&[1], 9), [1]);
        let with = |place: usize| {
            let mut table = Array2::<u8>::zeros((3, 70_000));
            table[[2, place]] = 1;
            Fingerprint::of(&NpyDataset::from_tensor_slices(table).unwrap()).unwrap()
        };
        assert_ne!(with(35_000), with(35_001));
        assert_eq!(with(0), with(1));
    }

    #[test]
    fn what_differs_is_named() {
        let table = |len, width, add: f32| {
            let value = |(row, i)| (row * 3 + i) as f32 + add;
            NpyDataset::from_tensor_slices(Array2::from_shape_fn((len, width), value)).unwrap()
        };
        let saved = Fingerprint::of(&table(10, 3, 0.0)).unwrap();
        let against = |dataset: &NpyDataset| {
            let found = Fingerprint::of(dataset).unwrap().expect(&saved);
            found.map_err(|error| error.to_string())
        };
        assert_eq!(against(&table(10, 3, 0.0)), Ok(()));
        let same = table(10, 3, 0.0);
        for (dataset, message) in [
            (table(11, 3, 0.0), "of 10 rows, but there are 11"),
            (
                same.rename("0", "x").unwrap(),
                "with the columns 0, but there are the columns x",
            ),
            (
                same.convert("0", &Convert::to(DType::F64)).unwrap(),
                "of float32, but the column is float64",
            ),
            (
                same.reshape("0", &[3, 1]).unwrap(),
                "with rows of shape [3], but those of the column are [3, 1]",
            ),
            (table(10, 3, 1.0), "whose values were others"),
            (same.split(1.0, 7).unwrap().0, "whose values were others"),
        ] {
            let found = against(&dataset).unwrap_err();
            assert!(found.contains(message), "{found}");
        }
        let of_length = Fingerprint::of_length(10);
        assert!(of_length.expect(&saved).is_err());
        for len in [0, 1, 2, 64, 65] {
            Fingerprint::of(&table(len, 3, 0.0)).unwrap();
            Fingerprint::of(&table(len, 0, 0.0)).unwrap();
        }
    }
}
