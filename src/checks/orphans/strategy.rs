//! Which strategy finds the orphans of a key.

use std::fmt;

use crate::checks::context::CheckContext;
use crate::checks::references::Reference;
use crate::checks::table_scan::MAX_HASHES;
use crate::database::column_stats::ColumnStats;

/// A look-up in an index costs about as much as reading so many of its entries in order.
const LOOK_UP: f64 = 50.0;

/// Where nothing is known of the values a loose scan may visit so many: some milliseconds.
const TRIED: u32 = 1_000;

/// No loose scan visits more, whatever the estimate: some seconds.
const MAX_VISITED: u32 = 200_000;

/// Tables with more rows than these are not hashed in memory: some 50 MB.
const HASHED: u64 = 500_000;

/// Where there are so many times more rows to refer to than rows that refer, these are looked up.
const LOOKED_UP: u64 = 20;

/// Rows from which on a key is compared in several ranges.
const RANGED: u64 = 500_000;

/// In how many: as many as there are connections by default. To hold an entry against the bounds of its range takes half as
/// long as to read it, so that more of them, or fewer connections, would lose what they gain.
const RANGES: u32 = 3;

/// Since this version only the entries of the first and the last page are compared with the bounds, and more ranges cost nothing.
const BOUNDS_BY_PAGE: i32 = 170_000;
const MORE_RANGES: u32 = 12;

/// A way to find the orphans of a key: see the module above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// One anti-join, as the planner likes.
    Plain,
    /// A loose scan of the index, up to so many values.
    LooseIndexScan {
        /// After how many it gives up.
        limit: u32,
    },
    /// Hashes of both sides, compared here; those of the referring side come from the reading of the table.
    HashAntiJoin {
        /// Where those are read that they refer to.
        parent: HashSource,
    },
    /// Both indexes in their order.
    MergeAntiJoin {
        /// In how many ranges.
        ranges: u32,
    },
    /// One pass over the table, with the other keys of it.
    SeqScan,
}

/// Where the hashes of a side come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashSource {
    /// The reading of the table, which others may join.
    Table,
    /// Its index, which is a fraction of it, in so many ranges that run side by side.
    Index {
        /// The number of ranges.
        ranges: u32,
    },
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "one anti-join",
            Self::LooseIndexScan { .. } => "a loose scan of the index",
            Self::HashAntiJoin { .. } => "hashes of both sides",
            Self::MergeAntiJoin { .. } => "a merge of both indexes",
            Self::SeqScan => "one pass over the table",
        })
    }
}

/// A strategy, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StrategyChoice {
    /// The strategy.
    pub strategy: Strategy,
    /// The reason, for the log.
    pub why: String,
}

fn choice(strategy: Strategy, why: impl Into<String>) -> StrategyChoice {
    StrategyChoice { strategy, why: why.into() }
}

/// Both ends of a key that a strategy fits.
struct KeyColumns<'a> {
    child: &'a ColumnStats,
    parent: &'a ColumnStats,
    rows: u64,
    parent_rows: u64,
}

/// Chooses for one reference.
pub fn choose_strategy(reference: &Reference, context: &CheckContext<'_>) -> StrategyChoice {
    let ends = match ends(reference, context) {
        Ok(ends) => ends,
        Err(why) => return choice(Strategy::Plain, why),
    };
    if context.paranoid || !ends.child.is_indexed {
        return choose_without_index_scan(reference, context);
    }
    match ends.child.distinct_values {
        None => choice(
            Strategy::LooseIndexScan { limit: TRIED },
            "the table was never analysed, and there may be few different values",
        ),
        Some(values) if values * LOOK_UP <= ends.rows as f64 => {
            // An estimate from a sample is too low more often than too high.
            let limit = (values as u32).saturating_mul(10).clamp(TRIED, MAX_VISITED);
            let rows = ends.rows;
            choice(
                Strategy::LooseIndexScan { limit },
                format!("about {values:.0} different values in {rows} rows"),
            )
        }
        Some(_) => choose_without_index_scan(reference, context),
    }
}

/// Chooses for a reference that has too many different values for a loose scan.
pub fn choose_without_index_scan(reference: &Reference, context: &CheckContext<'_>) -> StrategyChoice {
    let ends = match ends(reference, context) {
        Ok(ends) => ends,
        Err(why) => return choice(Strategy::Plain, why),
    };
    if context.paranoid {
        return match ends.parent_rows <= HASHED {
            true => choice(Strategy::SeqScan, "no index is trusted"),
            false => {
                choice(Strategy::Plain, "no index is trusted, and what it refers to is too large for a hash")
            }
        };
    }
    let from_index = |table: &str, column: &ColumnStats| {
        column.is_indexed && column.is_visible && !context.scans.is_registered(table)
    };
    let is_child_alone = from_index(&reference.child_table, ends.child);
    let is_parent_alone = from_index(&reference.parent_table, ends.parent);
    if is_parent_alone && ends.rows.saturating_mul(LOOKED_UP) <= ends.parent_rows {
        return choice(Strategy::Plain, "there are few rows, which are looked up in an index");
    }
    let merge = || {
        let ranges = ranges(ends.rows, context);
        choice(
            Strategy::MergeAntiJoin { ranges },
            "both sides are indexed, and there are many different values",
        )
    };
    if is_child_alone && is_parent_alone {
        return merge();
    }
    if ends.child.is_text() && ends.parent_rows <= MAX_HASHES {
        let parent = match is_parent_alone {
            true => HashSource::Index { ranges: ranges(ends.parent_rows, context) },
            false => HashSource::Table,
        };
        return choice(
            Strategy::HashAntiJoin { parent },
            "the table is read anyway, or there is no index to read",
        );
    }
    match (ends.child.is_indexed, ends.parent.is_indexed) {
        (true, true) => merge(),
        (false, _) if ends.parent_rows <= HASHED => {
            choice(Strategy::SeqScan, "no index leads with the referring column")
        }
        (false, _) => choice(
            Strategy::Plain,
            "no index leads with the referring column, and what it refers to is too large for a hash",
        ),
        (true, false) => choice(Strategy::Plain, "what it refers to has no index"),
    }
}

/// In how many ranges an index with so many entries is read.
fn ranges(rows: u64, context: &CheckContext<'_>) -> u32 {
    match context.catalog.columns.server_version {
        _ if rows < RANGED => 1,
        BOUNDS_BY_PAGE.. => MORE_RANGES,
        _ => RANGES,
    }
}

/// The two columns, or why only the plain form fits.
fn ends<'a>(reference: &Reference, context: &CheckContext<'a>) -> Result<KeyColumns<'a>, String> {
    let catalog = context.catalog;
    let ([child], [parent]) = (reference.child_columns.as_slice(), reference.parent_columns.as_slice())
    else {
        return Err("the key has several columns".to_owned());
    };
    if reference.parent_schema != catalog.schema {
        return Err("it refers to another schema".to_owned());
    }
    let table = |name: &str| catalog.tables.get(name).ok_or(format!("{name} is not known"));
    let (child_table, parent_table) = (table(&reference.child_table)?, table(&reference.parent_table)?);
    if child_table.pages < context.large {
        return Err("the table is small".to_owned());
    }
    let column = |table: &str, column: &str| {
        catalog.columns.get(table, column).ok_or(format!("{table} is no ordinary table"))
    };
    let child = column(&reference.child_table, child)?;
    let parent = column(&reference.parent_table, parent)?;
    if child.collation != parent.collation || !child.is_deterministic || !parent.is_deterministic {
        return Err("the columns do not sort alike".to_owned());
    }
    if child.is_text() != parent.is_text() || !child.is_text() && child.data_type != parent.data_type {
        return Err("the columns are of different types".to_owned());
    }
    Ok(KeyColumns { child, parent, rows: child_table.rows, parent_rows: parent_table.rows })
}
