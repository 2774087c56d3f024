//! The threads on which requests run.

use std::future::Future;
use std::sync::{Mutex, PoisonError, mpsc};

use burn_npy_core::{Error, ErrorKind, Result};
use tokio::runtime::{Builder, Handle, Runtime};

/// A runtime that starts with the first request, and ends when it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Threads(Mutex<Option<Runtime>>);

impl Threads {
    /// Runs a future to its end. The caller waits, and may itself be on a thread of another
    /// runtime: it does not run the future, so no runtime is nested in another.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Result<T> {
        let (sender, receiver) = mpsc::sync_channel(1);
        self.handle()?.spawn(async move {
            // If nobody waits any more, nobody needs it.
            let _ = sender.send(future.await);
        });
        // A future that panics drops the sender.
        receiver
            .recv()
            .map_err(|_| Error::new(ErrorKind::Panic, "a request to an object store panicked"))
    }

    fn handle(&self) -> Result<Handle> {
        let mut runtime = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = &*runtime {
            return Ok(runtime.handle().clone());
        }
        let started = Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("burn-npy-cloud")
            .enable_all()
            .build()
            .map_err(|error| {
                let message = "the threads for requests could not be started";
                Error::new(ErrorKind::Io, message).with_source(error)
            })?;
        Ok(runtime.insert(started).handle().clone())
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        let runtime = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = runtime.take() {
            // To wait for the threads would panic on a thread of another runtime.
            runtime.shutdown_background();
        }
    }
}
