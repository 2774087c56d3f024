//! A source whose batches go through a function of the user.

use std::sync::Arc;
use std::time::Instant;

use burn::tensor::Device;

use super::BatchInfo;
use super::draw::Draw;
use super::error::Failure;
use super::meter::Spent;
use super::source::{Loaded, Source, guarded};
use crate::Result;

/// What a user does to a batch.
pub(crate) type Map<O, P> = Arc<dyn Fn(O, &BatchInfo) -> P + Send + Sync>;

/// Batches of another source, changed: by the worker where it makes whole batches, else where
/// tensors are made.
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
    fn item_bytes(&self) -> Option<usize> {
        self.source.item_bytes()
    }

    fn scattered(&self) -> Vec<String> {
        self.source.scattered()
    }

    fn advise(&self, random: bool) {
        self.source.advise(random);
    }

    fn rows_ahead(&self) -> usize {
        self.source.rows_ahead()
    }

    fn announce(&self, info: &BatchInfo) {
        self.source.announce(info);
    }

    fn waits_for_storage(&self) -> bool {
        self.source.waits_for_storage()
    }

    fn is_gather(&self) -> bool {
        self.source.is_gather()
    }

    fn uploads(&self) -> bool {
        self.source.uploads()
    }

    fn load(&self, info: &BatchInfo, draw: &mut Draw) -> std::result::Result<Loaded<P>, Failure> {
        match self.source.load(info, draw)? {
            Loaded::Host(gathered) => Ok(Loaded::<P>::Host(gathered)),
            Loaded::Batch(batch) => {
                let start = Instant::now();
                let mapped = self.apply(*batch, info);
                draw.user += start.elapsed();
                Ok(Loaded::Batch(Box::new(mapped?)))
            }
        }
    }

    fn load_run(
        &self,
        draw: &Draw,
        items: &mut Vec<usize>,
        give: &mut dyn FnMut(Loaded<P>),
    ) -> bool {
        // Where whole batches are made, each goes through the map by itself.
        let mut all_host = true;
        let loaded = self
            .source
            .load_run(draw, items, &mut |loaded| match loaded {
                Loaded::Host(gathered) => give(Loaded::Host(gathered)),
                Loaded::Batch(_) => all_host = false,
            });
        loaded && all_host
    }

    fn finish(
        &self,
        loaded: Loaded<P>,
        info: &BatchInfo,
        spent: &mut Spent,
    ) -> std::result::Result<P, Failure> {
        let gathered = match loaded {
            Loaded::Batch(batch) => return Ok(*batch),
            Loaded::Host(gathered) => gathered,
        };
        let batch = self.source.finish(Loaded::Host(gathered), info, spent)?;
        let start = Instant::now();
        let mapped = self.apply(batch, info);
        spent.user += start.elapsed();
        mapped
    }

    fn to_device(&self, device: &Device) -> Result<Arc<dyn Source<P>>> {
        Ok(Arc::new(Self {
            source: self.source.to_device(device)?,
            map: self.map.clone(),
        }))
    }
}
