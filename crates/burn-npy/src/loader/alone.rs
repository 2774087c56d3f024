//! The consumer makes the batches itself, where there are no workers.

use std::time::Instant;

use super::Settings;
use super::draw::Draw;
use super::error::Failure;
use super::meter::{Meter, Stopwatch};
use super::pass::{Made, Pass};

/// How many batches behind the next one are announced at least.
const AHEAD: u64 = 2;

/// The batches of a pass that are made, and what makes them.
pub(super) struct Alone<O> {
    draw: Draw,
    /// How many are made at a time at the most.
    run: u64,
    /// Those that are made, the next one last.
    made: Vec<Result<Made<O>, Failure>>,
    /// The first batch that was not announced.
    announced: u64,
}

impl<O> Alone<O> {
    pub(super) fn new(pass: &Pass<O>, settings: &Settings) -> Self {
        // Code of the user runs when its batch is wanted, and who waits for a disk does not do so
        // for later ones.
        let in_runs = pass.source.is_gather() && !pass.source.waits_for_storage();
        Self {
            draw: Draw::default(),
            run: if in_runs { settings.near_run() } else { 1 },
            made: Vec::new(),
            announced: pass.cut.batches().start,
        }
    }

    /// The next batch, and those behind it if they are small.
    pub(super) fn take(
        &mut self,
        pass: &Pass<O>,
        next: u64,
        meter: &Meter,
    ) -> Result<Made<O>, Failure> {
        if let Some(made) = self.made.pop() {
            return made;
        }
        let all = pass.cut.batches();
        // The first batches are wanted at once.
        let begun = (next - all.start) / 2;
        let end = all.end.min(next + self.run.min(begun.max(1)));
        let start = Instant::now();
        let watch = Stopwatch::start(pass.source.waits_for_storage());
        let soon = pass.soon(end, AHEAD);
        pass.announce(self.announced..soon);
        self.announced = soon;
        pass.load_run(next..end, &mut self.draw, || false, &mut self.made);
        watch.stop(meter, std::mem::take(&mut self.draw.user));
        Meter::add(&meter.waited, start.elapsed());
        self.made.reverse();
        let made = self.made.pop();
        made.unwrap_or_else(|| unreachable!("at least one batch was made"))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::super::NEAR_BYTES;
    use super::super::source::Loaded;
    use super::super::workers::tests::{Slow, given};
    use super::*;

    /// Takes all batches, of so many bytes, until one fails; gives how many were loaded after each,
    /// and whether one failed.
    fn take_all(source: Slow, batch_bytes: usize) -> (Vec<usize>, bool) {
        let source = Arc::new(source);
        let (pass, settings) = given(&source, 0, 2, batch_bytes);
        let mut alone = Alone::new(&pass, &settings);
        let mut loaded = Vec::new();
        for batch in 0..source.len() as u64 {
            match alone.take(&pass, batch, &settings.meter) {
                Ok(made) => assert!(matches!(made.loaded, Some(Loaded::Batch(it)) if *it == batch)),
                Err(_) => return (loaded, true),
            }
            loaded.push(source.loaded());
        }
        (loaded, false)
    }

    fn quick(batches: usize) -> Slow {
        Slow::new(batches, Duration::ZERO)
    }

    #[test]
    fn small_batches_are_loaded_in_runs() {
        // Runs are of two batches here.
        let (loaded, _) = take_all(quick(9), NEAR_BYTES / 2);
        assert_eq!(loaded, [1, 2, 3, 4, 6, 6, 8, 8, 9]);
        let (loaded, _) = take_all(quick(9), NEAR_BYTES / 2 + 1);
        assert_eq!(loaded, Vec::from_iter(1..=9));
    }

    #[test]
    fn code_of_the_user_runs_when_its_batch_is_wanted() {
        let mut source = quick(9);
        source.is_gather = false;
        assert_eq!(take_all(source, 8).0, Vec::from_iter(1..=9));
    }

    #[test]
    fn a_failure_comes_after_all_before_it() {
        for fails in 0..9 {
            let mut source = quick(9);
            source.fails = Some(fails);
            let (loaded, failed) = take_all(source, 8);
            assert!(failed && loaded.len() as u64 == fails);
        }
    }
}
