//! A table in pieces, each read once for everybody who joined.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;

use anyhow::Result;
use sqlx::Row;
use sqlx::postgres::PgConnection;
use tokio::sync::OnceCell;

use super::ctids::{decode_ctids, decode_hashes, some_places};
use super::projection::{ChunkPart, Projection};
use super::value_hashes::ValueHashes;
use crate::checks::step::{Step, StepAnswer};
use crate::database::catalog::Catalog;
use crate::database::ident::SqlFragment;
use crate::database::query::query_with_settings;
use crate::database::sql_file::{Variables, render_file};

/// How many pages a piece has at most: 128 MB. The last ones end at about the same time on all connections.
const PIECE: u64 = 16_384;

/// Of a smaller table they are so many, one for each connection at least, unless they get tiny: 8 MB.
const PIECES: u64 = 8;
const TINY: u64 = 1024;

/// A table that is larger than this part of the server's cache would push everything else out of it. A scan of all of the table
/// takes a few pages of the cache only, for which the server has the same limit; a scan of a range takes as many as it reads.
const PART_OF_CACHE: u64 = 4;

/// So many rows one scan of all brings: some 100 MB of hashes and places. Of a larger table there are several, each of which reads
/// all and brings its range.
const ROWS_IN_PASS: u64 = 4 << 20;

/// Since this version a range of places is read without what is before it.
const TID_RANGE_SCAN: i32 = 140_000;

/// A reading, and who joined it.
#[derive(Debug)]
pub(super) struct TableScan {
    table: String,
    schema: String,
    joined: RefCell<Vec<Subscriber>>,
    /// The sets that are made of its rows: the number of the want, and its expression.
    known: RefCell<Vec<(usize, String, Rc<ValueHashes>)>>,
    is_begun: Cell<bool>,
    /// How many pages a piece has.
    cost: u64,
    pieces: Vec<Chunk>,
    /// Whether each piece is read by a scan of the whole table.
    in_passes: bool,
}

/// One who joined: what is wanted, and what becomes of it. Each piece is looked at as soon as it is read, so that little of it
/// is kept.
#[derive(Clone)]
struct Subscriber {
    want: Projection,
    look: Rc<dyn Fn(usize, ChunkPart) -> StepAnswer>,
}

impl fmt::Debug for Subscriber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.want.fmt(f)
    }
}

#[derive(Debug)]
struct Chunk {
    /// The first page, and the first that is not in it. Without, to the end.
    from: u64,
    to: Option<u64>,
    /// What each who joined gets of it.
    answers: OnceCell<Vec<RefCell<Option<StepAnswer>>>>,
}

impl TableScan {
    /// Of a table, which nobody has joined, in pieces of so many pages; `None` leaves it to the table's size.
    pub fn new(catalog: &Catalog, table: &str, piece: Option<u64>) -> Self {
        let pages = catalog.page_count(table);
        let in_passes = piece.is_none() && pages > catalog.columns.cache / PART_OF_CACHE;
        let rows = catalog.tables.get(table).map_or(0, |table| table.rows);
        let size = match (piece, catalog.columns.server_version) {
            (Some(size), _) => size.max(1),
            (None, _) if in_passes => pages.div_ceil(rows.div_ceil(ROWS_IN_PASS).max(1)).max(1),
            (None, TID_RANGE_SCAN..) => pages.div_ceil(PIECES).clamp(TINY, PIECE),
            (None, _) => pages.max(1),
        };
        // What the table has grown since is in the last one.
        let count = pages.div_ceil(size).max(1);
        let piece = |number: u64| Chunk {
            from: number * size,
            to: (number + 1 < count).then_some((number + 1) * size),
            answers: OnceCell::new(),
        };
        Self {
            table: table.to_owned(),
            schema: catalog.schema.clone(),
            joined: RefCell::default(),
            known: RefCell::default(),
            is_begun: Cell::new(false),
            cost: if in_passes { pages } else { size.min(pages) },
            pieces: (0..count).map(piece).collect(),
            in_passes,
        }
    }

    /// Whether a piece was asked for: from then on nobody can join.
    pub fn is_begun(&self) -> bool {
        self.is_begun.get()
    }

    /// Adds what somebody wants, and what becomes of it, given the number of the piece; returns its number.
    pub fn add(&self, want: Projection, look: impl Fn(usize, ChunkPart) -> StepAnswer + 'static) -> usize {
        let mut joined = self.joined.borrow_mut();
        joined.push(Subscriber { want, look: Rc::new(look) });
        joined.len() - 1
    }

    /// The set of an expression's hashes, and the number of what is wanted for it.
    pub fn hash_set(&self, expression: String) -> (usize, Rc<ValueHashes>) {
        let mut all = self.known.borrow_mut();
        if let Some((number, _, known)) = all.iter().find(|(_, other, _)| *other == expression) {
            return (*number, Rc::clone(known));
        }
        let known = Rc::new(ValueHashes::new(self.pieces.len()));
        let want = Projection::Hashes { expression: expression.clone(), condition: None, with_places: false };
        let filled = Rc::clone(&known);
        let number = self.add(want, move |piece, part| {
            if let ChunkPart::Hashes(hashes, _) = part {
                filled.add_chunk(piece, hashes);
            }
            StepAnswer::of(())
        });
        all.push((number, expression, Rc::clone(&known)));
        (number, known)
    }

    /// The pieces as steps of one who joined.
    pub fn steps(self: &Rc<Self>, about: &str, number: usize) -> Vec<Step> {
        let step = |piece| {
            let reading = Rc::clone(self);
            Step::other(about, self.cost, move |connection| {
                Box::pin(async move { reading.answer(connection, piece, number).await })
            })
        };
        (0..self.pieces.len()).map(step).collect()
    }

    /// What one of those who joined gets of a piece, which is read if nobody did so before. Each answer is there once; who
    /// shares a set that is filled already gets an empty one.
    async fn answer(
        &self,
        connection: &mut PgConnection,
        piece: usize,
        number: usize,
    ) -> sqlx::Result<StepAnswer> {
        self.is_begun.set(true);
        let answers = &self.pieces[piece].answers;
        let answers = answers.get_or_try_init(|| self.read(connection, piece)).await?;
        let answer = answers.get(number).and_then(|answer| answer.borrow_mut().take());
        Ok(answer.unwrap_or_else(|| StepAnswer::of(())))
    }

    async fn read(
        &self,
        connection: &mut PgConnection,
        number: usize,
    ) -> sqlx::Result<Vec<RefCell<Option<StepAnswer>>>> {
        let joined = self.joined.borrow().clone();
        let sql = self
            .sql(joined.iter().map(|joined| &joined.want), &self.pieces[number])
            .map_err(|error| sqlx::Error::Protocol(format!("{error:#}")))?;
        let settings =
            if self.in_passes { "sql/table_scan/in_passes.sql" } else { "sql/table_scan/in_memory.sql" };
        let rows = query_with_settings(connection, settings, sql).await?;
        let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
        let mut columns = 0..;
        let mut next = || -> sqlx::Result<&[u8]> {
            let bytes: Option<&[u8]> = row.try_get(columns.next().unwrap_or_default())?;
            Ok(bytes.unwrap_or_default())
        };
        let answer = |joined: &Subscriber| {
            let part = match joined.want {
                Projection::Rows { .. } => ChunkPart::Rows(some_places(next()?)),
                Projection::Hashes { with_places: false, .. } => {
                    ChunkPart::Hashes(decode_hashes(next()?), Vec::new())
                }
                Projection::Hashes { .. } => ChunkPart::Hashes(decode_hashes(next()?), decode_ctids(next()?)),
            };
            Ok(RefCell::new(Some((joined.look)(number, part))))
        };
        joined.iter().map(answer).collect()
    }

    fn sql<'w>(&self, wants: impl Iterator<Item = &'w Projection>, piece: &Chunk) -> Result<String> {
        let table = SqlFragment::qualified(&self.schema, &self.table);
        let mut joins: Vec<&str> = Vec::new();
        let mut wanted = Vec::new();
        let place = format!("pg_catalog.string_agg(pg_catalog.tidsend({table}.ctid), ''::bytea)");
        for want in wants {
            match want {
                Projection::Rows { join, condition } => {
                    joins.push(join);
                    wanted.push(format!("{place} FILTER (WHERE {condition})"));
                }
                Projection::Hashes { expression, condition, with_places } => {
                    let only = condition.as_ref().map(|condition| format!(" FILTER (WHERE {condition})"));
                    let only = only.unwrap_or_default();
                    let hash = format!("pg_catalog.string_agg(pg_catalog.int8send({expression}), ''::bytea)");
                    wanted.push(hash + &only);
                    // The server makes the same one only once, however many want it.
                    wanted.extend(with_places.then(|| format!("{place}{only}")));
                }
            }
        }
        let from = (piece.from > 0).then(|| format!("{table}.ctid >= '({},0)'", piece.from));
        let to = piece.to.map(|to| format!("{table}.ctid < '({to},0)'"));
        let mut range: Vec<String> = from.into_iter().chain(to).collect();
        if range.is_empty() {
            range.push("true".to_owned());
        }
        let variables = Variables::default()
            .sql("wanted", SqlFragment::assert_safe(wanted.join(", ")))
            .sql("joins", SqlFragment::assert_safe(joins.join(" ")))
            .sql("piece", SqlFragment::assert_safe(range.join(" AND ")))
            .sql("table", table);
        render_file("sql/table_scan/piece.sql", &variables)
    }
}
