//! What a sampler orders: all rows, windows, or the rows of a list.

use crate::order::shared::Shared;
use crate::{Error, ErrorKind, Result};

/// What a sampler orders. Its elements are called entries and are numbered from 0; each entry is a
/// row of the dataset.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Domain {
    /// Each row is an entry.
    Rows,
    /// Each window over a time series is an entry, which is the first row of the window.
    Windows { length: u64, stride: u64 },
    /// Each row of a list is an entry.
    Index {
        rows: Shared<u64>,
        /// The largest row, and its entry.
        largest: (u64, usize),
        /// As [`is_random`].
        is_random: bool,
    },
}

impl Domain {
    pub(crate) fn index(rows: Vec<u64>) -> Self {
        let largest = rows.iter().zip(0..).max_by_key(|(row, _)| **row);
        Self::Index {
            largest: largest.map_or((0, 0), |(row, entry)| (*row, entry)),
            is_random: is_random(rows.iter().copied()),
            rows: rows.into(),
        }
    }

    /// The number of entries for a dataset of `len` rows.
    pub(crate) fn count(&self, len: u64) -> u64 {
        match self {
            Self::Rows => len,
            Self::Windows { length, stride } => len
                .checked_sub(*length)
                .map_or(0, |starts| starts / stride + 1),
            Self::Index { rows, .. } => rows.len() as u64,
        }
    }

    /// Checks that a dataset of `len` rows has each row of a list.
    pub(crate) fn check(&self, len: u64) -> Result<()> {
        match self {
            Self::Index {
                rows,
                largest: (row, entry),
                ..
            } if !rows.is_empty() && *row >= len => Err(Error::new(
                ErrorKind::Row,
                format!("entry {entry} of the index is row {row}, but there are {len} rows"),
            )),
            _ => Ok(()),
        }
    }

    /// Replaces entries by their rows.
    pub(crate) fn resolve(&self, entries: &mut [u64]) {
        match self {
            Self::Rows => {}
            Self::Windows { stride, .. } => entries.iter_mut().for_each(|entry| *entry *= stride),
            Self::Index { rows, .. } => entries
                .iter_mut()
                .for_each(|entry| *entry = rows[*entry as usize]),
        }
    }

    /// The entry that is a row, or `None` if no entry is. It is an error if only a search can tell.
    pub(crate) fn entry(&self, row: u64, len: u64) -> std::result::Result<Option<u64>, Search> {
        match self {
            Self::Rows => Ok((row < len).then_some(row)),
            Self::Windows { stride, .. } => {
                let entry = row / stride;
                Ok((row.is_multiple_of(*stride) && entry < self.count(len)).then_some(entry))
            }
            Self::Index { .. } => Err(Search),
        }
    }
}

/// Whether a file that is read in the order of a list is read at random: more than a row in eight
/// lies before the one that comes before it in the list. In a shuffled list, half of them do.
pub(crate) fn is_random(list: impl Iterator<Item = u64>) -> bool {
    let (mut rows, mut back, mut last) = (0_u64, 0_u64, 0);
    for row in list {
        rows += 1;
        back += u64::from(row < last);
        last = row;
    }
    back > rows / 8
}

/// The inverse of an order has no formula, so it takes a search.
#[derive(Debug)]
pub(crate) struct Search;
