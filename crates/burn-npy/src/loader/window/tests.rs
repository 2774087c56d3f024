//! The window, by one thread. Several threads are in the package `window-model`.

use std::ops::Range;

use super::window::{Limits, Window};

fn window(run: u64, limit: u64, max_limit: u64) -> Window<u64> {
    let limits = Limits {
        run,
        limit,
        max_limit,
        wake_at_half: true,
    };
    Window::new(0..100, limits)
}

/// Fills a claim with its first batch.
fn fill(window: &Window<u64>, claim: &Range<u64>) {
    window.fill(claim, claim.start, None);
}

#[test]
fn claims_are_taken_in_order_whoever_is_first() {
    let window = window(1, 3, 3);
    let claims = [(); 3].map(|()| window.try_claim().unwrap());
    assert_eq!(claims, [0..1, 1..2, 2..3]);
    assert_eq!(window.ahead(), 3);
    assert_eq!(window.try_claim(), None);
    fill(&window, &claims[2]);
    fill(&window, &claims[1]);
    assert_eq!(window.pop(), None);
    // The batch that the consumer asks for is not ahead of it, so there is room for another one.
    assert_eq!(window.ahead(), 2);
    assert_eq!(window.try_claim(), Some(3..4));
    assert_eq!(window.try_claim(), None);
    fill(&window, &claims[0]);
    assert_eq!(
        [(); 4].map(|()| window.pop()),
        [Some(0), Some(1), Some(2), None]
    );
    assert_eq!(window.try_claim(), Some(4..5));
}

#[test]
fn claims_become_longer_and_end_with_the_pass() {
    let window = window(8, 16, 16);
    let mut claims = Vec::new();
    while let Some(claim) = window.try_claim() {
        fill(&window, &claim);
        window.pop();
        claims.push(claim);
    }
    let lens: Vec<_> = claims.iter().map(|claim| claim.end - claim.start).collect();
    assert_eq!(lens[..6], [1, 1, 2, 4, 8, 8]);
    assert_eq!(lens.iter().sum::<u64>(), 100);
    assert!(claims.windows(2).all(|pair| pair[0].end == pair[1].start));
    assert_eq!(window.claim_or_wait(), None);
}

#[test]
fn nothing_is_claimed_behind_a_failure() {
    let window = window(1, 4, 4);
    let claims = [(); 3].map(|()| window.try_claim().unwrap());
    window.fill(&claims[1], 1, Some(2));
    assert_eq!(window.try_claim(), None);
    assert_eq!(window.claim_or_wait(), None);
    // Batches that were claimed before are still filled in.
    fill(&window, &claims[2]);
    fill(&window, &claims[0]);
    assert_eq!([(); 3].map(|()| window.pop()), [Some(0), Some(1), Some(2)]);
}

#[test]
fn a_stopped_window_gives_no_claim() {
    let window = window(1, 4, 4);
    window.stop();
    assert_eq!(window.claim_or_wait(), None);
    window.wait_filled();
    assert!(window.is_stopped());
}

#[test]
fn the_limit_is_lowered_to_a_claim_at_most() {
    let window = window(1, 4, 4);
    window.restrict(2);
    window.restrict(3);
    assert_eq!(window.limit(), 2);
    window.restrict(0);
    assert_eq!(window.limit(), 1);
}

#[test]
fn the_limit_stays_if_the_window_was_not_full() {
    let window = window(1, 4, 100);
    for _ in 0..3 {
        fill(&window, &window.try_claim().unwrap());
        assert!(window.pop().is_some());
        assert_eq!(window.pop(), None);
    }
    assert_eq!(window.limit(), 4);
}
