//! A keyed permutation of all values of one form.

use rand::RngCore;
use sha2::{Digest, Sha256};

/// As many as NIST's FF1 takes, which is built the same way and knows one alphabet for all characters only.
const ROUNDS: u8 = 10;

/// A secret that the pseudonyms rest on.
#[derive(Clone)]
pub struct PseudonymKey([u8; 32]);

/// One character of a value: its place in its alphabet, and how many characters that has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Symbol {
    /// From 0, below `size`.
    pub value: u32,
    /// At least 1.
    pub size: u32,
}

impl PseudonymKey {
    /// A random key.
    pub fn random() -> Self {
        let mut key = [0; 32];
        rand::rng().fill_bytes(&mut key);
        Self(key)
    }

    /// A key that is always the same, for tests.
    #[cfg(test)]
    pub const fn fixed(byte: u8) -> Self {
        Self([byte; 32])
    }

    /// Puts another value of the same form in place of this one: a Feistel network over the two halves, in which every
    /// character is moved within its own alphabet by what the other half says. Each round can be taken back, so no two values
    /// of one form share a pseudonym.
    pub fn permute(&self, symbols: &mut [Symbol]) {
        let mut form = Sha256::new();
        form.update(self.0);
        form.update((symbols.len() as u64).to_le_bytes());
        symbols.iter().for_each(|symbol| form.update(symbol.size.to_le_bytes()));
        let form: [u8; 32] = form.finalize().into();
        let (left, right) = symbols.split_at_mut(symbols.len() / 2);
        for round in 0..ROUNDS {
            let (moved, read) = if round % 2 == 0 { (&mut *left, &*right) } else { (&mut *right, &*left) };
            let mut stream = Stream::new(&form, round, read);
            for symbol in moved {
                symbol.value = (symbol.value + stream.next() % symbol.size) % symbol.size;
            }
        }
    }
}

/// Numbers that only the key, the round and the other half determine.
struct Stream {
    seed: [u8; 32],
    block: [u8; 32],
    used: usize,
    counter: u64,
}

impl Stream {
    fn new(form: &[u8; 32], round: u8, read: &[Symbol]) -> Self {
        let mut seed = Sha256::new();
        seed.update(form);
        seed.update([round]);
        read.iter().for_each(|symbol| seed.update(symbol.value.to_le_bytes()));
        Self { seed: seed.finalize().into(), block: [0; 32], used: 32, counter: 0 }
    }

    fn next(&mut self) -> u32 {
        if self.used == self.block.len() {
            let mut block = Sha256::new();
            block.update(self.seed);
            block.update(self.counter.to_le_bytes());
            self.block = block.finalize().into();
            self.counter += 1;
            self.used = 0;
        }
        let bytes = self.block[self.used..self.used + 4].try_into().expect("four bytes");
        self.used += 4;
        u32::from_le_bytes(bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// All values of a form, and their pseudonyms.
    fn all(sizes: &[u32]) -> (usize, BTreeSet<Vec<u32>>, usize) {
        let key = PseudonymKey::fixed(7);
        let count: u32 = sizes.iter().product();
        let (mut seen, mut unchanged) = (BTreeSet::new(), 0);
        for number in 0..count {
            let mut rest = number;
            let mut symbols: Vec<Symbol> = sizes
                .iter()
                .map(|size| {
                    let value = rest % size;
                    rest /= size;
                    Symbol { value, size: *size }
                })
                .collect();
            let before = symbols.clone();
            key.permute(&mut symbols);
            assert!(symbols.iter().all(|symbol| symbol.value < symbol.size));
            unchanged += usize::from(symbols == before);
            seen.insert(symbols.iter().map(|symbol| symbol.value).collect());
        }
        (count as usize, seen, unchanged)
    }

    #[test]
    fn it_is_a_permutation_of_every_form() {
        for sizes in [&[10][..], &[26, 10], &[10, 10, 10], &[6, 10, 26], &[10, 10, 10, 10], &[1, 10, 3, 2]] {
            let (count, seen, unchanged) = all(sizes);
            assert_eq!(seen.len(), count, "{sizes:?}");
            // A random permutation leaves one value as it is, on average.
            assert!(count < 100 || unchanged < 10, "{sizes:?}: {unchanged} of {count} are unchanged");
        }
    }

    #[test]
    fn another_key_gives_others() {
        let number = |key: &PseudonymKey| {
            let mut symbols = [Symbol { value: 5, size: 10 }; 13];
            key.permute(&mut symbols);
            symbols
        };
        assert_ne!(number(&PseudonymKey::random()), number(&PseudonymKey::random()));
        assert_eq!(number(&PseudonymKey::fixed(1)), number(&PseudonymKey::fixed(1)));
    }
}
