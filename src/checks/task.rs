//! A unit of work that waits for a connection, and its cost.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;

use crate::database::catalog::Catalog;

/// A unit of work on a connection: what decides when it gets one, and its name while it runs. It takes no lock but ACCESS SHARE, and
/// leaves nothing behind in the session.
#[derive(Debug, Clone)]
pub struct Task {
    /// What it reads, for the progress line.
    pub about: String,
    /// About how many pages it reads (see [`pages`]).
    pub cost: u64,
    /// True if other tasks need its result. Read when a connection is free, not before: it may change until then.
    is_awaited: Rc<Cell<bool>>,
}

impl Task {
    /// A task that no other task waits for.
    pub fn new(about: impl Into<String>, cost: u64) -> Self {
        Self { about: about.into(), cost, is_awaited: Rc::default() }
    }

    /// The same, started before all slow tasks that are not awaited.
    pub fn awaited(self) -> Self {
        self.awaited_if(Rc::new(Cell::new(true)))
    }

    /// The same, if the flag is set by the time a connection is free.
    pub fn awaited_if(self, is_awaited: Rc<Cell<bool>>) -> Self {
        Self { is_awaited, ..self }
    }

    /// True if other tasks need its result.
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
