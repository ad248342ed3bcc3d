//! A check that looks at every row of a large table for a few that may be wrong: it joins the reading of the table with a
//! condition that is quick to decide (`suspects` in its header), and asks its question of those rows only.

use std::rc::Rc;

use anyhow::Result;

use super::context::CheckContext;
use super::step::{Next, Question, Step, StepAnswer};
use super::table_scan::{Projection, collect_ctids, rows_by_ctid};
use crate::database::ident::SqlFragment;

/// What a check's header says of the rows that may be wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowFilter {
    /// The table, from `reads`.
    pub table: String,
    /// The condition, from `suspects`: true for every row that the check could find, and for few others.
    pub condition: String,
}

/// Renders the check's query with a query for its rows in place of `:suspects`.
pub type FilteredQuery<'a> = Rc<dyn Fn(SqlFragment) -> Result<String> + 'a>;

impl RowFilter {
    /// Whether the question joins the reading of the table: it is large, and an ordinary one.
    pub fn joins(&self, scope: &CheckContext<'_>) -> bool {
        scope.catalog.page_count(&self.table) >= scope.large && scope.catalog.columns.has(&self.table)
    }

    /// The check's question. `ask` makes a step of its rendered query.
    ///
    /// # Errors
    /// When a file of this program is broken.
    pub fn question<'a>(
        &'a self,
        scope: &'a CheckContext<'a>,
        ask: impl Fn(String) -> Step + 'a,
        word: FilteredQuery<'a>,
    ) -> Result<Question<'a>> {
        let table = SqlFragment::qualified(&scope.catalog.schema, &self.table);
        let all = SqlFragment::assert_safe(format!("SELECT * FROM {table}"));
        if !self.joins(scope) {
            return Ok(Question::step(ask(word(all)?)));
        }
        let wanted = Projection::Rows { join: String::new(), condition: self.condition.clone() };
        let steps = scope.readings.subscribe(scope.catalog, &self.table, &self.table, wanted, StepAnswer::of);
        let then = move |answers: Vec<StepAnswer>| {
            let some = match collect_ctids(answers)? {
                None => all,
                Some(rows) if rows.is_empty() => return Ok(Next::Rows(Vec::new())),
                Some(rows) => rows_by_ctid(&table, &rows),
            };
            Ok(Next::finding(vec![ask(word(some)?)]))
        };
        Ok(Question { about: String::new(), steps: Ok(steps), then: Box::new(then) })
    }
}
