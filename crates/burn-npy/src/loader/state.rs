//! Where a loader is, in a form that can be saved, and what it may be resumed with.

use std::sync::OnceLock;

use burn_npy_core::{Error, ErrorKind, Order, Result, Sampler};
use serde::{Deserialize, Serialize};

use super::Loader;
use super::cursor::At;
use super::fingerprint::Fingerprint;
use super::hex;
use super::on_error::{Ledger, SkippedRow};

/// The version of the format.
const VERSION: u32 = 1;

/// How far a loader has come: what was yielded, whatever was loaded ahead.
///
/// [`Loader::state`] and [`LoaderIter::state`](crate::LoaderIter::state) give it,
/// [`DataLoaderBuilder::resume`](crate::DataLoaderBuilder::resume) and [`Loader::resume`] go on
/// from it. It is a cursor of a few hundred bytes, to be saved with `serde` next to the model and
/// the optimizer, in one step: the example `resume` shows how.
///
/// The cursor is a position of the epoch's order below which all shards have had everything, if
/// they have come equally far. So it does not matter with how many workers, which batch size or how
/// many shards the epoch is gone on with: each row still comes once. If a pass was dropped before
/// its end, the state leads to its rest.
///
/// # Example
///
/// ```
/// use burn::tensor::{Int, Tensor};
/// use burn_npy::{DataLoaderBuilder, NpyBatcher, NpyDataset, State, ndarray::Array1};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let dataset = NpyDataset::from_tensor_slices(Array1::from_iter(0..100_i64))?;
/// let builder = || DataLoaderBuilder::new(NpyBatcher::<Tensor<1, Int>>::all()).shuffle(42);
///
/// let loader = builder().batch_size(10).try_build(dataset.clone())?;
/// let mut pass = loader.pass();
/// let first = pass.by_ref().take(4).count();
/// let saved = serde_json::to_string(&pass.state())?;
///
/// // Later, elsewhere, in smaller batches.
/// let state: State = serde_json::from_str(&saved)?;
/// assert_eq!((state.epoch(), state.position()), (0, 40));
/// let loader = builder().batch_size(6).resume(state).try_build(dataset)?;
/// assert_eq!((first, loader.pass().count()), (4, 10));
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
    skipped: Ledger,
}

impl State {
    /// The epoch that is gone on with, counted from 0. When an epoch is over, it is the next one.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// How many positions of the epoch's order are done, over all shards; 0 at the start of an
    /// epoch.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The rows that were skipped so far, see [`OnError`](crate::OnError), in the order of the
    /// dataset. With shards, those of the shard whose state it is.
    pub fn skipped(&self) -> &[SkippedRow] {
        self.skipped.rows()
    }
}

/// What decides about the batches of a loader: a state only fits the same.
#[derive(Debug)]
pub(crate) struct Identity {
    sampler: Sampler,
    /// It takes a while for samplers with tables, so it is computed when it is asked for.
    sampler_print: OnceLock<u64>,
    dataset: Fingerprint,
    positions: u64,
}

impl Identity {
    pub(crate) fn new(sampler: Sampler, dataset: Fingerprint, positions: u64) -> Self {
        Self {
            sampler,
            sampler_print: OnceLock::new(),
            dataset,
            positions,
        }
    }

    fn sampler_print(&self) -> u64 {
        *self
            .sampler_print
            .get_or_init(|| self.sampler.fingerprint())
    }

    pub(crate) fn state(&self, at: At) -> State {
        State {
            version: VERSION,
            order: Order::VERSION,
            sampler: self.sampler_print(),
            seed: self.sampler.seed(),
            epoch: at.epoch,
            position: at.position,
            dataset: self.dataset.clone(),
            skipped: at.skipped,
        }
    }

    /// The place of a state, if it is one of the same dataset in the same order.
    pub(crate) fn place(&self, state: &State) -> Result<At> {
        let refuse = |message: String| Err(Error::new(ErrorKind::Usage, message));
        if state.version != VERSION {
            return refuse(format!(
                "the state has version {}, but this is version {VERSION}",
                state.version
            ));
        }
        if state.order != Order::VERSION {
            return refuse(format!(
                "the state has version {} of the order, but this is version {}: the rest of the \
                 epoch, or the random numbers of its rows, would be others; go on with the version \
                 of burn-npy that saved the state, or start anew",
                state.order,
                Order::VERSION
            ));
        }
        self.dataset.expect(&state.dataset)?;
        let seed = self.sampler.seed();
        if state.seed != seed {
            let describe = |seed: Option<u64>| match seed {
                Some(seed) => format!("the seed {seed}"),
                None => "no seed".to_owned(),
            };
            return refuse(format!(
                "the state is one of a sampler with {}, but the loader's has {}",
                describe(state.seed),
                describe(seed)
            ));
        }
        if state.sampler != self.sampler_print() {
            return refuse(
                "the state is one of another sampler: of another kind, or with other weights, \
                 labels or rows"
                    .to_owned(),
            );
        }
        if state.position > self.positions {
            return refuse(format!(
                "the state is at position {} of {}",
                state.position, self.positions
            ));
        }
        let mut at = At {
            epoch: state.epoch,
            position: state.position,
            skipped: state.skipped.clone().sorted(),
        };
        if self.positions > 0 {
            at.normalise(self.positions);
        }
        Ok(at)
    }
}

impl At {
    /// The end of an epoch is the start of the next.
    pub(crate) fn normalise(&mut self, positions: u64) {
        if self.position >= positions {
            (self.epoch, self.position) = (self.epoch.wrapping_add(1), 0);
        }
    }
}

impl<O> Loader<O> {
    /// How far the loader has come: after what the last pass has yielded so far, also if that pass
    /// is still running. Passes of [`epoch`](Self::epoch) and batches of
    /// [`batch_at`](Self::batch_at) do not count, nor do those of copies that
    /// [`slice`](burn::data::dataloader::DataLoader::slice) and
    /// [`to_device`](burn::data::dataloader::DataLoader::to_device) make, such as Burn's `Learner`
    /// uses; their rows that were skipped are in [`skipped`](Self::skipped).
    pub fn state(&self) -> State {
        self.identity.state(self.cursor.at())
    }

    /// Goes on from a state: the next pass is the rest of its epoch, and the ones after it are as
    /// if nothing had happened. The number of workers, the batch size and the shards may be others
    /// than those of the loader that the state is from. If the batches are the same, so are their
    /// numbers.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] for a state of another dataset, another sampler, another seed, or
    /// another version, naming what differs. A dataset is known by its length and, if it is an
    /// [`NpyDataset`](crate::NpyDataset), by the names, dtypes, shapes and some rows of its
    /// columns.
    pub fn resume(&self, state: &State) -> Result<()> {
        self.cursor.set(self.identity.place(state)?);
        Ok(())
    }

    /// The epoch of the next pass, counted from 0.
    pub fn next_epoch(&self) -> u64 {
        self.cursor.next_epoch()
    }
}
