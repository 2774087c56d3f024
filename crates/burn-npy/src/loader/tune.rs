//! How many workers, and how far ahead: found by looking at who waits.
//!
//! The order and the content of batches depend on neither, so to try is always safe. Each time that the consumer
//! has waited noticeably, one of two things is changed, and kept only if it helped:
//!
//! * the workers were idle now and then, so batches come unevenly: the window is doubled, within its bytes;
//! * they were not: one more worker is tried, and kept if batches come 5 % faster. A machine whose cores the
//!   training needs does not get faster, so there it is taken back.
//!
//! If nobody waits and the workers are mostly idle, one fewer is tried, and kept if nothing gets slower. A setting
//! that stays is looked at ever more seldom; what was tried in vain is tried again only when the speed has
//! changed by a third, as it does when another model trains.

use std::time::Duration;

/// The share of the time for which a consumer may wait.
const NOTICED: f64 = 0.02;
/// The share of the time for which workers are idle if the window holds them up.
const IDLE: f64 = 0.1;
/// How much faster it must get by one more worker.
const GAIN: f64 = 1.05;
/// How much slower it may get by one fewer.
const LOSS: f64 = 0.98;
/// A change of speed that makes former trials worthless.
const CHANGE: f64 = 1.33;
/// How long is looked before the first decision, and how often that is doubled.
const LOOK: Duration = Duration::from_millis(50);
const DOUBLINGS: u32 = 7;
/// How many batches are looked at, at least.
const BATCHES: u64 = 8;

/// How many batches there may be at a time, and who makes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) workers: usize,
    /// How many batches may be loaded or being loaded before they are asked for.
    pub(crate) window: usize,
}

/// What a setting may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) least_workers: usize,
    pub(crate) most_workers: usize,
    pub(crate) most_window: usize,
}

/// What was seen for a while.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) wall: Duration,
    /// How long the consumer waited.
    pub(crate) waited: Duration,
    /// How long the workers were idle, all together.
    pub(crate) idle: Duration,
    pub(crate) batches: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Tuner {
    setting: Setting,
    bounds: Bounds,
    /// The number of workers before one more or one fewer is tried, and the speed with it.
    trial: Option<(usize, f64)>,
    /// As many workers as were too many, or too few, and the speed when that was found.
    too_many: Option<usize>,
    too_few: Option<usize>,
    settled: f64,
    /// How often nothing had to change.
    calm: u32,
}

impl Tuner {
    pub(crate) fn new(setting: Setting, bounds: Bounds) -> Self {
        Self {
            setting,
            bounds,
            trial: None,
            too_many: None,
            too_few: None,
            settled: 0.0,
            calm: 0,
        }
    }

    pub(crate) fn setting(&self) -> Setting {
        self.setting
    }

    /// Whether there is anything to find out.
    pub(crate) fn is_fixed(&self) -> bool {
        self.bounds.least_workers == self.bounds.most_workers
            && self.setting.window == self.bounds.most_window
    }

    /// Whether enough was seen for a decision.
    pub(crate) fn is_enough(&self, wall: Duration, batches: u64) -> bool {
        batches >= BATCHES && wall >= LOOK * (1 << self.calm.min(DOUBLINGS))
    }

    /// Looks at what was seen with the present setting, and sets the next.
    pub(crate) fn look(&mut self, seen: Seen) {
        let wall = seen.wall.as_secs_f64().max(1e-9);
        let speed = seen.batches as f64 / wall;
        if let Some((before, old_speed)) = self.trial.take() {
            let now = self.setting.workers;
            let (kept, bound) = match now > before {
                true => (speed >= GAIN * old_speed, &mut self.too_many),
                false => (speed >= LOSS * old_speed, &mut self.too_few),
            };
            if !kept {
                *bound = Some(now);
                self.setting.workers = before;
                self.settled = old_speed;
            }
            self.calm = 0;
            return;
        }
        if self.settled > 0.0 && !(1.0 / CHANGE..CHANGE).contains(&(speed / self.settled)) {
            (self.too_many, self.too_few, self.settled) = (None, None, 0.0);
            self.calm = 0;
        }
        let waits = seen.waited.as_secs_f64() / wall > NOTICED;
        let workers = self.setting.workers;
        let idle = seen.idle.as_secs_f64() / (wall * workers as f64);
        if waits && idle > IDLE && self.setting.window < self.bounds.most_window {
            self.setting.window = (2 * self.setting.window).min(self.bounds.most_window);
            self.calm = 0;
        } else if waits && self.may_be(workers + 1) {
            self.trial = Some((workers, speed));
            self.setting.workers += 1;
        } else if !waits && idle * workers as f64 > 1.5 && self.may_be(workers.saturating_sub(1)) {
            // The others had the time for what one of them did, and half of that again.
            self.trial = Some((workers, speed));
            self.setting.workers -= 1;
        } else {
            self.calm += 1;
        }
    }

    fn may_be(&self, workers: usize) -> bool {
        (self.bounds.least_workers..=self.bounds.most_workers).contains(&workers)
            && self.too_many.is_none_or(|many| workers < many)
            && self.too_few.is_none_or(|few| workers > few)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine: how long a batch takes with so many workers, the model beside it, and bursts.
    struct Machine {
        load: f64,
        model: f64,
        cores: f64,
        /// How many batches must be ready to make up for the slowest.
        burst: usize,
    }

    impl Machine {
        fn run(&self, setting: Setting) -> Seen {
            let workers = setting.workers as f64;
            // Workers beyond the cores only share them, with the model too.
            let busy = self.load + self.model;
            let fair = (busy / self.cores).max(self.load / workers).max(self.model);
            let ready = setting.window.min(self.burst) as f64 / self.burst as f64;
            let each = fair * (1.0 + 0.5 * (1.0 - ready));
            let batches = 100;
            let wall = each * f64::from(batches);
            let seconds = |seconds: f64| Duration::from_secs_f64(seconds.max(0.0));
            Seen {
                wall: seconds(wall),
                waited: seconds((each - self.model) * f64::from(batches)),
                idle: seconds((each * workers - self.load) * f64::from(batches)),
                batches: batches as u64,
            }
        }

        fn settle(&self, tuner: &mut Tuner) -> Setting {
            for _ in 0..50 {
                tuner.look(self.run(tuner.setting()));
            }
            assert!(tuner.calm > 20, "{tuner:?} is never calm");
            tuner.setting()
        }
    }

    fn tuner(workers: usize) -> Tuner {
        let bounds = Bounds {
            least_workers: 1,
            most_workers: 8,
            most_window: 64,
        };
        Tuner::new(Setting { workers, window: 2 }, bounds)
    }

    #[test]
    fn a_slow_loader_gets_the_workers_that_it_needs() {
        let machine = Machine {
            load: 0.035,
            model: 0.01,
            cores: 16.0,
            burst: 1,
        };
        assert_eq!(machine.settle(&mut tuner(1)).workers, 4);
    }

    #[test]
    fn cores_that_the_training_needs_are_left_to_it() {
        // Two cores, of which the model keeps one and a half busy.
        let machine = Machine {
            load: 0.01,
            model: 0.03,
            cores: 2.0,
            burst: 1,
        };
        assert_eq!(machine.settle(&mut tuner(1)).workers, 1);
        assert_eq!(machine.settle(&mut tuner(4)).workers, 1);
        // Nothing is gained beyond the cores.
        let machine = Machine {
            load: 0.03,
            model: 0.0,
            cores: 2.0,
            burst: 1,
        };
        assert_eq!(machine.settle(&mut tuner(1)).workers, 2);
    }

    #[test]
    fn bursts_get_a_longer_window() {
        let machine = Machine {
            load: 0.01,
            model: 0.02,
            cores: 8.0,
            burst: 16,
        };
        let setting = machine.settle(&mut tuner(1));
        assert_eq!((setting.workers, setting.window), (1, 16));
    }

    #[test]
    fn a_new_model_is_a_new_question() {
        let slow = Machine {
            load: 0.02,
            model: 0.1,
            cores: 8.0,
            burst: 1,
        };
        let fast = Machine {
            model: 0.01,
            ..slow
        };
        let mut tuner = tuner(1);
        assert_eq!(slow.settle(&mut tuner).workers, 1);
        assert_eq!(fast.settle(&mut tuner).workers, 2);
        assert_eq!(slow.settle(&mut tuner).workers, 1);
    }
}
