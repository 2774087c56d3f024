//! The window between the workers and the consumer, explored by loom: every order in which threads
//! can take its lock, sleep and be woken, up to a bound of switches.
#![cfg(test)]

#[path = "../../../crates/burn-npy/src/loader/window.rs"]
#[allow(dead_code, reason = "not all of it is called here")]
mod window;

mod sync {
    pub(crate) use loom::sync::{Condvar, Mutex, MutexGuard};
    pub(crate) use std::sync::PoisonError;
}

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use loom::sync::Arc;
use loom::thread::{self, JoinHandle};
use window::{Limits, Window};

/// A window over batches whose values are their numbers; the value of a failure is the batch that
/// failed.
type Numbers = Window<Vec<Result<u64, u64>>>;

/// A pass of a loader.
#[derive(Clone, Copy)]
struct Pass {
    batches: u64,
    workers: usize,
    helps: bool,
    limits: Limits,
    fails: Option<u64>,
    /// How many batches the consumer takes before it is dropped.
    takes: u64,
    /// How often loom switches between threads that could go on, at most.
    switches: usize,
}

const PASS: Pass = Pass {
    batches: 3,
    workers: 1,
    helps: false,
    limits: Limits {
        run: 1,
        limit: 1,
        max_limit: 1,
        wake_at_half: true,
    },
    fails: None,
    takes: 3,
    switches: 3,
};

/// Loads a claim as `Workers` does.
fn load(window: &Numbers, claim: std::ops::Range<u64>, fails: Option<u64>) {
    let mut run = Vec::new();
    for batch in claim.clone() {
        let failed = fails == Some(batch);
        run.push(if failed { Err(batch) } else { Ok(batch) });
        if failed {
            break;
        }
    }
    let failed = run.last().is_some_and(Result::is_err);
    let end = failed.then(|| claim.start + run.len() as u64);
    window.fill(&claim, run, end);
}

fn consume(window: &Numbers, pass: Pass) {
    let (mut expected, mut ready) = (0, Vec::new().into_iter());
    while expected < pass.takes {
        let Some(batch) = ready.next() else {
            let run = loop {
                if let Some(run) = window.pop() {
                    break run;
                }
                let claim = if pass.helps { window.try_claim() } else { None };
                match claim {
                    Some(claim) => load(window, claim, pass.fails),
                    None => window.wait_filled(),
                }
            };
            ready = run.into_iter();
            continue;
        };
        if pass.fails == Some(expected) {
            // The failure comes once, after all batches before it.
            assert_eq!(batch, Err(expected));
            return;
        }
        assert_eq!(batch, Ok(expected));
        expected += 1;
    }
}

/// Explores a pass with both rules of waking; returns how many interleavings the smaller one has.
///
/// Loom fails if all threads sleep. Asserted are the order of the batches, that each comes once,
/// that a failure ends the pass once, and that no more batches are claimed ahead than the limit
/// allows.
fn explore(pass: Pass) -> usize {
    let both = [true, false].map(|wake_at_half| {
        let limits = Limits {
            wake_at_half,
            ..pass.limits
        };
        explore_one(Pass { limits, ..pass })
    });
    both[0].min(both[1])
}

fn explore_one(pass: Pass) -> usize {
    let count = std::sync::Arc::new(AtomicUsize::new(0));
    let counter = count.clone();
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(pass.switches);
    model.check(move || {
        counter.fetch_add(1, Ordering::Relaxed);
        let window = Arc::new(Numbers::new(0..pass.batches, pass.limits));
        // Of std, since it only watches.
        let failed = std::sync::Arc::new(AtomicBool::new(false));
        let work = |window: Arc<Numbers>| {
            let failed = failed.clone();
            move || {
                loop {
                    let ended = failed.load(Ordering::SeqCst);
                    let Some(claim) = window.claim_or_wait() else {
                        return;
                    };
                    assert!(!ended, "{claim:?} is claimed behind a failure");
                    let ahead = window.ahead();
                    assert!(ahead <= pass.limits.max_limit, "{ahead} ahead");
                    let fails = pass.fails.is_some_and(|batch| claim.contains(&batch));
                    load(&window, claim, pass.fails);
                    failed.fetch_or(fails, Ordering::SeqCst);
                }
            }
        };
        let threads: Vec<JoinHandle<()>> = (0..pass.workers)
            .map(|_| thread::spawn(work(window.clone())))
            .collect();
        consume(&window, pass);
        // What dropping the workers does.
        window.stop();
        for thread in threads {
            thread.join().unwrap();
        }
    });
    let count = count.load(Ordering::Relaxed);
    println!("{count} interleavings");
    count
}

fn limits(run: u64, limit: u64, max_limit: u64) -> Limits {
    Limits {
        run,
        limit,
        max_limit,
        wake_at_half: true,
    }
}

#[test]
fn one_worker_and_a_consumer_that_sleeps() {
    for (batches, limit) in [(3, 1), (3, 2), (4, 3)] {
        assert!(
            explore(Pass {
                batches,
                takes: batches,
                limits: limits(1, limit, limit),
                ..PASS
            }) > 1
        );
    }
}

#[test]
fn one_worker_and_a_consumer_that_helps() {
    for (batches, run, limit) in [(3, 1, 1), (3, 1, 2), (6, 2, 4)] {
        assert!(
            explore(Pass {
                batches,
                takes: batches,
                helps: true,
                limits: limits(run, limit, limit),
                ..PASS
            }) > 1
        );
    }
}

#[test]
fn two_workers() {
    for helps in [false, true] {
        assert!(
            explore(Pass {
                workers: 2,
                helps,
                limits: limits(1, 2, 2),
                switches: 2,
                ..PASS
            }) > 1
        );
    }
}

#[test]
fn a_limit_that_grows_wakes_the_workers() {
    assert!(
        explore(Pass {
            batches: 5,
            takes: 5,
            limits: limits(1, 1, 4),
            ..PASS
        }) > 1
    );
}

#[test]
fn a_failure_ends_the_pass_once() {
    for helps in [false, true] {
        for fails in 0..3 {
            assert!(
                explore(Pass {
                    workers: 2,
                    helps,
                    fails: Some(fails),
                    limits: limits(1, 2, 2),
                    switches: 2,
                    ..PASS
                }) > 1
            );
        }
    }
}

#[test]
fn a_consumer_that_is_dropped_wakes_and_joins_everybody() {
    for takes in 0..3 {
        assert!(
            explore(Pass {
                takes,
                workers: 2,
                limits: limits(1, 2, 2),
                switches: 2,
                ..PASS
            }) > 1
        );
    }
}
