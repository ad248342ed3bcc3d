//! One reading of a large table for all checks that want to know something of its rows.
//!
//! To read ten million messages takes longer than to look at them, so whoever has to look at every one joins the same
//! reading: before it is begun each says what it wants, and each gets its own part. The table is read in pieces, which any
//! connection of the snapshot can take. What comes back is small and bounded: the places of rows that are suspect, of
//! which at most [`MOST_ROWS`] are kept, or a hash of eight bytes for each row. Where somebody else's rows are held against
//! the hashes they become a set ([`ValueHashes`]), which everybody shares who asks for the same ones.
//!
//! Joining is all there is to it: the steps of everybody who joined are the same pieces. Whoever comes first to a piece
//! reads it for all, the others find the answer there.

mod chunks;
mod ctids;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use chunks::TableScan;
pub use ctids::{Ctid, MOST_ROWS, collect_ctids, ctid_condition, decode_ctids, decode_hashes, rows_by_ctid};

use super::hash_set::ValueHashes;
use super::step::{Step, StepAnswer};
use crate::database::catalog::Catalog;

/// What is wanted of a table's rows.
#[derive(Debug, Clone)]
pub enum Projection {
    /// The places of the rows for which a condition holds.
    Rows {
        /// What is joined for it: `LEFT JOIN … ON …`, which adds no row. May be empty.
        join: String,
        /// The condition.
        condition: String,
    },
    /// A hash of every row for which it is not null, as an expression of type `bigint`.
    Hashes {
        /// The expression; never null where places are wanted.
        expression: String,
        /// Only of the rows for which this holds.
        condition: Option<String>,
        /// Whether the rows' places are wanted too.
        with_places: bool,
    },
}

/// What one piece brings to one who joined.
#[derive(Debug, Clone)]
pub enum ChunkPart {
    /// Places; `None` when there are too many.
    Rows(Option<Vec<Ctid>>),
    /// Hashes, and the places of their rows where they are wanted.
    Hashes(Vec<u64>, Vec<Ctid>),
    /// What of them is in no set that they were held against.
    Missing(MissingRows),
}

/// Rows whose hash is not in a set.
#[derive(Debug, Clone)]
pub struct MissingRows {
    /// How many.
    pub count: u64,
    /// How many of these have the hash 0, which stands for a null.
    pub nulls: u64,
    /// Their hashes, each once.
    pub hashes: Vec<u64>,
    /// Their places; `None` when there are too many.
    pub rows: Option<Vec<Ctid>>,
}

impl Default for MissingRows {
    fn default() -> Self {
        Self { count: 0, nulls: 0, hashes: Vec::new(), rows: Some(Vec::new()) }
    }
}

impl MissingRows {
    /// Adds those of another piece.
    pub fn add(&mut self, other: Self) {
        self.count += other.count;
        self.nulls += other.nulls;
        self.hashes.extend(other.hashes);
        self.rows = self.rows.take().zip(other.rows).map(|(mut rows, others)| {
            rows.extend(others);
            rows
        });
        self.rows.take_if(|rows| rows.len() > MOST_ROWS);
    }

    /// How many different values they have.
    pub fn values(&mut self) -> u64 {
        self.hashes.sort_unstable();
        self.hashes.dedup();
        self.hashes.len() as u64
    }
}

/// The readings of an examination that have not begun yet, by table.
#[derive(Debug, Default)]
pub struct TableScans {
    open: RefCell<BTreeMap<String, Rc<TableScan>>>,
    expected: RefCell<BTreeSet<String>>,
    piece: Option<u64>,
}

impl TableScans {
    /// Of tables that are cut into pieces of so many pages, whatever their size.
    pub fn in_pieces_of(pages: u64) -> Self {
        Self { piece: Some(pages), ..Self::default() }
    }

    /// Says that somebody is going to read a table from end to end: then others do well to join, although an index
    /// would serve them, too.
    pub fn register(&self, table: &str) {
        self.expected.borrow_mut().insert(table.to_owned());
    }

    /// Whether somebody is going to read a table.
    pub fn is_registered(&self, table: &str) -> bool {
        self.expected.borrow().contains(table)
    }

    /// Joins the reading of a table; returns its pieces as steps. `look` makes each one's answer of what it brings.
    pub fn subscribe(
        &self,
        catalog: &Catalog,
        table: &str,
        about: &str,
        want: Projection,
        look: impl Fn(ChunkPart) -> StepAnswer + 'static,
    ) -> Vec<Step> {
        let reading = self.open(catalog, table);
        let number = reading.add(want, move |_, part| look(part));
        reading.steps(about, number)
    }

    /// Joins the reading of a table for the set of an expression's hashes; returns it, and the steps that fill it. Others
    /// who want the same set get the same one, and their steps take no time.
    pub fn hash_set(
        &self,
        catalog: &Catalog,
        table: &str,
        about: &str,
        expression: String,
    ) -> (Rc<ValueHashes>, Vec<Step>) {
        let reading = self.open(catalog, table);
        let (number, known) = reading.hash_set(expression);
        (known, reading.steps(about, number).into_iter().map(Step::awaited).collect())
    }

    /// The reading of a table that can still be joined.
    fn open(&self, catalog: &Catalog, table: &str) -> Rc<TableScan> {
        let mut open = self.open.borrow_mut();
        let reading = open.get(table).filter(|reading| !reading.is_begun()).cloned();
        reading.unwrap_or_else(|| {
            let reading = Rc::new(TableScan::new(catalog, table, self.piece));
            open.insert(table.to_owned(), Rc::clone(&reading));
            reading
        })
    }
}
