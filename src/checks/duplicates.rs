//! How rows are found that a unique index refuses (EVO103), where none stands.
//!
//! What a large table holds twice the server would find with a hash table, or a sort, of all its keys: neither fits in its
//! `work_mem`, and both spill to its disk, a hundred bytes for each row. So it only makes a hash of eight bytes of each key,
//! in one reading of the table, and those that come more than once are found here. Where there are any, another reading finds
//! their rows, and the check's query looks at these alone: that two keys share a hash by chance costs a look, and equal keys
//! always do.

use std::rc::Rc;

use anyhow::{Context, Result};
use sqlx::Row;

use super::context::CheckContext;
use super::step::{Next, Question, Step, StepAnswer};
use super::table_scan::{Ctid, MOST_HASHES, Projection, collect_ctids, hash_expression, rows_by_ctid};
use super::unique_indexes::UniqueIndex;
use crate::database::ident::SqlFragment;
use crate::database::sql_file::{Variables, render_file};

/// Of more values that come more than once the rows are not looked for by themselves.
const FEW: usize = 10_000;

/// Renders the check's query with the rows to look at as `:among`, and what stands as `:holds` and `:is_invalid`.
pub type DuplicateQuery<'a> = Rc<dyn Fn(&Variables) -> Result<String> + 'a>;

/// A unique index that is asked about, and all it takes to do so.
struct DuplicateSearch<'a> {
    index: &'a UniqueIndex,
    scope: &'a CheckContext<'a>,
    word: DuplicateQuery<'a>,
    variables: Variables,
}

/// The question for what a unique index would refuse. It begins with whether one stands: under a valid one there is
/// nothing, and the table is not read, unless no index is trusted.
///
/// # Errors
/// When a file of this program is broken.
pub fn question<'a>(
    index: &'a UniqueIndex,
    scope: &'a CheckContext<'a>,
    word: DuplicateQuery<'a>,
) -> Result<Question<'a>> {
    let variables = index.variables(scope.catalog);
    let standing = render_file("sql/duplicates/present.sql", &variables)?;
    let then = move |answers: Vec<StepAnswer>| {
        let rows = answers.into_iter().next().context("one step was asked")?.rows()?;
        let row = rows.first().context("what stands is one row")?;
        let (holds, is_invalid): (bool, bool) = (row.try_get("holds")?, row.try_get("is_invalid")?);
        if holds && !scope.paranoid {
            return Ok(Next::Rows(Vec::new()));
        }
        let is_so = |is_so: bool| if is_so { "true" } else { "false" };
        let variables = variables.text("holds", is_so(holds)).text("is_invalid", is_so(is_invalid));
        DuplicateSearch { index, scope, word, variables }.begin()
    };
    let steps = Ok(vec![Step::query(index.subject(), 0, standing)]);
    Ok(Question { about: index.subject(), steps, then: Box::new(then) })
}

impl<'a> DuplicateSearch<'a> {
    fn begin(self) -> Result<Next<'a>> {
        let Some(hash) = self.hash() else { return self.among(None) };
        tracing::debug!("{}: hashes of its keys, as no index holds them", self.index.subject());
        let (catalog, about) = (self.scope.catalog, format!("hashes of {}", self.index.subject()));
        let (known, steps) = self.scope.readings.hash_set(catalog, &self.index.table, &about, hash.clone());
        let then = move |_: Vec<StepAnswer>| match known.duplicates() {
            twice if twice.is_empty() => Ok(Next::Rows(Vec::new())),
            // To look for their rows first would be another reading for little.
            twice if twice.len() > FEW => self.among(None),
            twice => Ok(self.look_for(&hash, &twice)),
        };
        Ok(Next::Steps(steps, Box::new(then)))
    }

    /// Reads the table once more, for the rows with these hashes.
    fn look_for(self, hash: &str, twice: &[u64]) -> Next<'a> {
        // As the server counts, half of them are negative.
        let hashes: Vec<String> = twice.iter().map(|hash| hash.cast_signed().to_string()).collect();
        let hashes = hashes.join(",");
        let condition = format!("{hash} IN (SELECT pg_catalog.unnest('{{{hashes}}}'::pg_catalog.int8[]))");
        let (readings, catalog) = (&self.scope.readings, self.scope.catalog);
        let wanted = Projection::Rows { join: String::new(), condition };
        let steps =
            readings.subscribe(catalog, &self.index.table, &self.index.subject(), wanted, StepAnswer::of);
        let then = move |answers: Vec<StepAnswer>| self.among(collect_ctids(answers)?);
        Next::Steps(steps, Box::new(then))
    }

    /// Goes on with the check's query, for the rows at these places, or for all.
    fn among(self, rows: Option<Vec<Ctid>>) -> Result<Next<'a>> {
        let table = self.table();
        let (among, cost) = match rows {
            None => (table, self.scope.catalog.page_count(&self.index.table)),
            Some(rows) => (SqlFragment::assert_safe(format!("({})", rows_by_ctid(&table, &rows))), 0),
        };
        let sql = (self.word)(&self.variables.sql("among", among))?;
        Ok(Next::finding(vec![Step::query(self.index.subject(), cost, sql)]))
    }

    fn table(&self) -> SqlFragment {
        SqlFragment::qualified(&self.scope.catalog.schema, &self.index.table)
    }

    /// The hash of a row's key, null where part of it is; `None` where the table is small, or too large, or its columns are
    /// not of the kind that is the same only where the bytes are.
    fn hash(&self) -> Option<String> {
        let (catalog, name) = (self.scope.catalog, &self.index.table);
        let table = catalog.tables.get(name)?;
        let mut is_plain = self.index.columns.iter().map(|column| {
            catalog
                .columns
                .get(name, column)
                .is_some_and(|column| column.is_text() && column.is_deterministic)
        });
        if table.pages < self.scope.large || table.rows > MOST_HASHES || !is_plain.all(|is_plain| is_plain) {
            return None;
        }
        let table = self.table();
        let of = |seed: String, column: &String| {
            hash_expression(&format!("{table}.{}", SqlFragment::ident(column)), &seed)
        };
        Some(self.index.columns.iter().fold("0".to_owned(), of))
    }
}
