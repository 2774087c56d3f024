//! Whether somebody still wants what a thread reads.
//!
//! A request to a server that is gone may take minutes to fail. A thread that waits for it must end
//! earlier, if the pass that it works for is given up.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long a reader waits before it looks at the flag again.
pub(super) const PATIENCE: Duration = Duration::from_millis(50);

thread_local! {
    static GIVEN_UP: RefCell<Option<Arc<AtomicBool>>> = const { RefCell::new(None) };
}

/// Calls `f`. Once the flag is set, reads of remote files in it that would wait are errors.
pub fn unless_given_up<T>(flag: &Arc<AtomicBool>, f: impl FnOnce() -> T) -> T {
    /// Puts the flag of before back, also after a panic.
    struct Before(Option<Arc<AtomicBool>>);

    impl Drop for Before {
        fn drop(&mut self) {
            let before = self.0.take();
            GIVEN_UP.with(|flag| *flag.borrow_mut() = before);
        }
    }

    let _before = Before(GIVEN_UP.with(|known| known.replace(Some(flag.clone()))));
    f()
}

/// Whether nobody wants what this thread reads.
pub(super) fn is_in_vain() -> bool {
    GIVEN_UP.with(|flag| {
        let flag = flag.borrow();
        flag.as_ref()
            .is_some_and(|flag| flag.load(Ordering::Relaxed))
    })
}
