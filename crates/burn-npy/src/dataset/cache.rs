//! Rows that are made once: in memory, or in files that later runs use again.

use std::io::Write;
use std::ops::Range;
use std::path::Path;
use std::thread;

use burn_npy_core::{
    Array, DType, Error, ErrorKind, Result,
    file::{Buffer, Column, RaggedColumn},
    internal,
};

use super::NpyDataset;
use super::fingerprint::Fingerprint;
use super::named::{AnyColumn, Columns};
use super::verify::BLOCK_BYTES;
use crate::memory;

impl NpyDataset {
    /// Makes all rows once and keeps them in memory, such as those of an expensive
    /// [transform](Self::map). All cores make rows. The new dataset has the rows of this one in
    /// their order, and no files.
    ///
    /// A transform that draws random numbers draws them once, and not in each epoch, so cache
    /// first and then augment.
    ///
    /// # Errors
    ///
    /// The first error of a row, [`ErrorKind::Limit`] when the allocator refuses, and
    /// [`ErrorKind::Overflow`] for more rows than memory.
    ///
    /// # Panics
    ///
    /// Panics if a transform does.
    ///
    /// # Example
    ///
    /// ```
    /// use burn_npy::{NpyDataset, ndarray::Array2, transform};
    ///
    /// # fn main() -> burn_npy::Result<()> {
    /// let spectra = transform::from_fn::<f32, f32>(|wave, mut out, _| {
    ///     // ... something that takes long.
    ///     out.assign(&wave.mapv(f32::sin));
    ///     Ok(())
    /// });
    /// let waves = NpyDataset::from_tensor_slices((("x", Array2::<f32>::zeros((10, 4))),))?;
    /// let cached = waves.map("x", spectra)?.cache()?;
    /// assert_eq!(cached.len(), 10);
    /// # Ok(())
    /// # }
    /// ```
    pub fn cache(&self) -> Result<Self> {
        self.cached(|kept| {
            let mut bytes = Buffer::zeroed(kept.file_len()?)?;
            let mut at = 0;
            kept.write(&mut |block| {
                bytes.as_mut_slice()[at..][..block.len()].copy_from_slice(block);
                at += block.len();
                Ok(())
            })?;
            Array::from_bytes(bytes)
        })
    }

    /// As [`cache`](Self::cache), in a `.npy` file for each column. If there are such files of the
    /// same rows already, they are opened and nothing is made.
    ///
    /// The file of a column is `NAME.KEY.NUMBER.npy`: the given name, 16 hexadecimal digits, and
    /// the number of the column, from 0 on. Of rows of [any length](Self::from_offsets) it has the
    /// items, and `NAME.KEY.NUMBER.offsets.npy` has the offsets, as `int64`. So
    /// `np.split(items, offsets[1:-1])` are the rows.
    ///
    /// Files belong to a dataset by the names, dtypes and shapes of its columns, the number of
    /// rows, how rows are chosen and converted, and the values of some rows before transforms. What
    /// a transform does is not known, so give another `name` whenever you change one. Do so too if
    /// values of the files that the dataset reads change. Each file is written whole or not at all.
    /// Several processes may make the same files at once. Old files are left alone.
    ///
    /// # Errors
    ///
    /// The first error of a row; [`ErrorKind::Io`] from the file system; [`ErrorKind::Usage`] if
    /// `name` is no plain file name; [`ErrorKind::Overflow`] for more rows than memory.
    ///
    /// # Panics
    ///
    /// Panics if a transform does.
    ///
    /// # Example
    ///
    /// ```
    /// use burn_npy::{Convert, NpyDataset, ndarray::Array2};
    ///
    /// # fn main() -> burn_npy::Result<()> {
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let folder = dir.path();
    /// let table = NpyDataset::from_tensor_slices((("x", Array2::<f64>::zeros((10, 4))),))?;
    /// let halves = table.convert("x", Convert::to::<f32>())?;
    /// let cached = halves.cache_in(folder, "halves-v1")?;
    /// // A later run opens the file.
    /// let again = halves.cache_in(folder, "halves-v1")?;
    /// assert_eq!(again.read::<f32>("x")?, cached.read::<f32>("x")?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn cache_in(&self, folder: impl AsRef<Path>, name: &str) -> Result<Self> {
        let folder = folder.as_ref();
        if Path::new(name).file_name().is_none_or(|file| file != name) {
            let message = format!("{name:?} is no name of a file; a cache is folder and name");
            return Err(Error::new(ErrorKind::Usage, message));
        }
        let key = Fingerprint::key(self)?;
        self.cached(|kept| {
            let (number, part) = (kept.column, kept.part);
            let path = folder.join(format!("{name}.{key:016x}.{number}{part}.npy"));
            let whole = kept.file_len()? as u64;
            let found = std::fs::metadata(&path);
            if found.as_ref().is_ok_and(|file| file.len() == whole) {
                return Array::open(&path);
            }
            std::fs::create_dir_all(folder).map_err(|error| {
                internal::io_error("cannot create the folder", error).in_file(folder)
            })?;
            // Other processes may write the same file now. One that is there by then has the same
            // rows, and somebody may use it, so it stays.
            internal::write_file(&path, found.is_ok(), &mut |out| {
                let full = |error| internal::io_error("cannot write the rows", error);
                kept.write(&mut |block| out.write_all(block).map_err(full))
            })?;
            Array::open(&path)
        })
    }

    /// A dataset of arrays that `keep` makes of those of the columns.
    fn cached(&self, mut keep: impl FnMut(&Kept<'_>) -> Result<Array>) -> Result<Self> {
        let mut columns = Columns::default();
        for (number, (name, column)) in self.columns.iter().enumerate() {
            let mut keep = |kept: Kept<'_>| {
                let array = keep(&kept)?;
                match array.dtype() {
                    // NumPy has no name for some dtypes.
                    None => array.reinterpret(kept.dtype),
                    Some(_) => Ok(array),
                }
            };
            let kept = match column {
                AnyColumn::Ragged(column) => self.keep_runs(number, column, &mut keep),
                other => {
                    let column = other.numbers(name)?;
                    let shape = [&[self.len()], column.row_shape()].concat();
                    let blocks: &Blocks<'_> = &|f| self.blocks(column, f);
                    keep(Kept::new((number, ""), column.dtype(), &shape, blocks))
                        .and_then(Column::new)
                        .map(AnyColumn::Numbers)
                }
            };
            let kept = kept.map_err(|error| error.in_column(name))?;
            columns.push(name.to_owned(), kept);
        }
        Self::from_columns(columns)
    }

    /// Keeps the items of rows of any length, and their offsets.
    fn keep_runs(
        &self,
        number: usize,
        column: &RaggedColumn,
        keep: &mut dyn FnMut(Kept<'_>) -> Result<Array>,
    ) -> Result<AnyColumn> {
        let mut offsets = Vec::new();
        memory::reserve(&mut offsets, self.len().saturating_add(1))?;
        offsets.push(0);
        let mut end = 0_usize;
        for row in 0..self.len() {
            let next = end.checked_add(column.length(self.rows.map(row)));
            end = next.ok_or_else(too_large)?;
            offsets.push(i64::try_from(end).map_err(|_| too_large())?);
        }
        let shape = [&[end], column.item_shape()].concat();
        let blocks: &Blocks<'_> = &|f| self.blocks_of_runs(column, f);
        let items = keep(Kept::new((number, ""), column.dtype(), &shape, blocks))?;
        let (count, bytes) = ([offsets.len()], bytemuck::cast_slice(&offsets));
        let blocks: &Blocks<'_> = &|f| f(bytes);
        let offsets = keep(Kept::new((number, ".offsets"), DType::I64, &count, blocks))?;
        RaggedColumn::from_offsets(items, &offsets).map(AnyColumn::Ragged)
    }

    /// Makes the rows of a column in blocks, on all cores, and calls `f` with them in their order.
    fn blocks(&self, column: &Column, f: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let row_bytes = column.row_bytes();
        let per_block = (BLOCK_BYTES / row_bytes.max(1)).clamp(1, self.len().max(1));
        let make = |rows: &[usize]| {
            let mut block = Buffer::zeroed(rows.len() * row_bytes)?;
            column.gather(rows, block.as_mut_slice())?;
            Ok(block)
        };
        self.on_all_cores(|start| self.len().min(start + per_block), make, f)
    }

    /// As [`blocks`](Self::blocks), of the items of rows of any length.
    fn blocks_of_runs(
        &self,
        column: &RaggedColumn,
        f: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let bytes_of = |row: usize| column.bytes_of(column.length(row), 1).unwrap_or(usize::MAX);
        let end = |start: usize| {
            let (mut end, mut bytes) = (start, 0_usize);
            while end < self.len() && bytes < BLOCK_BYTES {
                // The number of the row takes memory too.
                let row = bytes_of(self.rows.map(end)).saturating_add(size_of::<usize>());
                (end, bytes) = (end + 1, bytes.saturating_add(row));
            }
            end
        };
        let make = |rows: &[usize]| {
            let bytes = rows.iter().map(|row| bytes_of(*row));
            let mut block = Buffer::zeroed(bytes.fold(0, usize::saturating_add))?;
            internal::gather_items(column, rows, block.as_mut_slice())?;
            Ok(block)
        };
        self.on_all_cores(end, make, f)
    }

    /// Makes blocks of rows on all cores, and calls `f` with them in their order. `end` is the end
    /// of the block that begins at a row.
    fn on_all_cores(
        &self,
        end: impl Fn(usize) -> usize,
        make: impl Fn(&[usize]) -> Result<Buffer> + Sync,
        f: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let make = |rows: Range<usize>| {
            let rows = memory::list(rows.map(|row| self.rows.map(row)))?;
            make(&rows)
        };
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let mut start = 0;
        while start < self.len() {
            let mut turn = Vec::new();
            while start < self.len() && turn.len() < cores {
                let block = start..end(start);
                start = block.end;
                turn.push(block);
            }
            thread::scope(|scope| {
                let make = &make;
                let spawn = |block: Range<usize>| {
                    let own = block.clone();
                    let spawned = thread::Builder::new().spawn_scoped(scope, move || make(own));
                    (block, spawned.ok())
                };
                let blocks: Vec<_> = turn.into_iter().map(spawn).collect();
                let mut done = Ok(());
                for (block, thread) in blocks {
                    let joined = thread.map(thread::ScopedJoinHandle::join);
                    if done.is_err() {
                        // A panic of a later block, which nobody joins, would be that of the scope.
                        continue;
                    }
                    let made = match joined {
                        Some(made) => made.unwrap_or_else(|panic| {
                            std::panic::resume_unwind(panic);
                        }),
                        // The system has no more threads.
                        None => make(block),
                    };
                    done = made.and_then(|block| f(block.as_slice()));
                }
                done
            })?;
        }
        Ok(())
    }
}

/// Calls its argument with the bytes of an array, block by block.
type Blocks<'a> = dyn Fn(&mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> + 'a;

/// An array that is kept.
struct Kept<'a> {
    /// The number of the column.
    column: usize,
    /// Which array of the column it is: nothing if it has one, and for its items.
    part: &'static str,
    header: Vec<u8>,
    dtype: DType,
    shape: &'a [usize],
    blocks: &'a Blocks<'a>,
}

impl<'a> Kept<'a> {
    fn new(
        (column, part): (usize, &'static str),
        dtype: DType,
        shape: &'a [usize],
        blocks: &'a Blocks<'a>,
    ) -> Self {
        Self {
            column,
            part,
            header: internal::npy_header(dtype, shape),
            dtype,
            shape,
            blocks,
        }
    }

    /// The size of a file with the array.
    fn file_len(&self) -> Result<usize> {
        // The rows come last: they may have no elements.
        let mut axes = self.shape.iter().rev();
        let data = axes.try_fold(self.dtype.size(), |size, len| size.checked_mul(*len));
        let len = data.and_then(|data| data.checked_add(self.header.len()));
        len.ok_or_else(too_large)
    }

    /// Calls `f` with the bytes of such a file.
    fn write(&self, f: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        f(&self.header)?;
        (self.blocks)(f)
    }
}

fn too_large() -> Error {
    Error::new(ErrorKind::Overflow, "more rows than memory")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use burn_npy_core::ndarray::Array2;
    use burn_npy_core::{Convert, half, transform};

    use super::*;

    /// Rows of two columns; counts the rows that a transform makes.
    fn counted(made: &Arc<AtomicUsize>) -> NpyDataset {
        let table = Array2::from_shape_fn((40_000, 50), |(row, i)| (row * 50 + i) as f32);
        let labels: Vec<u8> = (0..40_000).map(|row| row as u8).collect();
        let made = made.clone();
        let double = transform::from_fn::<f32, f32>(move |row, mut out, _| {
            made.fetch_add(1, Ordering::Relaxed);
            out.assign(&row.mapv(|x| 2.0 * x));
            Ok(())
        });
        NpyDataset::from_arrays([("x", Array::from(table)), ("y", labels.into())])
            .and_then(|dataset| dataset.map("x", double))
            .and_then(|dataset| dataset.convert("y", Convert::new().cast(DType::BF16)))
            .map(|dataset| dataset.skip(3).split(0.5, 1).unwrap().0)
            .unwrap()
    }

    #[test]
    fn rows_are_made_once() {
        let dir = tempfile::tempdir().unwrap();
        let made = Arc::new(AtomicUsize::new(0));
        let dataset = counted(&made);
        let take = || made.swap(0, Ordering::Relaxed);
        let expected = (
            dataset.read::<f32>("x").unwrap(),
            dataset.read::<half::bf16>("y").unwrap(),
        );
        let found = |cached: &NpyDataset| {
            (
                cached.read::<f32>("x").unwrap(),
                cached.read::<half::bf16>("y").unwrap(),
            )
        };
        assert_eq!(take(), dataset.len());
        let cached = dataset.cache().unwrap();
        assert_eq!(take(), dataset.len());
        assert!(found(&cached) == expected);

        let folder = dir.path().join("new/folder");
        for expected_made in [dataset.len(), 0] {
            let cached = dataset.cache_in(&folder, "double").unwrap();
            assert_eq!(take(), expected_made);
            assert!(found(&cached) == expected);
        }
        assert_eq!(take(), 0);
        // Another name, and other rows, are made anew.
        dataset.cache_in(&folder, "other").unwrap();
        assert_eq!(take(), dataset.len());
        dataset.take(5).cache_in(&folder, "double").unwrap();
        assert_eq!(take(), 5);
        // A file that was cut is not used.
        let cut = std::fs::read_dir(&folder).unwrap().map(Result::unwrap);
        let cut = cut.filter(|entry| entry.file_name().to_string_lossy().starts_with("other"));
        for entry in cut {
            std::fs::write(entry.path(), b"cut").unwrap();
        }
        assert!(found(&dataset.cache_in(&folder, "other").unwrap()) == expected);
        assert_eq!(take(), dataset.len());
        for name in ["", "..", "a/b", "/"] {
            let error = dataset.cache_in(&folder, name).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage, "{name}");
        }
    }

    /// Rows of which those that a fingerprint compares are all the same.
    #[test]
    fn rows_that_are_chosen_or_converted_in_another_way_are_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let mut table = Array2::<f32>::zeros((10_000, 4));
        table[[4001, 1]] = 1.0;
        let data = NpyDataset::from_tensor_slices((("x", table),)).unwrap();
        let plus_one = |data: &NpyDataset| {
            let plus_one = transform::from_fn::<f32, f32>(|row, mut out, _| {
                out.assign(&row.mapv(|x| x + 1.0));
                Ok(())
            });
            data.map("x", plus_one).unwrap()
        };
        let scaled = |data: &NpyDataset, by: f64| {
            let scaled = data.convert("x", Convert::new().scale(by));
            scaled.unwrap()
        };
        let square = data.reshape("x", &[2, 2]).unwrap();
        let part = |rows: std::ops::Range<usize>| {
            let part = data.split_column("x", [("x", rows)]);
            plus_one(&part.unwrap())
        };
        let some = |seed| data.split(0.5, seed).unwrap().0;
        let datasets = [
            some(1),
            some(2),
            data.step(2).unwrap(),
            data.skip(5000),
            data.skip(1).step(2).unwrap(),
            data.rows((0..5000).rev()).unwrap(),
            data.rows((1..5001).rev()).unwrap(),
            NpyDataset::concat([some(3), data.take(0)]).unwrap(),
            NpyDataset::concat([some(4), data.take(0)]).unwrap(),
            plus_one(&data),
            scaled(&plus_one(&data), 2.0),
            scaled(&plus_one(&data), 3.0),
            plus_one(&scaled(&data, 2.0)),
            plus_one(&scaled(&data, 3.0)),
            plus_one(&square),
            plus_one(&square.permute("x", &[1, 0]).unwrap()),
            plus_one(&square).permute("x", &[1, 0]).unwrap(),
            part(0..2),
            part(1..3),
        ];
        for _ in 0..2 {
            for (number, dataset) in datasets.iter().enumerate() {
                let cached = dataset.cache_in(dir.path(), "x").unwrap();
                let found = cached.read::<f32>("x").unwrap();
                assert!(found == dataset.read::<f32>("x").unwrap(), "{number}");
            }
            let files = std::fs::read_dir(dir.path()).unwrap();
            assert_eq!(files.count(), datasets.len());
        }
    }

    #[test]
    fn a_file_that_another_process_wrote_meanwhile_stays() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().to_owned();
        let table = Array2::from_shape_fn((10, 3), |(row, i)| (row * 3 + i) as f32);
        let data = NpyDataset::from_tensor_slices((("x", table),)).unwrap();
        let same = transform::from_fn::<f32, f32>(|row, mut out, _| {
            out.assign(&row);
            Ok(())
        });
        let other = data.map("x", same).unwrap();
        let of_other = Arc::new(std::sync::OnceLock::new());
        let known = of_other.clone();
        let meanwhile = transform::from_fn::<f32, f32>(move |row, mut out, _| {
            known.get_or_init(|| other.cache_in(&folder, "x").unwrap());
            out.assign(&row);
            Ok(())
        });
        let own = data.map("x", meanwhile).unwrap();
        let own = own.cache_in(dir.path(), "x").unwrap();
        let expected = data.read::<f32>("x").unwrap();
        for cached in [&own, of_other.get().unwrap()] {
            assert_eq!(cached.read::<f32>("x").unwrap(), expected);
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn more_rows_than_memory_are_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let dataset = NpyDataset::from_tensor_slices((("x", Array2::<f64>::zeros((4, 3))),));
        let dataset = dataset.unwrap().repeat(usize::MAX / 8).unwrap();
        for cached in [dataset.cache(), dataset.cache_in(dir.path(), "x")] {
            assert_eq!(cached.unwrap_err().kind(), ErrorKind::Overflow);
        }
    }

    #[test]
    fn the_first_failure_is_told_though_a_later_row_panics() {
        let fail = transform::from_fn::<f32, f32>(|row, _, _| match row[[0]] {
            7.0 => Err("seven".into()),
            _ => panic!("another"),
        });
        let table = Array2::from_shape_fn((100, BLOCK_BYTES / 8), |(row, _)| row as f32 + 7.0);
        let dataset = NpyDataset::from_tensor_slices((("x", table),));
        let dataset = dataset.unwrap().map("x", fail).unwrap();
        // A row that fails, and a block of rows that panic.
        let rows = [0, 0, 1, 1, 2, 2, 3, 3];
        let error = dataset.rows(rows).unwrap().cache().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Transform);
    }

    #[test]
    fn a_row_that_fails_leaves_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let fail = transform::from_fn::<f32, f32>(|row, _, _| {
            if row[[0]] == 7.0 {
                return Err("seven".into());
            }
            Ok(())
        });
        let rows = Array2::from_shape_fn((10, 1), |(row, _)| row as f32);
        let dataset = NpyDataset::from_tensor_slices((("x", rows),));
        let dataset = dataset.unwrap().map("x", fail).unwrap();
        for cached in [dataset.cache(), dataset.cache_in(dir.path(), "x")] {
            let error = cached.unwrap_err();
            assert_eq!(
                (error.kind(), error.array()),
                (ErrorKind::Transform, Some("x"))
            );
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        assert!(dataset.take(0).cache().unwrap().is_empty());
    }
}
