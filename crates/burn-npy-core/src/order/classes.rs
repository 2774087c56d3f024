//! Rows drawn so that each class comes equally often. A class is all rows with the same label.

use crate::Permutation;
use crate::order::keys::part_of;
use crate::order::shared::Shared;

/// Tags for [`part_of`], which keep the permutations of rounds and of classes independent.
const ROUND: u64 = 5;
const CLASS: u64 = 6;

/// The rows of each class, 8 bytes a row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Classes {
    /// All rows, grouped by class. The classes are sorted by label, the rows of each ascend.
    rows: Shared<u64>,
    /// Where each class ends in `rows`.
    ends: Shared<usize>,
}

impl Classes {
    pub(crate) fn new<L: Ord>(labels: &[L]) -> Self {
        let mut rows: Vec<u64> = (0..labels.len() as u64).collect();
        // The sort is stable, so the rows of a class stay in ascending order.
        rows.sort_by_key(|row| &labels[*row as usize]);
        let label = |at: usize| &labels[rows[at] as usize];
        let ends: Vec<usize> = (1..=rows.len())
            .filter(|end| *end == rows.len() || label(end - 1) != label(*end))
            .collect();
        Self {
            ends: ends.into(),
            rows: rows.into(),
        }
    }

    pub(crate) fn len(&self) -> u64 {
        self.rows.len() as u64
    }

    /// The rows of each class.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u64]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts
            .zip(self.ends.iter())
            .map(|(start, end)| &self.rows[start..*end])
    }

    /// Draws `count` rows in rounds. A round takes one row from each class, with the classes in a
    /// random order. A class gives all its rows, in a random order, before it gives any again.
    pub(crate) fn draw(&self, count: usize, seed: u64, epoch: u64) -> Vec<u64> {
        let classes: Vec<&[u64]> = self.iter().collect();
        let shuffle = |class: usize, cycle: u64| {
            let seed = part_of(part_of(seed, CLASS, class as u64), CLASS, cycle);
            Permutation::new(classes[class].len() as u64, seed, epoch)
        };
        let mut shuffles: Vec<Permutation> = (0..classes.len()).map(|c| shuffle(c, 0)).collect();
        let mut drawn = Vec::with_capacity(count);
        for round in 0.. {
            let order = Permutation::new(classes.len() as u64, part_of(seed, ROUND, round), epoch);
            for at in 0..order.len() {
                if drawn.len() == count {
                    return drawn;
                }
                let class = order.row(at) as usize;
                let len = classes[class].len() as u64;
                if round > 0 && round % len == 0 {
                    shuffles[class] = shuffle(class, round / len);
                }
                drawn.push(classes[class][shuffles[class].row(round % len) as usize]);
            }
            if drawn.len() == count {
                break;
            }
        }
        drawn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_come_equally_often_and_rows_of_a_class_too() {
        let labels: Vec<&str> = (0..1000)
            .map(|row| match row % 100 {
                0 => "rare",
                1..20 => "some",
                _ => "many",
            })
            .collect();
        let classes = Classes::new(&labels);
        assert_eq!(
            classes.iter().map(<[u64]>::len).collect::<Vec<_>>(),
            [800, 10, 190]
        );
        let drawn = classes.draw(1000, 3, 1);
        let mut counts = vec![0; 1000];
        for round in drawn.chunks(3) {
            let mut found: Vec<&str> = round.iter().map(|row| labels[*row as usize]).collect();
            found.sort_unstable();
            found.dedup();
            assert_eq!(found.len(), round.len());
        }
        drawn.iter().for_each(|row| counts[*row as usize] += 1);
        for (label, least, most) in [("rare", 33, 34), ("some", 1, 2), ("many", 0, 1)] {
            let of_class = counts.iter().zip(&labels).filter(|(_, l)| **l == label);
            for (count, _) in of_class {
                assert!((least..=most).contains(count), "{label} {count}");
            }
        }
        assert_ne!(drawn, classes.draw(1000, 3, 2));
        assert_eq!(drawn[..500], classes.draw(500, 3, 1));
    }
}
