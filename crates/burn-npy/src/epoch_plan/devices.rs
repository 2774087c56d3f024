//! The parts of the devices of one process: shards, which are found by the rows that Burn asks for.

use burn_npy_core::{
    Error, ErrorKind, Result,
    order::{Order, Remainder, Shard},
};

use super::Batching;
use crate::trace;

impl Batching {
    /// How many batches all devices of all shards have together, if each has so many.
    pub(crate) fn together(&self, batches: u64) -> u64 {
        let parts = self.shard.count().saturating_mul(self.devices);
        parts.saturating_mul(batches)
    }

    /// Whether the devices can have as many batches each, and at least one. The order is needed if
    /// the sampler makes the batches.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] if not.
    pub(crate) fn check_devices(&self, order: impl FnOnce() -> Option<Order>) -> Result<()> {
        let refuse = |message: String| Err(Error::new(ErrorKind::Usage, message));
        match (self.devices, self.remainder) {
            (0, _) => refuse("0 devices; there must be at least 1".to_owned()),
            (1, _) => Ok(()),
            (devices, Remainder::Uneven) => refuse(format!(
                "{devices} devices with Remainder::Uneven, which may give one of them more batches \
                 than another; choose Remainder::Spread"
            )),
            (devices, _) => {
                let order = order();
                let plan = self.plan(order.as_ref(), 0);
                let (rows, batches) = (plan.num_rows(), plan.batches().end);
                let part = self.part(0).filter(|_| rows >= devices);
                let Some(part) = part else {
                    return refuse(format!(
                        "{devices} devices for {rows} rows; each must have at least one"
                    ));
                };
                if !part.plan(order.as_ref(), 0).batches().is_empty() {
                    return Ok(());
                }
                refuse(format!(
                    "{devices} devices for {batches} batches, of which none gets one, since rows \
                     are left out that are no full batch for every device; leave out drop_last, or \
                     make the batches smaller"
                ))
            }
        }
    }

    /// The part of a device.
    fn part(&self, index: u64) -> Option<Self> {
        let first = self.shard.index().checked_mul(self.devices)?;
        let count = self.shard.count().checked_mul(self.devices)?;
        Some(Self {
            shard: Shard::new(first + index, count).ok()?,
            devices: 1,
            ..self.clone()
        })
    }

    /// The part of one of the devices, and its number, if the rows from `start` to `end` are those
    /// that Burn's `split_dataloader` asks for: each device has as many, and the last one the rest
    /// too.
    pub(super) fn device(
        &self,
        order: Option<&Order>,
        start: usize,
        end: usize,
    ) -> Option<(Self, usize)> {
        if self.devices == 1 || self.slice.is_some() {
            return None;
        }
        let rows = self.plan(order, 0).num_rows();
        let each = rows / self.devices;
        let (start, end) = (start as u64, end as u64);
        let index = start.checked_div(each).unwrap_or(0);
        let is_last = index + 1 == self.devices;
        let asked = index * each..if is_last { rows } else { (index + 1) * each };
        if index >= self.devices || asked != (start..end) {
            trace::warn(&format!(
                "the rows {start}..{end} of {rows} are not those of one of {} devices: the slice \
                 is a part of the rows, and may have more batches than another; does \
                 `.devices({})` say how many devices train?",
                self.devices, self.devices
            ));
            return None;
        }
        Some((self.part(index)?, index as usize))
    }
}
