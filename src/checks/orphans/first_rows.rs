//! Examples where very many rows are wrong. Their places are too many to keep, and how many there are is known from the hashes;
//! so only five rows are wanted still. Where most rows of a table are wrong, the first five of those are among its first rows: a
//! thousand of these are held against the same set.

use std::rc::Rc;

use anyhow::{Context, Result};
use sqlx::Row;

use super::OrphanSearch;
use crate::checks::step::{Next, Step, StepAnswer};
use crate::checks::table_scan::{
    Ctid, MissingRows, ValueHashes, ctid_condition, decode_ctids, decode_hashes,
};
use crate::database::ident::SqlFragment;
use crate::database::query::query_statement;
use crate::database::sql_file::{Variables, render_file};

/// Of so many rows the hashes are looked at.
const ROWS: u32 = 1_000;

/// The hash of a row as the set has it, and the rows that count.
pub struct FirstRows {
    /// As an expression.
    pub hash: String,
    /// As a condition.
    pub condition: String,
}

impl FirstRows {
    /// The finding of a key with these rows, without another look at all of them where there is a way.
    ///
    /// # Errors
    /// When a file of this program is broken.
    pub fn counted(
        self,
        key: OrphanSearch<'_>,
        known: Rc<ValueHashes>,
        mut missing: MissingRows,
    ) -> Result<Next<'_>> {
        let child = SqlFragment::qualified(&key.scope.catalog.schema, &key.reference.child_table);
        let variables = key.variables()?;
        let step = self.step(key.reference.subject(), &child, &variables)?;
        let then = move |answers: Vec<StepAnswer>| {
            let Some(rows) = first_five(&known, answers)? else { return key.begin_plain() };
            // A null that NOT NULL let through refers to nothing, and is no orphan.
            let nulls = u64::from(missing.nulls > 0);
            let variables = variables
                .text("count", (missing.count - missing.nulls).to_string())
                .text("missing", (missing.values() - nulls).to_string())
                .sql("predicate", ctid_condition(child.as_str(), &rows));
            let found = SqlFragment::assert_safe(render_file("sql/orphans/counted.sql", &variables)?);
            let sql = (key.word)(&variables.sql("found", found))?;
            Ok(Next::finding(vec![Step::query(key.reference.subject(), 0, sql)]))
        };
        Ok(Next::Steps(vec![step], Box::new(then)))
    }

    /// Looks at the first rows of a table in the order that `variables` say.
    ///
    /// # Errors
    /// When the file is broken.
    pub fn step(&self, about: String, table: &SqlFragment, variables: &Variables) -> Result<Step> {
        let variables = variables
            .clone()
            .sql("hash", SqlFragment::assert_safe(self.hash.clone()))
            .sql("condition", SqlFragment::assert_safe(self.condition.clone()))
            .sql("place", SqlFragment::assert_safe(format!("{table}.ctid")))
            .sql("table", table.clone())
            .text("limit", ROWS.to_string());
        let sql = render_file("sql/orphans/in_front.sql", &variables)?;
        Ok(Step::other(about, 0, move |connection| {
            Box::pin(async move {
                let rows = query_statement(connection, sql).await?;
                let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
                let bytes = |column| -> sqlx::Result<&[u8]> {
                    Ok(row.try_get::<Option<&[u8]>, _>(column)?.unwrap_or_default())
                };
                Ok(StepAnswer::of((decode_hashes(bytes("hashes")?), decode_ctids(bytes("places")?))))
            })
        }))
    }
}

/// The places of the first five rows that are not known, where the first rows of the table have as many.
///
/// # Errors
/// When the answer is of something else.
pub fn first_five(known: &ValueHashes, answers: Vec<StepAnswer>) -> Result<Option<Vec<Ctid>>> {
    let answer = answers.into_iter().next().context("one step has one answer")?;
    let (hashes, places): (Vec<u64>, Vec<Ctid>) = answer.made()?;
    let rows = known.first_missing(&hashes, &places);
    Ok((rows.len() == 5).then_some(rows))
}
