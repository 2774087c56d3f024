//! Maps the rows of a dataset to rows of its columns.

mod runs;

use std::sync::Arc;

use crate::buffer::no_memory;
use crate::order::Permutation;
use crate::order::keys::mix;
use crate::{Error, ErrorKind, Result};

use runs::Runs;

/// Maps each row of a dataset to a row of its columns.
#[derive(Clone, Debug)]
pub struct RowMap {
    len: usize,
    /// The number of rows of the columns.
    columns: usize,
    /// What was done to the dataset, the last step first. A list is the first that was done.
    steps: Vec<RowStep>,
}

#[derive(Clone, Debug)]
enum RowStep {
    Skip(usize),
    Shuffle(Permutation),
    /// Each row is this many behind the one before.
    Stride(usize),
    /// The rows start again after this many.
    Cycle(usize),
    List(RowList),
    Runs(Runs),
}

/// Rows of the columns, which clones share. Most columns have so few that 4 bytes hold a row.
#[derive(Clone)]
enum RowList {
    Short(Arc<Vec<u32>>),
    Long(Arc<Vec<usize>>),
}

impl RowList {
    fn get(&self, index: usize) -> usize {
        match self {
            Self::Short(rows) => rows[index] as usize,
            Self::Long(rows) => rows[index],
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Short(rows) => rows.len(),
            Self::Long(rows) => rows.len(),
        }
    }
}

/// A list may have millions of rows.
impl std::fmt::Debug for RowList {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[{} rows]", self.len())
    }
}

impl RowMap {
    /// All rows of columns of `len` rows, in their order.
    pub fn new(len: usize) -> Self {
        Self {
            len,
            columns: len,
            steps: Vec::new(),
        }
    }

    /// The number of rows.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Keeps the first `count` rows, or all if there are fewer.
    pub fn take(&mut self, count: usize) {
        self.len = self.len.min(count);
    }

    /// Drops the first `count` rows, or all if there are fewer.
    pub fn skip(&mut self, count: usize) {
        let count = count.min(self.len);
        self.len -= count;
        match self.steps.first_mut() {
            Some(RowStep::Skip(skipped)) => *skipped += count,
            _ => self.steps.insert(0, RowStep::Skip(count)),
        }
    }

    /// Keeps every `stride`-th row, beginning with the first.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] if `stride` is zero.
    pub fn step(&mut self, stride: usize) -> Result<()> {
        if stride == 0 {
            let message = "every 0th row; to keep all rows, give 1";
            return Err(Error::new(ErrorKind::Usage, message));
        }
        if stride > 1 {
            self.len = self.len.div_ceil(stride);
            self.steps.insert(0, RowStep::Stride(stride));
        }
        Ok(())
    }

    /// Has the rows `count` times, one after the other.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Overflow`] if there are too many then.
    pub fn repeat(&mut self, count: usize) -> Result<()> {
        let len = self.len.checked_mul(count);
        // A permutation has at most 2^63 rows.
        let Some(len) = len.filter(|len| *len <= isize::MAX as usize) else {
            let message = format!("{} rows {count} times are too many", self.len);
            return Err(Error::new(ErrorKind::Overflow, message));
        };
        if len > self.len {
            self.steps.insert(0, RowStep::Cycle(self.len));
        }
        self.len = len;
        Ok(())
    }

    /// Brings the rows into a random order.
    pub fn shuffle(&mut self, seed: u64) {
        // No loader reaches this epoch, so a split is never equal to the order of an epoch.
        let permutation = Permutation::new(self.len as u64, seed, u64::MAX);
        self.steps.insert(0, RowStep::Shuffle(permutation));
    }

    /// The rows of a list. It holds rows of the columns, so that a list of a list costs no more
    /// than one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Row`] for a row that does not exist; [`ErrorKind::Limit`] when the allocator
    /// refuses.
    pub fn list(&self, rows: impl IntoIterator<Item = i128>) -> Result<Self> {
        let rows = rows.into_iter();
        let list = match u32::try_from(self.columns) {
            Ok(_) => RowList::Short(self.collect(rows, |row| row as u32)?),
            Err(_) => RowList::Long(self.collect(rows, |row| row)?),
        };
        Ok(Self {
            len: list.len(),
            columns: self.columns,
            steps: vec![RowStep::List(list)],
        })
    }

    fn collect<T>(
        &self,
        mut rows: impl Iterator<Item = i128>,
        stored: impl Fn(usize) -> T,
    ) -> Result<Arc<Vec<T>>> {
        let mut list = Vec::new();
        while let Some(row) = rows.next() {
            let known = usize::try_from(row).ok().filter(|row| *row < self.len);
            let known = known.ok_or_else(|| {
                let message = format!(
                    "entry {} of the list is row {row}, but there are {} rows",
                    list.len(),
                    self.len
                );
                Error::new(ErrorKind::Row, message)
            })?;
            if list.len() == list.capacity() {
                // No more than there are rows: the list may be long and its first row not exist.
                let more = rows.size_hint().0.min(self.len).saturating_add(1);
                list.try_reserve(more)
                    .map_err(|_| no_memory(more.saturating_mul(size_of::<T>())))?;
            }
            list.push(stored(self.map(known)));
        }
        list.shrink_to_fit();
        Ok(Arc::new(list))
    }

    /// Whether each row of the dataset is the row of its columns with the same index.
    pub fn is_identity(&self) -> bool {
        self.steps.is_empty()
    }

    /// A hash of the list of rows, if there is one.
    pub fn fingerprint(&self) -> Option<u64> {
        let Some(RowStep::List(list)) = self.steps.last() else {
            return None;
        };
        let add = |hash: u64, row| mix(hash.rotate_left(5) ^ list.get(row) as u64);
        Some((0..list.len()).fold(mix(list.len() as u64), add))
    }

    /// The row of the columns that a row of the dataset is.
    ///
    /// # Panics
    ///
    /// Panics if the row is not below [`len`](Self::len).
    pub fn map(&self, row: usize) -> usize {
        assert!(row < self.len, "row {row} of {}", self.len);
        let step = |row, step: &RowStep| match step {
            RowStep::Skip(count) => row + count,
            RowStep::Shuffle(permutation) => permutation.row(row as u64) as usize,
            RowStep::Stride(stride) => row * stride,
            RowStep::Cycle(len) => row % len,
            RowStep::List(rows) => rows.get(row),
            RowStep::Runs(runs) => runs.row(row),
        };
        self.steps.iter().fold(row, step)
    }

    /// Keeps the rows of runs: each begins at a row and has a number of rows that are `stride`
    /// apart. No row of a run comes before those of the run before it.
    pub fn runs(&mut self, stride: usize, runs: impl IntoIterator<Item = (usize, usize)>) {
        let runs = Runs::new(stride, runs);
        self.len = runs.len();
        if !runs.is_identity() {
            self.steps.insert(0, RowStep::Runs(runs));
        }
    }

    /// How many of the rows after a row may share rows of an array with it, if of the columns
    /// `overlap` do. [`usize::MAX`] if it may be any of the rows.
    pub fn overlap(&self, overlap: usize) -> usize {
        let of_step = |overlap, step: &RowStep| match (overlap, step) {
            (0 | usize::MAX, _) | (_, RowStep::Skip(_)) => overlap,
            (_, RowStep::Runs(runs)) => overlap / runs.apart(),
            (_, RowStep::Stride(stride)) => overlap / stride,
            _ => usize::MAX,
        };
        // The last step is the one next to the columns.
        self.steps.iter().rev().fold(overlap, of_step)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rows(map: &RowMap) -> Vec<usize> {
        (0..map.len()).map(|row| map.map(row)).collect()
    }

    #[derive(Clone, Debug)]
    enum Verb {
        Take(usize),
        Skip(usize),
        Step(usize),
        Repeat(usize),
        Shuffle(u64),
        List(Vec<usize>),
    }

    fn verb() -> impl Strategy<Value = Verb> {
        prop_oneof![
            (0..40_usize).prop_map(Verb::Take),
            (0..20_usize).prop_map(Verb::Skip),
            (1..5_usize).prop_map(Verb::Step),
            (0..4_usize).prop_map(Verb::Repeat),
            any::<u64>().prop_map(Verb::Shuffle),
            prop::collection::vec(0..1000_usize, 0..40).prop_map(Verb::List),
        ]
    }

    proptest! {
        #[test]
        fn a_map_does_to_rows_what_the_verbs_do_to_a_vector(
            len in 0..30_usize, verbs in prop::collection::vec(verb(), 0..7),
        ) {
            let mut map = RowMap::new(len);
            let mut twin: Vec<usize> = (0..len).collect();
            for verb in verbs {
                match verb {
                    Verb::Take(count) => {
                        map.take(count);
                        twin.truncate(count);
                    }
                    Verb::Skip(count) => {
                        map.skip(count);
                        twin = twin.into_iter().skip(count).collect();
                    }
                    Verb::Step(stride) => {
                        map.step(stride).unwrap();
                        twin = twin.into_iter().step_by(stride).collect();
                    }
                    Verb::Repeat(count) => {
                        map.repeat(count).unwrap();
                        twin = twin.repeat(count);
                    }
                    Verb::Shuffle(seed) => {
                        map.shuffle(seed);
                        let order = Permutation::new(twin.len() as u64, seed, u64::MAX);
                        let rows = order.rows(0..order.len());
                        twin = rows.map(|row| twin[row as usize]).collect();
                    }
                    Verb::List(list) => {
                        let list: Vec<usize> =
                            list.into_iter().filter(|row| *row < twin.len()).collect();
                        map = map.list(list.iter().map(|row| *row as i128)).unwrap();
                        twin = list.into_iter().map(|row| twin[row]).collect();
                    }
                }
                prop_assert_eq!(rows(&map), &twin[..]);
            }
        }
    }

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn rows_beyond_32_bits_are_listed_too() {
        let len = u32::MAX as usize + 10;
        let map = RowMap::new(len);
        let list = map.list([len as i128 - 1, 0]).unwrap();
        assert_eq!(rows(&list), [len - 1, 0]);
        assert!(matches!(list.steps[0], RowStep::List(RowList::Long(_))));
    }

    #[test]
    fn a_list_of_a_list_is_one_list() {
        let mut map = RowMap::new(1000);
        for _ in 0..100 {
            map.shuffle(1);
            map = map.list((0..map.len() as i128).rev()).unwrap();
        }
        assert_eq!(map.steps.len(), 1);
    }

    #[test]
    fn lists_have_fingerprints() {
        let map = RowMap::new(10);
        let print = |rows: &[i128]| map.list(rows.iter().copied()).unwrap().fingerprint();
        assert_eq!(map.fingerprint(), None);
        assert_eq!(print(&[1, 2]), print(&[1, 2]));
        let prints = [
            print(&[]),
            print(&[0]),
            print(&[0, 0]),
            print(&[1, 2]),
            print(&[2, 1]),
        ];
        for (i, one) in prints.iter().enumerate() {
            assert!(prints[..i].iter().all(|other| other != one));
        }
    }

    #[test]
    fn misuse_is_an_error() {
        let mut map = RowMap::new(10);
        let kind = |result: Result<()>| result.unwrap_err().kind();
        assert_eq!(kind(map.step(0)), ErrorKind::Usage);
        assert_eq!(kind(map.repeat(usize::MAX)), ErrorKind::Overflow);
        assert_eq!(kind(map.repeat(usize::MAX / 10)), ErrorKind::Overflow);
        for (list, message) in [
            (
                [3, 10],
                "entry 1 of the list is row 10, but there are 10 rows",
            ),
            (
                [-1, 10],
                "entry 0 of the list is row -1, but there are 10 rows",
            ),
        ] {
            let error = map.list(list).unwrap_err();
            assert_eq!((error.kind(), error.message()), (ErrorKind::Row, message));
        }
        assert_eq!(rows(&map).len(), 10);
        // It says how long it is, which is more than memory holds.
        let error = map.list(10..i128::from(u64::MAX)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Row);
        let error = map
            .list((0..usize::MAX).map(|row| row as i128))
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Row);
    }
}
