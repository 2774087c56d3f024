//! How many workers, and how far ahead: found by looking at who waits.
//!
//! The order and the content of batches depend on neither, so to try is always safe. Each time that
//! the consumer has waited noticeably, one of two things is changed, and kept only if it helped:
//!
//! * the workers were idle now and then, so batches come unevenly: a window twice as long is tried,
//!   within its bytes, unless the consumer loaded batches meanwhile;
//! * they were not: one more worker is tried. The one is kept if batches come 3 % faster, the other
//!   at 5 %. A machine whose cores the training needs does not get faster, so there it is taken
//!   back.
//!
//! If nobody waits and the workers are mostly idle, one fewer is tried, and kept if nothing gets
//! slower. A setting that stays is looked at ever more seldom; what was tried in vain is tried
//! again only when the speed has changed by a third, as it does when another model trains.

use std::time::Duration;

use super::meter::Reading;

/// The share of the time for which a consumer may wait.
const NOTICED: f64 = 0.02;
/// The share of the time for which workers are idle if the window holds them up.
const IDLE: f64 = 0.1;
/// How much faster it must get by one more worker, which takes a core, and by a longer window,
/// which takes memory.
const GAIN: f64 = 1.05;
const WINDOW_GAIN: f64 = 1.03;
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
struct Seen {
    wall: Duration,
    /// How long the consumer waited.
    waited: Duration,
    /// How long of that it made batches.
    helped: Duration,
    /// How long the workers were idle, all together.
    idle: Duration,
    batches: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Tuner {
    setting: Setting,
    bounds: Bounds,
    /// The setting before another is tried, and the speed with it.
    trial: Option<(Setting, f64)>,
    /// What was found to be of no use, and the speed by then.
    too_many: Option<usize>,
    too_few: Option<usize>,
    too_long: Option<usize>,
    settled: f64,
    /// How often nothing had to change.
    calm: u32,
    /// What the meter showed at the last decision. Short passes are looked at together.
    looked: Reading,
}

impl Tuner {
    pub(crate) fn new(setting: Setting, bounds: Bounds) -> Self {
        Self {
            setting,
            bounds,
            trial: None,
            too_many: None,
            too_few: None,
            too_long: None,
            settled: 0.0,
            calm: 0,
            looked: Reading::default(),
        }
    }

    /// The same, for a meter that showed this when it began.
    pub(crate) fn looked_at(self, looked: Reading) -> Self {
        Self { looked, ..self }
    }

    /// The same for another meter, which shows nothing yet.
    pub(crate) fn fork(&self) -> Self {
        Self {
            looked: Reading::default(),
            ..self.clone()
        }
    }

    pub(crate) fn setting(&self) -> Setting {
        self.setting
    }

    /// Whether there is anything to find out.
    pub(crate) fn is_fixed(&self) -> bool {
        self.bounds.least_workers == self.bounds.most_workers
            && self.setting.window == self.bounds.most_window
            && self.trial.is_none()
    }

    /// Looks at the meter, and tells whether the setting is another now.
    pub(crate) fn look(&mut self, now: Reading) -> bool {
        let seen = now.since(&self.looked);
        let wall = Duration::from_nanos(seen.wall);
        if seen.batches < BATCHES || wall < LOOK * (1 << self.calm.min(DOUBLINGS)) {
            return false;
        }
        self.looked = now;
        let old = self.setting;
        self.decide(Seen {
            wall,
            waited: Duration::from_nanos(seen.waited),
            helped: Duration::from_nanos(seen.helped),
            idle: Duration::from_nanos(seen.idle),
            batches: seen.batches,
        });
        self.setting != old
    }

    /// Sets the next setting by what was seen with the present one.
    fn decide(&mut self, seen: Seen) {
        let wall = seen.wall.as_secs_f64().max(1e-9);
        let speed = seen.batches as f64 / wall;
        if let Some((before, old_speed)) = self.trial.take() {
            let now = self.setting;
            let (kept, bound) = if now.window > before.window {
                (speed >= WINDOW_GAIN * old_speed, &mut self.too_long)
            } else if now.workers > before.workers {
                (speed >= GAIN * old_speed, &mut self.too_many)
            } else {
                (speed >= LOSS * old_speed, &mut self.too_few)
            };
            if !kept {
                *bound = Some(if now.window > before.window {
                    now.window
                } else {
                    now.workers
                });
                self.setting = before;
                self.settled = old_speed;
            }
            self.calm = 0;
            return;
        }
        if self.settled > 0.0 && !(1.0 / CHANGE..CHANGE).contains(&(speed / self.settled)) {
            (self.too_many, self.too_few, self.too_long) = (None, None, None);
            self.settled = 0.0;
            self.calm = 0;
        }
        let noticed = |waited: Duration| waited.as_secs_f64() / wall > NOTICED;
        let waits = noticed(seen.waited);
        // A consumer that helps needs no batches that lie ready.
        let is_idle = noticed(seen.waited.saturating_sub(seen.helped));
        let workers = self.setting.workers;
        let idle = seen.idle.as_secs_f64() / (wall * workers as f64);
        let longer = (2 * self.setting.window).min(self.bounds.most_window);
        let may_be_longer =
            longer > self.setting.window && self.too_long.is_none_or(|long| longer < long);
        let before = Some((self.setting, speed));
        if is_idle && idle > IDLE && may_be_longer {
            (self.trial, self.setting.window) = (before, longer);
        } else if waits && self.may_be(workers + 1) {
            (self.trial, self.setting.workers) = (before, workers + 1);
        } else if !waits && idle * workers as f64 > 1.5 && self.may_be(workers.saturating_sub(1)) {
            // The others had the time for what one of them did, and half of that again.
            (self.trial, self.setting.workers) = (before, workers - 1);
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
                helped: Duration::ZERO,
                idle: seconds((each * workers - self.load) * f64::from(batches)),
                batches: batches as u64,
            }
        }

        fn settle(&self, tuner: &mut Tuner) -> Setting {
            for _ in 0..50 {
                tuner.decide(self.run(tuner.setting()));
            }
            assert!(tuner.calm > 20, "{tuner:?} is never calm");
            tuner.setting()
        }
    }

    #[test]
    fn a_consumer_that_helps_gets_no_longer_window() {
        let second = Duration::from_secs(1);
        let seen = |helped| Seen {
            wall: second,
            waited: second / 2,
            helped,
            idle: second / 2,
            batches: 100,
        };
        let bounds = Bounds {
            least_workers: 1,
            most_workers: 1,
            most_window: 64,
        };
        let setting = Setting {
            workers: 1,
            window: 4,
        };
        for (helped, window) in [(Duration::ZERO, 8), (second / 2, 4)] {
            let mut tuner = Tuner::new(setting, bounds);
            tuner.decide(seen(helped));
            assert_eq!(tuner.setting().window, window);
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
