//! What batchers have made of the columns of a dataset, kept with the dataset.
//!
//! A batch of rows asks for it with each of the datasets that the rows are of, so it is made once
//! for each batcher and device. It lives no longer than the dataset, and keeps no batcher alive.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use burn_npy_core::Result;

use crate::batcher::Gather;
use crate::bound::Bound;

#[derive(Debug, Default)]
pub(crate) struct Bindings(Mutex<Vec<Binding>>);

#[derive(Debug)]
struct Binding {
    /// Of which batcher. As long as this is here, no other has its address.
    gather: Weak<Gather>,
    device: String,
    fit: Fit,
}

/// The columns of a dataset as a batcher gathers them.
#[derive(Clone, Debug)]
pub(crate) struct Fit {
    /// For batches of this dataset alone, of which the device may do a part of the conversion.
    pub(crate) alone: Arc<Bound>,
    /// For batches of several datasets, which may convert in different ways.
    pub(crate) among_others: Arc<Bound>,
}

impl Bindings {
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// What a batcher has made of the columns for a device, named as text since devices are equal
    /// with and without autodiff. It is made now if it is asked for first.
    pub(crate) fn of(
        &self,
        gather: &Arc<Gather>,
        device: &str,
        make: impl FnOnce() -> Result<Fit>,
    ) -> Result<Fit> {
        // Every change of it is whole.
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = all.iter().find(|binding| {
            std::ptr::eq(binding.gather.as_ptr(), Arc::as_ptr(gather)) && binding.device == device
        });
        if let Some(binding) = found {
            return Ok(binding.fit.clone());
        }
        let fit = make()?;
        // Batchers that are gone ask no more.
        all.retain(|binding| binding.gather.strong_count() > 0);
        all.push(Binding {
            gather: Arc::downgrade(gather),
            device: device.to_owned(),
            fit: fit.clone(),
        });
        Ok(fit)
    }
}
