//! What is saved of a loader: how far it has come, and of what.

use std::sync::OnceLock;

use burn_npy_core::{Error, ErrorKind, Result, Sampler, order::Order};
use serde::{Deserialize, Serialize};

use super::error::{SkippedRow, SkippedRows};
use crate::cursor::Cursor;
use crate::dataset::fingerprint::{Fingerprint, hex};

/// The version of the format.
const VERSION: u32 = 2;

/// How far a loader has come: it counts the batches that were yielded, not those loaded ahead.
///
/// [`Loader::state`](crate::Loader::state) and [`LoaderIter::state`](crate::LoaderIter::state)
/// return it. [`DataLoaderBuilder::resume`](crate::DataLoaderBuilder::resume) and
/// [`Loader::resume`](crate::Loader::resume) continue from it. It has a few hundred bytes. Save it
/// with `serde` together with the model and the optimizer, in one step, as the example `resume`
/// does.
///
/// The state holds a position in the order of the epoch. All shards have done every position below
/// it, if each has asked for as many batches. So an epoch can be resumed with another number of
/// workers, another batch size or another number of shards, and each row still comes once. The
/// state of a pass that was dropped continues with the rest of that pass.
///
/// A shard may have one batch fewer than others, see
/// [`Remainder::Uneven`](crate::order::Remainder). After its last batch its state is that of the
/// others, which have one more to do. It is the start of the next epoch once the pass has said that
/// no batch is left.
///
/// Where [`OnError`](crate::OnError) skips rows, a shard may pass over a batch and be ahead of the
/// others: resume all shards from the state of the one that is furthest behind, which has the
/// lowest epoch and position.
///
/// # Example
///
/// ```
/// use burn::tensor::{Int, Tensor};
/// use burn_npy::{DataLoaderBuilder, NpyBatcher, NpyDataset, State, ndarray::Array1};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let dataset = NpyDataset::from_tensor_slices(Array1::from_iter(0..100_i64))?;
/// let builder = || DataLoaderBuilder::new(NpyBatcher::<Tensor<1, Int>>::new()).shuffle(42);
///
/// let loader = builder().batch_size(10).try_build(dataset.clone())?;
/// let mut pass = loader.iter();
/// let first = pass.by_ref().take(4).count();
/// let saved = serde_json::to_string(&pass.state())?;
///
/// // Later, elsewhere, in smaller batches.
/// let state: State = serde_json::from_str(&saved)?;
/// assert_eq!((state.epoch(), state.position()), (0, 40));
/// let loader = builder().batch_size(6).resume(state).try_build(dataset)?;
/// assert_eq!((first, loader.iter().count()), (4, 10));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    version: u32,
    /// [`Order::VERSION`].
    order: u32,
    /// [`Sampler::fingerprint`].
    #[serde(with = "hex")]
    sampler: u64,
    seed: Option<u64>,
    epoch: u64,
    position: u64,
    dataset: Fingerprint,
    skipped: SkippedRows,
}

impl State {
    /// The epoch to continue, counted from 0. At the end of an epoch it is the next one.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// How many positions of the order of the epoch are done, over all shards; 0 at the start of an
    /// epoch.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The rows that were skipped so far, see [`OnError`](crate::OnError), in the order of the
    /// dataset. With shards, the rows that this shard skipped.
    pub fn skipped(&self) -> &[SkippedRow] {
        self.skipped.rows()
    }
}

/// What the batches of a loader depend on: a state only fits a loader with the same.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) sampler: Sampler,
    /// Computed when it is needed, since it takes long for samplers with tables.
    pub(crate) sampler_print: OnceLock<u64>,
    pub(crate) dataset: Fingerprint,
    pub(crate) positions: u64,
}

impl Identity {
    fn sampler_print(&self) -> u64 {
        *self
            .sampler_print
            .get_or_init(|| self.sampler.fingerprint())
    }

    pub(crate) fn state(&self, cursor: Cursor) -> State {
        State {
            version: VERSION,
            order: Order::VERSION,
            sampler: self.sampler_print(),
            seed: self.sampler.seed(),
            epoch: cursor.epoch,
            position: cursor.position,
            dataset: self.dataset.clone(),
            skipped: cursor.skipped,
        }
    }

    /// The cursor of a state of the same dataset in the same order.
    pub(crate) fn cursor(&self, state: &State) -> Result<Cursor> {
        let refuse = |message: String| Err(Error::new(ErrorKind::Usage, message));
        if state.version != VERSION {
            return refuse(format!(
                "the state has version {}, but this is version {VERSION}; resume with the version \
                 of burn-npy that saved the state, or start anew",
                state.version
            ));
        }
        if state.order != Order::VERSION {
            return refuse(format!(
                "the state has version {} of the order, but this is version {}: the rest of the \
                 epoch, or the random numbers of its rows, would be others; resume with the \
                 version of burn-npy that saved the state, or start anew",
                state.order,
                Order::VERSION
            ));
        }
        self.dataset.expect(&state.dataset)?;
        let seed = self.sampler.seed();
        if state.seed != seed {
            let describe = |seed: Option<u64>| seed.map_or("none".to_owned(), |it| it.to_string());
            let (saved, own) = (describe(state.seed), describe(seed));
            return refuse(format!(
                "the seed of the state is {saved}, but the seed of the loader's sampler is {own}"
            ));
        }
        if state.sampler != self.sampler_print() {
            return refuse(
                "the state is one of another sampler: of another kind, with other weights, labels, \
                 lengths or rows, or with epochs of another length, which batches_per_epoch gives \
                 them for another batch size, or other shards or devices"
                    .to_owned(),
            );
        }
        if state.position > self.positions {
            return refuse(format!(
                "the state is at position {} of {}",
                state.position, self.positions
            ));
        }
        let mut cursor = Cursor {
            epoch: state.epoch,
            position: state.position,
            skipped: SkippedRows::default(),
        };
        // A state that was edited by hand may have them in any order.
        cursor.skipped.add(state.skipped().iter().cloned());
        if self.positions > 0 {
            cursor.normalise(self.positions);
        }
        Ok(cursor)
    }
}
