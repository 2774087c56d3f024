//! Where batches come from: rows are turned into host memory or batches, on any thread.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::Dataset;
use burn::tensor::Device;
use burn_npy_core::Error;

use super::BatchInfo;
use super::draw::Draw;
use super::error::{Cause, Failure, SharedError};
use super::meter::Spent;
use crate::batcher::{Assemble, NpyBatcher};
use crate::layout::{Advice, BatchLayout, HostBatch, RowKind};
use crate::row::Row;
use crate::upload::has_own_memory;
use crate::{NpyDataset, Result};

/// What a worker makes of the rows of a batch.
pub(crate) enum Loaded<O> {
    /// Memory of the host, which one thread turns into tensors, the consumer's or an uploader: a
    /// CubeCL stream with its memory pool belongs to a thread.
    Host(HostBatch),
    /// A whole batch, made by a batcher that we know nothing of. Tensors are large, and this is
    /// moved several times.
    Batch(Box<O>),
}

/// Makes batches of the items at given indices of a dataset.
pub(crate) trait Source<O>: Send + Sync {
    /// The size of an item in a batch, where it is known.
    fn item_bytes(&self) -> Option<usize>;

    /// The columns whose rows lie scattered in their files, where they are known.
    fn scattered(&self) -> Vec<String> {
        Vec::new()
    }

    /// Prepares for a pass, in a random order or in that of the files.
    fn advise(&self, random: bool);

    /// How many rows before they are loaded [`announce`](Self::announce) should know of them; 0 if
    /// it does nothing.
    fn rows_ahead(&self) -> usize {
        0
    }

    /// Says that a batch will be loaded soon.
    fn announce(&self, _info: &BatchInfo) {}

    /// Whether [`load`](Self::load) may wait for a disk.
    fn waits_for_storage(&self) -> bool {
        false
    }

    /// Whether [`load`](Self::load) is our gather; else it runs code of the user.
    fn is_gather(&self) -> bool {
        false
    }

    /// Whether [`finish`](Self::finish) takes memory of the host to that of a device, which is
    /// worth a thread of its own.
    fn uploads(&self) -> bool {
        false
    }

    /// The part that a worker does. The batch is one of those that were drawn, or some of its rows.
    /// What of it is code of the user is counted in the draw.
    fn load(&self, info: &BatchInfo, draw: &mut Draw) -> std::result::Result<Loaded<O>, Failure>;

    /// Gives all batches that were drawn, in their order, at once. False if this source does not do
    /// that or one of them fails; then those that were given do not count, and what is wrong is
    /// left to [`load`](Self::load) to find. The items are memory to work with.
    fn load_run(
        &self,
        _draw: &Draw,
        _items: &mut Vec<usize>,
        _give: &mut dyn FnMut(Loaded<O>),
    ) -> bool {
        false
    }

    /// The part that one thread does in order, and what of it was spent on code of the user.
    fn finish(
        &self,
        loaded: Loaded<O>,
        info: &BatchInfo,
        spent: &mut Spent,
    ) -> std::result::Result<O, Failure>;

    /// The same source with another device.
    fn to_device(&self, device: &Device) -> Result<Arc<dyn Source<O>>>;
}

/// How many of the rows that come after a batch the gather is told.
const LOOK_AHEAD: usize = 32;

/// The items of a batch, as indices of the dataset.
fn items(info: &BatchInfo) -> Vec<usize> {
    info.rows().iter().map(|row| *row as usize).collect()
}

pub(crate) fn guarded<T>(
    who: &'static str,
    f: impl FnOnce() -> T,
) -> std::result::Result<T, Failure> {
    // What a panic leaves half done belongs to the batch that is given up, or to code of the
    // user that is asked again only in another epoch.
    catch_unwind(AssertUnwindSafe(f)).map_err(|payload| Cause::panic(who, payload).into())
}

fn assemble<O>(
    assemble: &dyn Assemble<O>,
    loaded: Loaded<O>,
    device: &Device,
) -> std::result::Result<O, Failure> {
    match loaded {
        Loaded::Batch(batch) => Ok(*batch),
        Loaded::Host(gathered) => guarded("batch type", || {
            assemble.assemble(&mut gathered.uploads(), device)
        }),
    }
}

/// Our dataset with our batcher: indices go straight to the gather, and no item is ever made.
pub(crate) struct Direct<O> {
    dataset: NpyDataset,
    batcher: NpyBatcher<O>,
    layout: Arc<BatchLayout>,
    device: Device,
}

impl<O: 'static> Direct<O> {
    pub(crate) fn new(dataset: NpyDataset, batcher: NpyBatcher<O>, device: Device) -> Result<Self> {
        Ok(Self {
            layout: batcher
                .gather
                .bind(dataset.shared_columns(), &device)?
                .single,
            dataset,
            batcher,
            device,
        })
    }

    /// The rows of the files, in some memory if they are not the items as they are.
    fn rows_of<'a>(&self, items: &'a [u64], rows: &'a mut Vec<usize>) -> &'a [usize] {
        if cfg!(target_pointer_width = "64") && self.dataset.row_map().is_identity() {
            return bytemuck::cast_slice(items);
        }
        rows.clear();
        self.rows(items, rows);
        rows
    }

    /// Puts the rows of the files behind what is there.
    fn rows(&self, items: &[u64], rows: &mut Vec<usize>) {
        let map = self.dataset.row_map();
        match map.is_identity() {
            true => rows.extend(items.iter().map(|item| *item as usize)),
            false => rows.extend(items.iter().map(|item| map.map(*item as usize))),
        }
    }
}

impl<O: Send + 'static> Source<O> for Direct<O> {
    fn item_bytes(&self) -> Option<usize> {
        Some(self.layout.row_bytes())
    }

    fn scattered(&self) -> Vec<String> {
        self.layout.scattered()
    }

    fn advise(&self, random: bool) {
        self.layout.advise(random);
    }

    fn rows_ahead(&self) -> usize {
        self.layout.readahead_rows()
    }

    fn announce(&self, info: &BatchInfo) {
        let mut rows = Vec::new();
        self.rows(info.rows(), &mut rows);
        self.layout.readahead(&rows);
    }

    fn waits_for_storage(&self) -> bool {
        self.layout.readahead_rows() > 0
    }

    fn is_gather(&self) -> bool {
        true
    }

    fn uploads(&self) -> bool {
        has_own_memory(&self.device)
    }

    fn load(&self, info: &BatchInfo, draw: &mut Draw) -> std::result::Result<Loaded<O>, Failure> {
        let mut rows = std::mem::take(&mut draw.items);
        rows.clear();
        self.rows(info.rows(), &mut rows);
        let after = draw.after(info.batch());
        self.rows(&after[..after.len().min(LOOK_AHEAD)], &mut rows);
        let loaded = self.load_rows(info, &rows, &mut draw.checked);
        draw.items = rows;
        loaded
    }

    fn load_run(
        &self,
        draw: &Draw,
        rows: &mut Vec<usize>,
        give: &mut dyn FnMut(Loaded<O>),
    ) -> bool {
        if !self.layout.supports_runs() {
            return false;
        }
        let (items, ends) = draw.all();
        let rows = self.rows_of(items, rows);
        let gather = || -> Result<()> {
            self.layout.check()?;
            let all = self.layout.gather(self.batcher.gather.pool(), rows, &[])?;
            let mut start = 0;
            for end in ends {
                give(Loaded::Host(all.part(start..end)));
                start = end;
            }
            Ok(())
        };
        matches!(guarded("gather", gather), Ok(Ok(())))
    }

    fn finish(
        &self,
        loaded: Loaded<O>,
        _: &BatchInfo,
        _: &mut Spent,
    ) -> std::result::Result<O, Failure> {
        assemble(&*self.batcher.assemble, loaded, &self.device)
    }

    fn to_device(&self, device: &Device) -> Result<Arc<dyn Source<O>>> {
        let (dataset, batcher) = (self.dataset.clone(), self.batcher.clone());
        Ok(Arc::new(Self::new(dataset, batcher, device.clone())?))
    }
}

impl<O: Send + 'static> Direct<O> {
    /// The first of the rows are those of the batch, the others come after it.
    fn load_rows(
        &self,
        info: &BatchInfo,
        rows: &[usize],
        checked: &mut bool,
    ) -> std::result::Result<Loaded<O>, Failure> {
        let (rows, ahead) = rows.split_at(info.rows().len());
        // The files are looked at before each run of batches, which are made in one go.
        if !std::mem::replace(checked, true) {
            self.layout.check().map_err(Failure::from)?;
        }
        let gather = |rows: &[usize], ahead: &[usize]| -> std::result::Result<_, Failure> {
            let pool = self.batcher.gather.pool();
            guarded("gather", || self.layout.gather(pool, rows, ahead))?.map_err(Failure::from)
        };
        let failure = match gather(rows, ahead) {
            Ok(data) => return Ok(Loaded::Host(data)),
            Err(failure) => failure,
        };
        if failure.cause.may_be_of_a_row() {
            // Which one was it?
            for (item, row) in info.rows().iter().zip(rows) {
                if let Err(failure) = gather(&[*row], &[]) {
                    return Err(failure.of_row(*item));
                }
            }
        }
        Err(failure)
    }
}

/// Any dataset with any batcher. Nothing is asked of the dataset but the items of batches: it may
/// give another item each time that it is asked.
pub(crate) struct General<I, O> {
    dataset: Arc<dyn Dataset<I>>,
    batcher: Arc<dyn Batcher<I, O>>,
    /// The batcher, if it is ours: then items are rows, and errors need no panic.
    npy: Option<NpyBatcher<O>>,
    /// The pass that began last, for the files of rows as they come.
    pass: AtomicU64,
    /// Whether its order is random.
    random: AtomicBool,
    /// What the columns of the first batch were, if items are rows: rows may be of several
    /// datasets.
    kinds: OnceLock<Vec<RowKind>>,
    device: Device,
}

/// The numbers of passes over all sources, from 1 on.
static PASSES: AtomicU64 = AtomicU64::new(1);

impl<I: 'static, O: 'static> General<I, O> {
    pub(crate) fn new(
        dataset: Arc<dyn Dataset<I>>,
        batcher: Arc<dyn Batcher<I, O>>,
        npy: Option<NpyBatcher<O>>,
        device: Device,
    ) -> Self {
        Self {
            dataset,
            batcher,
            npy,
            pass: AtomicU64::new(0),
            random: AtomicBool::new(false),
            kinds: OnceLock::new(),
            device,
        }
    }

    /// A batch, if its tensors have the dtypes and shapes of the rows of the first batch.
    fn like_the_first(&self, gathered: HostBatch) -> Result<Loaded<O>> {
        let layout = gathered.layout();
        layout.expect_kinds(self.kinds.get_or_init(|| layout.kinds()))?;
        Ok(Loaded::Host(gathered))
    }

    fn items(&self, items: Vec<usize>) -> std::result::Result<Vec<I>, Failure> {
        let error = match guarded("dataset", || self.dataset.get_many(items.clone()))? {
            Ok(items) => return Ok(items),
            Err(error) => error,
        };
        // Which one was it? A dataset that gives another item each time has lost these, but so it
        // has if nobody asks: the batch has failed.
        for item in items {
            if let Err(error) = guarded("dataset", || self.dataset.get(item))? {
                return Err(Failure::from(Cause::error(error)).of_row(item as u64));
            }
        }
        Err(Cause::error(error).into())
    }
}

/// The items as rows, if they are.
fn rows<I: 'static>(items: Vec<I>) -> Option<Vec<Row>> {
    let items: Box<dyn Any> = Box::new(items);
    items.downcast().ok().map(|rows| *rows)
}

impl<I: Send + 'static, O: Send + 'static> Source<O> for General<I, O> {
    fn item_bytes(&self) -> Option<usize> {
        None
    }

    fn advise(&self, random: bool) {
        self.random.store(random, Ordering::Relaxed);
        let pass = PASSES.fetch_add(1, Ordering::Relaxed);
        self.pass.store(pass, Ordering::Relaxed);
    }

    fn uploads(&self) -> bool {
        self.npy.is_some() && has_own_memory(&self.device)
    }

    fn load(&self, info: &BatchInfo, draw: &mut Draw) -> std::result::Result<Loaded<O>, Failure> {
        let count = info.rows().len();
        let start = Instant::now();
        let items = self.items(items(info));
        draw.user += start.elapsed();
        let items = items?;
        if items.len() != count {
            let found = items.len();
            return Err(Cause::error(Error::new(
                burn_npy_core::ErrorKind::Usage,
                format!("the dataset gave {found} items when asked for {count}"),
            ))
            .into());
        }
        match &self.npy {
            Some(npy) => {
                let rows = rows(items).unwrap_or_default();
                let advice = Some(Advice {
                    pass: self.pass.load(Ordering::Relaxed),
                    random: self.random.load(Ordering::Relaxed),
                });
                let gather = |rows: &[Row]| -> std::result::Result<HostBatch, Failure> {
                    guarded("gather", || npy.gather.rows(rows, &self.device, advice))?
                        .map_err(Failure::from)
                };
                let failure = match gather(&rows) {
                    Ok(gathered) => return self.like_the_first(gathered).map_err(Failure::from),
                    Err(failure) => failure,
                };
                if failure.cause.may_be_of_a_row() {
                    // Which one was it?
                    for (item, row) in info.rows().iter().zip(&rows) {
                        if let Err(failure) = gather(std::slice::from_ref(row)) {
                            return Err(failure.of_row(*item));
                        }
                    }
                }
                Err(failure)
            }
            None => {
                let start = Instant::now();
                let batch = guarded("batcher", || self.batcher.batch(items, &self.device));
                draw.user += start.elapsed();
                Ok(Loaded::Batch(Box::new(batch?)))
            }
        }
    }

    fn finish(
        &self,
        loaded: Loaded<O>,
        _: &BatchInfo,
        _: &mut Spent,
    ) -> std::result::Result<O, Failure> {
        match (&self.npy, loaded) {
            (_, Loaded::Batch(batch)) => Ok(*batch),
            (Some(npy), loaded) => assemble(&*npy.assemble, loaded, &self.device),
            (None, Loaded::Host(_)) => unreachable!("only our batcher loads into host memory"),
        }
    }

    fn to_device(&self, device: &Device) -> Result<Arc<dyn Source<O>>> {
        let (dataset, batcher) = (self.dataset.clone(), self.batcher.clone());
        let new = Self::new(dataset, batcher, self.npy.clone(), device.clone());
        Ok(Arc::new(new))
    }
}

/// A source that could not be moved to a device: every batch is the reason.
pub(crate) struct Failed {
    pub(crate) error: Arc<Error>,
}

impl<O: Send + 'static> Source<O> for Failed {
    fn item_bytes(&self) -> Option<usize> {
        None
    }

    fn advise(&self, _: bool) {}

    fn load(&self, _: &BatchInfo, _: &mut Draw) -> std::result::Result<Loaded<O>, Failure> {
        Err(Cause::error(SharedError(self.error.clone())).into())
    }

    fn finish(
        &self,
        _: Loaded<O>,
        _: &BatchInfo,
        _: &mut Spent,
    ) -> std::result::Result<O, Failure> {
        Err(Cause::error(SharedError(self.error.clone())).into())
    }

    fn to_device(&self, _: &Device) -> Result<Arc<dyn Source<O>>> {
        Ok(Arc::new(Self {
            error: self.error.clone(),
        }))
    }
}
