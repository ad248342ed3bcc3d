//! The rows that undo leaves in the quarantine, as reports show them and as the list of entries stores them.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Serialize;
use sqlx::Row;
use sqlx::postgres::PgRow;

use super::{QuarantineEntry, RowAction, RowDiff};
use crate::database::catalog::DeclaredKey;
use crate::text::humanize::format_count;

/// Rows of one table that undo leaves in the quarantine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftRows {
    /// The table.
    pub table: String,
    /// The columns that keep their new values; none for removed rows.
    pub columns: Vec<String>,
    /// Why.
    pub reason: String,
    /// The number of these rows.
    pub count: i64,
    /// The keys of at most five of them.
    pub rows: Vec<String>,
}

impl LeftRows {
    /// The table, with the columns that keep their new values.
    pub fn whole_table(&self) -> String {
        match self.columns.as_slice() {
            [] => self.table.clone(),
            columns => format!("{} ({})", self.table, columns.join(", ")),
        }
    }

    /// The keys of some of the rows, and how many more there are.
    pub fn named(&self) -> String {
        let named = self.rows.join(", ");
        match self.count - i64::try_from(self.rows.len()).unwrap_or_default() {
            ..=0 => named,
            more => format!("{named} and {} more", format_count(more)),
        }
    }
}

/// The rows by a key that may refer to something that no longer exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DanglingAllowance {
    /// Any of them: the key did not exist before the run.
    Any,
    /// So many removed rows referred to nothing before the run.
    AtMost {
        /// The number of these rows.
        rows: i64,
        /// True if the run is about this key, so that rows that it emptied may be orphans as well.
        is_of_run: bool,
    },
}

/// A reference that rows to come back may have.
pub(super) struct Link {
    pub child_table: String,
    pub child_columns: Vec<String>,
    pub parent_schema: String,
    pub parent_table: String,
    pub parent_columns: Vec<String>,
    /// `None` where the server does not enforce it.
    pub allowance: Option<DanglingAllowance>,
}

/// Rows that are treated alike, and the table of the quarantine that holds them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Source {
    pub table: String,
    pub relation: String,
    pub action: RowAction,
    pub columns: Vec<String>,
}

/// The rows that are left, on their way into the quarantine's list.
#[derive(Default)]
pub(super) struct Leaving {
    /// Where the rows of a table of the quarantine go.
    pub relations: BTreeMap<String, String>,
    /// The left rows, for the report.
    pub left_rows: Vec<LeftRows>,
    /// The left rows, for the list of entries.
    pub entries: Vec<QuarantineEntry>,
}

impl Link {
    /// The constraint of a key.
    pub fn of(key: &DeclaredKey, allowance: Option<DanglingAllowance>) -> Self {
        Self {
            child_table: key.child_table.clone(),
            child_columns: key.child_columns.clone(),
            parent_schema: key.parent_schema.clone(),
            parent_table: key.parent_table.clone(),
            parent_columns: key.parent_columns.clone(),
            allowance,
        }
    }

    /// As findings name it.
    pub fn subject(&self) -> String {
        format!("{}.{} → {}", self.child_table, self.child_columns.join("+"), self.parent_table)
    }
}

impl Source {
    /// Where the rows of an entry are.
    pub fn of(entry: &QuarantineEntry) -> Self {
        Self {
            table: entry.diff.table.clone(),
            relation: entry.relation.clone(),
            action: entry.diff.action,
            columns: entry.diff.columns.clone(),
        }
    }
}

impl Leaving {
    /// Tells what was left because of a link.
    pub fn tell(&mut self, link: &Link, source: &Source, row: &PgRow) -> Result<()> {
        let (keys, gone): (Vec<String>, Vec<String>) = (row.try_get("keys")?, row.try_get("gone")?);
        let all: i64 = row.try_get("gone_count")?;
        let more = all - i64::try_from(gone.len())?;
        let more = if more > 0 { format!(" and {} more", format_count(more)) } else { String::new() };
        let verb = if all == 1 { "is" } else { "are" };
        let reason = format!("{} {}{more} {verb} gone", link.parent_table, gone.join(", "));
        let count: i64 = row.try_get("count")?;
        let same = |known: &&mut LeftRows| {
            (&known.table, &known.columns, &known.reason) == (&source.table, &source.columns, &reason)
        };
        match self.left_rows.iter_mut().find(same) {
            Some(known) => {
                known.count += count;
                known.rows.extend(keys);
                known.rows.truncate(5);
            }
            None => self.left_rows.push(LeftRows {
                table: source.table.clone(),
                columns: source.columns.clone(),
                reason,
                count,
                rows: keys,
            }),
        }
        Ok(())
    }

    /// The tables that no row went into.
    pub fn unused(&self) -> impl Iterator<Item = &String> {
        self.relations
            .values()
            .filter(|relation| !self.entries.iter().any(|entry| entry.relation == **relation))
    }

    /// Notes rows of an entry for the list.
    pub fn keep(&mut self, entry: &QuarantineEntry, relation: &str, count: i64) {
        let same =
            |known: &&mut QuarantineEntry| known.relation == relation && known.diff.is_like(&entry.diff);
        match self.entries.iter_mut().find(same) {
            Some(known) => known.diff.count += count,
            None => self.entries.push(QuarantineEntry {
                code: entry.code.clone(),
                diff: RowDiff { count, digest: "0".to_owned(), sample: Vec::new(), ..entry.diff.clone() },
                relation: relation.to_owned(),
            }),
        }
    }
}
