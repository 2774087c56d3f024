//! Rows divided into disjoint sets, such as a training and a validation set, or folds.

use std::cmp::Reverse;

use crate::order::classes::Classes;
use crate::order::keys::part_of;
use crate::order::shared::Shared;
use crate::{Error, ErrorKind, Permutation, Result};

const TAG: u64 = 7;
const GROUP: u64 = 9;

/// Rows divided at random into parts. Each row is in exactly one part. A seed gives the same parts
/// on every machine. It takes 4 bytes a row.
///
/// # Example
///
/// ```
/// # extern crate burn_npy_core as burn_npy;
/// use burn_npy::{Sampler, order::Partition};
///
/// # fn main() -> burn_npy::Result<()> {
/// let labels = ["cat", "dog", "cat", "cat", "dog", "cat", "cat", "dog", "dog", "cat"];
///
/// // Each part has half of the cats and half of the dogs, within a row.
/// let parts = Partition::stratified_split(&labels, &[0.5, 0.5], 42)?;
/// assert_eq!((parts.rows(0).len(), parts.rows(1).len()), (5, 5));
///
/// // Cross-validation: each fold holds out another fifth of the rows.
/// let folds = Partition::k_fold(10, 5, 42)?;
/// for fold in 0..folds.count() {
///     let training = Sampler::shuffled(1).index(folds.others(fold))?;
///     let validation = Sampler::sequential().index(folds.rows(fold))?;
///     assert_eq!((training.positions(10), validation.positions(10)), (8, 2));
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// The part of each row.
    parts: Shared<u32>,
    count: u32,
}

impl Partition {
    /// Divides `len` rows into parts with given shares. The size of each part is within one row of
    /// its share.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] if a share is not a number from 0 to 1, or if they do not add up to 1.
    pub fn split(len: usize, shares: &[f64], seed: u64) -> Result<Self> {
        check_shares(shares)?;
        Ok(Self::apportion(len, shuffled(len, seed), shares))
    }

    /// Divides the rows into parts with given shares of each class, which is all rows with the same
    /// label. The labels are those of the rows, in their order, as for
    /// [`Sampler::balanced`](crate::Sampler::balanced). The size of each part is within two rows of
    /// its share of each class, and within one row of its share of all rows.
    ///
    /// # Errors
    ///
    /// Those of [`split`](Self::split).
    pub fn stratified_split<L: Ord>(
        labels: impl IntoIterator<Item = L>,
        shares: &[f64],
        seed: u64,
    ) -> Result<Self> {
        check_shares(shares)?;
        let labels: Vec<L> = labels.into_iter().collect();
        let rows = by_class(&labels, seed);
        Ok(Self::apportion(labels.len(), rows.into_iter(), shares))
    }

    /// Divides `len` rows into `count` parts whose sizes differ by at most one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] if there are fewer than two parts or fewer rows than parts.
    pub fn k_fold(len: usize, count: u32, seed: u64) -> Result<Self> {
        check_count(len, count, "rows")?;
        Ok(Self::deal(len, shuffled(len, seed), count))
    }

    /// Divides the rows into `count` parts whose sizes differ by at most one, and whose numbers of
    /// rows of each class do too. A class is all rows with the same label.
    ///
    /// # Errors
    ///
    /// Those of [`k_fold`](Self::k_fold).
    pub fn stratified_k_fold<L: Ord>(
        labels: impl IntoIterator<Item = L>,
        count: u32,
        seed: u64,
    ) -> Result<Self> {
        let labels: Vec<L> = labels.into_iter().collect();
        check_count(labels.len(), count, "rows")?;
        let rows = by_class(&labels, seed);
        Ok(Self::deal(labels.len(), rows.into_iter(), count))
    }

    /// Divides the rows into parts with given shares, so that no group is in two parts. A group is
    /// all rows with the same label, such as those of one patient. The labels are those of the
    /// rows, in their order.
    ///
    /// The groups are given out from the largest to the smallest, each to the part that is
    /// furthest below its share. So the size of each part is within one largest group of its share.
    /// The seed decides the order of groups of the same size: if all sizes differ, all seeds give
    /// the same parts.
    ///
    /// # Errors
    ///
    /// Those of [`split`](Self::split).
    ///
    /// # Example
    ///
    /// ```
    /// # extern crate burn_npy_core as burn_npy;
    /// use burn_npy::order::Partition;
    ///
    /// # fn main() -> burn_npy::Result<()> {
    /// let patients = ["ann", "bob", "ann", "cy", "cy", "bob", "dan", "dan", "eve", "eve"];
    /// let parts = Partition::grouped_split(patients, &[0.8, 0.2], 42)?;
    /// let held_out = parts.rows(1);
    /// assert_eq!(held_out.len(), 2);
    /// assert_eq!(patients[held_out[0] as usize], patients[held_out[1] as usize]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn grouped_split<L: Ord>(
        groups: impl IntoIterator<Item = L>,
        shares: &[f64],
        seed: u64,
    ) -> Result<Self> {
        check_shares(shares)?;
        let labels: Vec<L> = groups.into_iter().collect();
        Ok(Self::apportion_groups(&Classes::new(&labels), shares, seed))
    }

    /// Divides the rows into `count` parts, so that no group is in two parts. It is
    /// [`grouped_split`](Self::grouped_split) with equal shares. The sizes of two parts differ by
    /// at most the size of the largest group.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] if there are fewer than two parts or fewer groups than parts.
    pub fn grouped_k_fold<L: Ord>(
        groups: impl IntoIterator<Item = L>,
        count: u32,
        seed: u64,
    ) -> Result<Self> {
        let labels: Vec<L> = groups.into_iter().collect();
        let groups = Classes::new(&labels);
        check_count(groups.iter().count(), count, "groups")?;
        let shares = vec![1.0 / f64::from(count); count as usize];
        Ok(Self::apportion_groups(&groups, &shares, seed))
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.parts.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// The number of parts.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The rows of a part, ascending.
    ///
    /// # Panics
    ///
    /// Panics if the part is not below [`count`](Self::count).
    pub fn rows(&self, part: u32) -> Vec<u64> {
        self.filtered(part, |found| found == part)
    }

    /// The rows of all other parts, ascending.
    ///
    /// # Panics
    ///
    /// Panics if the part is not below [`count`](Self::count).
    pub fn others(&self, part: u32) -> Vec<u64> {
        self.filtered(part, |found| found != part)
    }

    fn filtered(&self, part: u32, keep: impl Fn(u32) -> bool) -> Vec<u64> {
        assert!(part < self.count, "part {part} of {}", self.count);
        let rows = (0..).zip(&*self.parts).filter(|(_, found)| keep(**found));
        rows.map(|(row, _)| row).collect()
    }

    /// Gives each row to the part that is furthest below its share.
    fn apportion(len: usize, rows: impl Iterator<Item = u64>, shares: &[f64]) -> Self {
        let mut parts = vec![0; len];
        let mut given = vec![0.0; shares.len()];
        for (done, row) in rows.enumerate() {
            let missing = |part: usize| shares[part] * (done + 1) as f64 - given[part];
            let mut furthest = 0;
            for part in 1..shares.len() {
                if missing(part) > missing(furthest) {
                    furthest = part;
                }
            }
            given[furthest] += 1.0;
            parts[row as usize] = furthest as u32;
        }
        Self {
            parts: parts.into(),
            count: shares.len() as u32,
        }
    }

    /// Gives each group to the part that is furthest below its share, the largest group first.
    fn apportion_groups(groups: &Classes, shares: &[f64], seed: u64) -> Self {
        let len = groups.len() as usize;
        let groups: Vec<&[u64]> = groups.iter().collect();
        let order = Permutation::new(groups.len() as u64, part_of(seed, GROUP, 0), 0);
        let mut order: Vec<u64> = order.rows(0..order.len()).collect();
        // The sort is stable, so groups of the same size stay in a random order.
        order.sort_by_key(|group| Reverse(groups[*group as usize].len()));
        let mut parts = vec![0; len];
        let mut given = vec![0_usize; shares.len()];
        for group in order {
            let missing = |part: usize| shares[part] * len as f64 - given[part] as f64;
            let mut furthest = 0;
            for part in 1..shares.len() {
                if missing(part) > missing(furthest) {
                    furthest = part;
                }
            }
            let group = groups[group as usize];
            given[furthest] += group.len();
            for row in group {
                parts[*row as usize] = furthest as u32;
            }
        }
        Self {
            parts: parts.into(),
            count: shares.len() as u32,
        }
    }

    /// Gives the rows to the parts in turn.
    fn deal(len: usize, rows: impl Iterator<Item = u64>, count: u32) -> Self {
        let mut parts = vec![0; len];
        for (row, part) in rows.zip((0..count).cycle()) {
            parts[row as usize] = part;
        }
        Self {
            parts: parts.into(),
            count,
        }
    }
}

fn shuffled(len: usize, seed: u64) -> impl Iterator<Item = u64> {
    let permutation = Permutation::new(len as u64, part_of(seed, TAG, 0), 0);
    (0..len as u64).map(move |position| permutation.row(position))
}

/// The rows grouped by class, and shuffled within each class.
fn by_class<L: Ord>(labels: &[L], seed: u64) -> Vec<u64> {
    let classes = Classes::new(labels);
    let mut rows = Vec::with_capacity(labels.len());
    for (part, class) in (0..).zip(classes.iter()) {
        let len = class.len() as u64;
        let permutation = Permutation::new(len, part_of(seed, TAG, part), 0);
        rows.extend(permutation.rows(0..len).map(|index| class[index as usize]));
    }
    rows
}

fn check_shares(shares: &[f64]) -> Result<()> {
    let sum: f64 = shares.iter().sum();
    if shares.iter().all(|share| (0.0..=1.0).contains(share)) && (sum - 1.0).abs() < 1e-9 {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Usage,
        format!("shares {shares:?}, expected numbers from 0 to 1 that add up to 1"),
    ))
}

fn check_count(len: usize, count: u32, of: &str) -> Result<()> {
    if count >= 2 && count as usize <= len {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Usage,
        format!("{count} folds of {len} {of}"),
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn parts_have_their_shares(
            labels in prop::collection::vec(0..4_u8, 1..300),
            cuts in prop::collection::vec(1..10_u8, 1..4),
            seed: u64,
        ) {
            let sum: u8 = cuts.iter().sum();
            let shares: Vec<f64> = cuts.iter().map(|c| f64::from(*c) / f64::from(sum)).collect();
            for folds in [
                Partition::split(labels.len(), &shares, seed).unwrap(),
                Partition::stratified_split(&labels, &shares, seed).unwrap(),
            ] {
                let sets: Vec<Vec<u64>> = (0..folds.count()).map(|p| folds.rows(p)).collect();
                for (set, share) in sets.iter().zip(&shares) {
                    let expected = share * labels.len() as f64;
                    prop_assert!((set.len() as f64 - expected).abs() <= 1.0 + 1e-9);
                }
                let mut all = sets.concat();
                all.sort_unstable();
                prop_assert!(all.into_iter().eq(0..labels.len() as u64));
            }
            let folds = Partition::stratified_split(&labels, &shares, seed).unwrap();
            for class in 0..4 {
                let in_class = |rows: &[u64]| {
                    rows.iter().filter(|row| labels[**row as usize] == class).count() as f64
                };
                let all: Vec<u64> = (0..labels.len() as u64).collect();
                for (part, share) in (0..).zip(&shares) {
                    let found = in_class(&folds.rows(part));
                    prop_assert!((found - share * in_class(&all)).abs() <= 2.0 + 1e-9);
                }
            }
        }

        #[test]
        fn folds_differ_by_one(
            labels in prop::collection::vec(0..4_u8, 2..300), count in 2..10_u32, seed: u64,
        ) {
            prop_assume!(count as usize <= labels.len());
            let folds = Partition::stratified_k_fold(&labels, count, seed).unwrap();
            let plain = Partition::k_fold(labels.len(), count, seed).unwrap();
            let spread = |sizes: Vec<usize>| {
                sizes.iter().max().unwrap() - sizes.iter().min().unwrap()
            };
            let sizes = |folds: &Partition, keep: &dyn Fn(u8) -> bool| -> Vec<usize> {
                let kept = |row: &&u64| keep(labels[**row as usize]);
                (0..count).map(|part| folds.rows(part).iter().filter(kept).count()).collect()
            };
            prop_assert!(spread(sizes(&plain, &|_| true)) <= 1);
            prop_assert!(spread(sizes(&folds, &|_| true)) <= 1);
            for class in 0..4 {
                prop_assert!(spread(sizes(&folds, &|label| label == class)) <= 1);
            }
            let mut all = [folds.rows(1), folds.others(1)].concat();
            all.sort_unstable();
            prop_assert!(all.into_iter().eq(0..labels.len() as u64));
        }
    }

    proptest! {
        #[test]
        fn no_group_is_in_two_parts_and_sizes_are_within_the_largest(
            groups in prop::collection::vec(0..30_u8, 1..300),
            cuts in prop::collection::vec(1..10_u8, 1..4),
            count in 2..6_u32,
            seed: u64,
        ) {
            let sum: u8 = cuts.iter().sum();
            let shares: Vec<f64> = cuts.iter().map(|c| f64::from(*c) / f64::from(sum)).collect();
            let size = |group: u8| groups.iter().filter(|other| **other == group).count();
            let largest = (0..30).map(size).max().unwrap();
            let whole = |partition: &Partition| {
                (0..30).all(|group| {
                    let of_group = partition.parts.iter().zip(&groups);
                    let mut of_group = of_group.filter(|(_, other)| **other == group);
                    let first = of_group.next();
                    of_group.all(|(part, _)| Some(part) == first.map(|(part, _)| part))
                })
            };
            let split = Partition::grouped_split(&groups, &shares, seed).unwrap();
            prop_assert!(whole(&split));
            for (part, share) in (0..).zip(&shares) {
                let found = split.rows(part).len() as f64;
                let wanted = share * groups.len() as f64;
                prop_assert!((found - wanted).abs() <= largest as f64 + 1e-9);
            }
            let kinds = (0..30).filter(|group| size(*group) > 0).count();
            let folds = Partition::grouped_k_fold(&groups, count, seed);
            if kinds < count as usize {
                let message = format!("{count} folds of {kinds} groups");
                prop_assert_eq!(folds.unwrap_err().to_string(), message);
            } else {
                let folds = folds.unwrap();
                prop_assert!(whole(&folds));
                let sizes = (0..count).map(|part| folds.rows(part).len());
                let least = sizes.clone().min().unwrap();
                prop_assert!(least > 0 && sizes.max().unwrap() - least <= largest);
                prop_assert_eq!(Partition::grouped_k_fold(&groups, count, seed).unwrap(), folds);
            }
        }
    }

    #[test]
    fn seeds_give_groups_of_the_same_size_to_other_parts() {
        let groups: Vec<u32> = (0..1000).map(|row| row / 10).collect();
        let parts = |seed| Partition::grouped_split(&groups, &[0.8, 0.1, 0.1], seed).unwrap();
        assert_eq!(parts(1), parts(1));
        assert_ne!(parts(1), parts(2));
        let sizes = [0, 1, 2].map(|part| parts(1).rows(part).len());
        assert_eq!(sizes, [800, 100, 100]);
    }

    #[test]
    fn a_seed_gives_the_same_parts_again() {
        let parts = |seed| Partition::split(1000, &[0.9, 0.1], seed).unwrap();
        assert_eq!(parts(1), parts(1));
        assert_ne!(parts(1), parts(2));
    }

    #[test]
    fn misuse_is_an_error() {
        for shares in [&[][..], &[0.5], &[1.5, -0.5], &[f64::NAN, 1.0]] {
            let error = Partition::split(10, shares, 1).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage);
        }
        for (len, count) in [(10, 0), (10, 1), (10, 11), (0, 2)] {
            let error = Partition::k_fold(len, count, 1).unwrap_err();
            assert_eq!(error.to_string(), format!("{count} folds of {len} rows"));
        }
    }
}
