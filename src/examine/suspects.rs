//! A check that looks at every row of a large table for a few that may be wrong: it joins the reading of the table with a
//! condition that is quick to decide (`suspects` in its header), and asks its question of those rows only.

use std::rc::Rc;

use anyhow::Result;

use super::reading::{Want, places, rows_at};
use super::runner::Scope;
use super::step::{Answer, Next, Question, Step};
use crate::database::quote::Fragment;

/// What a check's header says of the rows that may be wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspects {
    /// The table, from `reads`.
    pub table: String,
    /// The condition, from `suspects`: true for every row that the check could find, and for few others.
    pub condition: String,
}

/// Renders the check's query with a query for its rows in place of `:suspects`.
pub type Wording<'a> = Rc<dyn Fn(Fragment) -> Result<String> + 'a>;

impl Suspects {
    /// Whether the question joins the reading of the table: it is large, and an ordinary one.
    pub fn joins(&self, scope: &Scope<'_>) -> bool {
        scope.catalog.pages(&self.table) >= scope.large && scope.catalog.columns.has(&self.table)
    }

    /// The check's question. `ask` makes a step of its rendered query.
    ///
    /// # Errors
    /// When a file of this program is broken.
    pub fn question<'a>(
        &'a self,
        scope: &'a Scope<'a>,
        ask: impl Fn(String) -> Step + 'a,
        word: Wording<'a>,
    ) -> Result<Question<'a>> {
        let table = Fragment::qualified(&scope.catalog.schema, &self.table);
        let all = Fragment::keyword(format!("SELECT * FROM {table}"));
        if !self.joins(scope) {
            return Ok(Question::step(ask(word(all)?)));
        }
        let wanted = Want::Rows { join: String::new(), condition: self.condition.clone() };
        let steps = scope.readings.join(scope.catalog, &self.table, &self.table, wanted, Answer::of);
        let then = move |answers: Vec<Answer>| {
            let some = match places(answers)? {
                None => all,
                Some(rows) if rows.is_empty() => return Ok(Next::Rows(Vec::new())),
                Some(rows) => rows_at(&table, &rows),
            };
            Ok(Next::finding(vec![ask(word(some)?)]))
        };
        Ok(Question { about: String::new(), steps: Ok(steps), then: Box::new(then) })
    }
}
