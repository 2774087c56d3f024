//! The thread that makes tensors ahead of the consumer, for devices with memory of their own.
//!
//! It takes what the workers have loaded, in order, and so stands between the window and the
//! consumer. One batch is ready on the device while the consumer works with the one before it: the
//! copy to the device, and what it becomes there, go on meanwhile. It is one thread with one CubeCL
//! stream, which owns all memory of batches.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use super::Settings;
use super::error::{Cause, Failure};
use super::meter::Meter;
use super::pass::{Made, Pass};
use super::source::Loaded;
use super::workers::Workers;

/// The thread of a pass.
pub(crate) struct Uploader<O> {
    /// There until the drop.
    ready: Option<Receiver<Result<Made<O>, Failure>>>,
    thread: Option<JoinHandle<()>>,
    meter: Arc<Meter>,
}

impl<O: Send + 'static> Uploader<O> {
    /// Starts the thread, which has the workers from then on.
    pub(crate) fn start(
        workers: Workers<O>,
        pass: Arc<Pass<O>>,
        settings: &Settings,
    ) -> Result<Self, Failure> {
        // Nothing is in the channel: what is ready is in the hands of the thread.
        let (give, ready) = sync_channel(0);
        let (meter, stream) = (settings.meter.clone(), settings.upload_stream);
        let counted = meter.clone();
        let thread = thread::Builder::new()
            .name("burn-npy-upload".to_owned())
            .spawn(move || stream.executes(|| upload(workers, &pass, &counted, &give)))
            .map_err(|error| Failure::from(Cause::error(error)))?;
        Ok(Self {
            ready: Some(ready),
            thread: Some(thread),
            meter,
        })
    }

    /// The next batch in order. It must not be called more often than there are batches, nor after
    /// a failure.
    pub(crate) fn take(&mut self) -> Result<Made<O>, Failure> {
        let start = Instant::now();
        let made = self.ready.as_ref().and_then(|ready| ready.recv().ok());
        Meter::add(&self.meter.waited, start.elapsed());
        // Code of the user runs under a guard, so this would be a bug of ours.
        let gone = || Cause::panic("upload", Box::new("its thread is gone")).into();
        made.unwrap_or_else(|| Err(gone()))
    }
}

impl<O> Drop for Uploader<O> {
    fn drop(&mut self) {
        // Nobody waits for what the thread has in hand, which it learns when it would give it away.
        self.ready = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn upload<O: Send + 'static>(
    mut workers: Workers<O>,
    pass: &Pass<O>,
    meter: &Meter,
    give: &SyncSender<Result<Made<O>, Failure>>,
) {
    for _ in pass.cut.batches() {
        let made = workers.take().and_then(|made| on_device(made, pass, meter));
        let failed = made.is_err();
        if give.send(made).is_err() || failed {
            return;
        }
    }
}

/// The batch with its tensors made.
fn on_device<O: Send + 'static>(
    mut made: Made<O>,
    pass: &Pass<O>,
    meter: &Meter,
) -> Result<Made<O>, Failure> {
    if let Some(loaded) = made.loaded.take() {
        let start = Instant::now();
        let batch = pass.finish(loaded, &made.info, meter);
        Meter::add(&meter.ahead, start.elapsed());
        made.loaded = Some(Loaded::Batch(Box::new(batch?)));
    }
    Ok(made)
}
