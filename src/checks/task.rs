//! A piece of work that waits for a connection, and what it costs.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;

use crate::database::catalog::Catalog;

/// What decides when a piece of work gets a connection, and how it is called while it runs. The work takes no lock but ACCESS SHARE,
/// and leaves nothing behind in the session.
#[derive(Debug, Clone)]
pub struct Task {
    /// What it reads, for whoever waits for it.
    pub about: String,
    /// About how many pages it reads (see [`pages`]).
    pub cost: u64,
    /// Whether others need what it brings to make their own work small. Asked when a connection is free, not before.
    is_awaited: Rc<Cell<bool>>,
}

impl Task {
    /// Work that nobody waits for but its own question.
    pub fn new(about: impl Into<String>, cost: u64) -> Self {
        Self { about: about.into(), cost, is_awaited: Rc::default() }
    }

    /// The same, begun before all that is not awaited and takes long.
    pub fn awaited(self) -> Self {
        self.awaited_if(Rc::new(Cell::new(true)))
    }

    /// The same, begun before the others if by then somebody has said so.
    pub fn awaited_if(self, is_awaited: Rc<Cell<bool>>) -> Self {
        Self { is_awaited, ..self }
    }

    /// Whether others need what it brings.
    pub fn is_awaited(&self) -> bool {
        self.is_awaited.get()
    }
}

/// About how many pages a query reads: those of all tables of Evolution's whose quoted names are in it. Give it the
/// query as it is in its file: what is filled in may name tables that are not read.
pub fn pages(query: &str, catalog: &Catalog) -> u64 {
    let quotes: Vec<usize> = memchr::memchr_iter(b'"', query.as_bytes()).collect();
    let between: BTreeSet<&str> = quotes.windows(2).map(|pair| &query[pair[0] + 1..pair[1]]).collect();
    between.into_iter().filter_map(|name| catalog.tables.get(name)).map(|table| table.pages).sum()
}
