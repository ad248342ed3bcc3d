//! A set of hashes of eight bytes, gathered piece by piece, that millions of others are held against.
//!
//! What has no equal in it is missing for certain. Two different values have the same hash by chance once in some hundred
//! thousand sets of ten million, and would hide one that is missing: `--paranoid` compares the values themselves.

use std::cell::{OnceCell, RefCell};

use super::reading::{MOST_ROWS, Part, Place};

/// Of more values the hashes are not held in memory, where they would take 512 MB.
pub const MOST: u64 = 64 << 20;

/// Of a bucket with more hashes they are sorted: a value that stands in most rows is there as often.
const FEW: usize = 16;

/// The hashes of a column's values.
#[derive(Debug)]
pub struct Known {
    pieces: RefCell<Vec<Option<Vec<u64>>>>,
    buckets: OnceCell<Buckets>,
}

impl Known {
    /// None yet, of so many pieces.
    pub fn new(pieces: usize) -> Self {
        Self { pieces: RefCell::new(vec![None; pieces]), buckets: OnceCell::new() }
    }

    /// Takes the hashes of a piece.
    pub fn add(&self, piece: usize, hashes: Vec<u64>) {
        if let Some(place) = self.pieces.borrow_mut().get_mut(piece) {
            *place = Some(hashes);
        }
    }

    /// The set, once all pieces are there.
    fn buckets(&self) -> Option<&Buckets> {
        if self.buckets.get().is_none() {
            if self.pieces.borrow().iter().any(Option::is_none) {
                return None;
            }
            let pieces: Vec<Vec<u64>> = self.pieces.take().into_iter().flatten().collect();
            return Some(self.buckets.get_or_init(|| Buckets::new(&pieces)));
        }
        self.buckets.get()
    }

    /// The places of rows whose hash is not there; the hashes as they are where that cannot be told yet.
    pub fn missing(&self, part: Part) -> Part {
        let (Some(known), Part::Hashes(hashes, places)) = (self.buckets(), &part) else { return part };
        let rows = hashes.iter().zip(places).filter(|(hash, _)| !known.has(**hash)).map(|(_, place)| *place);
        let rows: Vec<Place> = rows.take(MOST_ROWS + 1).collect();
        Part::Rows((rows.len() <= MOST_ROWS).then_some(rows))
    }

    /// Those of some hashes that are not there, each once; all of them where that cannot be told yet.
    pub fn missing_hashes(&self, mut hashes: Vec<u64>) -> Vec<u64> {
        if let Some(known) = self.buckets() {
            hashes.retain(|hash| !known.has(*hash));
            hashes.sort_unstable();
            hashes.dedup();
        }
        hashes
    }
}

/// Hashes by their first bits, about four for each.
#[derive(Debug)]
struct Buckets {
    hashes: Vec<u64>,
    /// Where each bucket begins, and the last one ends.
    starts: Vec<u32>,
    shift: u32,
}

impl Buckets {
    fn new(pieces: &[Vec<u64>]) -> Self {
        let count: usize = pieces.iter().map(Vec::len).sum();
        let bits = (count / 4).max(2).ilog2();
        let shift = u64::BITS - bits;
        let mut starts = vec![0u32; (1 << bits) + 1];
        for hash in pieces.iter().flatten() {
            starts[(hash >> shift) as usize] += 1;
        }
        // Each bucket is filled from its end, so that it begins where it is full.
        let mut end = 0;
        for start in &mut starts {
            end += *start;
            *start = end;
        }
        let mut hashes = vec![0; count];
        for hash in pieces.iter().flatten() {
            let start = &mut starts[(hash >> shift) as usize];
            *start -= 1;
            hashes[*start as usize] = *hash;
        }
        for bounds in starts.windows(2) {
            let bucket = &mut hashes[bounds[0] as usize..bounds[1] as usize];
            if bucket.len() > FEW {
                bucket.sort_unstable();
            }
        }
        Self { hashes, starts, shift }
    }

    fn has(&self, hash: u64) -> bool {
        let at = (hash >> self.shift) as usize;
        let bucket = &self.hashes[self.starts[at] as usize..self.starts[at + 1] as usize];
        if bucket.len() > FEW { bucket.binary_search(&hash).is_ok() } else { bucket.contains(&hash) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_known_or_its_row_is_missing() {
        for count in [0u64, 1, 2, 3, 100, 5000] {
            let hash = |number: u64| (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let known = Known::new(2);
            // One of them is there a hundred times.
            known.add(1, (0..count / 2).chain((0..100).map(|_| 0)).map(hash).collect());
            let asked: Vec<u64> = (0..2 * count + 3).map(hash).chain([0, u64::MAX]).collect();
            let places = (0..asked.len()).map(|page| (page as u32, 1)).collect();
            let part = known.missing(Part::Hashes(asked.clone(), places));
            let Part::Hashes(..) = part else { panic!("told before all are known") };
            known.add(0, (0..count).map(hash).collect());
            let Part::Rows(Some(rows)) = known.missing(part) else { panic!("{count}") };
            let expected: Vec<Place> =
                (count.max(1) as u32..asked.len() as u32).map(|page| (page, 1)).collect();
            assert_eq!(rows, expected, "{count}");
            let twice = [asked.clone(), asked.clone()].concat();
            assert_eq!(known.missing_hashes(twice).len(), expected.len(), "{count}");
        }
    }
}
