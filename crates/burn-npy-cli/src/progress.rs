//! A progress bar on stderr, for what takes longer than half a second.

use std::sync::Once;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Nothing is shown before.
const PATIENCE: Duration = Duration::from_millis(500);

/// A progress bar. It shows nothing if stderr is not a terminal.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    start: Instant,
    shown: Once,
}

impl Progress {
    /// A bar for a number of bytes.
    pub(crate) fn new(bytes: u64) -> Self {
        let template = "{bar:30} {bytes}/{total_bytes} {bytes_per_sec} eta {eta}";
        let style = ProgressStyle::with_template(template).unwrap_or(ProgressStyle::default_bar());
        let bar = ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::hidden());
        Self {
            bar: bar.with_style(style),
            start: Instant::now(),
            shown: Once::new(),
        }
    }

    /// There are more bytes to do than was known before.
    pub(crate) fn add_work(&self, bytes: u64) {
        self.bar.inc_length(bytes);
    }

    /// More bytes are done.
    pub(crate) fn advance(&self, bytes: u64) {
        self.bar.inc(bytes);
        if self.start.elapsed() > PATIENCE {
            let show = || self.bar.set_draw_target(ProgressDrawTarget::stderr());
            self.shown.call_once(show);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
