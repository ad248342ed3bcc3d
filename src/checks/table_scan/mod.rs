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
mod projection;
mod value_hashes;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use chunks::TableScan;
pub use ctids::{collect_ctids, ctid_condition, decode_ctids, decode_hashes, rows_by_ctid};
pub use projection::{ChunkPart, Ctid, MOST_ROWS, MissingRows, Projection};
pub use value_hashes::{MOST_HASHES, ValueHashes, hash_expression};

use super::step::{Step, StepAnswer};
use crate::database::catalog::Catalog;

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
