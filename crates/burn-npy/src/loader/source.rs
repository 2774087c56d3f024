//! Where batches come from: rows become host memory or whole batches, on any thread.

use std::any::Any;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::Dataset;
use burn::tensor::Device;
use burn_npy_core::{Error, ErrorKind};

use super::error::{Cause, Failure, Loaded, guarded};
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
    /// It gathers rows that are taken to be in memory: arrays, files of up to 256 MiB, and files
    /// whose rows lie scattered, which are not read ahead.
    Memory,
    /// It gathers rows of files that may have to be read from a disk.
    Files,
    /// It runs code of the user: a dataset or a batcher.
    UserCode,
}

/// What a loader has to know of a source.
#[derive(Clone, Debug)]
pub(crate) struct SourceInfo {
    /// The size of a row in a batch, in bytes, if it is known.
    pub(crate) row_bytes: Option<usize>,
    /// What loading a batch means.
    pub(crate) work: Work,
    /// How many rows before they are loaded [`Source::readahead`] should be called; 0 if it does
    /// nothing.
    pub(crate) readahead_rows: usize,
    /// Whether [`Source::finish`] copies host memory to a device, which is worth a thread of its
    /// own.
    pub(crate) uploads: bool,
    /// The columns whose rows lie scattered in their files.
    pub(crate) scattered: Arc<[String]>,
}

impl SourceInfo {
    /// A source of which only the work is known.
    pub(crate) fn unknown(work: Work) -> Self {
        Self {
            row_bytes: None,
            work,
            readahead_rows: 0,
            uploads: false,
            scattered: Arc::default(),
        }
    }
}

/// Loads batches of the rows of a dataset.
pub(crate) trait Source<O>: Send + Sync {
    fn info(&self) -> SourceInfo;

    /// Prepares for a pass, in a random order or in the order of the files.
    fn advise(&self, random: bool);

    /// Has the system read some rows that will be loaded soon.
    fn readahead(&self, _rows: &[u64]) {}

    /// Loads batches that were drawn together, or fails as a whole. A failure names the row if
    /// there is one batch.
    fn load(&self, batches: &[BatchInfo], scratch: &mut RowScratch) -> Loaded<Vec<BatchData<O>>>;

    /// Makes the batch of the user from what was loaded, on the thread that makes tensors.
    fn finish(&self, data: BatchData<O>, batch: &BatchInfo, counters: &Counters) -> Loaded<O>;

    /// The same source for another device.
    fn to_device(&self, device: &Device) -> Result<Arc<dyn Source<O>>>;
}

/// Makes tensors of host memory, with the batcher that gathered it.
fn upload<O>(
    batcher: &NpyBatcher<O>,
    data: HostBatch,
    device: &Device,
    counters: &Counters,
) -> Loaded<O> {
    let start = Instant::now();
    let bytes = data.bytes();
    let assemble = || batcher.assemble.assemble(&mut data.uploads(), device);
    let batch = guarded("batch type", assemble);
    Counters::add(&counters.upload, start.elapsed());
    Counters::count(&counters.uploaded_bytes, bytes as u64);
    batch
}

/// Gathers rows. If that fails because of one row, the failure names the first such row.
fn gather_or_name<R>(
    batch: &BatchInfo,
    rows: &[R],
    gather: impl Fn(&[R]) -> Loaded<HostBatch>,
) -> Loaded<HostBatch> {
    let failure = match gather(rows) {
        Ok(data) => return Ok(data),
        Err(failure) => failure,
    };
    if failure.cause.may_be_of_a_row() {
        for (number, row) in batch.rows().iter().zip(rows) {
            if let Err(failure) = gather(std::slice::from_ref(row)) {
                return Err(failure.of_row(*number));
            }
        }
    }
    Err(failure)
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

    fn gather(&self, rows: &[usize]) -> Loaded<HostBatch> {
        let pool = self.batcher.gather.pool();
        Ok(guarded("gather", || self.layout.gather(pool, rows))??)
    }
}

impl<O: Send + 'static> Source<O> for NpySource<O> {
    fn info(&self) -> SourceInfo {
        let readahead_rows = self.layout.readahead_rows();
        SourceInfo {
            row_bytes: Some(self.layout.row_bytes()),
            work: if readahead_rows > 0 {
                Work::Files
            } else {
                Work::Memory
            },
            readahead_rows,
            uploads: has_own_memory(&self.device),
            scattered: self.layout.scattered().into(),
        }
    }

    fn advise(&self, random: bool) {
        self.layout.advise(random);
    }

    fn readahead(&self, rows: &[u64]) {
        self.layout.readahead(self.file_rows(rows, &mut Vec::new()));
    }

    fn load(&self, batches: &[BatchInfo], scratch: &mut RowScratch) -> Loaded<Vec<BatchData<O>>> {
        if batches.len() == 1 || !self.layout.supports_runs() {
            let load = |batch: &BatchInfo| {
                let rows = self.file_rows(batch.rows(), &mut scratch.file_rows);
                let data = gather_or_name(batch, rows, |rows| self.gather(rows))?;
                Ok(BatchData::Host(data))
            };
            return batches.iter().map(load).collect();
        }
        let rows = self.file_rows(BatchInfo::joined(batches), &mut scratch.file_rows);
        let all = self.gather(rows)?;
        let mut start = 0;
        let part = |batch: &BatchInfo| {
            let end = start + batch.rows().len();
            BatchData::Host(all.part(std::mem::replace(&mut start, end)..end))
        };
        Ok(batches.iter().map(part).collect())
    }

    fn finish(&self, data: BatchData<O>, _: &BatchInfo, counters: &Counters) -> Loaded<O> {
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

/// Any dataset with any batcher. A dataset may return another item each time, so each item of a
/// batch is asked for once; after a failure again, to find the row.
pub(crate) struct AnySource<I, O> {
    dataset: Arc<dyn Dataset<I>>,
    batcher: Arc<dyn Batcher<I, O>>,
    /// The batcher, if it is ours: then items are rows, and errors need no panic.
    npy: Option<NpyBatcher<O>>,
    /// The pass that started last, for the files of the rows.
    pass: Mutex<Advice>,
    /// The columns of the first batch, if items are rows: they may come from several datasets.
    kinds: OnceLock<Vec<RowKind>>,
    device: Device,
}

/// A number for each call of `advise`, unique over all sources, from 1 on.
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
            pass: Mutex::new(Advice {
                pass: 0,
                random: false,
            }),
            kinds: OnceLock::new(),
            device,
        }
    }

    fn items(&self, rows: &[u64]) -> Loaded<Vec<I>> {
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

    /// Makes a batch with the batcher of the user.
    fn batch(&self, items: Vec<I>, counters: &Counters) -> Loaded<BatchData<O>> {
        let start = Instant::now();
        let batch = guarded("batcher", || self.batcher.batch(items, &self.device));
        Counters::add(&counters.user, start.elapsed());
        Ok(BatchData::Done(Box::new(batch?)))
    }

    /// Gathers rows with our batcher.
    fn gather(&self, npy: &NpyBatcher<O>, batch: &BatchInfo, rows: &[Row]) -> Loaded<BatchData<O>> {
        let advice = Some(*self.pass.lock().unwrap_or_else(PoisonError::into_inner));
        let gather = |rows: &[Row]| -> Loaded<HostBatch> {
            let gather = || npy.gather.rows(rows, &self.device, advice);
            Ok(guarded("gather", gather)??)
        };
        let data = gather_or_name(batch, rows, gather)?;
        let layout = data.layout();
        layout.expect_kinds(self.kinds.get_or_init(|| layout.kinds()))?;
        Ok(BatchData::Host(data))
    }
}

impl<I: Send + 'static, O: Send + 'static> Source<O> for AnySource<I, O> {
    fn info(&self) -> SourceInfo {
        SourceInfo {
            uploads: self.npy.is_some() && has_own_memory(&self.device),
            ..SourceInfo::unknown(Work::UserCode)
        }
    }

    fn advise(&self, random: bool) {
        let pass = PASSES.fetch_add(1, Ordering::Relaxed);
        *self.pass.lock().unwrap_or_else(PoisonError::into_inner) = Advice { pass, random };
    }

    fn load(&self, batches: &[BatchInfo], scratch: &mut RowScratch) -> Loaded<Vec<BatchData<O>>> {
        let load = |batch: &BatchInfo| {
            let start = Instant::now();
            let items = self.items(batch.rows());
            Counters::add(&scratch.counters.user, start.elapsed());
            match &self.npy {
                None => self.batch(items?, &scratch.counters),
                // The items of our batcher are rows.
                Some(npy) => {
                    let items: Box<dyn Any> = Box::new(items?);
                    self.gather(
                        npy,
                        batch,
                        &items.downcast::<Vec<Row>>().unwrap_or_default(),
                    )
                }
            }
        };
        batches.iter().map(load).collect()
    }

    fn finish(&self, data: BatchData<O>, _: &BatchInfo, counters: &Counters) -> Loaded<O> {
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
    /// Applies the function, and counts its time.
    fn apply(&self, batch: O, info: &BatchInfo, counter: &AtomicU64) -> Loaded<P> {
        let start = Instant::now();
        let mapped = guarded("map", || (self.map)(batch, info));
        Counters::add(counter, start.elapsed());
        mapped
    }
}

impl<O: Send + 'static, P: Send + 'static> Source<P> for MappedSource<O, P> {
    fn info(&self) -> SourceInfo {
        self.source.info()
    }

    fn advise(&self, random: bool) {
        self.source.advise(random);
    }

    fn readahead(&self, rows: &[u64]) {
        self.source.readahead(rows);
    }

    fn load(&self, batches: &[BatchInfo], scratch: &mut RowScratch) -> Loaded<Vec<BatchData<P>>> {
        let loaded = self.source.load(batches, scratch)?;
        let map = |(data, info): (BatchData<O>, &BatchInfo)| match data {
            BatchData::Host(data) => Ok(BatchData::Host(data)),
            BatchData::Done(batch) => {
                let mapped = self.apply(*batch, info, &scratch.counters.user)?;
                Ok(BatchData::Done(Box::new(mapped)))
            }
        };
        loaded.into_iter().zip(batches).map(map).collect()
    }

    fn finish(&self, data: BatchData<P>, info: &BatchInfo, counters: &Counters) -> Loaded<P> {
        let data = match data {
            BatchData::Done(batch) => return Ok(*batch),
            BatchData::Host(data) => BatchData::Host(data),
        };
        let batch = self.source.finish(data, info, counters)?;
        self.apply(batch, info, &counters.map)
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

impl<O: Send + 'static> Source<O> for ErrorSource {
    fn info(&self) -> SourceInfo {
        SourceInfo::unknown(Work::Memory)
    }

    fn advise(&self, _: bool) {}

    fn load(&self, _: &[BatchInfo], _: &mut RowScratch) -> Loaded<Vec<BatchData<O>>> {
        Err(Cause::error(self.0.clone()).into())
    }

    fn finish(&self, _: BatchData<O>, _: &BatchInfo, _: &Counters) -> Loaded<O> {
        unreachable!("nothing is loaded")
    }

    fn to_device(&self, _: &Device) -> Result<Arc<dyn Source<O>>> {
        Ok(Arc::new(Self(self.0.clone())))
    }
}
