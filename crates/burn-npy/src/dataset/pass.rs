//! A pass over all rows of a column, on all cores.

use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use burn_npy_core::{
    Error, ErrorKind, Result,
    file::{Buffer, Column, Element},
};

use super::NpyDataset;
use crate::memory;

mod source;

pub(super) use source::Source;

/// How many bytes of rows and of their numbers a thread works on at a time.
const BLOCK_BYTES: usize = 1 << 20;
/// How many chunks the rows are divided into, if there are as many blocks. Each chunk has a result
/// of its own, so results of arithmetic are the same on any number of cores.
const CHUNKS: usize = 256;

/// The results of the chunks, merged in their order.
struct Merged<R> {
    /// The chunk that is merged next.
    next: usize,
    all: Result<R>,
    /// The results of chunks behind that.
    early: BTreeMap<usize, Result<R>>,
}

impl<R: Default> Merged<R> {
    /// Adds the result of a chunk. Returns whether there is no error so far.
    fn add(
        &mut self,
        chunk: usize,
        result: Result<R>,
        merge: impl Fn(&mut R, R) -> Result<()>,
    ) -> bool {
        self.early.insert(chunk, result);
        while let Ok(all) = &mut self.all
            && let Some(result) = self.early.remove(&self.next)
        {
            self.next += 1;
            if let Err(error) = result.and_then(|result| merge(all, result)) {
                self.all = Err(error);
            }
        }
        self.all.is_ok()
    }
}

/// Gathers all rows of a column in blocks. `add` adds a block, of which it gets the rows of the
/// column and their elements, to the result of its chunk, which is a run of neighbouring blocks.
/// `merge` adds the result of a chunk to that of all chunks before it.
///
/// # Errors
///
/// The first error in the order of the rows.
///
/// # Panics
///
/// Panics if `add` does.
pub(super) fn fold<T: Element, R: Default + Send>(
    dataset: &NpyDataset,
    source: Source<'_>,
    add: impl Fn(&mut R, &[usize], &[T]) -> Result<()> + Sync,
    merge: impl Fn(&mut R, R) -> Result<()> + Sync,
) -> Result<R> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    fold_on(cores, dataset, source, add, merge)
}

/// [`fold`] on at most this many threads.
fn fold_on<T: Element, R: Default + Send>(
    threads: usize,
    dataset: &NpyDataset,
    source: Source<'_>,
    add: impl Fn(&mut R, &[usize], &[T]) -> Result<()> + Sync,
    merge: impl Fn(&mut R, R) -> Result<()> + Sync,
) -> Result<R> {
    source.expect_dtype::<T>()?;
    let map = |row| dataset.row_map().map(row);
    let blocks = source.blocks(dataset.len(), map)?;
    let chunks = blocks.len().min(CHUNKS);
    let first_block =
        |chunk: usize| (chunk as u128 * blocks.len() as u128 / chunks as u128) as usize;
    let fold_chunk = |chunk: usize| {
        let mut result = R::default();
        let mut memory = Buffer::zeroed(0)?;
        let mut rows = Vec::new();
        for block in &blocks[first_block(chunk)..first_block(chunk + 1)] {
            rows.clear();
            memory::reserve(&mut rows, block.len())?;
            rows.extend(block.clone().map(map));
            let bytes = source.bytes(&rows)?;
            if bytes > memory.capacity() {
                memory = Buffer::zeroed(bytes)?;
            }
            memory.set_len(bytes);
            source.gather(&rows, memory.as_mut_slice())?;
            let elements = bytemuck::checked::try_cast_slice(memory.as_slice());
            let elements = elements.map_err(|error| {
                let message = format!("the bytes are no {}: {error}", T::DTYPE);
                Error::new(ErrorKind::Dtype, message)
            })?;
            add(&mut result, &rows, elements)?;
        }
        Ok(result)
    };
    let next = AtomicUsize::new(0);
    let merged = Mutex::new(Merged {
        next: 0,
        all: Ok(R::default()),
        early: BTreeMap::new(),
    });
    let work = || {
        loop {
            let chunk = next.fetch_add(1, Ordering::Relaxed);
            if chunk >= chunks {
                return;
            }
            let result = fold_chunk(chunk);
            let mut merged = merged.lock().unwrap_or_else(PoisonError::into_inner);
            if !merged.add(chunk, result, &merge) {
                return;
            }
        }
    };
    thread::scope(|scope| {
        let spawn = |_| thread::Builder::new().spawn_scoped(scope, work).ok();
        // This thread works too. Without another one it only takes longer.
        let others: Vec<_> = (1..threads.min(chunks)).map_while(spawn).collect();
        work();
        for other in others {
            other.join().unwrap_or_else(|panic| resume_unwind(panic));
        }
    });
    let merged = merged.into_inner().unwrap_or_else(PoisonError::into_inner);
    merged.all
}

/// Makes something of each row of a column, of which `make` gets the elements, in the order of the
/// rows.
///
/// # Errors
///
/// Those of [`fold`], and [`ErrorKind::Limit`] when the allocator refuses.
///
/// # Panics
///
/// Panics if `make` does.
pub(super) fn map<T: Element, R: Send>(
    dataset: &NpyDataset,
    source: Source<'_>,
    make: impl Fn(&[T]) -> R + Sync,
) -> Result<Vec<R>> {
    let add = |made: &mut Vec<R>, rows: &[usize], mut elements: &[T]| {
        memory::reserve(made, rows.len())?;
        for row in rows {
            let (of_row, rest) = elements.split_at(source.elements(*row));
            made.push(make(of_row));
            elements = rest;
        }
        Ok(())
    };
    let merge = |all: &mut Vec<R>, mut chunk: Vec<R>| {
        memory::reserve(all, chunk.len())?;
        all.append(&mut chunk);
        Ok(())
    };
    fold(dataset, source, add, merge)
}

/// An error unless each row is one number.
pub(super) fn expect_one_number(column: &Column) -> Result<()> {
    let shape = column.row_shape();
    if shape.iter().product::<usize>() == 1 {
        return Ok(());
    }
    let message = format!(
        "rows of shape {shape:?}, but this takes rows of one number; split_column makes a column \
         of a part of each row"
    );
    Err(Error::new(ErrorKind::Shape, message))
}

#[cfg(test)]
mod tests {
    use burn_npy_core::Stats;
    use burn_npy_core::ndarray::{Array1, Array2};

    use super::*;

    #[test]
    fn results_are_the_same_on_any_number_of_threads() {
        let table = Array2::from_shape_fn((100, 100_000), |(row, i)| {
            ((row * 31 + i * 7919) % 100_003) as f32 * 0.1
        });
        let dataset = NpyDataset::from_tensor_slices(table).unwrap();
        let dataset = dataset.repeat(6).unwrap();
        let column = dataset.columns().next().unwrap().1;
        let on = |threads| {
            let add = |(sum, counts): &mut (f32, Vec<usize>), rows: &[usize], numbers: &[f32]| {
                // An order of summation that shows.
                *sum += numbers[..999].iter().sum::<f32>();
                counts.push(rows.len());
                Ok(())
            };
            let merge = |all: &mut (f32, Vec<usize>), chunk: (f32, Vec<usize>)| {
                all.0 += chunk.0;
                all.1.extend(chunk.1);
                Ok(())
            };
            fold_on(threads, &dataset, Source::Fixed(column), add, merge).unwrap()
        };
        let one = on(1);
        assert_eq!(one.1.iter().sum::<usize>(), 600);
        assert!(one.1.len() > CHUNKS, "{} blocks", one.1.len());
        for threads in [2, 3, 17] {
            assert_eq!(on(threads), one);
        }
    }

    #[test]
    fn an_error_of_a_merge_ends_the_pass() {
        let dataset = NpyDataset::from_tensor_slices(Array1::<u8>::zeros(1_000_000)).unwrap();
        let column = dataset.columns().next().unwrap().1;
        let add = |_: &mut Stats, _: &[usize], _: &[u8]| Ok(());
        let merge = |_: &mut Stats, _| Err(Error::new(ErrorKind::Usage, "no"));
        let error = fold_on(3, &dataset, Source::Fixed(column), add, merge).unwrap_err();
        assert_eq!(error.message(), "no");
    }
}
