//! One reading of a large table for all checks that want to know something of its rows.
//!
//! To read ten million messages takes longer than to look at them, so whoever has to look at every one joins the same
//! reading: before it is begun each says what it wants, and each gets its own part. The table is read in pieces, which any
//! connection of the snapshot can take. What comes back is small and bounded: the places of rows that are suspect, of
//! which at most [`MOST_ROWS`] are kept, or a hash of eight bytes for each row. Where somebody else's rows are held against
//! the hashes they become a set ([`Known`]), which everybody shares who asks for the same ones.
//!
//! Joining is all there is to it: the steps of everybody who joined are the same pieces. Whoever comes first to a piece
//! reads it for all, the others find the answer there.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use anyhow::{Result, bail};
use sqlx::Row;
use sqlx::postgres::PgConnection;
use tokio::sync::OnceCell;

use super::known::Known;
use super::step::{Answer, Step};
use crate::database::catalog::Catalog;
use crate::database::quote::Fragment;
use crate::database::run::rows_under;
use crate::database::script::{Variables, filled};

/// Of so many suspect rows the places are kept; more are too many to look up one by one.
pub const MOST_ROWS: usize = 100_000;

/// How many pages a piece has at most: 128 MB. The last ones end at about the same time on all connections.
const PIECE: u64 = 16_384;

/// Of a smaller table they are so many, one for each connection at least, unless they get tiny: 8 MB.
const PIECES: u64 = 8;
const TINY: u64 = 1024;

/// Since this version a range of places is read without what is before it.
const TID_RANGE_SCAN: i32 = 140_000;

/// What is wanted of a table's rows.
#[derive(Debug, Clone)]
pub enum Want {
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

/// Where a row is: page and number.
pub type Place = (u32, u16);

/// What one piece brings to one who joined.
#[derive(Debug, Clone)]
pub enum Part {
    /// Places; `None` when there are too many.
    Rows(Option<Vec<Place>>),
    /// Hashes, and the places of their rows where they are wanted.
    Hashes(Vec<u64>, Vec<Place>),
}

/// The readings of an examination that have not begun yet, by table.
#[derive(Debug, Default)]
pub struct Readings {
    open: RefCell<BTreeMap<String, Rc<Reading>>>,
    expected: RefCell<BTreeSet<String>>,
}

/// A reading, and who joined it.
#[derive(Debug)]
struct Reading {
    table: String,
    schema: String,
    wants: RefCell<Vec<Want>>,
    /// The sets that are made of its rows: the number of the want, and its expression.
    known: RefCell<Vec<(usize, String, Rc<Known>)>>,
    is_begun: Cell<bool>,
    /// How many pages a piece has.
    cost: u64,
    pieces: Vec<Piece>,
}

#[derive(Debug)]
struct Piece {
    /// The first page, and the first that is not in it. Without, to the end.
    from: u64,
    to: Option<u64>,
    parts: OnceCell<Vec<RefCell<Option<Part>>>>,
}

impl Readings {
    /// Says that somebody is going to read a table from end to end: then others do well to join, although an index
    /// would serve them, too.
    pub fn expect(&self, table: &str) {
        self.expected.borrow_mut().insert(table.to_owned());
    }

    /// Whether somebody is going to read a table.
    pub fn expects(&self, table: &str) -> bool {
        self.expected.borrow().contains(table)
    }

    /// Joins the reading of a table; returns its pieces as steps. `look` makes each one's answer of what it brings.
    pub fn join(
        &self,
        catalog: &Catalog,
        table: &str,
        about: &str,
        want: Want,
        look: impl Fn(Part) -> Answer + Clone + 'static,
    ) -> Vec<Step> {
        let reading = self.open(catalog, table);
        let number = reading.add(want);
        let steps = (0..reading.pieces.len()).map(|piece| {
            let (reading, look) = (Rc::clone(&reading), look.clone());
            Step::other(about, reading.cost, move |connection| {
                Box::pin(async move {
                    let part = reading.part(connection, piece, number).await?;
                    let twice =
                        || sqlx::Error::Protocol("a part of a reading was asked for twice".to_owned());
                    part.ok_or_else(twice).map(look)
                })
            })
        });
        steps.collect()
    }

    /// Joins the reading of a table for the set of an expression's hashes; returns it, and the steps that fill it. Others
    /// who want the same set get the same one, and their steps take no time.
    pub fn known(
        &self,
        catalog: &Catalog,
        table: &str,
        about: &str,
        expression: String,
    ) -> (Rc<Known>, Vec<Step>) {
        let reading = self.open(catalog, table);
        let (number, known) = reading.known(expression);
        let steps = (0..reading.pieces.len()).map(|piece| {
            let (reading, known) = (Rc::clone(&reading), Rc::clone(&known));
            let step = Step::other(about, reading.cost, move |connection| {
                Box::pin(async move {
                    if let Some(Part::Hashes(hashes, _)) = reading.part(connection, piece, number).await? {
                        known.add(piece, hashes);
                    }
                    Ok(Answer::of(()))
                })
            });
            step.awaited()
        });
        let steps = steps.collect();
        (known, steps)
    }

    /// The reading of a table that can still be joined.
    fn open(&self, catalog: &Catalog, table: &str) -> Rc<Reading> {
        let mut open = self.open.borrow_mut();
        let reading = open.get(table).filter(|reading| !reading.is_begun.get()).cloned();
        reading.unwrap_or_else(|| {
            let reading = Rc::new(Reading::new(catalog, table));
            open.insert(table.to_owned(), Rc::clone(&reading));
            reading
        })
    }
}

impl Reading {
    fn new(catalog: &Catalog, table: &str) -> Self {
        let pages = catalog.pages(table);
        let size = match catalog.columns.server_version {
            TID_RANGE_SCAN.. => pages.div_ceil(PIECES).clamp(TINY, PIECE),
            _ => pages.max(1),
        };
        // What the table has grown since is in the last one.
        let count = pages.div_ceil(size).max(1);
        let piece = |number: u64| Piece {
            from: number * size,
            to: (number + 1 < count).then_some((number + 1) * size),
            parts: OnceCell::new(),
        };
        Self {
            table: table.to_owned(),
            schema: catalog.schema.clone(),
            wants: RefCell::default(),
            known: RefCell::default(),
            is_begun: Cell::new(false),
            cost: size.min(pages),
            pieces: (0..count).map(piece).collect(),
        }
    }

    /// Adds what somebody wants; returns its number.
    fn add(&self, want: Want) -> usize {
        let mut wants = self.wants.borrow_mut();
        wants.push(want);
        wants.len() - 1
    }

    /// The set of an expression's hashes, and the number of what is wanted for it.
    fn known(&self, expression: String) -> (usize, Rc<Known>) {
        let mut all = self.known.borrow_mut();
        if let Some((number, _, known)) = all.iter().find(|(_, other, _)| *other == expression) {
            return (*number, Rc::clone(known));
        }
        let known = Rc::new(Known::new(self.pieces.len()));
        let want = Want::Hashes { expression: expression.clone(), condition: None, with_places: false };
        let number = self.add(want);
        all.push((number, expression, Rc::clone(&known)));
        (number, known)
    }

    /// What one of those who joined gets of a piece, which is read if nobody did so before. Each part is there once.
    async fn part(
        &self,
        connection: &mut PgConnection,
        piece: usize,
        number: usize,
    ) -> sqlx::Result<Option<Part>> {
        self.is_begun.set(true);
        let piece = &self.pieces[piece];
        let parts = piece.parts.get_or_try_init(|| self.read(connection, piece)).await?;
        Ok(parts.get(number).and_then(|part| part.borrow_mut().take()))
    }

    async fn read(
        &self,
        connection: &mut PgConnection,
        piece: &Piece,
    ) -> sqlx::Result<Vec<RefCell<Option<Part>>>> {
        let wants = self.wants.borrow().clone();
        let sql = self.sql(&wants, piece).map_err(|error| sqlx::Error::Protocol(format!("{error:#}")))?;
        let rows = rows_under(connection, "sql/reading/in_memory.sql", sql).await?;
        let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
        let mut columns = 0..;
        let mut next = || -> sqlx::Result<&[u8]> {
            let bytes: Option<&[u8]> = row.try_get(columns.next().unwrap_or_default())?;
            Ok(bytes.unwrap_or_default())
        };
        let part = |want: &Want| {
            let part = match want {
                Want::Rows { .. } => Part::Rows(some_places(next()?)),
                Want::Hashes { with_places: false, .. } => Part::Hashes(read_hashes(next()?), Vec::new()),
                Want::Hashes { .. } => Part::Hashes(read_hashes(next()?), read_places(next()?)),
            };
            Ok(RefCell::new(Some(part)))
        };
        wants.iter().map(part).collect()
    }

    fn sql(&self, wants: &[Want], piece: &Piece) -> Result<String> {
        let table = Fragment::qualified(&self.schema, &self.table);
        let mut joins: Vec<&str> = Vec::new();
        let mut wanted = Vec::new();
        let place = format!("pg_catalog.string_agg(pg_catalog.tidsend({table}.ctid), ''::bytea)");
        for want in wants {
            match want {
                Want::Rows { join, condition } => {
                    joins.push(join);
                    wanted.push(format!("{place} FILTER (WHERE {condition})"));
                }
                Want::Hashes { expression, condition, with_places } => {
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
            .sql("wanted", Fragment::keyword(wanted.join(", ")))
            .sql("joins", Fragment::keyword(joins.join(" ")))
            .sql("piece", Fragment::keyword(range.join(" AND ")))
            .sql("table", table);
        filled("sql/reading/piece.sql", &variables)
    }
}

const PLACE: usize = 6;

fn some_places(bytes: &[u8]) -> Option<Vec<Place>> {
    (bytes.len() / PLACE <= MOST_ROWS).then(|| read_places(bytes))
}

fn read_places(bytes: &[u8]) -> Vec<Place> {
    let (places, _) = bytes.as_chunks::<PLACE>();
    places
        .iter()
        .map(|[a, b, c, d, e, f]| (u32::from_be_bytes([*a, *b, *c, *d]), u16::from_be_bytes([*e, *f])))
        .collect()
}

/// Hashes as `int8send` writes them, one behind the other.
pub(super) fn read_hashes(bytes: &[u8]) -> Vec<u64> {
    let (hashes, _) = bytes.as_chunks::<8>();
    hashes.iter().map(|hash| u64::from_be_bytes(*hash)).collect()
}

/// All places in the answers; `None` when there are too many.
///
/// # Errors
/// When the answers are of something else.
pub fn places(answers: Vec<Answer>) -> Result<Option<Vec<Place>>> {
    let mut all = Some(Vec::new());
    for answer in answers {
        let Part::Rows(rows) = answer.made()? else { bail!("places of rows are expected") };
        all = all.zip(rows).map(|(mut all, rows)| {
            all.extend(rows);
            all
        });
    }
    Ok(all.filter(|all| all.len() <= MOST_ROWS))
}

/// The condition for the rows of a table, or of an alias, at these places.
pub fn at(alias: &str, rows: &[Place]) -> Fragment {
    let places: Vec<String> = rows.iter().map(|(page, number)| format!("\"({page},{number})\"")).collect();
    Fragment::keyword(format!("{alias}.ctid = ANY ('{{{}}}'::pg_catalog.tid[])", places.join(",")))
}

/// The query for the rows of a table at these places.
pub fn rows_at(table: &Fragment, rows: &[Place]) -> Fragment {
    Fragment::keyword(format!("SELECT suspect.* FROM {table} AS suspect WHERE {}", at("suspect", rows)))
}
