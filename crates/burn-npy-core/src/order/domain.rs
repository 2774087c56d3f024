//! What a sampler orders: the rows, windows of them, or those of a list.

use crate::order::shared::Shared;
use crate::{Error, ErrorKind, Result};

/// What stands at the positions of an epoch.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Domain {
    /// Each row.
    Rows,
    /// The first rows of windows over a time series.
    Windows { length: u64, stride: u64 },
    /// The rows of a list.
    Index {
        rows: Shared<u64>,
        /// The largest row, and which entry it is.
        largest: (u64, usize),
        /// Whether each row is further on in the file than the one before it.
        ascending: bool,
    },
}

impl Domain {
    pub(crate) fn index(rows: Vec<u64>) -> Self {
        let largest = rows.iter().zip(0..).max_by_key(|(row, _)| **row);
        Self::Index {
            largest: largest.map_or((0, 0), |(row, entry)| (*row, entry)),
            ascending: rows.is_sorted_by(|a, b| a < b),
            rows: rows.into(),
        }
    }

    /// How many there are in a dataset of `len` rows.
    pub(crate) fn count(&self, len: u64) -> u64 {
        match self {
            Self::Rows => len,
            Self::Windows { length, stride } => len
                .checked_sub(*length)
                .map_or(0, |starts| starts / stride + 1),
            Self::Index { rows, .. } => rows.len() as u64,
        }
    }

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

    /// Turns entries into rows.
    pub(crate) fn resolve(&self, entries: &mut [u64]) {
        match self {
            Self::Rows => {}
            Self::Windows { stride, .. } => entries.iter_mut().for_each(|entry| *entry *= stride),
            Self::Index { rows, .. } => entries
                .iter_mut()
                .for_each(|entry| *entry = rows[*entry as usize]),
        }
    }

    /// The entry of a row; an error if only a search can tell.
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

/// The inverse is not known, or not unique.
#[derive(Debug)]
pub(crate) struct Search;
