//! What a pass tells a subscriber of the crate `tracing`, with the feature of that name. Without
//! the feature a span is nothing.
//!
//! The guide lists the spans and events. Those of workers go to the subscriber of the pass, also
//! where that is the default of one thread only.
//!
//! A subscriber is code of the user. If it panics, a span is missing, and the pass goes on.

use burn_npy_core::Error;

use crate::loader::error::guarded;

/// Logs the error of a pass, unless it was an event.
pub(crate) fn failed(error: &Error) {
    let told = guarded("subscriber", || event_of(error));
    if !told.unwrap_or(false) {
        // The logger is code of the user too.
        let _ = guarded("logger", || log::error!("{error}"));
    }
}

/// Logs what is no error, but looks like a mistake.
pub(crate) fn warn(message: &str) {
    let _ = guarded("logger", || log::warn!("{message}"));
}

#[cfg(not(feature = "tracing"))]
mod imp {
    use std::ops::Range;

    use crate::epoch_plan::EpochPlan;
    use crate::{BatchInfo, SkippedRow};

    pub(crate) struct Span;

    #[must_use]
    pub(crate) struct Entered;

    impl Span {
        pub(crate) fn none() -> Self {
            Self
        }

        pub(crate) fn pass(_: &EpochPlan, _: u64) -> Self {
            Self
        }

        pub(crate) fn enter(&self) -> Entered {
            Entered
        }

        pub(crate) fn load(&self, _: &EpochPlan, _: &Range<u64>) -> Entered {
            Entered
        }

        pub(crate) fn upload(&self, _: &BatchInfo, _: usize) -> Entered {
            Entered
        }

        pub(crate) fn window(&self, _: u64, _: u64) {}
    }

    pub(crate) fn workers(_: usize, _: u64) {}

    pub(crate) fn skipped(_: &[SkippedRow]) {}

    pub(super) fn event_of(_: &super::Error) -> bool {
        false
    }
}

#[cfg(feature = "tracing")]
mod imp {
    use std::ops::Range;

    use burn_npy_core::Error;
    use tracing::subscriber::NoSubscriber;
    use tracing::{
        Level, debug, debug_span, dispatcher, enabled, error, info_span, span::EnteredSpan, warn,
    };

    use crate::epoch_plan::EpochPlan;
    use crate::loader::error::{discard, guarded};
    use crate::{BatchInfo, SkippedRow};

    /// The span of a pass.
    pub(crate) struct Span(Option<tracing::Span>);

    /// A span that is entered until this is dropped.
    #[must_use]
    pub(crate) struct Entered(Option<(EnteredSpan, dispatcher::DefaultGuard)>);

    impl Span {
        /// No span, of which nothing is told.
        pub(crate) fn none() -> Self {
            Self(None)
        }

        /// A pass over the batches of a plan.
        pub(crate) fn pass(plan: &EpochPlan, epoch: u64) -> Self {
            let batches = plan.batches();
            let make = || {
                info_span!(
                    target: "burn_npy",
                    "pass",
                    epoch,
                    batches = batches.end - batches.start,
                    rows = plan.num_rows(),
                )
            };
            Self(guarded("subscriber", make).ok())
        }

        /// Enters the span of the pass.
        pub(crate) fn enter(&self) -> Entered {
            self.child(tracing::Span::clone)
        }

        /// Enters the span of the batches of a claim, which are being loaded.
        pub(crate) fn load(&self, plan: &EpochPlan, claim: &Range<u64>) -> Entered {
            self.child(|pass| {
                debug_span!(
                    target: "burn_npy",
                    parent: pass,
                    "load",
                    first = claim.start,
                    batches = claim.end - claim.start,
                    rows = plan.rows_before(claim.end) - plan.rows_before(claim.start),
                )
            })
        }

        /// Enters the span of a batch that becomes tensors.
        pub(crate) fn upload(&self, info: &BatchInfo, bytes: usize) -> Entered {
            self.child(|pass| {
                debug_span!(
                    target: "burn_npy",
                    parent: pass,
                    "upload",
                    batch = info.batch(),
                    rows = info.rows().len(),
                    bytes,
                )
            })
        }

        /// Tells how far the window has grown in the pass.
        pub(crate) fn window(&self, from: u64, to: u64) {
            if from < to {
                let _pass = self.enter();
                tell(|| debug!(target: "burn_npy", from, to, "the window grew"));
            }
        }

        /// Enters a span of the subscriber of the pass.
        fn child(&self, make: impl FnOnce(&tracing::Span) -> tracing::Span) -> Entered {
            let Some(pass) = &self.0 else {
                return Entered(None);
            };
            let enter = || {
                let dispatch = pass.with_subscriber(|(_, dispatch)| dispatch.clone())?;
                let default = dispatcher::set_default(&dispatch);
                Some((make(pass).entered(), default))
            };
            Entered(guarded("subscriber", enter).ok().flatten())
        }
    }

    impl Drop for Span {
        fn drop(&mut self) {
            discard(self.0.take());
        }
    }

    impl Drop for Entered {
        fn drop(&mut self) {
            discard(self.0.take());
        }
    }

    /// Tells that workers have been started, which may load so many batches ahead.
    pub(crate) fn workers(workers: usize, ahead: u64) {
        if workers > 0 {
            tell(|| debug!(target: "burn_npy", workers, ahead, "workers started"));
        }
    }

    /// Tells of rows that are skipped.
    pub(crate) fn skipped(rows: &[SkippedRow]) {
        for SkippedRow {
            row,
            epoch,
            batch,
            reason,
        } in rows
        {
            tell(|| warn!(target: "burn_npy", epoch, batch, row, reason, "a row is skipped"));
        }
    }

    /// Tells of the error of a pass; `false` if nobody listens.
    pub(super) fn event_of(error: &Error) -> bool {
        // That any thread has a subscriber makes `enabled` true on all.
        let listens = dispatcher::get_default(|to| !to.is::<NoSubscriber>());
        let listens = listens && enabled!(target: "burn_npy", Level::ERROR);
        if listens {
            let (epoch, batch, row) = (error.epoch(), error.batch(), error.row());
            error!(target: "burn_npy", epoch, batch, row, "{error}");
        }
        listens
    }

    fn tell(event: impl FnOnce()) {
        let _ = guarded("subscriber", event);
    }
}

use imp::event_of;
pub(crate) use imp::{Span, skipped, workers};
