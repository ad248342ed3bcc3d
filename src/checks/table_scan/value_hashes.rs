//! A set of hashes of eight bytes, gathered chunk by chunk, that millions of others are compared with, or that is looked
//! through for those that came more than once.
//!
//! What has no equal in it is missing for certain. Two different values have the same hash by chance once in some hundred
//! thousand sets of ten million, and would hide one that is missing: `--paranoid` compares the values themselves.

use std::array;
use std::cell::{OnceCell, RefCell};

use super::projection::{ChunkPart, Ctid, MAX_ROWS, MissingRows};

/// Of more values the hashes are not held in memory, where they would take 512 MB.
pub const MAX_HASHES: u64 = 64 << 20;

/// A bucket with more hashes is sorted: it may hold one value of most rows as often as it occurs.
const FEW: usize = 16;

/// So many look-ups are begun before the first of them is ended: the memory brings what all of them touch side by side.
const AT_ONCE: usize = 32;

/// The expression for the hash of a text as the server makes it, null for a null; `seed` is another expression, such as the
/// hash of what comes before it. Equal texts are equal bytes, and have the same hash whatever language they sort by.
pub fn hash_expression(text: &str, seed: &str) -> String {
    format!("pg_catalog.hashtextextended({text} COLLATE pg_catalog.\"C\", {seed})")
}

/// The hashes of a column's values.
#[derive(Debug)]
pub struct ValueHashes {
    chunks: RefCell<Vec<Option<Vec<u64>>>>,
    buckets: OnceCell<Buckets>,
}

impl ValueHashes {
    /// None yet, of so many chunks.
    pub fn new(chunks: usize) -> Self {
        Self { chunks: RefCell::new(vec![None; chunks]), buckets: OnceCell::new() }
    }

    /// Takes the hashes of a chunk.
    pub fn add_chunk(&self, chunk: usize, hashes: Vec<u64>) {
        if let Some(place) = self.chunks.borrow_mut().get_mut(chunk) {
            *place = Some(hashes);
        }
    }

    /// The set, once all chunks are there.
    fn buckets(&self) -> Option<&Buckets> {
        if self.buckets.get().is_none() {
            if self.chunks.borrow().iter().any(Option::is_none) {
                return None;
            }
            let chunks: Vec<Vec<u64>> = self.chunks.take().into_iter().flatten().collect();
            return Some(self.buckets.get_or_init(|| Buckets::new(&chunks)));
        }
        self.buckets.get()
    }

    /// The rows whose hash is not in the set; the part as it is while the set is incomplete.
    pub fn missing(&self, part: ChunkPart) -> ChunkPart {
        let (Some(known), ChunkPart::Hashes(hashes, ctids)) = (self.buckets(), &part) else { return part };
        let mut missing = MissingRows::default();
        let mut rows: Vec<Ctid> = Vec::new();
        for at in known.missing(hashes) {
            missing.hashes.push(hashes[at]);
            if rows.len() <= MAX_ROWS {
                rows.push(ctids[at]);
            }
        }
        missing.count = missing.hashes.len() as u64;
        missing.rows = (rows.len() <= MAX_ROWS).then_some(rows);
        missing.hashes.sort_unstable();
        missing.nulls = missing.hashes.partition_point(|hash| *hash == 0) as u64;
        missing.hashes.dedup();
        missing.hashes.shrink_to_fit();
        ChunkPart::Missing(missing)
    }

    /// The ctids of the first five rows whose hash is not there, in the order given; none as long as chunks are outstanding.
    pub fn first_missing(&self, hashes: &[u64], ctids: &[Ctid]) -> Vec<Ctid> {
        let missing = self.buckets().into_iter().flat_map(|known| known.missing(hashes));
        missing.filter_map(|at| ctids.get(at).copied()).take(5).collect()
    }

    /// The hashes that came more than once, each once; none as long as chunks are outstanding.
    pub fn duplicates(&self) -> Vec<u64> {
        self.buckets().map(Buckets::twice).unwrap_or_default()
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
    fn new(chunks: &[Vec<u64>]) -> Self {
        let count: usize = chunks.iter().map(Vec::len).sum();
        let bits = (count / 4).max(2).ilog2();
        let shift = u64::BITS - bits;
        let mut starts = vec![0u32; (1 << bits) + 1];
        for hash in chunks.iter().flatten() {
            starts[(hash >> shift) as usize] += 1;
        }
        // Each bucket is filled from its end, so that it begins where it is full.
        let mut end = 0;
        for start in &mut starts {
            end += *start;
            *start = end;
        }
        let mut hashes = vec![0; count];
        for hash in chunks.iter().flatten() {
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

    /// Which of some hashes are not there, by their position.
    fn missing(&self, hashes: &[u64]) -> impl Iterator<Item = usize> {
        hashes.chunks(AT_ONCE).enumerate().flat_map(move |(number, chunk)| {
            let bounds: [(usize, usize); AT_ONCE] =
                array::from_fn(|at| chunk.get(at).map_or((0, 0), |hash| self.bounds(*hash)));
            // What the memory brings for these is asked for together, as nothing is decided in between.
            let firsts: [u64; AT_ONCE] =
                array::from_fn(|at| self.hashes.get(bounds[at].0).copied().unwrap_or_default());
            let is_missing = move |at: &usize| {
                let (start, end) = bounds[*at];
                let hash = chunk[*at];
                start == end || firsts[*at] != hash && !has(&self.hashes[start..end], hash)
            };
            (0..chunk.len()).filter(is_missing).map(move |at| number * AT_ONCE + at)
        })
    }

    /// Where the bucket of a hash begins and ends.
    fn bounds(&self, hash: u64) -> (usize, usize) {
        let at = (hash >> self.shift) as usize;
        (self.starts[at] as usize, self.starts[at + 1] as usize)
    }

    fn twice(&self) -> Vec<u64> {
        let mut twice = Vec::new();
        let mut bucket = Vec::new();
        for bounds in self.starts.windows(2) {
            bucket.clear();
            bucket.extend_from_slice(&self.hashes[bounds[0] as usize..bounds[1] as usize]);
            bucket.sort_unstable();
            let of_bucket = bucket.chunk_by(|one, other| one == other).filter(|equal| equal.len() > 1);
            twice.extend(of_bucket.map(|equal| equal[0]));
        }
        twice
    }
}

/// True if a hash is in a bucket.
fn has(bucket: &[u64], hash: u64) -> bool {
    if bucket.len() > FEW { bucket.binary_search(&hash).is_ok() } else { bucket.contains(&hash) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_known_or_its_row_is_missing() {
        for count in [0u64, 1, 2, 3, 100, 5000] {
            let hash = |number: u64| (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let known = ValueHashes::new(2);
            // One of them is there a hundred times.
            known.add_chunk(1, (0..count / 2).chain((0..100).map(|_| 0)).map(hash).collect());
            let asked: Vec<u64> = (0..2 * count + 3).map(hash).chain([0, u64::MAX]).collect();
            let ctids = (0..asked.len()).map(|page| (page as u32, 1)).collect();
            let part = known.missing(ChunkPart::Hashes(asked.clone(), ctids));
            let ChunkPart::Hashes(..) = part else { panic!("told before all are known") };
            known.add_chunk(0, (0..count).map(hash).collect());
            let ChunkPart::Missing(missing) = known.missing(part) else { panic!("{count}") };
            let expected: Vec<Ctid> =
                (count.max(1) as u32..asked.len() as u32).map(|page| (page, 1)).collect();
            assert_eq!(missing.rows.as_ref(), Some(&expected), "{count}");
            assert_eq!((missing.count, missing.nulls), (expected.len() as u64, 1), "{count}");
            assert_eq!(missing.hashes.len(), expected.len(), "each is another one: {count}");
            let ctids: Vec<Ctid> = (0..asked.len()).map(|page| (page as u32, 1)).collect();
            let first = expected.iter().copied().take(5).collect::<Vec<_>>();
            assert_eq!(known.first_missing(&asked, &ctids), first, "{count}");
        }
    }

    #[test]
    fn what_came_twice_is_told_once() {
        let known = ValueHashes::new(2);
        known.add_chunk(0, (0..1000u64).map(|number| number << 50).collect());
        assert!(known.duplicates().is_empty(), "told before all are known");
        known.add_chunk(1, vec![7 << 50, 3 << 50, 7 << 50, u64::MAX]);
        assert_eq!(known.duplicates(), [3 << 50, 7 << 50]);
        assert!(ValueHashes::new(0).duplicates().is_empty());
    }

    #[test]
    fn what_the_chunks_brought_is_let_go_once_it_is_a_set() {
        let known = ValueHashes::new(2);
        known.add_chunk(0, vec![1, 2]);
        known.add_chunk(1, vec![2, 3]);
        assert_eq!(known.duplicates(), [2]);
        assert!(known.chunks.borrow().is_empty());
    }
}
