//! Examples where very many rows are wrong. Their places are too many to keep, and how many there are is known from the hashes;
//! so only five rows are wanted still. Where most rows of a table are wrong, the first five of those are among its first rows: a
//! thousand of these are held against the same set.

use std::rc::Rc;

use anyhow::{Context, Result};
use sqlx::Row;

use super::Key;
use crate::database::quote::Fragment;
use crate::database::run::statement_rows;
use crate::database::script::{Variables, filled};
use crate::examine::known::Known;
use crate::examine::reading::{Missing, Place, at, read_hashes, read_places};
use crate::examine::step::{Answer, Next, Step};

/// Of so many rows the hashes are looked at.
const ROWS: u32 = 1_000;

/// The hash of a row as the set has it, and the rows that count.
pub struct Front {
    /// As an expression.
    pub hash: String,
    /// As a condition.
    pub condition: String,
}

impl Front {
    /// The finding of a key with these rows, without another look at all of them where there is a way.
    ///
    /// # Errors
    /// When a file of this program is broken.
    pub fn counted(self, key: Key<'_>, known: Rc<Known>, mut missing: Missing) -> Result<Next<'_>> {
        let child = Fragment::qualified(&key.scope.catalog.schema, &key.reference.child_table);
        let variables = key.variables()?;
        let step = self.step(key.reference.subject(), &child, &variables)?;
        let then = move |answers: Vec<Answer>| {
            let Some(rows) = first_five(&known, answers)? else { return key.begin_plain() };
            // A null that NOT NULL let through refers to nothing, and is no orphan.
            let nulls = u64::from(missing.nulls > 0);
            let variables = variables
                .text("count", (missing.count - missing.nulls).to_string())
                .text("missing", (missing.values() - nulls).to_string())
                .sql("predicate", at(child.as_str(), &rows));
            let found = Fragment::keyword(filled("sql/orphans/counted.sql", &variables)?);
            let sql = (key.word)(&variables.sql("found", found))?;
            Ok(Next::finding(vec![Step::query(key.reference.subject(), 0, sql)]))
        };
        Ok(Next::Steps(vec![step], Box::new(then)))
    }

    /// Looks at the first rows of a table in the order that `variables` say.
    ///
    /// # Errors
    /// When the file is broken.
    pub fn step(&self, about: String, table: &Fragment, variables: &Variables) -> Result<Step> {
        let variables = variables
            .clone()
            .sql("hash", Fragment::keyword(self.hash.clone()))
            .sql("condition", Fragment::keyword(self.condition.clone()))
            .sql("place", Fragment::keyword(format!("{table}.ctid")))
            .sql("table", table.clone())
            .text("limit", ROWS.to_string());
        let sql = filled("sql/orphans/in_front.sql", &variables)?;
        Ok(Step::other(about, 0, move |connection| {
            Box::pin(async move {
                let rows = statement_rows(connection, sql).await?;
                let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
                let bytes = |column| -> sqlx::Result<&[u8]> {
                    Ok(row.try_get::<Option<&[u8]>, _>(column)?.unwrap_or_default())
                };
                Ok(Answer::of((read_hashes(bytes("hashes")?), read_places(bytes("places")?))))
            })
        }))
    }
}

/// The places of the first five rows that are not known, where the first rows of the table have as many.
///
/// # Errors
/// When the answer is of something else.
pub fn first_five(known: &Known, answers: Vec<Answer>) -> Result<Option<Vec<Place>>> {
    let answer = answers.into_iter().next().context("one step has one answer")?;
    let (hashes, places): (Vec<u64>, Vec<Place>) = answer.made()?;
    let rows = known.first_missing(&hashes, &places);
    Ok((rows.len() == 5).then_some(rows))
}
