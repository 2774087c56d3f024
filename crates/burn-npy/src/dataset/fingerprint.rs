//! A short description of a dataset, to tell whether a saved state belongs to it.

use burn_npy_core::{
    Error, ErrorKind, Result,
    file::{Buffer, Column, RaggedColumn},
    internal,
};
use serde::{Deserialize, Serialize};

use super::{AnyColumn, NpyDataset, any_length, listed_names};
use crate::scope::Scope;

/// How many rows of a column are hashed, at most.
const MAX_ROWS: usize = 64;
/// How many bytes of a column are gathered for that.
const MAX_GATHERED: usize = 1 << 20;
/// How many of those bytes are hashed; hashing is slower than gathering.
const MAX_HASHED: usize = 1 << 16;

/// The fingerprint of a dataset. Of one that is not an [`NpyDataset`] only the length is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fingerprint {
    rows: u64,
    /// How the rows were chosen, if they were: of the rows whose contents are hashed, two
    /// selections may have the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    selection: Option<SelectionPrint>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    columns: Vec<ColumnPrint>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SelectionPrint(#[serde(with = "hex")] u64);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct ColumnPrint {
    name: String,
    dtype: String,
    /// The shape of a row; of an item if rows have any length.
    row_shape: Vec<usize>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    any_length: bool,
    /// FNV-1a (64 bits) over up to 64 rows, evenly spread from the first to the last: fewer if
    /// they, or what transforms make them of, have more than 1 MiB, but at least two, and only the
    /// middle of each if they have more than 64 KiB. Rows are hashed as they are converted; a row
    /// that cannot be converted, as it is stored. A row that cannot be read, as at a bad place of a
    /// disk, is left out: so the hash is another one as soon as it can be read. Of rows of any
    /// length, the lengths are hashed too.
    #[serde(with = "hex")]
    content: u64,
    /// How the rows were chosen and put together before they became those of the dataset, as by
    /// `concat` and `windows`; of rows of any length, also how long transforms make them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    selection: Option<SelectionPrint>,
}

impl Fingerprint {
    /// The fingerprint of a dataset of which only the length is known.
    pub(crate) fn of_length(rows: usize) -> Self {
        Self {
            rows: rows as u64,
            selection: None,
            columns: Vec::new(),
        }
    }

    /// A number for the name of a file with the rows of a dataset. Other than the fingerprint, it
    /// is another one as soon as the rows are converted in another way.
    pub(crate) fn key(dataset: &NpyDataset) -> Result<u64> {
        let print = Self::of(dataset)?;
        let columns: Vec<&Column> = dataset.columns().map(|(_, column)| column).collect();
        let made_how = (dataset.row_map(), columns);
        let mut text = format!("{print:?} {made_how:?}");
        for (_, column) in dataset.shared_columns().iter() {
            if let AnyColumn::Ragged(column) = column {
                text += &format!(" {column:?}");
            }
        }
        Ok(fnv(FNV_START, text.as_bytes()))
    }

    pub(crate) fn of(dataset: &NpyDataset) -> Result<Self> {
        let columns = dataset.shared_columns().iter();
        let columns = columns.filter_map(|(name, column)| {
            let (dtype, row_shape, content, selection) = match column {
                AnyColumn::Numbers(column) => (
                    column.dtype(),
                    column.row_shape(),
                    content(dataset, column),
                    internal::selection(column),
                ),
                AnyColumn::Ragged(column) => (
                    column.dtype(),
                    column.item_shape(),
                    content_of_runs(dataset, column),
                    Some(internal::ragged_selection(column)),
                ),
                AnyColumn::Opaque(_) => return None,
            };
            let print = |content| ColumnPrint {
                name: name.to_owned(),
                dtype: dtype.to_string(),
                row_shape: row_shape.to_vec(),
                any_length: matches!(column, AnyColumn::Ragged(_)),
                content,
                selection: selection.map(SelectionPrint),
            };
            Some(content.map(print).map_err(|error| error.in_column(name)))
        });
        Ok(Self {
            rows: dataset.len() as u64,
            selection: dataset.row_map().fingerprint().map(SelectionPrint),
            columns: columns.collect::<Result<_>>()?,
        })
    }

    /// # Errors
    ///
    /// [`ErrorKind::Usage`] for a state of another dataset, naming what differs.
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
            let list = |names: Vec<String>| {
                if names.is_empty() {
                    return "no known columns".to_owned();
                }
                format!("the columns {}", listed_names(&names))
            };
            return Err(other(format!(
                "with {}, but there are {}",
                list(expected),
                list(found)
            )));
        }
        let pairs = || self.columns.iter().zip(&saved.columns);
        let same_selection = self.selection == saved.selection
            && pairs().all(|(found, saved)| found.selection == saved.selection);
        for (found, saved) in pairs() {
            found
                .expect(saved, same_selection)
                .map_err(|error| error.in_column(&found.name))?;
        }
        if self.selection != saved.selection {
            return Err(Error::new(ErrorKind::Usage, OTHER_SELECTION));
        }
        if let Some((found, _)) = pairs().find(|(found, saved)| found.selection != saved.selection)
        {
            return Err(Error::new(ErrorKind::Usage, OTHER_SELECTION).in_column(&found.name));
        }
        Ok(())
    }
}

impl ColumnPrint {
    fn shape(&self) -> String {
        match self.any_length {
            true => any_length(&self.row_shape),
            false => format!("{:?}", self.row_shape),
        }
    }

    fn expect(&self, saved: &Self, same_selection: bool) -> Result<()> {
        if saved.dtype != self.dtype {
            return Err(other(format!(
                "of {}, but the column is {}",
                internal::shown(&saved.dtype),
                self.dtype
            )));
        }
        if (saved.any_length, &saved.row_shape) != (self.any_length, &self.row_shape) {
            return Err(other(format!(
                "with rows of shape {}, but those of the column are {}",
                saved.shape(),
                self.shape()
            )));
        }
        if saved.content != self.content {
            let mut what =
                "whose values were others: the fingerprints of some of the rows differ".to_owned();
            if !same_selection {
                what += &format!(", and {OTHER_SELECTION}");
            }
            return Err(other(what));
        }
        Ok(())
    }
}

fn other(what: String) -> Error {
    let message = format!("the state is one of a dataset {what}");
    Error::new(ErrorKind::Usage, message)
}

const OTHER_SELECTION: &str = "the selection of rows is another than that of the saved state: its \
    rows were chosen by another list, seed, range or weight, as by rows, filter, sort_by, parts, \
    split, skip, step, windows, concat or mix, or a transform gave them other lengths; make the \
    dataset as the program that saved the state did, or start anew";

fn content(dataset: &NpyDataset, column: &Column) -> Result<u64> {
    let rows = some_rows(dataset, column.row_bytes());
    let count = rows.len();
    if internal::depth(column) > 0 {
        let of_row = source_bytes(column, &rows)? / count.max(1);
        let rows = some_rows(dataset, column.row_bytes().max(of_row));
        return content_before_transforms(column, &rows, MAX_HASHED / rows.len().max(1));
    }
    // A bad place of the disk is an error then, and no signal.
    let column = &internal::by_position(column)?;
    let stored = column.clone().unconverted();
    let longest = column.row_bytes().max(stored.row_bytes());
    let mut row_bytes = Buffer::zeroed(longest)?;
    let mut hash = FNV_START;
    // Of a large file, only these rows are needed.
    internal::advise(column, true);
    internal::readahead(column, &rows);
    for row in rows {
        // One at a time: a row may be large.
        row_bytes.set_len(column.row_bytes());
        let mut gathered = column.gather(&[row], row_bytes.as_mut_slice());
        if matches!(&gathered, Err(error) if error.kind() == ErrorKind::Value) {
            row_bytes.set_len(stored.row_bytes());
            gathered = stored.gather(&[row], row_bytes.as_mut_slice());
        }
        match gathered {
            Ok(()) => hash = fnv(hash, middle(row_bytes.as_slice(), MAX_HASHED / count)),
            // Its batch will fail, or skip it.
            Err(error) if Scope::of(&error) == Scope::Row => {}
            Err(error) => return Err(error),
        }
    }
    internal::advise(column, false);
    Ok(hash)
}

/// As [`content`], of rows of any length.
fn content_of_runs(dataset: &NpyDataset, column: &RaggedColumn) -> Result<u64> {
    let longest = |column: &RaggedColumn| column.bytes_of(column.longest(), 1);
    let made_bytes = longest(column)?;
    let column = internal::ragged_source(column);
    let rows = some_rows(dataset, made_bytes.max(longest(&column)?));
    let stored = internal::change_items(&column, |items| Ok(items.unconverted()))?;
    let bytes_of = |column: &RaggedColumn, row| -> Result<Buffer> {
        let length = column.length(row);
        let mut bytes = Buffer::zeroed(column.bytes_of(length, 1)?)?;
        let padding = vec![0; column.dtype().size()];
        column.gather(&[row], length, &padding, bytes.as_mut_slice())?;
        Ok(bytes)
    };
    let mut hash = FNV_START;
    for row in &rows {
        hash = fnv(hash, &(column.length(*row) as u64).to_le_bytes());
        let mut gathered = bytes_of(&column, *row);
        if matches!(&gathered, Err(error) if error.kind() == ErrorKind::Value) {
            gathered = bytes_of(&stored, *row);
        }
        match gathered {
            Ok(bytes) => hash = fnv(hash, middle(bytes.as_slice(), MAX_HASHED / rows.len())),
            // Its batch will fail, or skip it.
            Err(error) if Scope::of(&error) == Scope::Row => {}
            Err(error) => return Err(error),
        }
    }
    Ok(hash)
}

/// The rows that are hashed, of at most so many bytes each.
fn some_rows(dataset: &NpyDataset, row_bytes: usize) -> Vec<usize> {
    let len = dataset.len();
    let affordable = MAX_GATHERED / row_bytes.max(1);
    let count = affordable.clamp(2, MAX_ROWS).min(len);
    // In 128 bits, since the product may be beyond 64.
    let spread = |i: usize| i as u128 * (len - 1) as u128 / (count - 1).max(1) as u128;
    let rows = (0..count).map(|i| dataset.row_map().map(spread(i) as usize));
    rows.collect()
}

/// The size of what transforms make some rows of.
fn source_bytes(column: &Column, rows: &[usize]) -> Result<usize> {
    let mut bytes = 0_usize;
    internal::visit(column, rows, &mut |part, rows| {
        let of_row = part.clone().unconverted().row_bytes();
        bytes = bytes.saturating_add(rows.len().saturating_mul(of_row));
        Ok(())
    })?;
    Ok(bytes)
}

/// As [`content`], of what the transforms of a column see: they need not give the same row twice.
fn content_before_transforms(column: &Column, rows: &[usize], most: usize) -> Result<u64> {
    let mut hash = FNV_START;
    internal::visit(column, rows, &mut |part, rows| {
        let stored = internal::by_position(part)?.unconverted();
        for row in rows {
            let mut bytes = Buffer::zeroed(stored.row_bytes())?;
            match stored.gather(&[*row], bytes.as_mut_slice()) {
                Ok(()) => hash = fnv(hash, middle(bytes.as_slice(), most)),
                Err(error) if Scope::of(&error) == Scope::Row => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    })?;
    Ok(hash)
}

/// The `len` bytes in the middle, or all of them.
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

/// 64-bit hashes as 16 hexadecimal digits, since many readers of JSON keep only 53 bits of a
/// number.
pub(crate) mod hex {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{number:016x}"))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let text = String::deserialize(deserializer)?;
        u64::from_str_radix(&text, 16).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use burn_npy_core::Convert;
    use burn_npy_core::ndarray::Array2;

    use super::*;
    use crate::Windows;
    use crate::transform::Truncate;

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

    /// Rows that are not compared may have other values.
    #[test]
    fn few_rows_are_compared_if_they_were_long_before_transforms() {
        let print = |data: NpyDataset| {
            let short = data.map("x", Truncate::new(8)).unwrap();
            Fingerprint::of(&short).unwrap()
        };
        // Ten rows of which one has another value in the middle.
        let table = |len: usize, changed: usize| {
            let mut table = Array2::<u8>::zeros((10, len));
            table[[changed, len / 2]] = 1;
            let data = NpyDataset::from_tensor_slices((("x", table.clone()),));
            let (items, lengths) = (table.flatten().into_owned(), vec![len as u64; 10]);
            let texts = NpyDataset::from_lengths("x", items, lengths);
            [data.unwrap(), texts.unwrap()].map(print)
        };
        for (len, all) in [(2000, true), (600_000, false)] {
            let pairs = table(len, 4).into_iter().zip(table(len, 5));
            assert!(pairs.into_iter().all(|(a, b)| (a != b) == all), "{len}");
            let pairs = table(len, 4).into_iter().zip(table(len, 9));
            assert!(pairs.into_iter().all(|(a, b)| a != b), "{len}");
        }
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
                same.convert("0", Convert::to::<f64>()).unwrap(),
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
        let found = against(&same.split(1.0, 7).unwrap().0).unwrap_err();
        assert!(found.contains(OTHER_SELECTION), "{found}");
        let found = against(&table(10, 3, 1.0)).unwrap_err();
        assert!(!found.contains(OTHER_SELECTION), "{found}");
        // Two lists that agree in all rows that are hashed.
        let listed = |row: usize| {
            let rows = (0..1000).map(|i| if i == 1 { row } else { i / 100 });
            Fingerprint::of(&same.rows(rows).unwrap()).unwrap()
        };
        let saved_list = listed(3);
        let text = serde_json::to_string(&saved_list).unwrap();
        assert_eq!(
            serde_json::from_str::<Fingerprint>(&text).unwrap(),
            saved_list
        );
        assert_eq!(
            listed(3).expect(&saved_list).map_err(|e| e.to_string()),
            Ok(())
        );
        let found = listed(4).expect(&saved_list).unwrap_err().to_string();
        assert!(found.contains("chosen by another list"), "{found}");
        assert!(
            found.starts_with("the selection of rows is another than that of the saved state"),
            "{found}"
        );
        let of_length = Fingerprint::of_length(10);
        assert!(of_length.expect(&saved).is_err());
        for len in [0, 1, 2, 64, 65] {
            Fingerprint::of(&table(len, 3, 0.0)).unwrap();
            Fingerprint::of(&table(len, 0, 0.0)).unwrap();
        }
    }

    /// Rows of which those that are compared are alike, so that only the selection tells.
    #[test]
    fn another_selection_is_another_dataset() {
        let zeros = |rows| {
            let zeros = NpyDataset::from_tensor_slices((("x", Array2::<f32>::zeros((rows, 2))),));
            zeros.unwrap()
        };
        let data = zeros(10_000);
        let split = |data: &NpyDataset, seed| data.split(0.5, seed).unwrap().0;
        let windows = |windows| data.windows(windows).unwrap().take(9000);
        let concat = |parts: [NpyDataset; 2]| NpyDataset::concat(parts).unwrap();
        let mix = |weights: [f64; 2]| {
            let parts = weights.map(|weight| (zeros(3000), weight));
            NpyDataset::mix(parts).unwrap().take(2000)
        };
        let texts = NpyDataset::from_lengths("x", vec![0_u8; 9], vec![3, 3, 3]).unwrap();
        let groups = [
            vec![
                split(&data, 1),
                split(&data, 2),
                data.split(0.5, 1).unwrap().1,
                data.take(5000),
                data.skip(5000),
                data.skip(4999).take(5000),
                data.step(2).unwrap(),
                data.step(1).unwrap().skip(1).step(2).unwrap(),
                data.rows((0..5000).rev()).unwrap(),
                data.rows((1..5001).rev()).unwrap(),
                data.take(2500).repeat(2).unwrap(),
                data.take(1000).repeat(5).unwrap(),
            ],
            vec![
                split(&split(&data, 1), 1),
                split(&split(&data, 1), 2),
                split(&split(&data, 2), 1),
            ],
            vec![
                windows(Windows::new(3)),
                windows(Windows::new(3).dilation(2)),
                split(&data, 1)
                    .windows(Windows::new(3))
                    .unwrap()
                    .repeat(2)
                    .unwrap()
                    .take(9000),
            ],
            vec![
                concat([split(&data, 1), data.take(10)]),
                concat([split(&data, 2), data.take(10)]),
                concat([data.take(10), split(&data, 1)]),
                concat([data.take(5000), data.skip(9990)]),
            ],
            vec![mix([1.0, 1.0]), mix([1.0, 1.5]), mix([1.5, 1.0])],
            vec![
                concat([texts.skip(1), texts.skip(1)]),
                concat([texts.take(2), texts.skip(1)]),
                concat([texts.take(2), texts.take(2)]),
            ],
            vec![
                texts.clone(),
                texts.map("x", Truncate::new(2)).unwrap(),
                texts.map("x", Truncate::new(1)).unwrap(),
            ],
        ];
        for (number, group) in groups.iter().enumerate() {
            let prints: Vec<_> = group
                .iter()
                .map(|it| Fingerprint::of(it).unwrap())
                .collect();
            for (i, saved) in prints.iter().enumerate() {
                let text = serde_json::to_string(saved).unwrap();
                assert_eq!(&serde_json::from_str::<Fingerprint>(&text).unwrap(), saved);
                for (j, found) in prints.iter().enumerate() {
                    let found = found.expect(saved).map_err(|error| error.to_string());
                    let is_refused = matches!(&found, Err(error) if error.contains("selection"));
                    assert_eq!(is_refused, i != j, "group {number}, {i}, {j}: {found:?}");
                }
            }
        }
        // The same rows of more files, and of a file that has more of them.
        let fits = |found: &NpyDataset, saved: &NpyDataset| {
            let [found, saved] = [found, saved].map(|it| Fingerprint::of(it).unwrap());
            found.expect(&saved).unwrap();
        };
        let parts = concat([zeros(4000), zeros(6000)]);
        fits(&split(&parts, 1), &split(&data, 1));
        fits(
            &parts.windows(Windows::new(3)).unwrap(),
            &data.windows(Windows::new(3)).unwrap(),
        );
        fits(&zeros(11_000).skip(7).take(9000), &data.skip(7).take(9000));
        fits(&data.skip(0), &data);
    }
}
