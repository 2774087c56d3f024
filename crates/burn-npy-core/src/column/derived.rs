//! Columns whose rows are made of the rows of other columns.

use std::fmt::Debug;
use std::sync::Arc;

use super::origin::Origin;
use super::{Column, Draws, selection};
use crate::convert::Stages;
use crate::format::item::Numbers;
use crate::gather::{NEAR, Rows, Schedule};
use crate::transform::RowType;
use crate::{Array, Buffer, ByteOrder, Error, ErrorKind, Result};

/// Makes rows of the rows of other columns. Each kind has a file: [`Chain`](super::chain::Chain),
/// [`Mapped`](super::mapped::Mapped), [`Picked`](super::picked::Picked) and so on.
pub(crate) trait Derived: Debug + Send + Sync {
    /// The number of rows.
    fn rows(&self) -> usize;

    /// What a row is.
    fn row_type(&self) -> RowType;

    /// The columns that the rows are made of; at least one.
    fn columns(&self) -> &[Column];

    /// The same, made of other columns with rows of the same types.
    fn with(&self, columns: Vec<Column>) -> Result<Arc<dyn Derived>>;

    /// Calls `f` for each column that some rows are made of, with its rows. Unless a kind says
    /// otherwise, a row is made of the row of the first column with the same number.
    fn visit(
        &self,
        rows: &[usize],
        f: &mut dyn FnMut(&Column, &[usize]) -> Result<()>,
    ) -> Result<()> {
        f(&self.columns()[0], rows)
    }

    /// Writes rows that exist one after the other into `out`, in the byte order of the machine.
    fn load(&self, rows: &[usize], draws: Draws<'_>, out: &mut [u8]) -> Result<()>;

    /// The same, if it can make its rows one at a time.
    fn singly(&self) -> Option<&dyn Singly> {
        None
    }

    /// Adds the columns in files and in memory that some rows are made of. The files of those are
    /// checked, so none may be missing; one may be added twice.
    fn sources<'a>(&'a self, rows: &[usize], sources: &mut Vec<&'a Column>) {
        let columns = self.columns();
        let visited = self.visit(rows, &mut |column, rows| {
            match columns.iter().find(|known| std::ptr::eq(*known, column)) {
                Some(column) => column.sources(rows, sources),
                None => unreachable!("a row of a column that is none of those it is made of"),
            }
            Ok(())
        });
        debug_assert!(visited.is_ok(), "nothing here fails");
    }

    /// The column and its row that a row is, or that an element of it is from, for messages; `None`
    /// if it is made of several. The answer has no element if a row is made of one row, but its
    /// elements are others.
    fn origin(&self, _row: usize, _element: Option<usize>) -> Option<Origin<'_>> {
        None
    }

    /// Adds some rows, where they lie in memory, if they do and nothing converts them; they need
    /// not be aligned. If the answer is no, what was added has no meaning.
    fn slices<'a>(&'a self, _rows: &[usize], _slices: &mut Vec<&'a [u8]>) -> bool {
        false
    }

    /// Whether each row is a row of one of the columns, as it is. Then a part of the rows is made
    /// of parts of the columns.
    fn keeps_rows(&self) -> bool {
        false
    }

    /// The columns of a chain.
    fn chained(&self) -> Option<&[Column]> {
        None
    }

    /// How many transforms, one after the other, make a row.
    fn depth(&self) -> u64 {
        let columns = self.columns().iter();
        columns.map(Column::depth).max().unwrap_or(0)
    }

    /// As [`Column::selection`]. The default is for kinds that choose no rows.
    fn selection(&self) -> Option<u64> {
        selection::of_columns(self.columns())
    }

    /// As [`Column::is_random`].
    fn is_random(&self) -> bool {
        self.columns().iter().any(Column::is_random)
    }

    /// As [`Column::overlap`].
    fn overlap(&self) -> usize {
        let columns = self.columns().iter();
        columns.map(Column::overlap).max().unwrap_or(0)
    }
}

/// Makes rows one at a time.
pub(super) trait Singly {
    /// Calls `f` with each of some rows that exist, as [`Derived::load`] makes it, and its index
    /// among them.
    fn each(&self, rows: &[usize], draws: Draws<'_>, f: &mut dyn FnMut(usize, &[u8]))
    -> Result<()>;
}

/// The columns, of which there are as many as there were.
pub(super) fn exactly<const N: usize>(columns: Vec<Column>) -> [Column; N] {
    let count = columns.len();
    let columns = columns.try_into();
    columns.unwrap_or_else(|_| unreachable!("{count} columns instead of {N}"))
}

impl Column {
    pub(super) fn of_derived(derived: Arc<dyn Derived>) -> Self {
        let array = derived.columns()[0].array.clone();
        Self {
            rows: derived.rows(),
            derived: Some(derived.clone()),
            ..Self::of_type(array, derived.row_type())
        }
    }

    /// A column without rows, which says what rows are. The array is for messages.
    pub(super) fn of_type(array: Array, row_type: RowType) -> Self {
        let RowType { dtype, shape } = row_type;
        Self {
            array,
            numbers: Numbers {
                dtype,
                byte_order: ByteOrder::NATIVE,
                axis: None,
            },
            rows: 0,
            row_stride: 0,
            axes: Vec::new(),
            first: 0,
            row_shape: shape,
            stages: Stages::none(dtype),
            unchanging: false,
            derived: None,
            windows: None,
        }
    }

    /// What a row is.
    pub(crate) fn row_type(&self) -> RowType {
        RowType::new(self.dtype(), self.row_shape.clone())
    }

    /// How many transforms, one after the other, make a row.
    pub(crate) fn depth(&self) -> u64 {
        self.derived.as_ref().map_or(0, |derived| derived.depth())
    }

    /// How many of the rows after a row may be made of some of the same rows of an array, because
    /// they are windows that overlap. [`usize::MAX`] if it may be any of the rows.
    pub(crate) fn overlap(&self) -> usize {
        match &self.derived {
            None => self.windows.map_or(0, |windows| windows.overlap),
            Some(derived) => derived.overlap(),
        }
    }

    /// Whether files are read at random if the rows are read in order.
    pub(crate) fn is_random(&self) -> bool {
        self.derived
            .as_ref()
            .is_some_and(|derived| derived.is_random())
    }

    /// Whether nothing was done to the rows of a derived column.
    pub(super) fn is_bare(&self) -> bool {
        let shape = || {
            self.derived
                .as_ref()
                .map(|derived| derived.row_type().shape)
        };
        self.stages.stages.is_empty() && shape().is_none_or(|shape| shape == self.row_shape)
    }

    /// The same column of changed parts. The parts of a column that is not derived are itself.
    pub(crate) fn change_parts(&self, change: &mut dyn FnMut(&Self) -> Self) -> Result<Self> {
        let Some(derived) = &self.derived else {
            return Ok(change(self));
        };
        let parts = derived.columns().iter();
        let parts = parts.map(|part| part.change_parts(change));
        let derived = derived.with(parts.collect::<Result<_>>()?)?;
        Ok(Self {
            array: derived.columns()[0].array.clone(),
            derived: Some(derived),
            ..self.clone()
        })
    }

    /// Calls `f` for each array that some rows are made of, with its rows.
    pub(crate) fn visit(
        &self,
        rows: &[usize],
        f: &mut dyn FnMut(&Self, &[usize]) -> Result<()>,
    ) -> Result<()> {
        match &self.derived {
            None => f(self, rows),
            Some(derived) => derived.visit(rows, &mut |part, rows| part.visit(rows, f)),
        }
    }

    /// As [`Derived::sources`].
    pub(super) fn sources<'a>(&'a self, rows: &[usize], sources: &mut Vec<&'a Self>) {
        match &self.derived {
            None => sources.push(self),
            Some(derived) => derived.sources(rows, sources),
        }
    }

    /// Calls `f` for each array that the column is made of.
    pub(crate) fn for_each_array<'a>(&'a self, f: &mut dyn FnMut(&'a Self)) {
        match &self.derived {
            None => f(self),
            Some(derived) => {
                let parts = derived.columns().iter();
                parts.for_each(|part| part.for_each_array(f));
            }
        }
    }

    /// As [`Derived::slices`], for rows that exist.
    pub(super) fn slices<'a>(&'a self, rows: &[usize], slices: &mut Vec<&'a [u8]>) -> bool {
        if !self.stages.stages.is_empty() {
            return false;
        }
        if let Some(derived) = &self.derived {
            return derived.slices(rows, slices);
        }
        let Some(source) = self.rows_in_memory() else {
            return false;
        };
        slices.extend(rows.iter().map(|row| source.row(*row)));
        true
    }

    /// Prefetches the first lines of memory that some rows are made of, which exist.
    pub(super) fn prefetch(&self, rows: &[usize]) {
        let prefetched = self.visit(rows, &mut |part, rows| {
            if let Some(source) = part.rows_in_memory() {
                let first = rows.iter().take(source.far());
                first.for_each(|row| source.prefetch::<2>(*row));
            }
            Ok(())
        });
        debug_assert!(prefetched.is_ok(), "nothing here fails");
    }

    /// Gathers rows that exist of files that are checked by the caller.
    pub(super) fn load_rows(&self, rows: &[usize], draws: Draws<'_>, out: &mut [u8]) -> Result<()> {
        let schedule = Schedule {
            rows,
            draws,
            ..Schedule::default()
        };
        self.gather_turn(schedule, out)
    }

    /// Whether nobody can change the arrays, or the user vouches that nobody does. Code of the user
    /// may see only such rows where they lie: those in a mapped file may change under it.
    pub(super) fn stays(&self) -> bool {
        let mut stays = true;
        self.for_each_array(&mut |part| {
            stays &= part.unchanging || part.array.storage().owned_bytes().is_some();
        });
        stays
    }

    /// Calls `f` with each of some rows that exist and its index among them. Rows that lie in
    /// memory as they are wanted are not copied if they may be used `in_place`.
    pub(super) fn for_each_row(
        &self,
        rows: &[usize],
        draws: Draws<'_>,
        in_place: bool,
        f: &mut dyn FnMut(usize, &[u8]) -> Result<()>,
    ) -> Result<()> {
        let mut slices = Vec::new();
        let size = self.dtype().size();
        let is_aligned = |row: &&[u8]| row.as_ptr().align_offset(size) == 0;
        if in_place && self.slices(rows, &mut slices) && slices.iter().all(is_aligned) {
            let source = Rows::listed(&slices);
            let far = source.far();
            for (index, row) in slices.iter().enumerate() {
                // What comes after the last row would be read from no memory.
                if index + far < slices.len() {
                    source.prefetch::<2>(index + far);
                }
                if index + far / NEAR < slices.len() {
                    source.prefetch::<1>(index + far / NEAR);
                }
                f(index, row)?;
            }
            return Ok(());
        }
        let row_bytes = self.row_bytes();
        let per_block = self.rows_per_block(row_bytes.max(1)).min(rows.len());
        let mut block = self.rows_buffer(per_block)?;
        for start in (0..rows.len()).step_by(per_block.max(1)) {
            let part = start..rows.len().min(start + per_block);
            let block = &mut block.as_mut_slice()[..part.len() * row_bytes];
            self.load_rows(&rows[part.clone()], draws.part(part.clone()), block)?;
            for (in_block, index) in part.enumerate() {
                f(index, &block[in_block * row_bytes..][..row_bytes])?;
            }
        }
        Ok(())
    }

    /// Rows in memory of their own, aligned for their dtype.
    pub(super) fn rows_buffer(&self, rows: usize) -> Result<Buffer> {
        let len = rows.checked_mul(self.row_bytes());
        let too_large = || Error::new(ErrorKind::Overflow, "rows beyond all memory");
        Buffer::zeroed(len.ok_or_else(too_large)?)
    }
}

#[cfg(test)]
mod tests;
