//! Samplers, which choose and order the rows of each epoch.

use crate::order::Arrangement;
use crate::order::alias::Alias;
use crate::order::blocks;
use crate::order::buckets::Buckets;
use crate::order::classes::Classes;
use crate::order::domain::Domain;
use crate::order::passes::{Once, Passes};
use crate::order::shared::Shared;
use crate::order::tokens::Tokens;
use crate::order::uniform::Uniform;
use crate::order::weighted_without_replacement;
use crate::{Error, ErrorKind, Order, Result};

/// Chooses and orders the rows of each epoch. The row at a position is a pure function of (number
/// of rows, epoch, position), the same on every machine.
///
/// | sampler | each row comes | memory | row of a position | position of a row |
/// |---|---|---|---|---|
/// | [`sequential`](Self::sequential) | once | none | O(1) | O(1) |
/// | [`shuffled`](Self::shuffled) | once | none | O(1) | O(1) |
/// | [`blocks`](Self::blocks) | once | none | O(1) | O(1) |
/// | [`blocks_first`](Self::blocks_first) | once | none | O(1) | O(1) |
/// | [`with_replacement`](Self::with_replacement) | by chance | none | O(1) | a search |
/// | [`bucketed`](Self::bucketed) | once | 8 bytes a row, and 8 in each [`Order`] | O(1) | a search |
/// | [`max_tokens`](Self::max_tokens) | once | 8 bytes a row, and 8 in each [`Order`] | O(1) | a search |
/// | [`weighted`](Self::weighted) | by its weight | 16 bytes a row | O(1) | a search |
/// | [`weighted_without_replacement`](Self::weighted_without_replacement) | at most once | 8 bytes a row, and 8 a draw in each [`Order`] | O(1) | a search |
/// | [`balanced`](Self::balanced) | by its class | 8 bytes a row, and 8 a draw in each [`Order`] | O(1) | a search |
///
/// An epoch has all rows, or as many draws as there are rows. [`epoch_len`](Self::epoch_len) and
/// [`draws`](Self::draws) set another length.
///
/// A sampler orders all rows of the dataset. With [`index`](Self::index) it orders the rows of a
/// list instead, and with [`windows`](Self::windows) the first rows of windows. Clones share their
/// memory.
///
/// # Example
///
/// ```
/// # extern crate burn_npy_core as burn_npy;
/// use burn_npy::Sampler;
///
/// # fn main() -> burn_npy::Result<()> {
/// // A row is an hour. Shuffle windows of a day over 10 days.
/// let sampler = Sampler::shuffled(7).windows(24, 24)?;
/// sampler.check(240)?;
/// let order = sampler.order(240, 0);
/// assert_eq!(order.len(), 10);
/// assert!(order.rows(0..10).all(|start| start % 24 == 0));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Sampler {
    kind: Kind,
    domain: Domain,
}

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Once {
        order: Once,
        len: Option<u64>,
    },
    WithReplacement {
        seed: u64,
        draws: Option<u64>,
    },
    Bucketed {
        seed: u64,
        batch_size: usize,
        buckets: Buckets,
    },
    MaxTokens {
        seed: u64,
        tokens: Tokens,
    },
    Weighted {
        seed: u64,
        table: Alias,
        draws: Option<u64>,
    },
    WeightedWithoutReplacement {
        seed: u64,
        weights: Shared<f64>,
        draws: u64,
    },
    Balanced {
        seed: u64,
        classes: Classes,
        draws: Option<u64>,
    },
}

impl Kind {
    fn once(order: Once) -> Sampler {
        Self::Once { order, len: None }.over_rows()
    }

    fn over_rows(self) -> Sampler {
        Sampler {
            kind: self,
            domain: Domain::Rows,
        }
    }
}

impl Sampler {
    /// All rows in ascending order, in each epoch.
    pub fn sequential() -> Self {
        Kind::once(Once::Sequential)
    }

    /// All rows in a random order that differs between epochs. See
    /// [`Permutation`](crate::Permutation).
    pub fn shuffled(seed: u64) -> Self {
        Kind::once(Once::Shuffled { seed })
    }

    /// All rows in a random order that reads the file in blocks.
    ///
    /// The blocks of `block_size` consecutive rows are shuffled. Then each `mixed` consecutive
    /// blocks form a pool, and the rows of each pool are shuffled. [`mixing`](Self::mixing)
    /// measures how close that comes to a full shuffle.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] if `block_size` or `mixed` is zero.
    pub fn blocks(block_size: u64, mixed: u64, seed: u64) -> Result<Self> {
        check_blocks(block_size, mixed)?;
        Ok(Kind::once(Once::Blocks {
            seed,
            block: block_size,
            mixed,
        }))
    }

    /// All rows in a random order that reads the file in blocks in the first epoch only: epoch 0 is
    /// that of [`blocks`](Self::blocks), all others are those of [`shuffled`](Self::shuffled).
    ///
    /// It is for a file that is fetched from elsewhere, and kept on this machine. In the first
    /// epoch it comes in large pieces; the others find it here, where any order is fast.
    /// [`mixing`](Self::mixing) says what the first epoch lacks to a full shuffle.
    ///
    /// # Errors
    ///
    /// Those of [`blocks`](Self::blocks).
    ///
    /// # Example
    ///
    /// ```
    /// # extern crate burn_npy_core as burn_npy;
    /// use burn_npy::Sampler;
    ///
    /// # fn main() -> burn_npy::Result<()> {
    /// let sampler = Sampler::blocks_first(100, 8, 42)?;
    /// let (blocks, shuffled) = (Sampler::blocks(100, 8, 42)?, Sampler::shuffled(42));
    /// let rows = |sampler: &Sampler, epoch| -> Vec<u64> {
    ///     sampler.order(10_000, epoch).rows(0..10_000).collect()
    /// };
    /// assert_eq!(rows(&sampler, 0), rows(&blocks, 0));
    /// assert_eq!(rows(&sampler, 1), rows(&shuffled, 1));
    /// # Ok(())
    /// # }
    /// ```
    pub fn blocks_first(block_size: u64, mixed: u64, seed: u64) -> Result<Self> {
        check_blocks(block_size, mixed)?;
        Ok(Kind::once(Once::BlocksFirst {
            seed,
            block: block_size,
            mixed,
        }))
    }

    /// Rows drawn with replacement, each as likely as any other. An epoch has as many draws as
    /// there are rows, unless [`draws`](Self::draws) sets another number.
    pub fn with_replacement(seed: u64) -> Self {
        Kind::WithReplacement { seed, draws: None }.over_rows()
    }

    /// All rows in a random order in which each run of `batch_size` positions has rows of similar
    /// lengths, so that batches of texts need little padding. The lengths are those of the rows, in
    /// their order, as the `lengths` of an `NpyDataset` gives them; anything that can be sorted
    /// will do. Give the loader the same batch size.
    ///
    /// The rows are shuffled and cut into pools of 100 batches. The rows of a pool are sorted by
    /// length, and then the batches of all pools are shuffled. The last batch, if it is not full,
    /// has rows of all lengths. Making an [`Order`] takes O(n log n) time.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] if `batch_size` is zero.
    ///
    /// # Example
    ///
    /// ```
    /// # extern crate burn_npy_core as burn_npy;
    /// use burn_npy::Sampler;
    ///
    /// # fn main() -> burn_npy::Result<()> {
    /// let lengths = [3, 40, 2, 41, 4, 42];
    /// let order = Sampler::bucketed(lengths, 3, 7)?.order(6, 0);
    /// let mut first: Vec<u64> = order.rows(0..3).collect();
    /// first.sort();
    /// assert!(first == [0, 2, 4] || first == [1, 3, 5]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn bucketed<L: Ord>(
        lengths: impl IntoIterator<Item = L>,
        batch_size: usize,
        seed: u64,
    ) -> Result<Self> {
        if batch_size == 0 {
            return Err(usage("batches of zero rows"));
        }
        let lengths: Vec<L> = lengths.into_iter().collect();
        Ok(Kind::Bucketed {
            seed,
            batch_size,
            buckets: Buckets::new(&lengths),
        }
        .over_rows())
    }

    /// All rows in a random order, in batches of rows of similar lengths, each of as many rows as
    /// fit: the number of rows times the length of the longest, to which the others are padded, is
    /// at most `max_tokens`. The lengths are those of the rows, in their order, as the `lengths` of
    /// an `NpyDataset` gives them, in any type of integers. A row of length 0 counts as one of
    /// length 1.
    ///
    /// The loader takes the batches as they are, so it gets no batch size; `drop_last` drops
    /// nothing, as no batch is partial. Where several shards share an epoch, each gets whole
    /// batches. An epoch may have some batches more or fewer than another.
    ///
    /// The rows are shuffled and cut into pools of as many rows as 100 batches have on average. The
    /// rows of a pool are sorted by length and put into batches, and then the batches of all pools
    /// are shuffled. Making an [`Order`] takes O(n log n) time; its
    /// [`batch_ends`](Order::batch_ends) are where the batches end.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] if `max_tokens` is zero, if a row is longer than that, or if a length
    /// is negative; the message names the first such row.
    ///
    /// # Example
    ///
    /// ```
    /// # extern crate burn_npy_core as burn_npy;
    /// use burn_npy::Sampler;
    ///
    /// # fn main() -> burn_npy::Result<()> {
    /// let lengths = [30, 2, 10, 3, 28, 9, 3, 11];
    /// let order = Sampler::max_tokens(lengths, 60, 7)?.order(8, 0);
    /// let mut start = 0;
    /// for &end in order.batch_ends().unwrap() {
    ///     let found: Vec<u64> = order.rows(start..end).map(|row| lengths[row as usize]).collect();
    ///     assert!(found.len() as u64 * found.iter().max().unwrap() <= 60);
    ///     start = end;
    /// }
    /// assert_eq!(start, 8);
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_tokens<L: TryInto<u64>>(
        lengths: impl IntoIterator<Item = L>,
        max_tokens: u64,
        seed: u64,
    ) -> Result<Self> {
        if max_tokens == 0 {
            return Err(usage("batches of zero tokens"));
        }
        let length = |(row, length): (usize, L)| {
            let what = "is negative, or beyond 64 bits";
            let wrong = |_| usage(format!("the length of row {row} {what}"));
            length.try_into().map_err(wrong)
        };
        let lengths = lengths.into_iter().enumerate().map(length);
        let tokens = Tokens::new(lengths.collect::<Result<_>>()?, max_tokens);
        let tokens = tokens.map_err(|(row, length)| {
            usage(format!(
                "row {row} has length {length}, but a batch has at most {max_tokens} tokens; raise \
                 max_tokens, shorten longer rows with Truncate, or leave them out, as with \
                 dataset.filter(\"tokens\", |row: &[i64]| row.len() <= {max_tokens})"
            ))
        })?;
        Ok(Kind::MaxTokens { seed, tokens }.over_rows())
    }

    /// Rows drawn with replacement, with a probability in proportion to their weights. An epoch has
    /// as many draws as there are weights, unless [`draws`](Self::draws) sets another number. It is
    /// the alias method (Walker, 1977; Vose, 1991).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] if all weights are zero, or if one is negative or not finite; the
    /// message names the first such.
    pub fn weighted(weights: &[f64], seed: u64) -> Result<Self> {
        check_weights(weights)?;
        Ok(Kind::Weighted {
            seed,
            table: Alias::new(weights),
            draws: None,
        }
        .over_rows())
    }

    /// Rows drawn without replacement: each draw takes one of the remaining rows, with a
    /// probability in proportion to their weights. An epoch draws all rows with a weight above
    /// zero, unless [`draws`](Self::draws) sets a smaller number. Making an [`Order`] takes O(n log
    /// n) time (Efraimidis and Spirakis, 2006).
    ///
    /// # Errors
    ///
    /// Those of [`weighted`](Self::weighted).
    pub fn weighted_without_replacement(weights: &[f64], seed: u64) -> Result<Self> {
        Ok(Kind::WeightedWithoutReplacement {
            seed,
            draws: check_weights(weights)?,
            weights: weights.to_vec().into(),
        }
        .over_rows())
    }

    /// Rows drawn so that each class comes equally often, whatever its size. A class is all rows
    /// with the same label. The labels are those of the rows, in their order: an array, a slice or
    /// a list, by value or by reference.
    ///
    /// The rows come in rounds. A round has one row of each class, with the classes in a random
    /// order. A class gives all its rows, in a random order, before it gives any again. An epoch
    /// has as many draws as there are labels, unless [`draws`](Self::draws) sets another number.
    /// Making an [`Order`] takes O(n) time.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] if there are no labels.
    pub fn balanced<L: Ord>(labels: impl IntoIterator<Item = L>, seed: u64) -> Result<Self> {
        let labels: Vec<L> = labels.into_iter().collect();
        if labels.is_empty() {
            return Err(usage("no labels to balance"));
        }
        Ok(Kind::Balanced {
            seed,
            classes: Classes::new(&labels),
            draws: None,
        }
        .over_rows())
    }

    /// Sets how many positions an epoch has. With a sampler that draws, it is as
    /// [`draws`](Self::draws). With one that has each row once, an epoch then goes on where the one
    /// before ended: epoch `e` has the positions from `e * len` on of the endless sequence of
    /// passes over the rows. So every row comes before any comes again, whether an epoch is shorter
    /// or longer than a pass. The first pass is the order of epoch 0 without this method, the
    /// second that of epoch 1, and so on.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] if `len` is zero, and for a sampler of batches of similar lengths:
    /// [`bucketed`](Self::bucketed) and [`max_tokens`](Self::max_tokens); those of
    /// [`draws`](Self::draws).
    ///
    /// # Example
    ///
    /// ```
    /// # extern crate burn_npy_core as burn_npy;
    /// use burn_npy::Sampler;
    ///
    /// # fn main() -> burn_npy::Result<()> {
    /// // Validate after every 400 rows of 1000.
    /// let sampler = Sampler::shuffled(42).epoch_len(400)?;
    /// let mut rows = Vec::new();
    /// for epoch in 0..5 {
    ///     rows.extend(sampler.order(1000, epoch).rows(0..400));
    /// }
    /// let pass = Sampler::shuffled(42);
    /// assert!(pass.order(1000, 0).rows(0..1000).eq(rows[..1000].iter().copied()));
    /// assert!(pass.order(1000, 1).rows(0..1000).eq(rows[1000..].iter().copied()));
    /// # Ok(())
    /// # }
    /// ```
    pub fn epoch_len(mut self, len: u64) -> Result<Self> {
        if len == 0 {
            return Err(usage("epochs of zero positions"));
        }
        match &mut self.kind {
            Kind::Once { len: known, .. } => *known = Some(len),
            Kind::Bucketed { .. } | Kind::MaxTokens { .. } => {
                return Err(usage("batches of similar lengths have epochs of all rows"));
            }
            _ => return self.draws(len),
        }
        Ok(self)
    }

    /// Sets how many rows an epoch draws. It is for samplers that draw: weighted and balanced ones,
    /// and [`with_replacement`](Self::with_replacement).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] for a sampler that has each row once, whose epochs
    /// [`epoch_len`](Self::epoch_len) sets, and for more draws without replacement than there are
    /// weights above zero; [`ErrorKind::Overflow`] if the list of draws of a balanced sampler
    /// could not fit into memory.
    pub fn draws(mut self, count: u64) -> Result<Self> {
        match &mut self.kind {
            Kind::WithReplacement { draws, .. } | Kind::Weighted { draws, .. } => {
                *draws = Some(count);
            }
            // Its orders are lists in memory.
            Kind::Balanced { .. } if count > isize::MAX as u64 / 8 => {
                let message = format!("{count} draws do not fit into memory");
                return Err(Error::new(ErrorKind::Overflow, message));
            }
            Kind::Balanced { draws, .. } => *draws = Some(count),
            Kind::WeightedWithoutReplacement { draws, .. } if count <= *draws => *draws = count,
            Kind::WeightedWithoutReplacement { draws, .. } => {
                return Err(usage(format!(
                    "{count} draws without replacement, but {draws} rows can be drawn"
                )));
            }
            Kind::Once { .. } | Kind::Bucketed { .. } | Kind::MaxTokens { .. } => {
                return Err(usage(
                    "each row comes once, so there are no draws to count; use epoch_len for epochs \
                     of another length",
                ));
            }
        }
        Ok(self)
    }

    /// Orders the rows of a list instead of all rows.
    ///
    /// The list may be a selection, and it may repeat rows. With [`sequential`](Self::sequential)
    /// it is an order of your own. Weights, labels and lengths then belong to the entries of the
    /// list, one each. It takes 8 bytes an entry. [`read_index`](crate::read_index) reads a list
    /// from a file.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] if the sampler has a list or windows already.
    pub fn index(self, rows: impl Into<Vec<u64>>) -> Result<Self> {
        self.over(Domain::index(rows.into()))
    }

    /// Orders windows over a time series instead of rows.
    ///
    /// A window has `length` rows. One starts at row 0, `stride`, `2 * stride` and so on, as long
    /// as it ends within the dataset. The order has the first row of each window. Weights,
    /// labels and lengths then belong to the windows, one each.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] if `length` or `stride` is zero, or if the sampler has a list or
    /// windows already.
    pub fn windows(self, length: u64, stride: u64) -> Result<Self> {
        if length == 0 || stride == 0 {
            return Err(usage(format!("windows of {length} rows, {stride} apart")));
        }
        self.over(Domain::Windows { length, stride })
    }

    fn over(self, domain: Domain) -> Result<Self> {
        match self.domain {
            Domain::Rows => Ok(Self { domain, ..self }),
            _ => Err(usage("a sampler has one list or one kind of windows")),
        }
    }

    /// The seed, if the sampler has one.
    pub fn seed(&self) -> Option<u64> {
        match self.kind {
            Kind::Once { order, .. } => match order {
                Once::Sequential => None,
                Once::Shuffled { seed }
                | Once::Blocks { seed, .. }
                | Once::BlocksFirst { seed, .. } => Some(seed),
            },
            Kind::WithReplacement { seed, .. }
            | Kind::Bucketed { seed, .. }
            | Kind::MaxTokens { seed, .. }
            | Kind::Weighted { seed, .. }
            | Kind::WeightedWithoutReplacement { seed, .. }
            | Kind::Balanced { seed, .. } => Some(seed),
        }
    }

    /// Whether consecutive positions of an epoch read rows that are far apart in the file.
    pub fn is_random(&self) -> bool {
        let Kind::Once { order, .. } = self.kind else {
            return true;
        };
        match (order, &self.domain) {
            (Once::Shuffled { .. } | Once::BlocksFirst { .. }, _) => true,
            (_, Domain::Index { is_random, .. }) => *is_random,
            (Once::Sequential | Once::Blocks { .. }, _) => false,
        }
    }

    /// How far apart two neighbours in the file are in the epoch, on average. The scale is linear:
    /// 0 means that they are next to each other, 1 that they are as far apart as in a full shuffle.
    ///
    /// Neighbours tend to be alike. The closer the value is to 1, the more each part of the epoch
    /// looks like the whole. With a list or windows, it is about neighbours in the list or
    /// neighbouring windows. Of [`blocks_first`](Self::blocks_first), it is about the first epoch.
    pub fn mixing(&self, len: u64) -> f64 {
        let Kind::Once { order, .. } = self.kind else {
            return 1.0;
        };
        match order {
            Once::Sequential => 0.0,
            Once::Blocks { block, mixed, .. } | Once::BlocksFirst { block, mixed, .. } => {
                blocks::mixing(self.domain.count(len), block, mixed)
            }
            Once::Shuffled { .. } => 1.0,
        }
    }

    /// The number of positions of an epoch over a dataset of `len` rows.
    pub fn positions(&self, len: u64) -> u64 {
        let entries = self.domain.count(len);
        match self.kind {
            Kind::Once { len, .. } => len.unwrap_or(entries),
            Kind::Bucketed { .. } | Kind::MaxTokens { .. } => entries,
            Kind::WithReplacement { draws, .. }
            | Kind::Weighted { draws, .. }
            | Kind::Balanced { draws, .. } => draws.unwrap_or(entries),
            Kind::WeightedWithoutReplacement { draws, .. } => draws,
        }
    }

    /// The most rows that a batch may have, if the sampler makes the batches.
    pub(crate) fn largest_batch(&self) -> Option<u64> {
        match &self.kind {
            Kind::MaxTokens { tokens, .. } => Some(tokens.largest()),
            _ => None,
        }
    }

    /// If the sampler makes the batches, each row with the most rows that a batch with it may have.
    pub(crate) fn most_rows(&self) -> Option<impl Iterator<Item = (u64, u64)> + '_> {
        let Kind::MaxTokens { tokens, .. } = &self.kind else {
            return None;
        };
        let most = |(entry, length): (u64, &u64)| {
            let mut row = [entry];
            self.domain.resolve(&mut row);
            (row[0], (tokens.max() / length).min(tokens.largest()))
        };
        Some((0..).zip(tokens.lengths()).map(most))
    }

    /// Checks the sampler against the number of rows of a dataset.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Row`] if a list has a row that does not exist; [`ErrorKind::Usage`] if the
    /// number of weights, labels or lengths is not that of the rows, list entries or windows, or if
    /// an epoch has positions but there are no rows; [`ErrorKind::Overflow`] for more than 2^63
    /// rows.
    pub fn check(&self, len: u64) -> Result<()> {
        if len > 1 << 63 {
            let message = format!("{len} rows, more than 2^63");
            return Err(Error::new(ErrorKind::Overflow, message));
        }
        self.domain.check(len)?;
        let count = self.domain.count(len);
        let (given, what) = match &self.kind {
            Kind::Weighted { table, .. } => (table.len(), "weights"),
            Kind::WeightedWithoutReplacement { weights, .. } => (weights.len() as u64, "weights"),
            Kind::Balanced { classes, .. } => (classes.len(), "labels"),
            Kind::Bucketed { buckets, .. } => (buckets.ranks().len() as u64, "lengths"),
            Kind::MaxTokens { tokens, .. } => (tokens.lengths().len() as u64, "lengths"),
            Kind::Once { .. } | Kind::WithReplacement { .. } => {
                let positions = self.positions(len);
                if count == 0 && positions > 0 {
                    let message = format!("epochs of {positions} positions, but there are no rows");
                    return Err(usage(message));
                }
                return Ok(());
            }
        };
        if given == count {
            return Ok(());
        }
        let of = match self.domain {
            Domain::Rows => "rows",
            Domain::Windows { .. } => "windows",
            Domain::Index { .. } => "entries of the index",
        };
        Err(usage(format!("{given} {what} for {count} {of}")))
    }

    /// The order of an epoch over a dataset of `len` rows.
    ///
    /// # Panics
    ///
    /// Panics if [`check`](Self::check) gives an error.
    pub fn order(&self, len: u64, epoch: u64) -> Order {
        if let Err(error) = self.check(len) {
            panic!("{error}");
        }
        let entries = self.domain.count(len);
        let positions = self.positions(len);
        let mut batch_ends = None;
        let arrangement = match &self.kind {
            Kind::Once { order, len: None } => order.pass(entries, epoch),
            Kind::Once {
                order,
                len: Some(len),
            } => Arrangement::Passes(Passes::new(*order, entries, *len, epoch)),
            Kind::WithReplacement { seed, .. } => {
                Arrangement::Uniform(Uniform::new(entries, *seed, epoch))
            }
            Kind::Bucketed {
                seed,
                batch_size,
                buckets,
            } => Arrangement::Listed(buckets.draw(*batch_size, *seed, epoch).into()),
            Kind::MaxTokens { seed, tokens } => {
                let (rows, ends) = tokens.draw(*seed, epoch);
                batch_ends = Some(ends);
                Arrangement::Listed(rows.into())
            }
            Kind::Weighted { seed, table, .. } => Arrangement::Drawn(table.draws(*seed, epoch)),
            Kind::WeightedWithoutReplacement {
                seed,
                weights,
                draws,
            } => Arrangement::Listed(
                weighted_without_replacement::draw(weights, *draws as usize, *seed, epoch).into(),
            ),
            Kind::Balanced { seed, classes, .. } => {
                Arrangement::Listed(classes.draw(positions as usize, *seed, epoch).into())
            }
        };
        let order = Order::new(positions, len, arrangement, self.domain.clone());
        match batch_ends {
            Some(ends) => order.in_batches(ends),
            None => order,
        }
    }
}

fn usage(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Usage, message)
}

fn check_blocks(block_size: u64, mixed: u64) -> Result<()> {
    match (block_size, mixed) {
        (0, _) => Err(usage("blocks of zero rows")),
        (_, 0) => Err(usage("zero blocks mixed at a time")),
        _ => Ok(()),
    }
}

/// Checks the weights and returns how many are above zero.
fn check_weights(weights: &[f64]) -> Result<u64> {
    if let Some(row) = weights.iter().position(|w| !(w.is_finite() && *w >= 0.0)) {
        let weight = weights[row];
        return Err(usage(format!(
            "weight {row} is {weight}, expected a finite number that is not negative"
        )));
    }
    match weights.iter().filter(|weight| **weight > 0.0).count() {
        0 => Err(usage(format!("all {} weights are zero", weights.len()))),
        count => Ok(count as u64),
    }
}

mod fingerprint;
#[cfg(test)]
mod tests;
