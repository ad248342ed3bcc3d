//! Few different values under an index: a loose scan of it.

use anyhow::{Context, Result};
use sqlx::Row;

use super::summary::OrphanSummary;
use super::{BY_INDEX, OrphanSearch};
use crate::checks::step::{Next, Step, StepAnswer};
use crate::database::sql_file::render_file;

/// Visits every value, or gives up after `limit` of them.
pub fn start(key: OrphanSearch<'_>, limit: u32) -> Result<Next<'_>> {
    let sql =
        render_file("sql/orphans/loose_index_scan.sql", &key.variables()?.text("limit", limit.to_string()))?;
    // A look-up reads some pages of the index, most of which stay in memory; the limit is far above what is expected.
    let cost = u64::from(limit / 10);
    let step = Step::query_under(BY_INDEX, key.reference.subject(), cost, sql);
    let then = move |answers: Vec<StepAnswer>| {
        let rows = answers.into_iter().next().context("one step has one answer")?.rows()?;
        let row = rows.first().context("a walk returns one row")?;
        if row.try_get("is_complete")? {
            key.conclude(&OrphanSummary::read(row)?)
        } else {
            key.begin_without_walk()
        }
    };
    Ok(Next::Steps(vec![step], Box::new(then)))
}
