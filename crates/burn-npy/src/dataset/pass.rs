//! A pass over all rows of a column, on all cores.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use burn_npy_core::{
    Error, ErrorKind, Result,
    file::{Buffer, Column, Element},
    internal,
};

use super::NpyDataset;
use crate::memory;

/// How many bytes of rows and of their numbers a thread works on at a time.
const BLOCK_BYTES: usize = 1 << 20;
/// How many chunks the rows are divided into, if there are as many blocks. Each chunk has a result
/// of its own, so results of arithmetic are the same on any number of cores.
const CHUNKS: usize = 256;

/// Gathers all rows of a column in blocks. `add` adds a block, of which it gets the number of rows
/// and the elements, to the result of its chunk, which is a run of neighbouring blocks. Returns the
/// results of the chunks, in their order.
///
/// # Errors
///
/// The first error in the order of the chunks.
///
/// # Panics
///
/// Panics if `add` does.
pub(super) fn fold<T: Element, R: Default + Send>(
    dataset: &NpyDataset,
    column: &Column,
    add: impl Fn(&mut R, usize, &[T]) -> Result<()> + Sync,
) -> Result<Vec<R>> {
    // The dtype is checked by a read without rows.
    column.read::<T>(&[])?;
    let per_block = BLOCK_BYTES / column.row_bytes().saturating_add(size_of::<u64>());
    let per_block = per_block.max(1);
    let blocks = dataset.len().div_ceil(per_block);
    let chunks = blocks.min(CHUNKS);
    let first_block = |chunk: usize| (chunk as u128 * blocks as u128 / chunks as u128) as usize;
    let fold_chunk = |chunk: usize| {
        let mut result = R::default();
        let most = per_block.min(dataset.len());
        let mut memory = Buffer::zeroed(most * column.row_bytes())?;
        let mut rows = Vec::new();
        memory::reserve(&mut rows, most)?;
        for block in first_block(chunk)..first_block(chunk + 1) {
            let start = block * per_block;
            let end = dataset.len().min(start + per_block);
            rows.clear();
            rows.extend((start..end).map(|row| dataset.row_map().map(row)));
            memory.set_len(rows.len() * column.row_bytes());
            internal::readahead(column, &rows);
            column.gather(&rows, memory.as_mut_slice())?;
            let elements = bytemuck::checked::try_cast_slice(memory.as_slice());
            let elements = elements.map_err(|error| {
                let message = format!("the bytes are no {}: {error}", T::DTYPE);
                Error::new(ErrorKind::Dtype, message)
            })?;
            add(&mut result, rows.len(), elements)?;
        }
        Ok(result)
    };
    let next = AtomicUsize::new(0);
    let failed = AtomicUsize::new(usize::MAX);
    let work = || {
        let mut done = Vec::new();
        loop {
            let chunk = next.fetch_add(1, Ordering::Relaxed);
            // The chunks before the one that failed may fail too, and their error comes first.
            if chunk >= chunks || chunk > failed.load(Ordering::Relaxed) {
                return done;
            }
            let result = fold_chunk(chunk);
            if result.is_err() {
                failed.fetch_min(chunk, Ordering::Relaxed);
            }
            done.push((chunk, result));
        }
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let mut done = thread::scope(|scope| {
        let spawn = |_| thread::Builder::new().spawn_scoped(scope, work).ok();
        // This thread works too, so without another one it takes longer, and no more.
        let others: Vec<_> = (1..cores.min(chunks)).map_while(spawn).collect();
        let mut done = work();
        for other in others {
            done.extend(other.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        done
    });
    done.sort_by_key(|(chunk, _)| *chunk);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Makes something of each row of a column. The results are in the order of the rows, in several
/// lists.
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
    column: &Column,
    make: impl Fn(&[T]) -> R + Sync,
) -> Result<Vec<Vec<R>>> {
    let row_len: usize = column.row_shape().iter().product();
    fold(
        dataset,
        column,
        |made: &mut Vec<R>, rows, elements: &[T]| {
            memory::reserve(made, rows)?;
            made.extend((0..rows).map(|row| make(&elements[row * row_len..][..row_len])));
            Ok(())
        },
    )
}

/// An error unless each row is one number.
pub(super) fn expect_one_number(column: &Column) -> Result<()> {
    let shape = column.row_shape();
    if shape.iter().product::<usize>() == 1 {
        return Ok(());
    }
    let message = format!(
        "rows of shape {shape:?}, but this takes rows of one number; split_column makes a column of \
         a part of each row"
    );
    Err(Error::new(ErrorKind::Shape, message))
}
