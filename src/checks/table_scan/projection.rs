//! What is wanted of the rows of a table, and what a chunk of it brings.

/// Of so many suspect rows the ctids are kept; more are too many to look up one by one.
pub const MAX_ROWS: usize = 100_000;

/// Where a row is: page and number.
pub type Ctid = (u32, u16);

/// What is wanted of a table's rows.
#[derive(Debug, Clone)]
pub enum Projection {
    /// The ctids of the rows for which a condition holds.
    Rows {
        /// What is joined for it: `LEFT JOIN … ON …`, which adds no row. May be empty.
        join: String,
        /// The condition.
        condition: String,
    },
    /// A hash of every row for which it is not null, as an expression of type `bigint`.
    Hashes {
        /// The expression; never null where ctids are wanted.
        expression: String,
        /// Only of the rows for which this holds.
        condition: Option<String>,
        /// True if the rows' ctids are wanted too.
        with_ctids: bool,
    },
}

/// What one chunk brings to one subscriber.
#[derive(Debug, Clone)]
pub enum ChunkPart {
    /// Ctids; `None` when there are too many.
    Rows(Option<Vec<Ctid>>),
    /// Hashes, and the ctids of their rows where they are wanted.
    Hashes(Vec<u64>, Vec<Ctid>),
    /// Those of them that are not in the set that they were compared with.
    Missing(MissingRows),
}

/// Rows whose hash is not in a set.
#[derive(Debug, Clone)]
pub struct MissingRows {
    /// The number of rows.
    pub count: u64,
    /// The number of those with the hash 0, which means a null.
    pub nulls: u64,
    /// Their hashes, each once.
    pub hashes: Vec<u64>,
    /// Their ctids; `None` when there are too many.
    pub rows: Option<Vec<Ctid>>,
}

impl Default for MissingRows {
    fn default() -> Self {
        Self { count: 0, nulls: 0, hashes: Vec::new(), rows: Some(Vec::new()) }
    }
}

impl MissingRows {
    /// Adds those of another chunk.
    pub fn add(&mut self, other: Self) {
        self.count += other.count;
        self.nulls += other.nulls;
        self.hashes.extend(other.hashes);
        self.rows = self.rows.take().zip(other.rows).map(|(mut rows, others)| {
            rows.extend(others);
            rows
        });
        self.rows.take_if(|rows| rows.len() > MAX_ROWS);
    }

    /// Returns the number of different values.
    pub fn values(&mut self) -> u64 {
        self.hashes.sort_unstable();
        self.hashes.dedup();
        self.hashes.len() as u64
    }
}
