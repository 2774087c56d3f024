//! What only `burn-npy` and `burn-npy-cli` need of this crate. No part of the public API: it may
//! change in any version.

use std::error::Error as StdError;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;

pub use crate::column::{ByteTable, Draws, Frame, SharedRows, gather_drawn};
use crate::error::Place;
pub use crate::error::as_ours;
use crate::format::header;
pub use crate::message::{
    MESSAGE, WORDS, listed, literal, one_line, quoted, separated, shown, shown_path,
};
pub use crate::natural::sort as sort_naturally;
use crate::order::{Order, Plan};
use crate::remote::as_url;
pub use crate::remote::url::without_secrets;
pub use crate::remote::wanted::unless_given_up;
pub use crate::row_map::RowMap;
use crate::transform::Transform;
pub use crate::write::Complete;
use crate::zip::{Writer, Zip64From};
use crate::{Array, ByteOrder, Column, DType, Error, Layout, Npz, RaggedColumn, Result, Sampler};

/// Tells the system whether rows will be gathered in a random order, so that it does not read ahead
/// in a large file, or in the order of the file, so that it does. Returns whether rows have to be
/// read ahead with [`readahead`]: at random, and of a remote file in any order.
pub fn advise(column: &Column, random: bool) -> bool {
    let mut by_us = random;
    column.for_each_array(&mut |part| {
        part.advise(random);
        by_us |= part.array().storage().reader().is_some();
    });
    by_us
}

/// Whether a path is a URL.
pub fn is_url(path: &Path) -> bool {
    as_url(path).is_some()
}

/// Whether the files of a column are read at random if its rows are gathered in order.
pub fn is_random(column: &Column) -> bool {
    column.is_random()
}

/// As [`is_random`], for rows of any length.
pub fn is_random_ragged(column: &RaggedColumn) -> bool {
    column.is_random()
}

/// Rows that lie one after the other in memory, without a copy; `None` if they do not, if they are
/// converted, or if they are in a file that nobody
/// [vouches for](Column::assume_unchanged).
pub fn borrow(column: &Column, rows: Range<usize>) -> Option<SharedRows> {
    column.borrow(rows)
}

/// The conversion of a column as a table, for rows that are stored in bytes; `None` if a table
/// cannot hold it.
///
/// # Errors
///
/// [`ErrorKind::Limit`](crate::ErrorKind::Limit) when the allocator refuses.
pub fn byte_table(column: &Column) -> Result<Option<ByteTable>> {
    column.byte_table()
}

/// Asks the system to read rows that will be gathered soon, or requests remote ones. Returns at
/// once; `false` if there was no room for all, so that they should be announced again.
pub fn readahead(column: &Column, rows: &[usize]) -> bool {
    column.readahead(rows)
}

/// How many rows ahead of the gather [`readahead`] should be called; 0 if it does nothing.
pub fn readahead_rows(column: &Column) -> usize {
    column.readahead_rows()
}

/// The most rows that a batch may have, if the sampler makes the batches of its orders.
pub fn largest_batch(sampler: &Sampler) -> Option<u64> {
    sampler.largest_batch()
}

/// The number of steps of a plan in which every shard has a full batch.
pub fn full_steps(plan: &Plan) -> u64 {
    plan.full_steps()
}

/// The number of rows in the batches of a plan before one, without padding.
pub fn rows_before(plan: &Plan, batch: u64) -> u64 {
    plan.rows_before(batch)
}

/// Whether an order is a list in memory, which takes long to draw. Clones share it.
pub fn is_list(order: &Order) -> bool {
    order.is_list()
}

/// If the sampler makes the batches of its orders, each row with the most rows that a batch with it
/// may have. The sampler fits the dataset.
pub fn most_rows(sampler: &Sampler) -> Option<impl Iterator<Item = (u64, u64)> + '_> {
    sampler.most_rows()
}

/// The same column, read by position if its file is mapped, so that reading it raises no signal.
///
/// # Errors
///
/// Those of a transform whose rows change.
pub fn by_position(column: &Column) -> Result<Column> {
    column.change_parts(&mut |part| part.by_position())
}

/// How many transforms, one after the other, make a row.
pub fn depth(column: &Column) -> u64 {
    column.depth()
}

/// Windows over the rows of a column.
///
/// # Errors
///
/// [`ErrorKind::Overflow`](crate::ErrorKind::Overflow) if a window is too large.
pub fn frame(column: Column, frame: Frame) -> Result<Column> {
    column.frame(frame)
}

/// How many of the rows after a row of a column may be made of some of the same rows of an array,
/// because they are windows that overlap. [`usize::MAX`] if it may be any of the rows.
pub fn overlap(column: &Column) -> usize {
    column.overlap()
}

/// A hash of how the rows of a column were chosen and put together, the same on every machine;
/// `None` if they are rows of arrays in their order.
pub fn selection(column: &Column) -> Option<u64> {
    column.selection()
}

/// As [`selection`], for rows of any length.
pub fn ragged_selection(column: &RaggedColumn) -> u64 {
    column.selection()
}

/// The rows of a column that a map gives.
pub fn pick(column: &Column, map: &RowMap) -> Column {
    column.pick(map)
}

/// `rows` rows, each of which is the whole array.
///
/// # Errors
///
/// Those of [`Column::whole`].
pub fn repeated(array: &Array, rows: usize) -> Result<Column> {
    Column::repeated(array, rows)
}

/// The file of a column, if all its rows are of one.
pub fn file(column: &Column) -> Option<&Path> {
    column.file()
}

/// As [`file`], of rows of any length.
pub fn ragged_file(column: &RaggedColumn) -> Option<&Path> {
    column.file()
}

/// Calls `f` for each array that a column is made of.
pub fn for_each_array(column: &Column, f: &mut dyn FnMut(&Column)) {
    column.for_each_array(&mut |part| f(part));
}

/// Calls `f` for each array that some rows are made of, with its rows.
///
/// # Errors
///
/// Those of `f`.
pub fn visit(
    column: &Column,
    rows: &[usize],
    f: &mut dyn FnMut(&Column, &[usize]) -> Result<()>,
) -> Result<()> {
    column.visit(rows, f)
}

/// Whether two columns are in the same open file.
pub fn share_file(a: &Column, b: &Column) -> bool {
    a.shares_file_with(b)
}

/// Whether an array of an archive is stored as it is, so that it is read from the archive itself.
///
/// # Errors
///
/// Those of [`Npz::header`].
pub fn is_stored(npz: &Npz, name: &str) -> Result<bool> {
    npz.is_stored(name)
}

/// The layout in which the items of an array lie one after the other; `None` if they do not.
pub fn dense_layout(array: &Array) -> Option<Layout> {
    array.dense_layout()
}

/// The start of a `.npy` file in C layout, in the byte order of the machine.
pub fn npy_header(dtype: DType, shape: &[usize]) -> Vec<u8> {
    let descr = format!("'{}'", dtype.descr(ByteOrder::NATIVE));
    header::encode(&descr, Layout::C, shape)
}

/// The start of a `.npy` file of items of any kind. `descr` includes its quotes or brackets.
pub fn npy_header_of(descr: &str, layout: Layout, shape: &[usize]) -> Vec<u8> {
    header::encode(descr, layout, shape)
}

/// Writes an archive, as [`NpzWriter`](crate::NpzWriter) does, to a file that is empty. Its members
/// are `.npy` files that `write` writes: it gets the place of a name among the names, and where in
/// the file to write, and returns the CRC-32 and the size of what it wrote. Returns where each
/// member begins. The caller has made sure that the names differ.
///
/// # Errors
///
/// Those of `write` and of the file.
pub fn write_npz(
    file: &mut File,
    names: &[String],
    mut write: impl FnMut(usize, &mut File, u64) -> io::Result<(u32, u64)>,
) -> io::Result<Vec<u64>> {
    let mut archive = Writer::new(file, Zip64From::default());
    let mut starts = Vec::new();
    for (place, name) in names.iter().enumerate() {
        let member = format!("{name}.npy");
        starts.push(archive.member_by(&member, |file, at| write(place, file, at))?);
    }
    archive.finish()?;
    Ok(starts)
}

/// An error of the file system.
pub fn io_error(what: &str, source: std::io::Error) -> Error {
    Error::io(what, source)
}

/// Writes a file atomically, as [`write_npy`](crate::write_npy) does. If it does not replace a file
/// that is there when it is complete, that one stays. Returns whether the new file has the path.
///
/// # Errors
///
/// Those of `write` and of [`write_npy`](crate::write_npy).
pub fn write_file(
    path: &Path,
    replaces: bool,
    write: &mut dyn FnMut(&mut File) -> Result<()>,
) -> Result<bool> {
    Complete::new(path, write)?.name(replaces)
}

/// The error of a user, whose message it has.
pub fn user_error(message: String, error: Box<dyn StdError + Send + Sync>) -> Error {
    Error::user(message, error)
}

/// Adds the batch to an error, and the row if it is known. With
/// `skip_limit`, the row is one more than may be skipped.
pub fn in_batch(
    error: Error,
    epoch: u64,
    batch: u64,
    row: Option<u64>,
    skip_limit: Option<u64>,
) -> Error {
    error.in_batch(Place {
        epoch,
        batch,
        row,
        skip_limit,
    })
}

/// The arrays that have the items of a column, as columns of items.
pub fn items(column: &RaggedColumn) -> &[Column] {
    column.items()
}

/// The same rows, with changed items: each still one of an array.
///
/// # Errors
///
/// Those of `change`.
pub fn change_items(
    column: &RaggedColumn,
    change: impl FnMut(Column) -> Result<Column>,
) -> Result<RaggedColumn> {
    column.change_items(change)
}

/// The rows of a column before all transforms, read by position if their files are mapped.
pub fn ragged_source(column: &RaggedColumn) -> RaggedColumn {
    column.source_by_position()
}

/// As [`depth`], for rows of any length.
pub fn ragged_depth(column: &RaggedColumn) -> u64 {
    column.depth()
}

/// As [`RaggedColumn::map`], if only the rows that a map gives are used.
///
/// # Errors
///
/// Those of [`RaggedColumn::map`].
pub fn map_ragged(
    column: &RaggedColumn,
    transform: impl Transform,
    map: &RowMap,
) -> Result<RaggedColumn> {
    column.map_rows(transform, (0..map.len()).map(|row| map.map(row)))
}

/// The items of all rows as one column, and which of them each row has.
///
/// # Errors
///
/// [`ErrorKind::Usage`](crate::ErrorKind::Usage) if transforms make the rows.
pub fn flat_ragged(column: &RaggedColumn) -> Result<(Column, Vec<Range<usize>>)> {
    column.flat()
}

/// The rows of a column that a map gives.
///
/// # Errors
///
/// [`ErrorKind::Limit`](crate::ErrorKind::Limit) when the allocator refuses.
pub fn pick_ragged(column: &RaggedColumn, map: &RowMap) -> Result<RaggedColumn> {
    column.pick(map)
}

/// As [`RaggedColumn::gather`], for draws of an epoch, each row to bytes of its own in `out`. A
/// column without transforms needs no positions.
///
/// # Errors
///
/// Those of [`RaggedColumn::gather`].
///
/// # Panics
///
/// Those of [`RaggedColumn::gather`].
pub fn gather_ragged(
    column: &RaggedColumn,
    rows: &[usize],
    draws: Draws<'_>,
    place: impl Fn(usize) -> Range<usize>,
    padding: &[u8],
    out: &mut [u8],
) -> Result<()> {
    column.gather_drawn(rows, draws, place, padding, out)
}

/// Copies the items of rows, converted, one row after the other into `out`, which has the size of
/// all of them.
///
/// # Errors
///
/// Those of [`RaggedColumn::gather`].
///
/// # Panics
///
/// Those of [`RaggedColumn::gather`].
pub fn gather_items(column: &RaggedColumn, rows: &[usize], out: &mut [u8]) -> Result<()> {
    column.gather_items(rows, out)
}

/// As [`readahead_rows`], for rows of any length.
pub fn readahead_ragged_rows(column: &RaggedColumn) -> usize {
    let items = column.items().iter();
    let rows = items.map(|items| items.readahead_runs_of(column.longest_source()));
    rows.max().unwrap_or(0)
}

/// As [`readahead`], for rows of any length.
pub fn readahead_ragged(column: &RaggedColumn, rows: &[usize]) -> bool {
    let mut has_room = true;
    if rows.iter().all(|row| *row < column.rows()) {
        column.visit(rows, &mut |items, runs| {
            has_room &= items.readahead_runs(runs.iter().cloned());
        });
    }
    has_room
}
