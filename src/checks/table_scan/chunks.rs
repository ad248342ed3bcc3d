//! A table in chunks, each read once for everybody who subscribed.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;

use anyhow::Result;
use sqlx::Row;
use sqlx::postgres::{PgConnection, PgRow};
use tokio::sync::OnceCell;

use super::ctids::{decode_ctids, decode_few_ctids, decode_hashes};
use super::projection::{ChunkPart, Projection};
use super::value_hashes::ValueHashes;
use crate::checks::task::Task;
use crate::database::catalog::Catalog;
use crate::database::ident::SqlFragment;
use crate::database::query::query_with_settings;
use crate::database::sql_file::{Variables, render_file};

/// Maximum size of a chunk in pages: 128 MB. The last ones end at about the same time on all connections.
const MAX_CHUNK: u64 = 16_384;

/// Of a smaller table they are so many, one for each connection at least, unless they get tiny: 8 MB.
const CHUNKS: u64 = 8;
const MIN_CHUNK: u64 = 1024;

/// A table that is larger than this part of the server's cache would push everything else out of it. A scan of all of the table
/// takes a few pages of the cache only, for which the server has the same limit; a scan of a range takes as many as it reads.
const PART_OF_CACHE: u64 = 4;

/// So many rows one scan of the whole table brings: some 100 MB of hashes and places. Of a larger table there are several, each of which reads
/// all and brings its range.
const ROWS_IN_PASS: u64 = 4 << 20;

/// Since this version a range of places is read without what is before it.
const TID_RANGE_SCAN: i32 = 140_000;

/// A scan, and who subscribed to it.
#[derive(Debug)]
pub(in crate::checks) struct TableScan {
    table: String,
    schema: String,
    subscribers: RefCell<Vec<Subscriber>>,
    /// The sets that are made of its rows: the number of the subscriber, and the expression.
    hash_sets: RefCell<Vec<(usize, String, Rc<ValueHashes>)>>,
    is_begun: Cell<bool>,
    /// True if others wait for a set of hashes from it.
    is_awaited: Rc<Cell<bool>>,
    /// The size of a chunk, in pages.
    cost: u64,
    chunks: Vec<Chunk>,
    /// True if each chunk is read by a scan of the whole table.
    in_passes: bool,
}

/// What one subscriber wants, and how a chunk is reduced to it, as soon as it is read, so that little is kept.
#[derive(Clone)]
struct Subscriber {
    projection: Projection,
    reduce: Rc<dyn Fn(usize, ChunkPart) -> Option<ChunkPart>>,
}

impl fmt::Debug for Subscriber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.projection.fmt(f)
    }
}

/// The parts of a chunk, by the subscriber's number, until each was taken.
pub(in crate::checks) type ChunkParts = Vec<RefCell<Option<ChunkPart>>>;

#[derive(Debug)]
struct Chunk {
    /// The first page, and the first that is not in it. Without, to the end.
    from: u64,
    to: Option<u64>,
    /// What each subscriber gets of it, until it was fetched.
    parts: OnceCell<ChunkParts>,
}

impl TableScan {
    /// A scan without subscribers, in chunks of `chunk_pages` pages; `None` leaves it to the table's size.
    pub fn new(catalog: &Catalog, table: &str, chunk_pages: Option<u64>) -> Self {
        let pages = catalog.page_count(table);
        let in_passes = chunk_pages.is_none() && pages > catalog.columns.cache / PART_OF_CACHE;
        let rows = catalog.tables.get(table).map_or(0, |table| table.rows);
        let size = match (chunk_pages, catalog.columns.server_version) {
            (Some(size), _) => size.max(1),
            (None, _) if in_passes => pages.div_ceil(rows.div_ceil(ROWS_IN_PASS).max(1)).max(1),
            (None, TID_RANGE_SCAN..) => pages.div_ceil(CHUNKS).clamp(MIN_CHUNK, MAX_CHUNK),
            (None, _) => pages.max(1),
        };
        // What the table has grown since is in the last one.
        let count = pages.div_ceil(size).max(1);
        let chunk = |number: u64| Chunk {
            from: number * size,
            to: (number + 1 < count).then_some((number + 1) * size),
            parts: OnceCell::new(),
        };
        Self {
            table: table.to_owned(),
            schema: catalog.schema.clone(),
            subscribers: RefCell::default(),
            hash_sets: RefCell::default(),
            is_begun: Cell::new(false),
            is_awaited: Rc::default(),
            cost: if in_passes { pages } else { size.min(pages) },
            chunks: (0..count).map(chunk).collect(),
            in_passes,
        }
    }

    /// True once a chunk is being read: from then on no one can subscribe.
    pub fn is_begun(&self) -> bool {
        self.is_begun.get()
    }

    /// Returns the number of chunks.
    pub fn chunk_count(&self) -> usize {
        self.chunks.len()
    }

    /// Adds a subscriber; `reduce` also gets the number of the chunk. Returns the subscriber's number.
    pub fn add(
        &self,
        projection: Projection,
        reduce: impl Fn(usize, ChunkPart) -> Option<ChunkPart> + 'static,
    ) -> usize {
        let mut subscribers = self.subscribers.borrow_mut();
        subscribers.push(Subscriber { projection, reduce: Rc::new(reduce) });
        subscribers.len() - 1
    }

    /// The set of an expression's hashes, and the number of who subscribed for it.
    pub fn hash_set(&self, expression: String) -> (usize, Rc<ValueHashes>) {
        self.is_awaited.set(true);
        let mut sets = self.hash_sets.borrow_mut();
        if let Some((number, _, hashes)) = sets.iter().find(|(_, other, _)| *other == expression) {
            return (*number, Rc::clone(hashes));
        }
        let hashes = Rc::new(ValueHashes::new(self.chunks.len()));
        let projection =
            Projection::Hashes { expression: expression.clone(), condition: None, with_ctids: false };
        let filled = Rc::clone(&hashes);
        let number = self.add(projection, move |chunk, part| {
            if let ChunkPart::Hashes(hashes, _) = part {
                filled.add_chunk(chunk, hashes);
            }
            None
        });
        sets.push((number, expression, Rc::clone(&hashes)));
        (number, hashes)
    }

    /// The task that reads one chunk. `about` is its name in the progress line.
    pub fn task(&self, about: &str) -> Task {
        Task::new(about, self.cost).awaited_if(Rc::clone(&self.is_awaited))
    }

    /// The part of a chunk for one subscriber. The first caller reads the chunk for all; each part can be taken once.
    ///
    /// # Errors
    /// What `read` says when the chunk cannot be read.
    pub async fn part<E>(
        &self,
        chunk: usize,
        number: usize,
        read: impl Future<Output = Result<ChunkParts, E>>,
    ) -> Result<Option<ChunkPart>, E> {
        let parts = self.chunks[chunk].parts.get_or_try_init(|| read).await?;
        Ok(parts.get(number).and_then(|part| part.borrow_mut().take()))
    }

    /// Reads a chunk for all who have subscribed by now.
    ///
    /// # Errors
    /// What the server says.
    pub async fn read(&self, connection: &mut PgConnection, chunk: usize) -> sqlx::Result<ChunkParts> {
        self.is_begun.set(true);
        let subscribers = self.subscribers.borrow().clone();
        let sql = self
            .sql(subscribers.iter().map(|subscriber| &subscriber.projection), &self.chunks[chunk])
            .map_err(|error| sqlx::Error::Protocol(format!("{error:#}")))?;
        let settings =
            if self.in_passes { "sql/table_scan/in_passes.sql" } else { "sql/table_scan/in_memory.sql" };
        let rows = query_with_settings(connection, settings, sql).await?;
        parts(rows.first().ok_or(sqlx::Error::RowNotFound)?, &subscribers, chunk)
    }

    fn sql<'w>(&self, projections: impl Iterator<Item = &'w Projection>, chunk: &Chunk) -> Result<String> {
        let table = SqlFragment::qualified(&self.schema, &self.table);
        let mut joins: Vec<&str> = Vec::new();
        let mut wanted = Vec::new();
        let ctids = format!("pg_catalog.string_agg(pg_catalog.tidsend({table}.ctid), ''::bytea)");
        for projection in projections {
            match projection {
                Projection::Rows { join, condition } => {
                    joins.push(join);
                    wanted.push(format!("{ctids} FILTER (WHERE {condition})"));
                }
                Projection::Hashes { expression, condition, with_ctids } => {
                    let only = condition.as_ref().map(|condition| format!(" FILTER (WHERE {condition})"));
                    let only = only.unwrap_or_default();
                    let hash = format!("pg_catalog.string_agg(pg_catalog.int8send({expression}), ''::bytea)");
                    wanted.push(hash + &only);
                    // The server makes the same one only once, however many want it.
                    wanted.extend(with_ctids.then(|| format!("{ctids}{only}")));
                }
            }
        }
        let from = (chunk.from > 0).then(|| format!("{table}.ctid >= '({},0)'", chunk.from));
        let to = chunk.to.map(|to| format!("{table}.ctid < '({to},0)'"));
        let mut range: Vec<String> = from.into_iter().chain(to).collect();
        if range.is_empty() {
            range.push("true".to_owned());
        }
        let variables = Variables::default()
            .sql("wanted", SqlFragment::assert_safe(wanted.join(", ")))
            .sql("joins", SqlFragment::assert_safe(joins.join(" ")))
            .sql("chunk", SqlFragment::assert_safe(range.join(" AND ")))
            .sql("table", table);
        render_file("sql/table_scan/chunk.sql", &variables)
    }
}

/// What each subscriber gets of the row that a chunk is read into: a column for each thing that is wanted.
fn parts(row: &PgRow, subscribers: &[Subscriber], chunk: usize) -> sqlx::Result<ChunkParts> {
    let mut columns = 0..;
    let mut next = || -> sqlx::Result<&[u8]> {
        let bytes: Option<&[u8]> = row.try_get(columns.next().unwrap_or_default())?;
        Ok(bytes.unwrap_or_default())
    };
    let part = |subscriber: &Subscriber| {
        let part = match subscriber.projection {
            Projection::Rows { .. } => ChunkPart::Rows(decode_few_ctids(next()?)),
            Projection::Hashes { with_ctids: false, .. } => {
                ChunkPart::Hashes(decode_hashes(next()?), Vec::new())
            }
            Projection::Hashes { .. } => ChunkPart::Hashes(decode_hashes(next()?), decode_ctids(next()?)),
        };
        Ok(RefCell::new((subscriber.reduce)(chunk, part)))
    };
    subscribers.iter().map(part).collect()
}
