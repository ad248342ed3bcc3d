//! The values of the original that are searched in the copy: their hashes, and for very many values a part chosen by
//! the hash, so that memory is limited.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use crate::pseudonym::is_telling;

/// As many hashes are kept: 8 bytes each, and as much again for the table.
const MOST: usize = if cfg!(test) { 20_000 } else { 2_000_000 };

/// The values that were seen.
#[derive(Default)]
pub struct Originals {
    hasher: RandomState,
    hashes: HashSet<u64, foldhash::fast::FixedState>,
    /// Only hashes without any of these bits are kept.
    mask: u64,
}

impl Originals {
    /// Remembers a value that identifies a person.
    pub fn insert(&mut self, value: &str) {
        if !is_telling(value) {
            return;
        }
        let hash = self.hasher.hash_one(value);
        if hash & self.mask != 0 || !self.hashes.insert(hash) {
            return;
        }
        if self.hashes.len() > MOST {
            self.mask = self.mask << 1 | 1;
            let mask = self.mask;
            self.hashes.retain(|hash| hash & mask == 0);
        }
    }

    /// True if a value is one of those that are kept.
    pub fn contains(&self, value: &str) -> bool {
        !self.hashes.is_empty() && is_telling(value) && self.hashes.contains(&self.hasher.hash_one(value))
    }

    /// The number of different values that are looked for.
    pub fn count(&self) -> u64 {
        self.hashes.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_limited_by_sampling() {
        let mut originals = Originals::default();
        let value = |number: usize| format!("value number {number}");
        (0..2 * MOST).for_each(|number| originals.insert(&value(number)));
        let kept = originals.hashes.len();
        assert!((MOST / 3..=MOST).contains(&kept), "{kept}");
        let found = (0..2 * MOST).filter(|number| originals.contains(&value(*number))).count();
        assert_eq!(found, kept);
        assert!(!originals.contains("another value") && !originals.contains("short"));
    }
}
