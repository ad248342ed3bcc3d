//! One scan of a large table for all checks that want to know something of its rows.
//!
//! Reading ten million messages takes longer than comparing them, so all checks that need every row subscribe to the same scan:
//! before it starts each says what it wants, and each gets its own part. The table is read in chunks, which any
//! connection of the snapshot can take. What comes back is small and bounded: the ctids of rows that are suspect, of
//! which at most [`MAX_ROWS`] are kept, or a hash of eight bytes for each row. If the rows of another table are compared with
//! the hashes, they become a set ([`ValueHashes`]), which all subscribers to the same hashes share.
//!
//! The first subscriber that asks for a chunk reads it for all; the others find their part there (see [`super::scan_reader`]).

mod chunks;
mod ctids;
mod projection;
mod value_hashes;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use chunks::TableScan;
pub use ctids::{collect_ctids, ctid_condition, decode_ctids, decode_hashes, rows_by_ctid};
pub use projection::{ChunkPart, Ctid, MAX_ROWS, MissingRows, Projection};
pub use value_hashes::{MAX_HASHES, ValueHashes, hash_expression};

use crate::database::catalog::Catalog;

/// The scans of a run that have not begun yet, by table.
#[derive(Debug, Default)]
pub struct TableScans {
    open: RefCell<BTreeMap<String, Rc<TableScan>>>,
    expected: RefCell<BTreeSet<String>>,
    chunk_pages: Option<u64>,
}

/// What one of the subscribers gets of a scan.
#[derive(Debug)]
pub struct Subscription {
    pub(super) scan: Rc<TableScan>,
    pub(super) number: usize,
}

impl TableScans {
    /// Of tables that are cut into chunks of so many pages, whatever their size.
    pub fn in_chunks_of(pages: u64) -> Self {
        Self { chunk_pages: Some(pages), ..Self::default() }
    }

    /// Notes that a table is going to be read from end to end: then other checks subscribe too, even if they have an index.
    pub fn register(&self, table: &str) {
        self.expected.borrow_mut().insert(table.to_owned());
    }

    /// True if a table is going to be read from end to end.
    pub fn is_registered(&self, table: &str) -> bool {
        self.expected.borrow().contains(table)
    }

    /// Subscribes to the scan of a table. `reduce` makes each chunk's part smaller as soon as it is read.
    pub fn subscribe(
        &self,
        catalog: &Catalog,
        table: &str,
        projection: Projection,
        reduce: impl Fn(ChunkPart) -> ChunkPart + 'static,
    ) -> Subscription {
        let scan = self.open(catalog, table);
        let number = scan.add(projection, move |_, part| Some(reduce(part)));
        Subscription { scan, number }
    }

    /// Subscribes to the scan of a table for the set of an expression's hashes, which is full once the subscription was read.
    /// Others who want the same set get the same one.
    pub fn hash_set(
        &self,
        catalog: &Catalog,
        table: &str,
        expression: String,
    ) -> (Rc<ValueHashes>, Subscription) {
        let scan = self.open(catalog, table);
        let (number, hashes) = scan.hash_set(expression);
        (hashes, Subscription { scan, number })
    }

    /// The scan of a table that can still be subscribed to.
    fn open(&self, catalog: &Catalog, table: &str) -> Rc<TableScan> {
        let mut open = self.open.borrow_mut();
        let scan = open.get(table).filter(|scan| !scan.is_begun()).cloned();
        scan.unwrap_or_else(|| {
            let scan = Rc::new(TableScan::new(catalog, table, self.chunk_pages));
            open.insert(table.to_owned(), Rc::clone(&scan));
            scan
        })
    }
}

impl Subscription {
    /// Returns the number of chunks.
    pub fn chunk_count(&self) -> usize {
        self.scan.chunk_count()
    }
}
