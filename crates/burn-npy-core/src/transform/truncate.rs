//! Long sequences, cut.

use super::image::{shape_error, usage_error};
use super::ours::Ours;
use super::{RowType, RowView, RowViewMut, Transform};
use crate::Result;
use crate::order::PositionRng;

/// A sequence of at most so many steps: the first ones, or those from a random place on.
///
/// The rows have any dtype, and their first axis is the sequence: `[tokens]`, `[time, sensors]`.
/// A row that is short enough stays as it is. Of an array in memory or in a mapped file, only the
/// steps that are kept are read, if nothing converts the rows before. Otherwise rows are read
/// whole, as from a file that is read by position.
///
/// # Random numbers
///
/// With [`random`](Self::random), the first step that is kept is drawn, each with the same
/// probability. For a row that is short enough nothing is drawn.
///
/// # Errors
///
/// When it is added to a column: [`ErrorKind::Shape`](crate::ErrorKind::Shape) if the rows have no
/// axis, and [`ErrorKind::Usage`](crate::ErrorKind::Usage) if no step would be kept.
///
/// # Example
///
/// ```
/// # extern crate burn_npy_core as burn_npy;
/// use burn_npy::order::PositionRng;
/// use burn_npy::transform::{RowView, RowViewMut, Transform, Truncate};
///
/// # fn main() -> burn_npy::Result<()> {
/// let mut kept = [0_u16; 3];
/// Truncate::new(3).random().apply(
///     RowView::from_elements(&[6], &[10_u16, 11, 12, 13, 14, 15])?,
///     RowViewMut::from_elements(&[3], &mut kept)?,
///     &mut PositionRng::new(42, 0, 1),
/// )?;
/// assert_eq!((kept[1], kept[2]), (kept[0] + 1, kept[0] + 2));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Truncate {
    length: usize,
    random: bool,
}

impl Truncate {
    /// Keeps the first `length` steps.
    pub fn new(length: usize) -> Self {
        Self {
            length,
            random: false,
        }
    }

    /// Keeps `length` neighbouring steps at a random place instead.
    pub fn random(mut self) -> Self {
        self.random = true;
        self
    }
}

impl Transform for Truncate {
    fn only_copies(&self, _: Ours) -> bool {
        true
    }

    fn output(&self, row: &RowType) -> Result<RowType> {
        if self.length == 0 {
            let message = "rows cut to 0 steps would be empty; keep 1 or more";
            return Err(usage_error(message.to_owned()));
        }
        let mut new = row.clone();
        match new.shape.first_mut() {
            Some(len) => *len = self.length.min(*len),
            None => return Err(shape_error("rows of one number have no steps".to_owned())),
        }
        Ok(new)
    }

    fn apply(
        &self,
        row: RowView<'_>,
        mut out: RowViewMut<'_>,
        rng: &mut PositionRng,
    ) -> Result<()> {
        let out = out.bytes_mut();
        let steps = row.shape().first().copied().unwrap_or(0);
        let more = steps.saturating_sub(self.length);
        let first = match self.random && more > 0 {
            true => rng.below(more as u64 + 1) as usize,
            false => 0,
        };
        let step = row.bytes().len() / steps.max(1);
        out.copy_from_slice(&row.bytes()[first * step..][..out.len()]);
        Ok(())
    }
}
