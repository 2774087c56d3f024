//! Where batches come from: rows become host memory or whole batches, on any thread.

use std::any::Any;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::Dataset;
use burn::tensor::Device;
use burn_npy_core::{Error, ErrorKind};

use super::error::{Cause, Failure, SharedError, guarded};
use super::report::Counters;
use super::rows::{BatchInfo, RowScratch};
use crate::batcher::NpyBatcher;
use crate::layout::{Advice, BatchLayout, HostBatch, RowKind};
use crate::row::Row;
use crate::upload::has_own_memory;
use crate::{NpyDataset, Result};

/// The rows of a batch, loaded.
pub(crate) enum BatchData<O> {
    /// Memory of the host. One thread makes tensors of it, the consumer or the uploader, since a
    /// CubeCL stream with its memory pool belongs to a thread.
    Host(HostBatch),
    /// A whole batch. It is boxed because tensors are large and this is moved several times.
    Done(Box<O>),
}

/// What a thread does while it loads a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// It gathers rows that are in memory.
    Memory,
    /// It gathers rows of files that may have to be read from a disk.
    Files,
    /// It runs code of the user: a dataset or a batcher.
    UserCode,
}

/// Loads batches of the rows of a dataset.
pub(crate) trait Source<O>: Send + Sync {
    /// The size of a row in a batch, in bytes, if it is known.
    fn row_bytes(&self) -> Option<usize>;

    /// What [`load`](Self::load) does.
    fn work(&self) -> Work;

    /// The columns whose rows lie scattered in their files.
    fn scattered(&self) -> Vec<String> {
        Vec::new()
    }

    /// Prepares for a pass, in a random order or in the order of the files.
    fn advise(&self, random: bool);

    /// How many rows before they are loaded [`readahead`](Self::readahead) should be called; 0 if
    /// it does nothing.
    fn readahead_rows(&self) -> usize {
        0
    }

    /// Has the system read some rows that will be loaded soon.
    fn readahead(&self, _rows: &[u64]) {}

    /// Whether [`finish`](Self::finish) copies host memory to a device, which is worth a thread of
    /// its own.
    fn uploads(&self) -> bool {
        false
    }

    /// Loads a batch, or some of its rows.
    fn load(
        &self,
        batch: &BatchInfo,
        scratch: &mut RowScratch,
        counters: &Counters,
    ) -> Result<BatchData<O>, Failure>;

    /// Loads batches that were drawn together at once. `None` if this source does not do that, or
    /// if one of them fails; then [`load`](Self::load) finds out what is wrong.
    fn load_run(&self, _: &[BatchInfo], _: &mut RowScratch) -> Option<Vec<BatchData<O>>> {
        None
    }

    /// Makes the batch of the user from what was loaded, on the thread that makes tensors.
    fn finish(
        &self,
        data: BatchData<O>,
        batch: &BatchInfo,
        counters: &Counters,
    ) -> Result<O, Failure>;

    /// The same source for another device.
    fn to_device(&self, device: &Device) -> Result<Arc<dyn Source<O>>>;
}

/// Makes tensors of host memory, with the batcher that gathered it.
fn upload<O>(
    batcher: &NpyBatcher<O>,
    data: HostBatch,
    device: &Device,
    counters: &Counters,
) -> Result<O, Failure> {
    let start = Instant::now();
    let bytes = data.bytes();
    let assemble = || batcher.assemble.assemble(&mut data.uploads(), device);
    let batch = guarded("batch type", assemble);
    Counters::add(&counters.upload, start.elapsed());
    Counters::count(&counters.uploaded_bytes, bytes as u64);
    batch
}

/// If a gather fails because of one row, the failure names the first such row.
fn name_row<R>(
    failure: Failure,
    batch: &BatchInfo,
    rows: &[R],
    gather: impl Fn(&[R]) -> Result<HostBatch, Failure>,
) -> Failure {
    if failure.cause.may_be_of_a_row() {
        for (number, row) in batch.rows().iter().zip(rows) {
            if let Err(failure) = gather(std::slice::from_ref(row)) {
                return failure.of_row(*number);
            }
        }
    }
    failure
}

/// Our dataset with our batcher: row numbers go straight to the gather, and no item is made.
pub(crate) struct NpySource<O> {
    dataset: NpyDataset,
    batcher: NpyBatcher<O>,
    layout: Arc<BatchLayout>,
    device: Device,
}

impl<O: 'static> NpySource<O> {
    pub(crate) fn new(dataset: NpyDataset, batcher: NpyBatcher<O>, device: Device) -> Result<Self> {
        let layouts = batcher.gather.bind(dataset.shared_columns(), &device)?;
        Ok(Self {
            layout: layouts.single,
            dataset,
            batcher,
            device,
        })
    }

    /// Rows of the dataset as rows of its files, in `memory` if they are not the same.
    fn file_rows<'a>(&self, rows: &'a [u64], memory: &'a mut Vec<usize>) -> &'a [usize] {
        let map = self.dataset.row_map();
        if cfg!(target_pointer_width = "64") && map.is_identity() {
            return bytemuck::cast_slice(rows);
        }
        memory.clear();
        memory.extend(rows.iter().map(|row| map.map(*row as usize)));
        memory
    }

    fn gather(&self, rows: &[usize]) -> Result<HostBatch, Failure> {
        let pool = self.batcher.gather.pool();
        Ok(guarded("gather", || self.layout.gather(pool, rows))??)
    }
}

impl<O: Send + 'static> Source<O> for NpySource<O> {
    fn row_bytes(&self) -> Option<usize> {
        Some(self.layout.row_bytes())
    }

    fn work(&self) -> Work {
        if self.layout.readahead_rows() > 0 {
            Work::Files
        } else {
            Work::Memory
        }
    }

    fn scattered(&self) -> Vec<String> {
        self.layout.scattered()
    }

    fn advise(&self, random: bool) {
        self.layout.advise(random);
    }

    fn readahead_rows(&self) -> usize {
        self.layout.readahead_rows()
    }

    fn readahead(&self, rows: &[u64]) {
        self.layout.readahead(self.file_rows(rows, &mut Vec::new()));
    }

    fn uploads(&self) -> bool {
        has_own_memory(&self.device)
    }

    fn load(
        &self,
        batch: &BatchInfo,
        scratch: &mut RowScratch,
        _: &Counters,
    ) -> Result<BatchData<O>, Failure> {
        let rows = self.file_rows(batch.rows(), &mut scratch.file_rows);
        match self.gather(rows) {
            Ok(data) => Ok(BatchData::Host(data)),
            Err(failure) => Err(name_row(failure, batch, rows, |rows| self.gather(rows))),
        }
    }

    fn load_run(
        &self,
        batches: &[BatchInfo],
        scratch: &mut RowScratch,
    ) -> Option<Vec<BatchData<O>>> {
        if batches.len() > 1 && !self.layout.supports_runs() {
            return None;
        }
        let rows = self.file_rows(BatchInfo::joined(batches), &mut scratch.file_rows);
        let all = self.gather(rows).ok()?;
        let mut start = 0;
        let part = |batch: &BatchInfo| {
            let end = start + batch.rows().len();
            BatchData::Host(all.part(std::mem::replace(&mut start, end)..end))
        };
        Some(batches.iter().map(part).collect())
    }

    fn finish(&self, data: BatchData<O>, _: &BatchInfo, counters: &Counters) -> Result<O, Failure> {
        match data {
            BatchData::Done(batch) => Ok(*batch),
            BatchData::Host(data) => upload(&self.batcher, data, &self.device, counters),
        }
    }

    fn to_device(&self, device: &Device) -> Result<Arc<dyn Source<O>>> {
        let (dataset, batcher) = (self.dataset.clone(), self.batcher.clone());
        Ok(Arc::new(Self::new(dataset, batcher, device.clone())?))
    }
}

/// Any dataset with any batcher. The dataset is asked for nothing but the items of batches, since
/// it may return another item each time.
pub(crate) struct AnySource<I, O> {
    dataset: Arc<dyn Dataset<I>>,
    batcher: Arc<dyn Batcher<I, O>>,
    /// The batcher, if it is ours: then items are rows, and errors need no panic.
    npy: Option<NpyBatcher<O>>,
    /// The pass that started last, for the files of the rows.
    pass: AtomicU64,
    /// Whether its order is random.
    random: AtomicBool,
    /// The columns of the first batch, if items are rows: they may come from several datasets.
    kinds: OnceLock<Vec<RowKind>>,
    device: Device,
}

/// Numbers the passes over all sources, from 1 on.
static PASSES: AtomicU64 = AtomicU64::new(1);

impl<I: 'static, O: 'static> AnySource<I, O> {
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

    fn items(&self, rows: &[u64]) -> Result<Vec<I>, Failure> {
        let indices: Vec<usize> = rows.iter().map(|row| *row as usize).collect();
        let items = match guarded("dataset", || self.dataset.get_many(indices))? {
            Ok(items) => items,
            Err(error) => {
                // Find the row, to name it.
                for row in rows {
                    let item = guarded("dataset", || self.dataset.get(*row as usize))?;
                    if let Err(error) = item {
                        return Err(Failure::from(Cause::error(error)).of_row(*row));
                    }
                }
                return Err(Cause::error(error).into());
            }
        };
        if items.len() != rows.len() {
            let message = format!(
                "the dataset gave {} items when asked for {}",
                items.len(),
                rows.len()
            );
            return Err(Error::new(ErrorKind::Usage, message).into());
        }
        Ok(items)
    }

    /// Gathers rows with our batcher.
    fn gather(&self, npy: &NpyBatcher<O>, rows: &[Row]) -> Result<HostBatch, Failure> {
        let advice = Some(Advice {
            pass: self.pass.load(Ordering::Relaxed),
            random: self.random.load(Ordering::Relaxed),
        });
        let gather = || npy.gather.rows(rows, &self.device, advice);
        Ok(guarded("gather", gather)??)
    }
}

/// The items as rows, if they are rows.
fn as_rows<I: 'static>(items: Vec<I>) -> Option<Vec<Row>> {
    let items: Box<dyn Any> = Box::new(items);
    items.downcast().ok().map(|rows| *rows)
}

impl<I: Send + 'static, O: Send + 'static> Source<O> for AnySource<I, O> {
    fn row_bytes(&self) -> Option<usize> {
        None
    }

    fn work(&self) -> Work {
        Work::UserCode
    }

    fn advise(&self, random: bool) {
        self.random.store(random, Ordering::Relaxed);
        let pass = PASSES.fetch_add(1, Ordering::Relaxed);
        self.pass.store(pass, Ordering::Relaxed);
    }

    fn uploads(&self) -> bool {
        self.npy.is_some() && has_own_memory(&self.device)
    }

    fn load(
        &self,
        batch: &BatchInfo,
        _: &mut RowScratch,
        counters: &Counters,
    ) -> Result<BatchData<O>, Failure> {
        let start = Instant::now();
        let items = self.items(batch.rows());
        Counters::add(&counters.user, start.elapsed());
        let items = items?;
        let Some(npy) = &self.npy else {
            let start = Instant::now();
            let batch = guarded("batcher", || self.batcher.batch(items, &self.device));
            Counters::add(&counters.user, start.elapsed());
            return Ok(BatchData::Done(Box::new(batch?)));
        };
        let rows = as_rows(items).unwrap_or_default();
        match self.gather(npy, &rows) {
            Ok(data) => {
                let layout = data.layout();
                layout.expect_kinds(self.kinds.get_or_init(|| layout.kinds()))?;
                Ok(BatchData::Host(data))
            }
            Err(failure) => {
                let gather = |rows: &[Row]| self.gather(npy, rows);
                Err(name_row(failure, batch, &rows, gather))
            }
        }
    }

    fn finish(&self, data: BatchData<O>, _: &BatchInfo, counters: &Counters) -> Result<O, Failure> {
        match (&self.npy, data) {
            (_, BatchData::Done(batch)) => Ok(*batch),
            (Some(npy), BatchData::Host(data)) => upload(npy, data, &self.device, counters),
            (None, BatchData::Host(_)) => unreachable!("only our batcher loads into host memory"),
        }
    }

    fn to_device(&self, device: &Device) -> Result<Arc<dyn Source<O>>> {
        let (dataset, batcher) = (self.dataset.clone(), self.batcher.clone());
        let new = Self::new(dataset, batcher, self.npy.clone(), device.clone());
        Ok(Arc::new(new))
    }
}

/// A function of the user that changes a batch.
pub(crate) type Map<O, P> = Arc<dyn Fn(O, &BatchInfo) -> P + Send + Sync>;

/// Batches of another source, changed by a function of the user: by the worker if it makes whole
/// batches, otherwise where tensors are made.
pub(crate) struct MappedSource<O, P> {
    pub(crate) source: Arc<dyn Source<O>>,
    pub(crate) map: Map<O, P>,
}

impl<O, P> MappedSource<O, P> {
    fn apply(&self, batch: O, info: &BatchInfo) -> Result<P, Failure> {
        guarded("map", || (self.map)(batch, info))
    }
}

impl<O: Send + 'static, P: Send + 'static> Source<P> for MappedSource<O, P> {
    fn row_bytes(&self) -> Option<usize> {
        self.source.row_bytes()
    }

    fn work(&self) -> Work {
        self.source.work()
    }

    fn scattered(&self) -> Vec<String> {
        self.source.scattered()
    }

    fn advise(&self, random: bool) {
        self.source.advise(random);
    }

    fn readahead_rows(&self) -> usize {
        self.source.readahead_rows()
    }

    fn readahead(&self, rows: &[u64]) {
        self.source.readahead(rows);
    }

    fn uploads(&self) -> bool {
        self.source.uploads()
    }

    fn load(
        &self,
        batch: &BatchInfo,
        scratch: &mut RowScratch,
        counters: &Counters,
    ) -> Result<BatchData<P>, Failure> {
        match self.source.load(batch, scratch, counters)? {
            BatchData::Host(data) => Ok(BatchData::Host(data)),
            BatchData::Done(done) => {
                let start = Instant::now();
                let mapped = self.apply(*done, batch);
                Counters::add(&counters.user, start.elapsed());
                Ok(BatchData::Done(Box::new(mapped?)))
            }
        }
    }

    fn load_run(
        &self,
        batches: &[BatchInfo],
        scratch: &mut RowScratch,
    ) -> Option<Vec<BatchData<P>>> {
        let host = |data| match data {
            BatchData::Host(data) => Some(BatchData::Host(data)),
            // Each goes through the function by itself.
            BatchData::Done(_) => None,
        };
        let run = self.source.load_run(batches, scratch)?;
        run.into_iter().map(host).collect()
    }

    fn finish(
        &self,
        data: BatchData<P>,
        info: &BatchInfo,
        counters: &Counters,
    ) -> Result<P, Failure> {
        let data = match data {
            BatchData::Done(batch) => return Ok(*batch),
            BatchData::Host(data) => BatchData::Host(data),
        };
        let batch = self.source.finish(data, info, counters)?;
        let start = Instant::now();
        let mapped = self.apply(batch, info);
        Counters::add(&counters.map, start.elapsed());
        mapped
    }

    fn to_device(&self, device: &Device) -> Result<Arc<dyn Source<P>>> {
        Ok(Arc::new(Self {
            source: self.source.to_device(device)?,
            map: self.map.clone(),
        }))
    }
}

/// A source that cannot be used on its device: every batch fails with the reason.
pub(crate) struct ErrorSource(pub(crate) Arc<Error>);

impl ErrorSource {
    fn failure(&self) -> Failure {
        Cause::error(SharedError(self.0.clone())).into()
    }
}

impl<O: Send + 'static> Source<O> for ErrorSource {
    fn row_bytes(&self) -> Option<usize> {
        None
    }

    fn work(&self) -> Work {
        Work::Memory
    }

    fn advise(&self, _: bool) {}

    fn load(
        &self,
        _: &BatchInfo,
        _: &mut RowScratch,
        _: &Counters,
    ) -> Result<BatchData<O>, Failure> {
        Err(self.failure())
    }

    fn finish(&self, _: BatchData<O>, _: &BatchInfo, _: &Counters) -> Result<O, Failure> {
        Err(self.failure())
    }

    fn to_device(&self, _: &Device) -> Result<Arc<dyn Source<O>>> {
        Ok(Arc::new(Self(self.0.clone())))
    }
}
