//! Rows that are made once: in memory, or in files that later runs use again.

use std::io::Write;
use std::path::Path;
use std::thread;

use burn_npy_core::{
    Array, Error, ErrorKind, Result,
    file::{Buffer, Column},
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
        self.cached(|column, header| {
            let mut bytes = Buffer::zeroed(self.file_len(column, header)?)?;
            bytes.as_mut_slice()[..header.len()].copy_from_slice(header);
            let mut at = header.len();
            self.blocks(column, &mut |block| {
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
        let mut number = 0;
        self.cached(|column, header| {
            let path = folder.join(format!("{name}.{key:016x}.{number}.npy"));
            number += 1;
            let whole = self.file_len(column, header)? as u64;
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
                out.write_all(header).map_err(full)?;
                self.blocks(column, &mut |block| out.write_all(block).map_err(full))
            })?;
            Array::open(&path)
        })
    }

    /// A dataset of arrays that `keep` makes of the columns and their headers.
    fn cached(&self, mut keep: impl FnMut(&Column, &[u8]) -> Result<Array>) -> Result<Self> {
        let mut columns = Columns::default();
        for name in self.columns.names() {
            let column = self.columns.get(name)?;
            let mut shape = vec![self.len()];
            shape.extend(column.row_shape());
            let header = internal::npy_header(column.dtype(), &shape);
            let mut keep = || {
                let array = keep(column, &header)?;
                // NumPy has no name for some dtypes.
                let array = match array.dtype() {
                    None => array.reinterpret(column.dtype())?,
                    Some(_) => array,
                };
                Column::new(array)
            };
            let kept = keep().map_err(|error| error.in_column(name))?;
            columns.push(name.clone(), AnyColumn::Numbers(kept));
        }
        Self::from_columns(columns)
    }

    /// The size of a file of all rows of a column.
    fn file_len(&self, column: &Column, header: &[u8]) -> Result<usize> {
        let data = self.len().checked_mul(column.row_bytes());
        let len = data.and_then(|data| data.checked_add(header.len()));
        len.ok_or_else(|| Error::new(ErrorKind::Overflow, "more rows than memory"))
    }

    /// Makes the rows of a column in blocks, on all cores, and calls `f` with them in their order.
    fn blocks(&self, column: &Column, f: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let row_bytes = column.row_bytes();
        let per_block = (BLOCK_BYTES / row_bytes.max(1)).clamp(1, self.len().max(1));
        let make = |start: usize| -> Result<Buffer> {
            let end = self.len().min(start + per_block);
            let rows = memory::list((start..end).map(|row| self.rows.map(row)))?;
            let mut block = Buffer::zeroed(rows.len() * row_bytes)?;
            column.gather(&rows, block.as_mut_slice())?;
            Ok(block)
        };
        let cores = thread::available_parallelism().map_or(1, usize::from);
        for first in (0..self.len()).step_by(per_block.saturating_mul(cores)) {
            let starts = (first..self.len()).step_by(per_block).take(cores);
            thread::scope(|scope| {
                let make = &make;
                let start = |start| {
                    let spawned = thread::Builder::new().spawn_scoped(scope, move || make(start));
                    (start, spawned.ok())
                };
                let blocks: Vec<_> = starts.map(start).collect();
                let mut done = Ok(());
                for (start, thread) in blocks {
                    let joined = thread.map(thread::ScopedJoinHandle::join);
                    if done.is_err() {
                        // A panic of a later block, which nobody joins, would be that of the scope.
                        continue;
                    }
                    let block = match joined {
                        Some(block) => block.unwrap_or_else(|panic| {
                            std::panic::resume_unwind(panic);
                        }),
                        // The system has no more threads.
                        None => make(start),
                    };
                    done = block.and_then(|block| f(block.as_slice()));
                }
                done
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use burn_npy_core::ndarray::Array2;
    use burn_npy_core::{Convert, DType, half, transform};

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
            let part = data.split_column("x", [("x", rows.into())]);
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
