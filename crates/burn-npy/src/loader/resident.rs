//! Columns that stay on the device: a batch is a selection of their rows there.

use std::sync::{Arc, Mutex, PoisonError};

use burn::tensor::Device;
use burn_npy_core::{Error, ErrorKind};

use super::error::{Loaded, guarded};
use super::report::Counters;
use super::rows::{BatchInfo, RowScratch};
use super::source::{BatchData, Source, SourceInfo, Work};
use crate::batcher::NpyBatcher;
use crate::epoch_plan::BatchBound;
use crate::layout::HostBatch;
use crate::upload::{ResidentColumn, Upload, check_first, has_own_memory, select};
use crate::{NpyDataset, Result, memory};

/// Our dataset with our batcher, on a device that has all its rows.
pub(crate) struct ResidentSource<O> {
    dataset: NpyDataset,
    batcher: NpyBatcher<O>,
    device: Device,
    on_devices: Arc<OnDevices>,
}

/// The columns on each device that batches were wanted for.
type OnDevices = Mutex<Vec<(Device, Arc<[Arc<ResidentColumn>]>)>>;

impl<O: 'static> ResidentSource<O> {
    pub(crate) fn new(dataset: NpyDataset, batcher: NpyBatcher<O>, device: Device) -> Result<Self> {
        let refuse = |message: &str| Err(Error::new(ErrorKind::Usage, message));
        let layouts = batcher.gather.bind(dataset.shared_columns(), &device)?;
        if layouts.mixed.is_mapped() {
            return refuse(
                "a dataset with transforms cannot stay on the device, where rows would be the \
                 same in each epoch; leave out resident(true), or transform tensors with map",
            );
        }
        if !layouts.mixed.padded.is_empty() {
            return refuse(
                "rows of any length cannot stay on the device; leave out resident(true)",
            );
        }
        if i32::try_from(dataset.len()).is_err() {
            return refuse("too many rows to stay on the device: their numbers are 32-bit there");
        }
        Ok(Self {
            dataset,
            batcher,
            device,
            on_devices: Arc::default(),
        })
    }

    /// The columns on the device. The first batch brings them there.
    fn columns(&self, counters: &Counters) -> Result<Arc<[Arc<ResidentColumn>]>> {
        let mut all = self
            .on_devices
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some((_, columns)) = all.iter().find(|(device, _)| *device == self.device) {
            return Ok(columns.clone());
        }
        let gather = &self.batcher.gather;
        let layouts = gather.bind(self.dataset.shared_columns(), &self.device)?;
        let map = self.dataset.row_map();
        let rows = memory::list((0..self.dataset.len()).map(|row| map.map(row)))?;
        let pairs = layouts.single.columns.iter().zip(&layouts.mixed.columns);
        let columns = pairs.map(|(narrow, converted)| {
            let column = ResidentColumn::new(narrow, converted, &rows)?;
            Counters::count(&counters.uploaded_bytes, column.bytes() as u64);
            Ok(Arc::new(column))
        });
        let columns: Arc<[_]> = columns.collect::<Result<_>>()?;
        all.push((self.device.clone(), columns.clone()));
        Ok(columns)
    }
}

impl<O: Send + 'static> Source<O> for ResidentSource<O> {
    fn info(&self, bound: BatchBound<'_>) -> SourceInfo {
        SourceInfo {
            // Row numbers.
            batch_bytes: Some(bound.most.saturating_mul(size_of::<i32>())),
            uploads: has_own_memory(&self.device),
            ..SourceInfo::unknown(Work::Memory)
        }
    }

    /// Nothing is copied on the host.
    fn load(&self, batches: &[BatchInfo], _: &mut RowScratch) -> Loaded<Vec<BatchData<O>>> {
        let load = |batch: &BatchInfo| {
            let map = self.dataset.row_map();
            let rows = batch.rows().iter().map(|row| map.map(*row as usize));
            let data = HostBatch::without_columns(batch.rows().len());
            let data = self.batcher.gather.with_file_rows(data, rows)?;
            Ok(BatchData::Host(data))
        };
        batches.iter().map(load).collect()
    }

    fn finish(&self, data: HostBatch, info: &BatchInfo, counters: &Counters) -> Loaded<O> {
        let device = &self.device;
        let batch = || {
            check_first(device, info)?;
            let columns = self.columns(counters)?;
            let numbers = memory::list(info.rows().iter().map(|row| *row as i32))?;
            let bytes = size_of_val(&*numbers) as u64;
            Counters::count(&counters.uploaded_bytes, bytes);
            let rows = select(numbers, device);
            let uploads = columns.iter();
            let mut uploads = uploads.map(|column| Upload::resident(column.clone(), rows.clone()));
            let assemble = &self.batcher.assemble;
            Ok(assemble.assemble(&mut uploads, data.file_rows(), device))
        };
        let batch: Result<O> = Counters::time(&counters.upload, || guarded("batch type", batch))?;
        Ok(batch?)
    }

    fn to_device(&self, device: &Device) -> Arc<dyn Source<O>> {
        Arc::new(Self {
            dataset: self.dataset.clone(),
            batcher: self.batcher.clone(),
            device: device.clone(),
            on_devices: self.on_devices.clone(),
        })
    }
}
