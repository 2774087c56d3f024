//! How rows leave a column: from memory in one pass, else by way of a block that was read.

use super::Column;
use crate::array::swap_bytes;
use crate::gather::{self, Rows, Wanted};
use crate::storage::Storage;
use crate::{Buffer, ByteOrder, DType, Error, ErrorClass, Result};

/// How many bytes of rows are worked on at a time, so that they are still in the cache for the
/// next step.
const BLOCK_BYTES: usize = 32 << 10;
/// The same for rows that are read from a file by position.
const READ_BYTES: usize = 1 << 20;
/// How many rows of the next batch are asked for.
const LOOK_AHEAD: usize = 32;
/// Up to which size of a row other columns are asked for together with it.
const SMALL_ROW: usize = 512;
/// How many such columns there can be.
const MOST_ALSO: usize = 4;

/// What is gathered next: it is asked for from memory while a gather goes on. It changes no result.
///
/// A shuffled gather waits for memory more than for anything else, and the first rows of a batch, which nobody has asked
/// for, wait longest.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ahead<'a> {
    /// The first rows of the batch after this one; a few are enough.
    pub rows: &'a [usize],
    /// Other columns of which the same rows are gathered.
    pub columns: &'a [&'a Column],
    /// Whether these rows were asked for already, since this column was one of those [`columns`](Self::columns).
    pub asked: bool,
}

impl Column {
    /// Copies rows, converted, one after the other into `out`, in the byte order of the machine.
    ///
    /// The caller runs [`check`](Self::check) before, once for all columns of a file.
    ///
    /// # Errors
    ///
    /// [`ErrorClass::Row`] if a row is outside the array, [`ErrorClass::Changed`] if a file that is read by
    /// position changed meanwhile, and what the file system says.
    ///
    /// # Panics
    ///
    /// Panics if `out` is not `rows.len()` times [`row_bytes`](Self::row_bytes) long, or not aligned
    /// for the dtype; a [`Buffer`](crate::Buffer) always is.
    pub fn gather(&self, rows: &[usize], out: &mut [u8]) -> Result<()> {
        self.gather_ahead(rows, Ahead::default(), out)
    }

    /// As [`gather`](Self::gather), for one of several batches or columns: what comes next is asked for from memory
    /// meanwhile.
    ///
    /// # Errors
    ///
    /// Those of [`gather`](Self::gather). Rows ahead that are not there are ignored.
    ///
    /// # Panics
    ///
    /// As [`gather`](Self::gather).
    pub fn gather_ahead(&self, rows: &[usize], ahead: Ahead<'_>, out: &mut [u8]) -> Result<()> {
        assert_eq!(out.len(), rows.len() * self.row_bytes(), "wrong length");
        assert_eq!(
            out.as_ptr().align_offset(self.dtype().size()),
            0,
            "not aligned"
        );
        if !gather::all_below(rows, self.rows())
            // Which one, if it is so.
            && let Some(row) = rows.iter().find(|row| **row >= self.rows())
        {
            return Err(self.array.locate(Error::new(
                ErrorClass::Row,
                format!("row {row} of {}", self.rows()),
            )));
        }
        self.gather_inside(rows, ahead, out)
            .and_then(|()| self.array.storage().check_after_read())
            .map_err(|error| self.array.locate(error))
    }

    /// The rows, if they can be copied from memory as they are.
    pub(super) fn rows_in_memory(&self) -> Option<Rows<'_>> {
        let native = self.numbers.byte_order == ByteOrder::NATIVE || self.numbers.dtype.size() == 1;
        let source = self.contiguous_rows().filter(|_| native)?;
        let bytes = self.array.storage().bytes()?;
        Some(Rows {
            bytes: &bytes[self.array.data_offset() as usize..][..self.array.stored_bytes()],
            ..source
        })
    }

    fn gather_inside(&self, rows: &[usize], ahead: Ahead<'_>, out: &mut [u8]) -> Result<()> {
        if out.is_empty() {
            return Ok(());
        }
        let size = self.numbers.dtype.size();
        let native = self.numbers.byte_order == ByteOrder::NATIVE || size == 1;
        match self.rows_in_memory() {
            Some(source) => {
                let mut also = [source; MOST_ALSO];
                let small =
                    |column: &&&Column| column.rows == self.rows && !self.shares_lines_with(column);
                let others = ahead.columns.iter().filter(small);
                let others = others.filter_map(|column| column.rows_in_memory());
                let others = others.filter(|rows| (1..=SMALL_ROW).contains(&rows.row_bytes));
                let mut count = 0;
                for (slot, rows) in also.iter_mut().zip(others) {
                    (*slot, count) = (rows, count + 1);
                }
                // A single step needs no blocks: nothing has to stay in the cache.
                let single = self.stages.is_single_pass();
                let per_block = match single {
                    true => rows.len(),
                    false => (BLOCK_BYTES / self.row_bytes()).max(1),
                };
                let making = single.then(|| self.stores.begin(out.len()));
                let past_caches = making.as_ref().is_some_and(|making| making.past_caches);
                let behind = &ahead.rows[..ahead.rows.len().min(LOOK_AHEAD)];
                let behind = match behind.iter().all(|row| *row < self.rows) {
                    true => behind,
                    false => &[],
                };
                self.blocks(rows, out, per_block, |of, rest, out, scratch| {
                    let wanted = Wanted {
                        of,
                        ahead: if rest.is_empty() { behind } else { rest },
                        also: &also[..count],
                        asked: ahead.asked,
                        past_caches,
                    };
                    self.run_stages(source, wanted, out, scratch);
                    Ok(())
                })?;
                if let Some(making) = making {
                    self.stores.end(making);
                }
                Ok(())
            }
            // Nothing happens to the rows but their byte order, so they are loaded where they belong.
            None if self.stages.stages.is_empty() => {
                let per_block = (READ_BYTES / self.row_bytes()).max(1);
                self.blocks(rows, out, per_block, |of, _, out, _| {
                    self.load(of, out)?;
                    if !native {
                        swap_bytes(out, size);
                    }
                    Ok(())
                })
            }
            None => {
                let stored_row = self.row_len() * size;
                let per_block = (READ_BYTES / stored_row.max(self.row_bytes())).max(1);
                let mut loaded = Buffer::zeroed(per_block.min(rows.len()) * stored_row)?;
                let loaded = loaded.as_mut_slice();
                let numbers: Vec<_> = (0..per_block.min(rows.len())).collect();
                self.blocks(rows, out, per_block, |of, _, out, scratch| {
                    let loaded = &mut loaded[..of.len() * stored_row];
                    self.load(of, loaded)?;
                    if !native {
                        swap_bytes(loaded, size);
                    }
                    let source = whole_rows(loaded, of.len());
                    self.run_stages(source, Wanted::only(&numbers[..of.len()]), out, scratch);
                    Ok(())
                })
            }
        }
    }

    /// Whether the rows of another column lie within those of this one, so that they come along.
    fn shares_lines_with(&self, other: &Self) -> bool {
        self.shares_file_with(other)
            && self.array.data_offset() == other.array.data_offset()
            && self.row_stride == other.row_stride
            && self.row_stride <= SMALL_ROW
    }

    /// Calls `f` with blocks of rows, the rows behind them, and their part of `out`.
    fn blocks(
        &self,
        rows: &[usize],
        out: &mut [u8],
        per_block: usize,
        mut f: impl FnMut(&[usize], &[usize], &mut [u8], &mut [Vec<u64>; 2]) -> Result<()>,
    ) -> Result<()> {
        let mut scratch = [Vec::new(), Vec::new()];
        let mut left = rows;
        for out in out.chunks_mut(per_block * self.row_bytes()) {
            let (of, ahead) = left.split_at(out.len() / self.row_bytes());
            f(of, ahead, out, &mut scratch)?;
            left = ahead;
        }
        Ok(())
    }

    /// All stages over some rows; what lies between two stages is in the scratch memory.
    fn run_stages(
        &self,
        source: Rows<'_>,
        wanted: Wanted<'_>,
        out: &mut [u8],
        scratch: &mut [Vec<u64>; 2],
    ) {
        let of = wanted.of;
        match &*self.stages.stages {
            [] => gather::copy(source, wanted, out),
            [stage] => gather::convert(source, wanted, stage, out),
            [first, middle @ .., last] => {
                let [current, next] = scratch;
                let bytes = |scratch: &mut Vec<u64>, dtype: DType| {
                    let len = of.len() * self.row_len() * dtype.size();
                    scratch.resize(len.div_ceil(8), 0);
                    len
                };
                let mut len = bytes(current, first.to);
                let out_first = &mut bytemuck::cast_slice_mut(current)[..len];
                gather::convert(source, wanted, first, out_first);
                let numbers: Vec<_> = (0..of.len()).collect();
                for stage in middle {
                    let next_len = bytes(next, stage.to);
                    let rows = whole_rows(&bytemuck::cast_slice(current)[..len], of.len());
                    let out = &mut bytemuck::cast_slice_mut(next)[..next_len];
                    gather::convert(rows, Wanted::only(&numbers), stage, out);
                    std::mem::swap(current, next);
                    len = next_len;
                }
                let rows = whole_rows(&bytemuck::cast_slice(current)[..len], of.len());
                gather::convert(rows, Wanted::only(&numbers), last, out);
            }
        }
    }

    /// How many of the last axes of a row follow each other without gaps, and the bytes of such a piece.
    fn piece(&self) -> (usize, usize) {
        let mut bytes = self.numbers.dtype.size();
        let mut count = 0;
        for &(len, stride) in self.axes.iter().rev() {
            if len != 1 && stride != bytes {
                break;
            }
            bytes *= len;
            count += 1;
        }
        (count, bytes)
    }

    /// Where the rows are, if each is one piece of memory; `bytes` is left to the caller.
    pub(crate) fn contiguous_rows(&self) -> Option<Rows<'static>> {
        let (axes, row_bytes) = self.piece();
        (axes == self.axes.len()).then_some(Rows {
            bytes: &[],
            first: self.first,
            stride: self.row_stride,
            row_bytes,
        })
    }

    /// Loads the stored numbers of rows, one row after the other, each in C order.
    fn load(&self, of: &[usize], out: &mut [u8]) -> Result<()> {
        let storage = self.array.storage();
        let offset = self.array.data_offset();
        match self.contiguous_rows() {
            Some(rows) => load_rows(storage, offset, rows, of, out),
            None => self.load_pieces(storage, offset, of, out),
        }
    }

    /// Rows that lie scattered, of a Fortran array or a field inside of structures: piece by piece. That
    /// is one cache line, or one read, a piece and row; the array is never transposed as a whole.
    fn load_pieces(
        &self,
        storage: &Storage,
        offset: u64,
        of: &[usize],
        out: &mut [u8],
    ) -> Result<()> {
        let (dense, piece) = self.piece();
        let axes = &self.axes[..self.axes.len() - dense];
        let pieces: usize = axes.iter().map(|(len, _)| len).product();
        let bytes = storage
            .bytes()
            .map(|bytes| &bytes[offset as usize..][..self.array.stored_bytes()]);
        let mut index = vec![0; axes.len()];
        let mut start = self.first;
        for i in 0..pieces {
            for (row, &of) in of.iter().enumerate() {
                let to = &mut out[(row * pieces + i) * piece..][..piece];
                let at = start + of * self.row_stride;
                match bytes {
                    Some(bytes) => to.copy_from_slice(&bytes[at..][..piece]),
                    None => storage.read_at(offset + at as u64, to)?,
                }
            }
            // The next piece in C order: the last axis counts fastest.
            for (index, &(len, stride)) in index.iter_mut().zip(axes).rev() {
                *index += 1;
                start += stride;
                if *index < len {
                    break;
                }
                start -= *index * stride;
                *index = 0;
            }
        }
        Ok(())
    }
}

fn whole_rows(bytes: &[u8], count: usize) -> Rows<'_> {
    let row_bytes = bytes.len() / count.max(1);
    Rows {
        bytes,
        first: 0,
        stride: row_bytes,
        row_bytes,
    }
}

/// Copies rows out of a storage, in as few reads as there are runs of neighbours.
fn load_rows(
    storage: &Storage,
    offset: u64,
    rows: Rows<'_>,
    of: &[usize],
    out: &mut [u8],
) -> Result<()> {
    let mut out = out;
    let mut at = 0;
    while at < of.len() {
        let mut run = 1;
        if rows.stride == rows.row_bytes {
            run += of[at..]
                .windows(2)
                .take_while(|pair| pair[0] + 1 == pair[1])
                .count();
        }
        let (head, rest) = out.split_at_mut(run * rows.row_bytes);
        let start = rows.first as u64 + of[at] as u64 * rows.stride as u64;
        storage.read_at(offset + start, head)?;
        out = rest;
        at += run;
    }
    Ok(())
}
