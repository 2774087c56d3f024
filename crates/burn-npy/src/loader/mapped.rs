//! A source whose batches go through a function of the user.

use std::sync::Arc;

use burn::tensor::Device;

use super::BatchInfo;
use super::error::Failure;
use super::source::{Loaded, Source, guarded};
use crate::Result;
use crate::upload::Upload;

/// What a user does to a batch.
pub(crate) type Map<O, P> = Arc<dyn Fn(O, &BatchInfo) -> P + Send + Sync>;

/// Batches of another source, changed: by the worker where it makes whole batches, else by the consumer.
pub(crate) struct Mapped<O, P> {
    pub(crate) source: Arc<dyn Source<O>>,
    pub(crate) map: Map<O, P>,
}

impl<O, P> Mapped<O, P> {
    fn apply(&self, batch: O, info: &BatchInfo) -> std::result::Result<P, Failure> {
        guarded("map", || (self.map)(batch, info))
    }
}

impl<O: Send + 'static, P: Send + 'static> Source<P> for Mapped<O, P> {
    fn len(&self) -> usize {
        self.source.len()
    }

    fn item_bytes(&self) -> Option<usize> {
        self.source.item_bytes()
    }

    fn advise(&self, random: bool) {
        self.source.advise(random);
    }

    fn wants_announcements(&self) -> bool {
        self.source.wants_announcements()
    }

    fn announce(&self, info: &BatchInfo) {
        self.source.announce(info);
    }

    fn load(&self, info: &BatchInfo) -> std::result::Result<Loaded<P>, Failure> {
        match self.source.load(info)? {
            Loaded::Host(data) => Ok(Loaded::<P>::Host(data)),
            Loaded::Batch(batch) => self.apply(batch, info).map(Loaded::Batch),
        }
    }

    fn finish(&self, loaded: Loaded<P>, info: &BatchInfo) -> std::result::Result<P, Failure> {
        let data: Vec<Upload> = match loaded {
            Loaded::Batch(batch) => return Ok(batch),
            Loaded::Host(data) => data,
        };
        let batch = self.source.finish(Loaded::Host(data), info)?;
        self.apply(batch, info)
    }

    fn to_device(&self, device: &Device) -> Result<Arc<dyn Source<P>>> {
        Ok(Arc::new(Self {
            source: self.source.to_device(device)?,
            map: self.map.clone(),
        }))
    }
}
