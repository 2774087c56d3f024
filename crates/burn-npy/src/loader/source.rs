//! Where batches come from: rows become host memory or whole batches, on any thread.

use std::any::Any;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::Dataset;
use burn::tensor::Device;
use burn_npy_core::{Error, ErrorKind};

use super::error::{Failure, Guarded, Loaded, discard, guarded};
use super::report::Counters;
use super::resident::ResidentSource;
use super::rows::{BatchInfo, RowScratch};
use crate::batcher::NpyBatcher;
use crate::epoch_plan::BatchBound;
use crate::layout::{Advice, BatchLayout, HostBatch, RowKind};
use crate::memory;
use crate::row::Row;
use crate::upload::{check_first, has_own_memory};
use crate::{NpyDataset, Result};

/// The rows of a batch, loaded.
pub(crate) enum BatchData<O> {
    /// Memory of the host. One thread makes tensors of it, the consumer or the uploader, since a
    /// CubeCL stream with its memory pool belongs to a thread.
    Host(HostBatch),
    /// A whole batch. It is boxed because tensors are large and this is moved several times.
    Done(Guarded<Box<O>>),
}

impl<O> BatchData<O> {
    pub(crate) fn done(batch: O) -> Self {
        Self::Done(Guarded::new(Box::new(batch)))
    }
}

/// What a thread does while it loads a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// It gathers rows that are taken to be in memory: arrays, files of up to 256 MiB, and files of
    /// this machine whose rows lie scattered, which are not read ahead.
    Memory,
    /// It gathers rows of files that may have to be read from a disk.
    Files,
    /// It runs code of the user: a dataset or a batcher.
    UserCode,
}

/// What a loader has to know of a source.
#[derive(Clone, Debug)]
pub(crate) struct SourceInfo {
    /// At least the size of the largest batch, in bytes, if it is known.
    pub(crate) batch_bytes: Option<usize>,
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
            batch_bytes: None,
            work,
            readahead_rows: 0,
            uploads: false,
            scattered: Arc::default(),
        }
    }
}

/// Loads batches of the rows of a dataset.
pub(crate) trait Source<O>: Send + Sync {
    fn info(&self, bound: BatchBound<'_>) -> SourceInfo;

    /// Prepares for a pass, in a random order or in that of the dataset. Returns whether rows have
    /// to be read ahead.
    fn advise(&self, random: bool) -> bool {
        random
    }

    /// Has some rows read that will be loaded soon. Returns whether there was room for all.
    fn readahead(&self, _rows: &[u64]) -> bool {
        true
    }

    /// Loads batches that were drawn together, or fails as a whole. A failure names the row if
    /// there is one batch. Of a trial, only the failure counts.
    fn load(&self, batches: &[BatchInfo], scratch: &mut RowScratch) -> Loaded<Vec<BatchData<O>>>;

    /// Makes the batch of the user of host memory, on the thread that makes tensors.
    fn finish(&self, data: HostBatch, batch: &BatchInfo, counters: &Counters) -> Loaded<O>;

    /// The same source for another device.
    fn to_device(&self, device: &Device) -> Arc<dyn Source<O>>;

    /// The same source, whose rows stay on the device.
    fn resident(&self) -> Result<Arc<dyn Source<O>>> {
        let message = "only the rows of an NpyDataset, made batches by an NpyBatcher, can stay on \
                       the device; leave out resident(true)";
        Err(Error::new(ErrorKind::Usage, message))
    }
}

/// Makes tensors of host memory, with the batcher that gathered it.
fn upload<O>(
    batcher: &NpyBatcher<O>,
    data: HostBatch,
    info: &BatchInfo,
    device: &Device,
    counters: &Counters,
) -> Loaded<O> {
    Counters::count(&counters.uploaded_bytes, data.bytes() as u64);
    check_first(device, info)?;
    let assemble = || batcher.assemble.gathered(&data, device);
    Counters::time(&counters.upload, || guarded("batch type", assemble))
}

/// Finds the row that a failure of a batch is about, if it may be about one: the first that fails
/// alone.
fn name_row(failure: Failure, batch: &BatchInfo, alone: impl Fn(usize) -> Loaded<()>) -> Failure {
    let mut rows = batch.rows().iter().enumerate();
    let of_row = |(index, row): (usize, &u64)| Some(alone(index).err()?.of_row(*row));
    let named = failure.may_be_of_a_row.then(|| rows.find_map(of_row));
    named.flatten().unwrap_or(failure)
}

/// Gathers the rows of a batch, some of them or all. If that fails because of one row, the failure
/// names it. `who` may panic.
fn gather_or_name(
    who: &'static str,
    batch: &BatchInfo,
    gather: impl Fn(Range<usize>, &BatchInfo) -> Result<HostBatch>,
) -> Loaded<HostBatch> {
    let gather = |rows, info: &_| Ok(guarded(who, || gather(rows, info))??);
    let alone = |index| gather(index..index + 1, &batch.only(index)).map(drop);
    let all = gather(0..batch.rows().len(), batch);
    all.map_err(|failure| name_row(failure, batch, alone))
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

    /// Rows of the dataset as rows of its files, in `list` if they are not the same.
    fn file_rows<'a>(&self, rows: &'a [u64], list: &'a mut Vec<usize>) -> Result<&'a [usize]> {
        let map = self.dataset.row_map();
        if cfg!(target_pointer_width = "64") && map.is_identity() {
            return Ok(bytemuck::cast_slice(rows));
        }
        list.clear();
        memory::reserve(list, rows.len())?;
        list.extend(rows.iter().map(|row| map.map(*row as usize)));
        Ok(list)
    }

    fn gather(&self, rows: &[usize], info: &BatchInfo) -> Result<HostBatch> {
        self.batcher.gather.gather(&self.layout, rows, info)
    }
}

impl<O: Send + 'static> Source<O> for NpySource<O> {
    fn info(&self, bound: BatchBound<'_>) -> SourceInfo {
        let readahead_rows = self.layout.readahead_rows();
        SourceInfo {
            batch_bytes: Some(self.layout.batch_bytes(self.dataset.row_map(), bound)),
            work: if self.layout.is_mapped() {
                Work::UserCode
            } else if readahead_rows > 0 {
                Work::Files
            } else {
                Work::Memory
            },
            readahead_rows,
            uploads: has_own_memory(&self.device),
            scattered: self.layout.scattered().into(),
        }
    }

    fn advise(&self, random: bool) -> bool {
        self.layout.advise(random || self.dataset.is_random())
    }

    fn readahead(&self, rows: &[u64]) -> bool {
        self.file_rows(rows, &mut Vec::new())
            .map_or(true, |rows| self.layout.readahead(rows))
    }

    fn load(&self, batches: &[BatchInfo], scratch: &mut RowScratch) -> Loaded<Vec<BatchData<O>>> {
        let list = &mut scratch.file_rows;
        if batches.len() == 1 || self.layout.is_mapped() || !self.layout.supports_runs() {
            let who = ["gather", "transform"][usize::from(self.layout.is_mapped())];
            let load = |batch: &BatchInfo| {
                let rows = self.file_rows(batch.rows(), list)?;
                let gather = |part, info: &_| self.gather(&rows[part], info);
                gather_or_name(who, batch, gather).map(BatchData::Host)
            };
            return batches.iter().map(load).collect();
        }
        let rows = self.file_rows(BatchInfo::joined(batches), list)?;
        let all = guarded("gather", || self.gather(rows, &batches[0]))??;
        let mut start = 0;
        let part = |batch: &BatchInfo| {
            let end = start + batch.rows().len();
            BatchData::Host(all.part(std::mem::replace(&mut start, end)..end))
        };
        Ok(batches.iter().map(part).collect())
    }

    fn finish(&self, data: HostBatch, info: &BatchInfo, counters: &Counters) -> Loaded<O> {
        upload(&self.batcher, data, info, &self.device, counters)
    }

    fn to_device(&self, device: &Device) -> Arc<dyn Source<O>> {
        let (dataset, batcher) = (self.dataset.clone(), self.batcher.clone());
        match Self::new(dataset.clone(), batcher.clone(), device.clone()) {
            Ok(source) => Arc::new(source),
            // The columns do not fit the device. Rows that are not looked at before they are wanted
            // give that error with the first batch.
            Err(_) => {
                let batcher = Arc::new(AnyBatcher::Ours(batcher));
                Arc::new(AnySource::new(Arc::new(dataset), batcher, device.clone()))
            }
        }
    }

    fn resident(&self) -> Result<Arc<dyn Source<O>>> {
        let (dataset, batcher) = (self.dataset.clone(), self.batcher.clone());
        let source = ResidentSource::new(dataset, batcher, self.device.clone())?;
        Ok(Arc::new(source))
    }
}

/// What makes batches of items.
pub(crate) enum AnyBatcher<I, O> {
    /// Items are rows, and errors need no panic.
    Ours(NpyBatcher<O>),
    Users(Box<dyn Batcher<I, O>>),
}

/// Any dataset with any batcher. A dataset may return another item each time, so each item of a
/// batch is asked for once; after a failure again, to find the row.
pub(crate) struct AnySource<I, O> {
    dataset: Arc<dyn Dataset<I>>,
    batcher: Arc<AnyBatcher<I, O>>,
    /// The pass that started last, for the files of the rows.
    pass: Mutex<Option<Advice>>,
    /// The columns of the first batch, if items are rows: they may come from several datasets.
    kinds: OnceLock<Vec<RowKind>>,
    device: Device,
}

/// A number for each call of `advise`, unique over all sources, from 1 on.
static PASSES: AtomicU64 = AtomicU64::new(1);

impl<I: 'static, O: 'static> AnySource<I, O> {
    pub(crate) fn new(
        dataset: Arc<dyn Dataset<I>>,
        batcher: Arc<AnyBatcher<I, O>>,
        device: Device,
    ) -> Self {
        Self {
            dataset,
            batcher,
            pass: Mutex::default(),
            kinds: OnceLock::new(),
            device,
        }
    }

    fn items(&self, batch: &BatchInfo) -> Loaded<Vec<I>> {
        let rows = batch.rows();
        let indices = memory::list(rows.iter().map(|row| *row as usize))?;
        let alone = |index: usize| {
            let item = guarded("dataset", || self.dataset.get(rows[index] as usize))?;
            item.map(discard).map_err(Failure::error)
        };
        let items = guarded("dataset", || self.dataset.get_many(indices));
        let items = items.and_then(|items| items.map_err(Failure::error));
        let items = items.map_err(|failure| name_row(failure, batch, alone))?;
        if items.len() != rows.len() {
            let message = format!(
                "the dataset gave {} items when asked for {}",
                items.len(),
                rows.len()
            );
            items.into_iter().for_each(discard);
            return Err(Error::new(ErrorKind::Usage, message).into());
        }
        Ok(items)
    }

    /// Gathers rows with our batcher.
    fn gather(&self, npy: &NpyBatcher<O>, batch: &BatchInfo, rows: &[Row]) -> Loaded<BatchData<O>> {
        let advice = *self.pass.lock().unwrap_or_else(PoisonError::into_inner);
        let gather = |part, info: &_| npy.gather.rows(&rows[part], info, &self.device, advice);
        let data = gather_or_name("transform", batch, gather)?;
        let layout = data.layout();
        layout.expect_kinds(self.kinds.get_or_init(|| layout.kinds()))?;
        Ok(BatchData::Host(data))
    }
}

impl<I: Send + 'static, O: Send + 'static> Source<O> for AnySource<I, O> {
    fn info(&self, _: BatchBound<'_>) -> SourceInfo {
        SourceInfo {
            uploads: matches!(*self.batcher, AnyBatcher::Ours(_)) && has_own_memory(&self.device),
            ..SourceInfo::unknown(Work::UserCode)
        }
    }

    fn advise(&self, random: bool) -> bool {
        let pass = PASSES.fetch_add(1, Ordering::Relaxed);
        let mut last = self.pass.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some(Advice { pass, random });
        random
    }

    fn load(&self, batches: &[BatchInfo], scratch: &mut RowScratch) -> Loaded<Vec<BatchData<O>>> {
        let load = |batch: &BatchInfo| {
            let counter = &scratch.counters.user;
            let items = Counters::time(counter, || self.items(batch))?;
            match &*self.batcher {
                AnyBatcher::Users(batcher) => {
                    let batch = || guarded("batcher", || batcher.batch(items, &self.device));
                    Counters::time(counter, batch).map(BatchData::done)
                }
                AnyBatcher::Ours(npy) => {
                    let rows: Box<dyn Any> = Box::new(items);
                    let rows = rows.downcast::<Vec<Row>>().unwrap_or_default();
                    self.gather(npy, batch, &rows)
                }
            }
        };
        batches.iter().map(load).collect()
    }

    fn finish(&self, data: HostBatch, info: &BatchInfo, counters: &Counters) -> Loaded<O> {
        match &*self.batcher {
            AnyBatcher::Ours(npy) => upload(npy, data, info, &self.device, counters),
            AnyBatcher::Users(_) => unreachable!("only our batcher loads into host memory"),
        }
    }

    fn to_device(&self, device: &Device) -> Arc<dyn Source<O>> {
        let (dataset, batcher) = (self.dataset.clone(), self.batcher.clone());
        Arc::new(Self::new(dataset, batcher, device.clone()))
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
        Counters::time(counter, || guarded("map", || (self.map)(batch, info)))
    }
}

impl<O: Send + 'static, P: Send + 'static> Source<P> for MappedSource<O, P> {
    fn info(&self, bound: BatchBound<'_>) -> SourceInfo {
        self.source.info(bound)
    }

    fn advise(&self, random: bool) -> bool {
        self.source.advise(random)
    }

    fn readahead(&self, rows: &[u64]) -> bool {
        self.source.readahead(rows)
    }

    fn load(&self, batches: &[BatchInfo], scratch: &mut RowScratch) -> Loaded<Vec<BatchData<P>>> {
        let loaded = self.source.load(batches, scratch)?;
        if batches.iter().any(|batch| batch.is_trial) {
            // The function may need more rows of a batch than one.
            return Ok(Vec::new());
        }
        let map = |(data, info): (BatchData<O>, &BatchInfo)| match data {
            BatchData::Host(data) => Ok(BatchData::Host(data)),
            BatchData::Done(batch) => {
                let batch = *batch.into_inner();
                let mapped = self.apply(batch, info, &scratch.counters.user);
                mapped.map(BatchData::done)
            }
        };
        loaded.into_iter().zip(batches).map(map).collect()
    }

    fn finish(&self, data: HostBatch, info: &BatchInfo, counters: &Counters) -> Loaded<P> {
        let batch = self.source.finish(data, info, counters)?;
        self.apply(batch, info, &counters.map)
    }

    fn to_device(&self, device: &Device) -> Arc<dyn Source<P>> {
        Arc::new(Self {
            source: self.source.to_device(device),
            map: self.map.clone(),
        })
    }

    fn resident(&self) -> Result<Arc<dyn Source<P>>> {
        Ok(Arc::new(Self {
            source: self.source.resident()?,
            map: self.map.clone(),
        }))
    }
}
