//! Whether a batch is stored past the caches, found by trying.
//!
//! A batch that is stored as usual may stay in the last cache until its buffer comes round again, and then costs no
//! bandwidth of the memory. Whether it does depends on the processor, and in a data centre on who else uses that cache. To go past
//! the caches made batches of 3 MiB a third slower on Zen 3 and Zen 4 and a fifth faster on Emerald Rapids, and those of 12 MiB a
//! quarter faster on Zen 3 and Emerald Rapids and two thirds on Zen 4. So batches of a middle size are made both ways by turns now and
//! then, and the faster way is kept.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::stream;

/// Below this size, in bytes, a batch, or a run of small ones, stays in the caches.
const SMALL: usize = 2 << 20;
/// From this size on a batch does not: with 48 MiB, past the caches was faster by two thirds on Zen 4.
const LARGE: usize = 24 << 20;
/// How many batches are made one way before the other way has its turn.
const TURN: usize = 40;
/// How many of them do not count: their buffers come from the other way, and are in the cache or not because of that. On a Xeon with
/// a cache of 480 MiB, batches of 12 MiB that are stored as usual take 2.1 times as long after the others as in the end, 1.2 times
/// after ten and 1.05 after twenty; past the caches, the first three alone take longer.
const UNCOUNTED: usize = 24;
/// How many turns decide: the way that is kept, the other one, and again the way that is kept, so that what changes steadily
/// meanwhile, as the number of pages that must be mapped does, favours neither.
const TURNS: usize = 3;
/// How many batches count at most, of each way.
const COUNTED: usize = (TURNS - 1) * (TURN - UNCOUNTED);
/// How much faster another way must be.
const GAIN: f64 = 1.05;
/// After how many batches it is tried; four times as many the next time, up to the most. The first batches of all meet pages that
/// are not mapped yet, and say nothing.
const STAY: usize = 120;
const MOST_STAY: usize = STAY << 6;

/// How the batches of a column are stored.
#[derive(Debug, Default)]
pub(crate) struct Stores(Mutex<State>);

/// A batch that is being made.
pub(crate) struct Making {
    pub(crate) past_caches: bool,
    bytes: usize,
    /// If it is timed, in which turn, and since when.
    timed: Option<(usize, Instant)>,
}

impl Stores {
    /// How a batch of so many bytes is to be stored.
    pub(crate) fn begin(&self, bytes: usize) -> Making {
        let always = |past_caches| Making {
            past_caches: past_caches && stream::is_possible(),
            bytes,
            timed: None,
        };
        match bytes {
            ..SMALL => always(false),
            LARGE.. => always(true),
            _ if !stream::is_possible() => always(false),
            _ => {
                let (past_caches, turn) = self.lock().next();
                Making {
                    past_caches,
                    bytes,
                    timed: turn.map(|turn| (turn, Instant::now())),
                }
            }
        }
    }

    /// The batch was made.
    pub(crate) fn end(&self, making: Making) {
        if let Some((turn, start)) = making.timed {
            let cost = start.elapsed().as_secs_f64() / making.bytes as f64;
            self.lock().made(turn, cost);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct State {
    /// The way that is kept until the other turns out to be faster.
    past_caches: bool,
    /// How many batches come before the next trial, and how many came between the last two.
    left: usize,
    stay: usize,
    /// How many turns there were, of all trials.
    turn: usize,
    /// How many batches of the turn were made.
    made: usize,
    /// What a byte took, in seconds, the way that is kept and the other; so many of each.
    costs: [[f64; COUNTED]; 2],
    counted: [usize; 2],
}

impl Default for State {
    fn default() -> Self {
        Self {
            past_caches: false,
            left: STAY,
            stay: STAY,
            turn: 0,
            made: 0,
            costs: [[0.0; COUNTED]; 2],
            counted: [0; 2],
        }
    }
}

impl State {
    /// How the next batch is stored, and in which turn of a trial, if there is one.
    fn next(&mut self) -> (bool, Option<usize>) {
        if self.left > 0 {
            self.left -= 1;
            return (self.past_caches, None);
        }
        (self.past_caches ^ is_other(self.turn), Some(self.turn))
    }

    /// What a byte took of a batch that was begun in some turn.
    fn made(&mut self, turn: usize, cost: f64) {
        // Others may have ended the turn meanwhile.
        if turn != self.turn || self.left > 0 {
            return;
        }
        self.made += 1;
        let way = usize::from(is_other(turn));
        if self.made > UNCOUNTED {
            self.costs[way][self.counted[way]] = cost;
            self.counted[way] += 1;
        }
        if self.made == TURN {
            self.made = 0;
            self.turn += 1;
            if self.turn.is_multiple_of(TURNS) {
                self.decide();
            }
        }
    }

    fn decide(&mut self) {
        let [kept, other] = [0, 1].map(|way| {
            let costs = &mut self.costs[way][..self.counted[way]];
            costs.sort_unstable_by(f64::total_cmp);
            // Both turns of the way that is kept count the same.
            costs[costs.len() / 2 - 1] + costs[costs.len() / 2]
        });
        if kept > GAIN * other {
            self.past_caches = !self.past_caches;
        }
        self.counted = [0; 2];
        self.stay = (4 * self.stay).min(MOST_STAY);
        self.left = self.stay;
    }
}

/// Whether a turn is one of the other way.
fn is_other(turn: usize) -> bool {
    turn % TURNS == 1
}

#[cfg(test)]
impl Stores {
    /// One way for batches of a middle size, for good.
    pub(crate) fn always(past_caches: bool) -> Self {
        Self(Mutex::new(State {
            past_caches,
            left: usize::MAX,
            ..State::default()
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes batches whose bytes take this long, by whether they go past the caches; gives how many did.
    fn run(state: &mut State, batches: usize, cost: impl Fn(usize, bool) -> f64) -> usize {
        let mut past = 0;
        for batch in 0..batches {
            let (past_caches, turn) = state.next();
            past += usize::from(past_caches);
            if let Some(turn) = turn {
                state.made(turn, cost(batch, past_caches));
            }
        }
        past
    }

    #[test]
    fn the_faster_way_is_kept() {
        // One batch in five is disturbed, ten times as slow.
        let disturbed = |batch: usize| if batch.is_multiple_of(5) { 10.0 } else { 1.0 };
        for (past, kept) in [(0.7, true), (0.99, false), (1.5, false)] {
            let mut state = State::default();
            let cost = |batch: usize, past_caches| match past_caches {
                true => past * disturbed(batch),
                false => disturbed(batch),
            };
            run(&mut state, STAY + TURN * TURNS, cost);
            assert_eq!(state.past_caches, kept, "{past}");
            assert_eq!(run(&mut state, STAY, cost), if kept { STAY } else { 0 });
        }
    }

    #[test]
    fn what_gets_cheaper_anyway_favours_neither() {
        for other in [0.97, 1.03] {
            let mut state = State::default();
            run(&mut state, STAY + TURN * TURNS, |batch, past| {
                let cost = 3.0 - batch as f64 / (STAY + TURN * TURNS) as f64;
                if past { other * cost } else { cost }
            });
            assert!(!state.past_caches && state.left > 0);
        }
    }

    #[test]
    fn another_answer_is_found_later() {
        let mut state = State::default();
        run(&mut state, 10_000, |_, past| if past { 0.5 } else { 1.0 });
        assert!(state.past_caches);
        run(
            &mut state,
            2 * MOST_STAY,
            |_, past| if past { 1.5 } else { 1.0 },
        );
        assert!(!state.past_caches);
        // Settled, the slower way has few batches.
        let past = run(
            &mut state,
            10 * MOST_STAY,
            |_, past| if past { 1.5 } else { 1.0 },
        );
        assert!((1..=11 * TURN).contains(&past), "{past}");
    }

    #[test]
    fn threads_that_overlap_end_a_turn_once() {
        let mut state = State::default();
        run(&mut state, STAY, |_, _| 1.0);
        for _ in 0..2 * TURNS {
            // Twice as many are begun as a turn takes.
            let begun: Vec<_> = (0..2 * TURN).map(|_| state.next()).collect();
            for (past_caches, turn) in begun {
                if let Some(turn) = turn {
                    state.made(turn, if past_caches { 0.5 } else { 1.0 });
                }
            }
        }
        assert_eq!(state.turn, TURNS);
        assert!(state.past_caches && state.left > 0);
    }

    #[test]
    fn small_and_large_batches_are_not_tried() {
        let stores = Stores::default();
        for _ in 0..STAY + TURN * TURNS {
            for (bytes, past) in [(SMALL - 1, false), (LARGE, true)] {
                let making = stores.begin(bytes);
                assert_eq!(making.past_caches, past && stream::is_possible());
                stores.end(making);
            }
        }
        assert_eq!(stores.lock().turn, 0);
        let ways: Vec<_> = (0..STAY + TURN * TURNS)
            .map(|_| {
                let making = stores.begin(SMALL);
                let past_caches = making.past_caches;
                stores.end(making);
                past_caches
            })
            .collect();
        assert_eq!(ways.contains(&true), stream::is_possible());
    }
}
