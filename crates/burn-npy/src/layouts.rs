//! The layouts that batchers have made of the columns of a dataset, kept with the dataset.
//!
//! A batch of rows of several datasets needs the layouts of each, so they are made once for each
//! batcher and device. They live no longer than the dataset, and keep no batcher alive.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use burn_npy_core::Result;

use crate::batcher::Gather;
use crate::layout::BatchLayout;

#[derive(Debug, Default)]
pub(crate) struct LayoutCache(Mutex<Vec<Entry>>);

#[derive(Debug)]
struct Entry {
    /// Of the batcher. While this is here, no other batcher has its address.
    gather: Weak<Gather>,
    device: String,
    layouts: Layouts,
}

/// The columns of a dataset as a batcher gathers them.
#[derive(Clone, Debug)]
pub(crate) struct Layouts {
    /// For batches of this dataset alone: the device may do a part of the conversion.
    pub(crate) single: Arc<BatchLayout>,
    /// For batches of several datasets, which may convert in different ways.
    pub(crate) mixed: Arc<BatchLayout>,
}

impl LayoutCache {
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// The layouts for a batcher and a device, which `make` makes the first time.
    ///
    /// The device is named as text, since devices compare equal with and without autodiff.
    pub(crate) fn get(
        &self,
        gather: &Arc<Gather>,
        device: &str,
        make: impl FnOnce() -> Result<Layouts>,
    ) -> Result<Layouts> {
        // A panic leaves the list whole.
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = all.iter().find(|entry| {
            std::ptr::eq(entry.gather.as_ptr(), Arc::as_ptr(gather)) && entry.device == device
        });
        if let Some(entry) = found {
            return Ok(entry.layouts.clone());
        }
        let layouts = make()?;
        // Batchers that are gone will not ask again.
        all.retain(|entry| entry.gather.strong_count() > 0);
        all.push(Entry {
            gather: Arc::downgrade(gather),
            device: device.to_owned(),
            layouts: layouts.clone(),
        });
        Ok(layouts)
    }
}
