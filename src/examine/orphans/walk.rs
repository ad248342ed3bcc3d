//! Few different values under an index: a loose scan of it.

use anyhow::{Context, Result};
use sqlx::Row;

use super::found::Found;
use super::{BY_INDEX, Key};
use crate::database::script::filled;
use crate::examine::step::{Answer, Next, Step};

/// Visits every value, or gives up after `limit` of them.
pub fn begin(key: Key<'_>, limit: u32) -> Result<Next<'_>> {
    let sql = filled("sql/orphans/walk.sql", &key.variables()?.text("limit", limit.to_string()))?;
    // A look-up reads some pages of the index, most of which stay in memory; the limit is far above what is expected.
    let cost = u64::from(limit / 10);
    let step = Step::query_under(BY_INDEX, key.reference.subject(), cost, sql);
    let then = move |answers: Vec<Answer>| {
        let rows = answers.into_iter().next().context("one step has one answer")?.rows()?;
        let row = rows.first().context("a walk returns one row")?;
        if row.try_get("is_complete")? { key.conclude(&Found::read(row)?) } else { key.begin_without_walk() }
    };
    Ok(Next::Steps(vec![step], Box::new(then)))
}
