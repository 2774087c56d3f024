//! Rows of several parts, in proportion to weights.

use crate::order::hash::Hash;

/// How often the rows of several parts come. It is a tree: each node says which share of its rows
/// is of its first half, so that the rows of each part are spread evenly, and a row is found
/// without a table.
#[derive(Clone, Debug)]
pub(super) struct Mix {
    root: Node,
    /// The number of rows.
    len: usize,
}

#[derive(Clone, Debug)]
enum Node {
    /// The first row of a part among all rows.
    Part(usize),
    Halves {
        /// The share of the first half, as a fraction of 2^64.
        share: u64,
        halves: Box<[Node; 2]>,
    },
}

impl Mix {
    /// Parts with their numbers of rows and their positive weights, of which there is at least one.
    /// It ends before a part would have to give a row twice.
    pub(super) fn new(parts: &[(usize, f64)]) -> Self {
        let starts = parts.iter().scan(0, |start, (rows, _)| {
            *start += rows;
            Some(*start - rows)
        });
        let starts: Vec<usize> = starts.collect();
        let root = Node::new(parts, &starts);
        let all: usize = parts.iter().map(|(rows, _)| rows).sum();
        // The first number of rows for which there are too few.
        let (mut len, mut too_many) = (0, all + 1);
        while len + 1 < too_many {
            let middle = len + (too_many - len) / 2;
            if root.has(parts, middle as u64) {
                len = middle;
            } else {
                too_many = middle;
            }
        }
        Self { root, len }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Adds which part each row is of.
    pub(super) fn add_to(&self, hash: &mut Hash) {
        self.root.add_to(hash);
    }

    /// The row at an index, which is below [`len`](Self::len).
    pub(super) fn row(&self, index: usize) -> usize {
        let (mut node, mut index) = (&self.root, index as u64);
        loop {
            match node {
                Node::Part(start) => return start + index as usize,
                Node::Halves { share, halves } => {
                    let before = of_first(*share, index);
                    let is_first = of_first(*share, index + 1) > before;
                    node = &halves[usize::from(!is_first)];
                    index = if is_first { before } else { index - before };
                }
            }
        }
    }
}

impl Node {
    fn new(parts: &[(usize, f64)], starts: &[usize]) -> Self {
        if let [start] = starts {
            return Self::Part(*start);
        }
        let middle = parts.len() / 2;
        // Divided by the largest first, since the sum of large weights is infinite.
        let most = parts.iter().fold(0.0, |most: f64, part| most.max(part.1));
        let weight = |parts: &[(usize, f64)]| parts.iter().map(|part| part.1 / most).sum::<f64>();
        let share = weight(&parts[..middle]) / weight(parts);
        Self::Halves {
            // A share of 1 is as near to it as there is a number.
            share: (share * 2.0_f64.powi(64)) as u64,
            halves: Box::new([
                Self::new(&parts[..middle], &starts[..middle]),
                Self::new(&parts[middle..], &starts[middle..]),
            ]),
        }
    }

    fn add_to(&self, hash: &mut Hash) {
        match self {
            Self::Part(start) => hash.add([*start as u64]),
            Self::Halves { share, halves } => {
                hash.add([1, *share]);
                halves.iter().for_each(|half| half.add_to(hash));
            }
        }
    }

    /// Whether the parts have enough rows for `len` rows of the mix.
    fn has(&self, parts: &[(usize, f64)], len: u64) -> bool {
        match self {
            Self::Part(_) => len <= parts[0].0 as u64,
            Self::Halves { share, halves } => {
                let (first, second) = parts.split_at(parts.len() / 2);
                let of_first = of_first(*share, len);
                halves[0].has(first, of_first) && halves[1].has(second, len - of_first)
            }
        }
    }
}

/// How many of the first `len` rows are of the first half: the share of them, rounded. With one row
/// more it is the same or one more.
fn of_first(share: u64, len: u64) -> u64 {
    ((u128::from(share) * u128::from(len) + (1 << 63)) >> 64) as u64
}
