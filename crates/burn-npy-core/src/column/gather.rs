//! The gather of a column: from memory in one pass, or else by way of blocks that are loaded.

use std::cell::Cell;
use std::ops::Range;

use super::Column;
use super::batch::gather_columns;
use super::derived::Singly;
use crate::array::swap_bytes;
use crate::convert::{Guard, Stage};
use crate::gather::{self, FAR, Misfit, Pieces, Rows, Schedule, Why};
use crate::non_temporal;
use crate::storage::Storage;
use crate::{Buffer, ByteOrder, DType, Error, ErrorKind, Result};

/// How many bytes of rows are worked on at a time, so that they stay in the cache for the next
/// step.
pub(super) const BLOCK_BYTES: usize = 32 << 10;
/// As [`BLOCK_BYTES`], for rows that are read from a file by position.
const READ_BYTES: usize = 1 << 20;
/// How many scattered rows are gathered at a time: enough for rows to share pages of memory in each
/// piece, and few enough for their places in the block to stay in the cache for the next piece.
const SCATTERED_ROWS: usize = 512;

impl Column {
    /// Copies rows, converted, one after the other into `out`, in the byte order of the machine.
    ///
    /// [`gather_columns`](crate::gather_columns) does it for several columns at once.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Row`] if a row is outside the array, [`ErrorKind::Changed`] if the file is no
    /// longer the one that was opened, [`ErrorKind::Value`] if a cast cannot keep a value, and what
    /// the file system says.
    ///
    /// # Panics
    ///
    /// Panics if `out` is not `rows.len()` times [`row_bytes`](Self::row_bytes) long, or not
    /// aligned for the dtype; a [`Buffer`] always is.
    pub fn gather(&self, rows: &[usize], out: &mut [u8]) -> Result<()> {
        gather_columns(&mut [(self, out)], rows).map_err(|(_, error)| error)
    }

    /// Panics if `out` has the wrong length or alignment for `rows` rows.
    pub(super) fn expect_memory(&self, rows: usize, out: &[u8]) {
        assert_eq!(out.len(), rows * self.row_bytes(), "wrong length");
        let off = out.as_ptr().align_offset(self.dtype().size());
        assert_eq!(off, 0, "not aligned");
    }

    /// An error if a row does not exist.
    pub(super) fn expect_rows(&self, rows: &[usize]) -> Result<()> {
        if gather::all_below(rows, self.rows) {
            return Ok(());
        }
        let Some(row) = rows.iter().find(|row| **row >= self.rows) else {
            return Ok(());
        };
        Err(self.no_row(*row))
    }

    /// Gathers rows that exist into memory that fits them.
    pub(super) fn gather_turn(&self, schedule: Schedule<'_>, out: &mut [u8]) -> Result<()> {
        self.gather_inside(schedule, out)
            .map_err(|error| self.locate(error))
    }

    /// Whether the numbers are stored in the byte order of the machine.
    fn is_native(&self) -> bool {
        self.numbers.byte_order == ByteOrder::NATIVE || self.numbers.dtype.size() == 1
    }

    /// Whether the elements of a row lie apart, as in an array in Fortran layout. Such rows cost a
    /// cache line, or a read, for each element.
    pub fn is_scattered(&self) -> bool {
        if let Some(derived) = &self.derived {
            return derived.columns().iter().any(Self::is_scattered);
        }
        self.row_len() > 1 && self.contiguous_rows().is_none()
    }

    /// The bytes of the array, if they are in memory.
    fn bytes_in_memory(&self) -> Option<&[u8]> {
        let bytes = self.array.storage().bytes()?;
        Some(&bytes[self.array.data_offset() as usize..][..self.array.stored_bytes()])
    }

    /// The rows, if they can be copied from memory as they are.
    pub(super) fn rows_in_memory(&self) -> Option<Rows<'_>> {
        self.rows_of_pieces().filter(|_| self.is_native())
    }

    /// The rows, if each is one piece of memory, in any byte order.
    pub(super) fn rows_of_pieces(&self) -> Option<Rows<'_>> {
        let source = self.contiguous_rows()?;
        let bytes = self.bytes_in_memory()?;
        Some(Rows { bytes, ..source })
    }

    fn gather_inside(&self, schedule: Schedule<'_>, out: &mut [u8]) -> Result<()> {
        if out.is_empty() {
            return Ok(());
        }
        let size = self.numbers.dtype.size();
        let schedule = Schedule {
            non_temporal: non_temporal::is_better(out.len()),
            ..schedule
        };
        if let Some(derived) = &self.derived {
            let mut slices = Vec::new();
            if derived.slices(schedule.rows, &mut slices) {
                let of: Vec<_> = (0..slices.len()).collect();
                let listed = Schedule {
                    rows: &of,
                    next: &[],
                    ..schedule
                };
                return self.gather_in_place(Rows::listed(&slices), listed, out, schedule.rows);
            }
            if let (Some(derived), true) = (derived.singly(), self.stages.is_single_pass())
                && !self.stages.stages.is_empty()
            {
                return self.gather_made(derived, schedule, out);
            }
            return self.gather_loaded(schedule, out, |schedule, block| {
                derived.load(schedule.rows, schedule.draws, block)
            });
        }
        let Some(source) = self.rows_of_pieces() else {
            return self.gather_loaded(schedule, out, |schedule, block| {
                self.load_native(schedule.rows, block)
            });
        };
        if !self.is_native() {
            return self.gather_loaded(schedule, out, |schedule, block| {
                gather::copy_swapped(source, schedule, size, block);
                Ok(())
            });
        }
        self.gather_in_place(source, schedule, out, &[])
    }

    /// Gathers rows that lie in memory in the byte order of the machine. If they are listed, they
    /// are the rows `listed`.
    fn gather_in_place(
        &self,
        source: Rows<'_>,
        schedule: Schedule<'_>,
        out: &mut [u8],
        listed: &[usize],
    ) -> Result<()> {
        // A single step needs no blocks: nothing has to stay in the cache.
        let per_block = if self.stages.is_single_pass() {
            schedule.rows.len()
        } else {
            (BLOCK_BYTES / self.row_bytes()).max(1)
        };
        let mut scratch = Scratch::default();
        self.blocks(schedule, out, per_block, |schedule, out| {
            self.run_stages(source, schedule, out, &mut scratch)
                .map_err(|misfit| {
                    let row = schedule.rows[misfit.1.row];
                    self.misfit(*listed.get(row).unwrap_or(&row), misfit)
                })
        })
    }

    /// Gathers rows that are made one at a time and converted in a single pass. The memory of later
    /// rows arrives meanwhile.
    fn gather_made(
        &self,
        derived: &dyn Singly,
        schedule: Schedule<'_>,
        out: &mut [u8],
    ) -> Result<()> {
        let result = Cell::new(Ok(()));
        let each = |f: &mut dyn FnMut(usize, &[u8])| {
            result.set(derived.each(schedule.rows, schedule.draws, f));
        };
        let source = Rows {
            row_bytes: self.row_len() * self.numbers.dtype.size(),
            made: Some(&each),
            ..Rows::listed(&[])
        };
        self.run_stages(source, schedule, out, &mut Scratch::default())
            .map_err(|misfit| self.misfit(schedule.rows[misfit.1.row], misfit))?;
        result.into_inner()
    }

    /// Gathers rows by way of a block of memory, into which `load` brings them in the byte order of
    /// the machine.
    fn gather_loaded<'r>(
        &self,
        schedule: Schedule<'r>,
        out: &mut [u8],
        mut load: impl FnMut(Schedule<'r>, &mut [u8]) -> Result<()>,
    ) -> Result<()> {
        let stored_row = self.row_len() * self.numbers.dtype.size();
        // Nothing else happens to the rows, so they are loaded where they belong.
        if self.stages.stages.is_empty() && self.derived.is_some() {
            return load(schedule, out);
        }
        // What a single step makes does not have to stay in the cache.
        let widest = if self.stages.is_single_pass() {
            stored_row
        } else {
            stored_row.max(self.row_bytes())
        };
        let per_block = self.rows_per_block(widest.max(1));
        if self.stages.stages.is_empty() {
            return self.blocks(schedule, out, per_block, load);
        }
        let most = per_block.min(schedule.rows.len());
        let mut loaded = Buffer::zeroed(most * stored_row)?;
        let loaded = loaded.as_mut_slice();
        let numbers: Vec<_> = (0..most).collect();
        let mut scratch = Scratch::default();
        self.blocks(schedule, out, per_block, |schedule, out| {
            let rows = schedule.rows;
            let loaded = &mut loaded[..rows.len() * stored_row];
            load(cached(schedule), loaded)?;
            if self.depth() > 0 {
                // The memory of the next block arrives while this one is converted.
                let count = schedule.next.len().min(rows.len()).min(FAR);
                self.prefetch(&schedule.next[..count]);
            }
            let source = whole_rows(loaded, rows.len());
            let schedule = Schedule {
                non_temporal: schedule.non_temporal,
                ..Schedule::cached(&numbers[..rows.len()])
            };
            self.run_stages(source, schedule, out, &mut scratch)
                .map_err(|misfit| self.misfit(rows[misfit.1.row], misfit))
        })
    }

    /// How many rows of `row_bytes` bytes are loaded at a time.
    pub(super) fn rows_per_block(&self, row_bytes: usize) -> usize {
        let (bytes, max) = if self.array.storage().bytes().is_none() {
            (READ_BYTES, usize::MAX)
        } else if self.is_scattered() {
            (READ_BYTES, SCATTERED_ROWS)
        } else {
            (BLOCK_BYTES, usize::MAX)
        };
        (bytes / row_bytes).clamp(1, max)
    }

    /// The error of a value that cannot be converted.
    pub(super) fn misfit_at(&self, place: &str, stage: &Stage, misfit: &Misfit) -> Error {
        let (value, to) = (&misfit.value, stage.to);
        let why = match misfit.why {
            Why::NotANumber => format!(
                "{to} has no such value; replace it in the file, or let the loader skip such rows \
                 with on_error"
            ),
            Why::Fraction => format!(
                "{to} has no fractions; round() or trunc() before the cast says what becomes of \
                 them"
            ),
            Why::OutOfRange => {
                let (min, max) = to.int_range().unwrap_or((0, 0));
                let ways = if stage.from.is_float() {
                    "saturating_cast"
                } else {
                    "saturating_cast or wrapping_cast"
                };
                format!(
                    "{to} goes from {min} to {max}; cast to a dtype that has it, or say with \
                     {ways} what becomes of it"
                )
            }
        };
        Error::new(ErrorKind::Value, format!("{place} has {value}, but {why}"))
    }

    /// Calls `f` with blocks of the rows and their part of `out`.
    fn blocks<'r>(
        &self,
        schedule: Schedule<'r>,
        out: &mut [u8],
        per_block: usize,
        mut f: impl FnMut(Schedule<'r>, &mut [u8]) -> Result<()>,
    ) -> Result<()> {
        let (mut left, mut draws) = (schedule.rows, schedule.draws);
        for out in out.chunks_mut(per_block * self.row_bytes()) {
            let (rows, rest) = left.split_at(out.len() / self.row_bytes());
            let next = if rest.is_empty() { schedule.next } else { rest };
            f(
                Schedule {
                    rows,
                    next,
                    draws: draws.part(0..rows.len()),
                    ..schedule
                },
                out,
            )?;
            (left, draws) = (rest, draws.part(rows.len()..rows.len() + rest.len()));
        }
        Ok(())
    }

    /// Runs all stages over some rows, with scratch memory between two stages. The error is an
    /// element and the stage that cannot convert it.
    pub(super) fn run_stages<'c>(
        &'c self,
        source: Rows<'_>,
        schedule: Schedule<'_>,
        out: &mut [u8],
        scratch: &mut Scratch,
    ) -> std::result::Result<(), (&'c Stage, Misfit)> {
        let Some((last, before)) = self.stages.stages.split_last() else {
            gather::copy(source, schedule, out);
            return Ok(());
        };
        let Scratch {
            current,
            next,
            clamped,
        } = scratch;
        let count = schedule.rows.len();
        let row_len = source.row_bytes / self.numbers.dtype.size();
        let len = |dtype: DType| count * row_len * dtype.size();
        let numbers: Vec<_> = if before.is_empty() {
            Vec::new()
        } else {
            (0..count).collect()
        };
        let non_temporal = schedule.non_temporal;
        let (mut rows, mut schedule) = (source, schedule);
        let mut made;
        for stage in before {
            let room = room(next, len(stage.to));
            run_stage(stage, rows, cached(schedule), room, clamped)?;
            std::mem::swap(current, next);
            made = &bytemuck::cast_slice(current)[..len(stage.to)];
            (rows, schedule) = (whole_rows(made, count), Schedule::cached(&numbers));
        }
        let schedule = Schedule {
            non_temporal,
            ..schedule
        };
        run_stage(last, rows, schedule, out, clamped)
    }

    /// How many of the last axes of a row have no gaps, and the size of such a piece in bytes.
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
        (self.derived.is_none() && axes == self.axes.len()).then_some(Rows {
            bytes: &[],
            first: self.first,
            stride: self.row_stride,
            row_bytes,
            list: &[],
            made: None,
        })
    }

    /// As [`load`](Self::load), in the byte order of the machine.
    pub(super) fn load_native(&self, of: &[usize], out: &mut [u8]) -> Result<()> {
        self.load(of, out)?;
        if !self.is_native() {
            swap_bytes(out, self.numbers.dtype.size());
        }
        Ok(())
    }

    /// Loads the stored numbers of rows, one row after the other, each in C order.
    fn load(&self, of: &[usize], out: &mut [u8]) -> Result<()> {
        let storage = self.array.storage();
        let offset = self.array.data_offset();
        match self.contiguous_rows() {
            Some(rows) => {
                // They are on their way already, unless there was no room for so many.
                if storage.reader().is_some() {
                    self.request(of);
                }
                load_rows(storage, offset, rows, of, out)
            }
            None => self.load_pieces(storage, offset, of, out),
        }
    }

    /// Loads scattered rows piece by piece, at a cache line or a read for each piece of a row. In
    /// Fortran layout, a read is for a piece of neighbouring rows.
    fn load_pieces(
        &self,
        storage: &Storage,
        offset: u64,
        of: &[usize],
        out: &mut [u8],
    ) -> Result<()> {
        let (dense, len) = self.piece();
        let starts = self.piece_starts(dense);
        let stride = self.row_stride;
        if let Some(bytes) = self.bytes_in_memory() {
            let pieces = Pieces {
                bytes,
                stride,
                len,
                starts: &starts,
            };
            gather::copy_pieces(pieces, of, out);
            return Ok(());
        }
        // In Fortran layout, each piece of a row follows that of the row before.
        let adjoin = |a: &usize, b: &usize| stride == len && a + 1 == *b;
        let row_bytes = starts.len() * len;
        if storage.reader().is_some() {
            self.request(of);
        }
        let (mut read, mut out) = (Vec::new(), out);
        for run in of.chunk_by(adjoin) {
            let (head, rest) = out.split_at_mut(run.len() * row_bytes);
            out = rest;
            let read_at =
                |start: usize, to| storage.read_at(offset + (start + run[0] * stride) as u64, to);
            if run.len() == 1 {
                let mut to = starts.iter().zip(head.chunks_exact_mut(len));
                to.try_for_each(|(start, to)| read_at(*start, to))?;
                continue;
            }
            // Pieces that are a power of two apart would share few places in the cache.
            let pitch = run.len() * len + gather::LINE;
            read.resize(starts.len() * pitch, 0);
            let mut to = starts.iter().zip(read.chunks_exact_mut(pitch));
            to.try_for_each(|(start, to)| read_at(*start, &mut to[..run.len() * len]))?;
            let starts: Vec<_> = (0..starts.len()).map(|piece| piece * pitch).collect();
            let pieces = Pieces {
                bytes: &read,
                stride: len,
                len,
                starts: &starts,
            };
            let rows: Vec<_> = (0..run.len()).collect();
            let blocks = head.chunks_mut(SCATTERED_ROWS * row_bytes);
            for (rows, out) in rows.chunks(SCATTERED_ROWS).zip(blocks) {
                gather::copy_pieces(pieces, rows, out);
            }
        }
        Ok(())
    }

    /// Where the bytes of runs of rows are in the file; of a derived column, nowhere.
    pub(crate) fn ranges(&self, runs: impl Iterator<Item = Range<usize>>) -> Vec<Range<u64>> {
        // An axis of no elements may stand behind ones with very many.
        if self.derived.is_some() || self.row_len() == 0 {
            return Vec::new();
        }
        let (dense, len) = self.piece();
        let starts = self.piece_starts(dense);
        let (offset, stride) = (self.array.data_offset(), self.row_stride);
        let mut ranges = Vec::new();
        for run in runs {
            // The same pieces of neighbouring rows are one range, if nothing lies between them.
            let step = if stride == len { run.len().max(1) } else { 1 };
            for row in run.step_by(step) {
                let at = |start: &usize| offset + (start + row * stride) as u64;
                let piece = |start: &usize| at(start)..at(start) + (step * len) as u64;
                ranges.extend(starts.iter().map(piece));
            }
        }
        ranges
    }

    /// How many pieces of the file a row is, and the size of each in bytes; `None` for a derived
    /// column.
    pub(crate) fn pieces(&self) -> Option<(usize, usize)> {
        let (dense, len) = self.piece();
        let outer = &self.axes[..self.axes.len() - dense];
        let count = match self.row_len() {
            0 => 0,
            _ => outer.iter().map(|(len, _)| *len).product(),
        };
        self.derived.is_none().then_some((count, len))
    }

    /// Where the pieces of row 0 begin, in C order. The last `dense` axes are within a piece.
    fn piece_starts(&self, dense: usize) -> Vec<usize> {
        let mut starts = vec![self.first];
        for &(len, stride) in &self.axes[..self.axes.len() - dense] {
            let inner = |start: usize| (0..len).map(move |i| start + i * stride);
            starts = starts.into_iter().flat_map(inner).collect();
        }
        starts
    }
}

/// The same for rows that are read again at once, and so stay in the caches.
fn cached(schedule: Schedule<'_>) -> Schedule<'_> {
    Schedule {
        non_temporal: false,
        ..schedule
    }
}

/// Memory for rows between two stages.
#[derive(Default)]
pub(super) struct Scratch {
    current: Vec<u64>,
    next: Vec<u64>,
    /// Rows that a stage clamps before it casts them.
    clamped: Vec<u64>,
}

/// The first `len` bytes of scratch memory.
pub(super) fn room(scratch: &mut Vec<u64>, len: usize) -> &mut [u8] {
    scratch.resize(len.div_ceil(size_of::<u64>()), 0);
    &mut bytemuck::cast_slice_mut(scratch)[..len]
}

fn run_stage<'a>(
    stage: &'a Stage,
    rows: Rows<'_>,
    schedule: Schedule<'_>,
    out: &mut [u8],
    clamped: &mut Vec<u64>,
) -> std::result::Result<(), (&'a Stage, Misfit)> {
    match stage.guard {
        Guard::None => gather::convert(rows, schedule, stage, out),
        Guard::Exact | Guard::Whole => {
            gather::convert(rows, schedule, stage, out);
            // The rows are in the cache now.
            if let Some(misfit) = gather::first_misfit(rows, schedule.rows, stage) {
                return Err((stage, misfit));
            }
        }
        Guard::Clamp => {
            let count = schedule.rows.len();
            let clamped = room(clamped, count * rows.row_bytes);
            gather::copy(rows, cached(schedule), clamped);
            gather::clamp(stage, clamped);
            let numbers: Vec<_> = (0..count).collect();
            let rows = whole_rows(clamped, count);
            let schedule = Schedule {
                non_temporal: schedule.non_temporal,
                ..Schedule::cached(&numbers)
            };
            gather::convert(rows, schedule, stage, out);
        }
    }
    Ok(())
}

pub(super) fn whole_rows(bytes: &[u8], count: usize) -> Rows<'_> {
    let row_bytes = bytes.len() / count.max(1);
    Rows {
        bytes,
        first: 0,
        stride: row_bytes,
        row_bytes,
        list: &[],
        made: None,
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
