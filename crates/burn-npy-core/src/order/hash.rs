//! A hash of numbers that is the same on every machine.

use crate::order::keys::mix;

/// Saved states hold such hashes, so they must not change.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hash(pub(crate) u64);

impl Hash {
    /// Hashes the words, then how many there were.
    pub(crate) fn add(&mut self, words: impl IntoIterator<Item = u64>) {
        let mut count = 0;
        for word in words {
            self.0 = mix(self.0.rotate_left(5) ^ word);
            count += 1;
        }
        self.0 = mix(self.0.rotate_left(5) ^ count);
    }
}
