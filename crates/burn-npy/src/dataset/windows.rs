//! Windows over the rows of a dataset, and splits that keep them apart.

mod within_rows;

use std::collections::HashSet;

use burn_npy_core::internal::{self, Frame, RowMap};
use burn_npy_core::{
    Error, ErrorKind, Result,
    file::{Buffer, Column},
};

use super::NpyDataset;
use super::named::{AnyColumn, Columns};
use super::verify::BLOCK_BYTES;

/// What follows the name of a column in the name of the second one.
const NEXT: &str = "_next";

/// Which rows make a window, for [`NpyDataset::windows`].
///
/// A window is a number of rows, one after the other. It may have a second part, with which each
/// column `x` gives two: `x`, and `x_next`.
///
/// | what | a window at row `i` | `x` | `x_next` |
/// |---|---|---|---|
/// | `Windows::new(4)` | 4 rows | `i..i + 4` | |
/// | `Windows::new(4).horizon(2)` | what follows is forecast | `i..i + 4` | `i + 4..i + 6` |
/// | `Windows::new(4).horizon(2).gap(3)` | what follows after a gap | `i..i + 4` | `i + 7..i + 9` |
/// | `Windows::new(4).shifted(1)` | the next token after each | `i..i + 4` | `i + 1..i + 5` |
///
/// All these are counted in steps, and a step is a row, or with [`dilation`](Self::dilation)
/// several rows. Windows begin at each row, or with [`stride`](Self::stride) at some. They lie
/// within groups of rows, if [`within`](Self::within) or [`group_by`](Self::group_by) says what the
/// groups are.
///
/// If rows have [any length](NpyDataset::from_offsets), windows lie within each of them, and read
/// "item" here for "row".
///
/// # Example
///
/// Four steps of the past, and the two that follow, in recordings that must not be mixed:
///
/// ```
/// use burn_npy::{NpyDataset, Windows, ndarray::array};
///
/// # fn main() -> burn_npy::Result<()> {
/// let episodes = array![0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 2, 2];
/// let values = array![1, 2, 3, 4, 5, 6, 7, 10, 20, 30, 100, 200, 300, 400, 500, 600];
/// let series = NpyDataset::from_tensor_slices((("episode", episodes), ("x", values)))?;
/// let windows = series.windows(Windows::new(4).horizon(2).group_by("episode"))?;
/// let windows = windows.select(["x", "x_next"])?;
///
/// assert_eq!(windows.len(), 3);
/// assert_eq!(format!("{:?}", windows.row(1)), r#"{"x": [2, 3, 4, 5], "x_next": [6, 7]}"#);
/// let last = r#"{"x": [100, 200, 300, 400], "x_next": [500, 600]}"#;
/// assert_eq!(format!("{:?}", windows.row(2)), last);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Windows {
    length: usize,
    horizon: Option<usize>,
    gap: usize,
    shifted: Option<usize>,
    dilation: usize,
    stride: usize,
    groups: Groups,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Groups {
    /// All rows are one.
    One,
    /// The row after the last of each.
    Ends(Vec<usize>),
    /// The values of a column.
    Column(String),
}

impl Windows {
    /// Windows of `length` rows, one at each row.
    pub fn new(length: usize) -> Self {
        Self {
            length,
            horizon: None,
            gap: 0,
            shifted: None,
            dilation: 1,
            stride: 1,
            groups: Groups::One,
        }
    }

    /// Adds the `steps` steps after the window, as columns whose names end in `_next`.
    pub fn horizon(mut self, steps: usize) -> Self {
        self.horizon = Some(steps);
        self
    }

    /// Leaves out some steps between the window and its horizon.
    pub fn gap(mut self, steps: usize) -> Self {
        self.gap = steps;
        self
    }

    /// Adds the same window some steps later, as columns whose names end in `_next`. With one step,
    /// these are the next tokens that a language model predicts.
    pub fn shifted(mut self, steps: usize) -> Self {
        self.shifted = Some(steps);
        self
    }

    /// Makes a step several rows, so that a window has one row of each so many. The default is 1.
    pub fn dilation(mut self, rows: usize) -> Self {
        self.dilation = rows;
        self
    }

    /// Begins a window only every so many rows. The default is 1.
    pub fn stride(mut self, rows: usize) -> Self {
        self.stride = rows;
        self
    }

    /// Keeps windows within groups of rows, such as episodes or recordings that follow each other
    /// in a file. `ends` has the row after the last one of each group, in order: the sums of the
    /// lengths. The last one is the number of rows. Offsets with a 0 before the first group are the
    /// same, since a group may be empty. Groups shorter than a window have none.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] if a number is negative or below the one before it.
    ///
    /// # Example
    ///
    /// ```
    /// use burn_npy::{NpyDataset, Windows, ndarray::{Array1, array}};
    ///
    /// # fn main() -> burn_npy::Result<()> {
    /// let series = NpyDataset::from_tensor_slices(Array1::from_iter(0..10))?;
    /// let ends = array![4_i64, 6, 10]; // Array::open("episode_ends.npy")?.read::<i64>()?
    /// let windows = series.windows(Windows::new(3).within(ends)?)?;
    /// assert_eq!(windows.len(), 2 + 0 + 2);
    /// assert_eq!(windows.row(2).get::<i32>("0")?.as_slice(), Some(&[6, 7, 8][..]));
    /// # Ok(())
    /// # }
    /// ```
    pub fn within<T>(mut self, ends: impl IntoIterator<Item = T>) -> Result<Self>
    where
        T: TryInto<usize>,
    {
        let mut before = 0;
        let mut all = Vec::new();
        for (group, end) in ends.into_iter().enumerate() {
            let end = end.try_into().ok().filter(|end| *end >= before);
            before = end.ok_or_else(|| {
                usage(format!(
                    "the end of group {group} is before row {before}, where the group begins; the \
                     ends of groups are sums of their lengths"
                ))
            })?;
            all.push(before);
        }
        self.groups = Groups::Ends(all);
        Ok(self)
    }

    /// Keeps windows within groups of rows, where a column says to which group a row belongs: a
    /// group is the rows with the same value, which must be neighbours. All rows of the column are
    /// read once, when the windows are made.
    pub fn group_by(mut self, column: impl Into<String>) -> Self {
        self.groups = Groups::Column(column.into());
        self
    }

    /// The first step of the second part, and its length in steps.
    fn next(&self) -> Result<Option<(usize, usize)>> {
        let next = match (self.horizon, self.shifted) {
            (None, None) => None,
            (Some(length), None) => Some((self.length.saturating_add(self.gap), length)),
            (None, Some(by)) => Some((by, self.length)),
            (Some(_), Some(_)) => {
                return Err(usage(
                    "windows with a horizon and a shifted window; expected one of them",
                ));
            }
        };
        if self.gap > 0 && self.horizon.is_none() {
            return Err(usage(format!(
                "a gap of {} without a horizon; set the horizon too",
                self.gap
            )));
        }
        for (what, number) in [
            ("length", self.length),
            ("horizon", self.horizon.unwrap_or(1)),
            ("shift", self.shifted.unwrap_or(1)),
            ("dilation", self.dilation),
            ("stride", self.stride),
        ] {
            if number == 0 {
                return Err(usage(format!(
                    "the {what} of windows is 0; it must be 1 or more"
                )));
            }
        }
        Ok(next)
    }

    /// How many neighbouring rows a window and its second part lie in.
    fn span(&self, next: Option<(usize, usize)>) -> usize {
        let end = |(first, length): (usize, usize)| first.saturating_add(length);
        let steps = next.map_or(0, end).max(self.length);
        (steps - 1).saturating_mul(self.dilation).saturating_add(1)
    }

    /// How many windows lie within `rows` neighbouring rows.
    fn count(&self, rows: usize, span: usize) -> usize {
        let last = rows.checked_sub(span);
        last.map_or(0, |last| last / self.stride + 1)
    }

    /// Windows over the rows of a column of which each is `name`: one at each row, and if there is
    /// a second part, that too.
    fn frames(
        &self,
        name: String,
        column: Column,
        next: Option<(usize, usize)>,
        span: usize,
    ) -> Result<Vec<(String, Column)>> {
        let frame = Frame {
            first: 0,
            length: self.length,
            stride: 1,
            dilation: self.dilation,
            rows: column.rows() - (span - 1),
            span,
        };
        let next = next.map(|(first, length)| {
            let first = first * self.dilation;
            let frame = Frame {
                first,
                length,
                ..frame
            };
            (format!("{name}{NEXT}"), column.clone(), frame)
        });
        let both = std::iter::once((name, column, frame)).chain(next);
        let frames = both.map(|(name, column, frame)| {
            let column = internal::frame(column, frame);
            let column = column.map_err(|error| error.in_column(&name))?;
            Ok((name, column))
        });
        frames.collect()
    }
}

fn usage(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Usage, message)
}

fn group_is_split(row: usize) -> Error {
    usage(format!(
        "row {row} has the value of an earlier group, with others between them; bring the rows of \
         a group together, or say with within(ends) where groups end"
    ))
}

impl NpyDataset {
    /// Makes each row a window over the rows of the dataset, along a new first axis, in all
    /// columns. [`Windows`] says which rows a window has, and whether each column gives a second
    /// one, for a horizon or the next tokens. Nothing is copied until a batch is gathered.
    ///
    /// The [index](crate::Row::index) of a row is then the row of this dataset at which the window
    /// begins.
    ///
    /// If a column has rows of [any length](Self::from_offsets), each window lies within one of
    /// them, and is made of its items. The windows of the first row come first. A row with fewer
    /// items than a window needs has none. Columns with rows of one shape give each window the row
    /// that it lies in, so a number of each row tells which that is. The index is then the number
    /// of the window.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] if a number is 0, for groups that do not fit the dataset, and for rows
    /// of any length that are in groups or that [transforms](Self::map) make;
    /// [`ErrorKind::Shape`] if no group, or no row, has as many rows, or items, as a window needs,
    /// or if a row does not have as many items in two columns with rows of any length;
    /// [`ErrorKind::Duplicate`] if a column `x_next` exists already; [`ErrorKind::Overflow`] if a
    /// window is too large.
    ///
    /// # Examples
    ///
    /// A language model predicts the next token. These windows share no rows but their borders:
    ///
    /// ```
    /// use burn_npy::{NpyDataset, Windows, ndarray::array};
    ///
    /// # fn main() -> burn_npy::Result<()> {
    /// let tokens = NpyDataset::from_tensor_slices((("tokens", array![5, 6, 7, 8, 9, 10, 11]),))?;
    /// let windows = tokens.windows(Windows::new(3).shifted(1).stride(3))?;
    /// let row = r#"{"tokens": [8, 9, 10], "tokens_next": [9, 10, 11]}"#;
    /// assert_eq!(format!("{:?}", windows.row(1)), row);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Windows that lie within texts of 2, 5 and 4 tokens, never in two of them:
    ///
    /// ```
    /// use burn_npy::{NpyDataset, Windows, ndarray::array};
    ///
    /// # fn main() -> burn_npy::Result<()> {
    /// let tokens = vec![11, 12, 21, 22, 23, 24, 25, 31, 32, 33, 34];
    /// let texts = NpyDataset::from_lengths("tokens", tokens, vec![2, 5, 4])?;
    /// let labels = NpyDataset::from_tensor_slices((("label", array![1, 2, 3]),))?;
    /// let windows = texts.zip(&labels)?.windows(Windows::new(3).stride(2))?;
    /// assert_eq!(windows.len(), 0 + 2 + 1);
    /// assert_eq!(format!("{:?}", windows.row(1)), r#"{"tokens": [23, 24, 25], "label": 2}"#);
    /// assert_eq!(format!("{:?}", windows.row(2)), r#"{"tokens": [31, 32, 33], "label": 3}"#);
    /// # Ok(())
    /// # }
    /// ```
    pub fn windows(&self, windows: Windows) -> Result<Self> {
        let next = windows.next()?;
        let span = windows.span(next);
        let mut columns = self.columns.iter();
        if columns.any(|(_, column)| matches!(column, AnyColumn::Ragged(_))) {
            return self.windows_within_rows(&windows, next, span);
        }
        let ends = match &windows.groups {
            Groups::One => vec![self.len()],
            Groups::Ends(ends) => self.expect_ends(ends)?,
            Groups::Column(name) => {
                let ends = self.group_ends(name);
                ends.map_err(|error| error.in_column(name))?
            }
        };
        // The columns have a window at each row, and the map takes those within groups.
        let starts = std::iter::once(0).chain(ends.iter().copied());
        let runs = starts
            .zip(&ends)
            .map(|(start, end)| (start, windows.count(end - start, span)));
        let mut rows = RowMap::new(self.len().saturating_sub(span - 1));
        rows.runs(windows.stride, runs);
        if rows.len() == 0 {
            return Err(self.too_few(&windows, &ends, span));
        }
        let mut columns = Columns::default();
        for (name, column) in self.picked()? {
            for (name, column) in windows.frames(name, column, next, span)? {
                columns.push(name, AnyColumn::Numbers(column));
            }
        }
        Ok(Self {
            rows,
            ..Self::from_columns(columns)?
        })
    }

    fn too_few(&self, windows: &Windows, ends: &[usize], span: usize) -> Error {
        let what = match windows.groups {
            Groups::One => format!("{} rows are too few", self.len()),
            _ => format!("none of {} groups has enough rows", ends.len()),
        };
        let message = format!("{what} for a window, which needs {span}");
        Error::new(ErrorKind::Shape, message)
    }

    fn expect_ends(&self, ends: &[usize]) -> Result<Vec<usize>> {
        let last = ends.last().copied().unwrap_or(0);
        if last == self.len() {
            return Ok(ends.to_vec());
        }
        Err(usage(format!(
            "the last group ends at row {last}, but there are {} rows; the ends of groups are sums \
             of their lengths, and the last is the number of rows",
            self.len()
        )))
    }

    /// The row after the last of each group, by the values of a column.
    fn group_ends(&self, name: &str) -> Result<Vec<usize>> {
        let column = internal::pick(self.columns.get(name)?, &self.rows);
        let row_bytes = column.row_bytes();
        let per_block = (BLOCK_BYTES / row_bytes.max(1)).clamp(1, self.len().max(1));
        let mut block = Buffer::zeroed(per_block * row_bytes)?;
        let mut seen: HashSet<Vec<u8>> = HashSet::new();
        let (mut ends, mut value) = (Vec::new(), Vec::new());
        for start in (0..self.len()).step_by(per_block) {
            let rows: Vec<usize> = (start..self.len().min(start + per_block)).collect();
            block.set_len(rows.len() * row_bytes);
            column.gather(&rows, block.as_mut_slice())?;
            for row in rows {
                let bytes = &block.as_slice()[(row - start) * row_bytes..][..row_bytes];
                if row > 0 && bytes == value {
                    continue;
                }
                if row > 0 {
                    ends.push(row);
                }
                if !seen.insert(bytes.to_vec()) {
                    return Err(group_is_split(row));
                }
                value = bytes.to_vec();
            }
        }
        ends.push(self.len());
        Ok(ends)
    }

    /// Splits the rows in their order: the first part has `fraction` of them, rounded to the
    /// nearest number, and the second part has what follows. Between the parts, as many windows are
    /// left out as share rows with the last one of the first part. So no row of a file is in both.
    ///
    /// Rows that are not [windows](Self::windows), and windows that do not overlap, have no gap. Of
    /// windows within groups, the first part has those of the first groups.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] if the fraction is not between 0 and 1; if nothing is left for the
    /// second part; or if the rows are windows that overlap and are no longer in the order of the
    /// file.
    ///
    /// # Example
    ///
    /// ```
    /// use burn_npy::{NpyDataset, Windows, ndarray::Array1};
    ///
    /// # fn main() -> burn_npy::Result<()> {
    /// let hours = NpyDataset::from_tensor_slices((("x", Array1::from_iter(0..100)),))?;
    /// let windows = hours.windows(Windows::new(8).horizon(2))?;
    /// let (train, valid) = windows.split_in_time(0.8)?;
    /// assert_eq!((windows.len(), train.len(), valid.len()), (91, 73, 9));
    /// assert_eq!(train.row(72).get::<i32>("x_next")?[[1]], 81);
    /// assert_eq!(valid.row(0).get::<i32>("x")?[[0]], 82);
    /// # Ok(())
    /// # }
    /// ```
    pub fn split_in_time(&self, fraction: f64) -> Result<(Self, Self)> {
        let first = self.part(fraction)?;
        let gap = self.overlap();
        if gap == usize::MAX {
            return Err(usage(
                "the rows are windows that overlap, and are not in the order of the file any more; \
                 split them before their order is changed",
            ));
        }
        let skipped = if first == 0 {
            0
        } else {
            first.saturating_add(gap)
        };
        if first < self.len() && skipped >= self.len() {
            return Err(usage(format!(
                "{first} of {} windows leave none for the second part, since the {gap} windows \
                 after them share rows with them",
                self.len()
            )));
        }
        Ok((self.take(first), self.skip(skipped)))
    }

    /// An error if rows are windows that overlap.
    pub(super) fn expect_apart(&self) -> Result<()> {
        if self.overlap() == 0 {
            return Ok(());
        }
        Err(usage(
            "the rows are windows that overlap, so a random split would put the same rows of the \
             file into both parts; use split_in_time",
        ))
    }

    /// How many of the rows after a row may share rows of a file with it.
    fn overlap(&self) -> usize {
        let columns = self.columns().map(|(_, column)| internal::overlap(column));
        self.rows.overlap(columns.max().unwrap_or(0))
    }
}

#[cfg(test)]
mod tests;
