//! How the rows of a key that refer to nothing are found (EVO101): a strategy for each key, chosen from what the server
//! knows of its columns. All of them find the same: how many rows, how many different rows are missing, and the first five by
//! what they refer to and by their key.
//!
//! | strategy | where | what it costs |
//! |---|---|---|
//! | [`loose_index_scan`] | an index leads with the referring column, few different values | a look-up per value, however many rows |
//! | [`merge_anti_join`] | both sides indexed, many values | both indexes are read once, in ranges that run side by side |
//! | [`hash_anti_join`] | text without an index, or read from its table anyway | the table is read once, with others who read it |
//! | [`seq_scan`] | no index is to be trusted; what is referred to fits in memory | the table is read once for all that is asked of it |
//! | plain | everything else: small tables, several columns, views, partitions, other schemas | what the planner makes of it |
//!
//! A loose scan of an index asks for the least value, then for the next greater one, and so on: five hundred
//! instances are five hundred look-ups in an index on `instanceId`, over any number of messages, where an anti-join reads
//! all of them. The number of values is only an estimate, so the scan gives up after some, and the strategy follows that would have
//! been chosen without it.
//!
//! With many values a look-up for each costs more than reading. Where both sides have an index that can be read without its
//! table, the two are read in their order and compared like the halves of a zip (`merge_anti_join`). The histogram that ANALYZE made
//! cuts the values into ranges, which share no value, so counts simply add up.
//!
//! What has no index has no order either. Of texts the server makes a hash of eight bytes of each value, and they are compared
//! here (`hash_anti_join`): nothing is sorted, and nothing spills to the server's disk, as a hash table of millions of ids would. One
//! scan of the table serves all checks that need its rows; so a key subscribes to it, indexed or not, if its table is read
//! anyway. See [`table_scan`](super::table_scan).
//!
//! A reference that is no column, and so no key, is found in another way: [`message_key_hash`].
//!
//! Under `--paranoid` only `seq_scan` and the plain form are used, with all index scans switched off, as an index that is corrupt
//! hides rows; and no hash stands for a value.

mod first_rows;
mod hash_anti_join;
mod key_ranges;
mod loose_index_scan;
mod merge_anti_join;
pub mod message_key_hash;
mod seq_scan;
pub mod strategy;
mod summary;

use anyhow::Result;
use futures_util::future::join_all;
use sqlx::postgres::PgRow;

use super::check_error::{CheckError, CheckResult};
use super::context::CheckContext;
use super::references::Reference;
use super::table_scan::{Ctid, ctid_condition};
use super::task::Task;
use super::task_group::TaskGroup;
use crate::database::ident::SqlFragment;
use crate::database::sql_file::{Variables, render_file};
use hash_anti_join::Orphans;
use strategy::{Strategy, StrategyChoice, choose_strategy, choose_without_index_scan};
use summary::OrphanSummary;

/// The settings under which rows are looked up in an index.
const BY_INDEX: &str = "sql/orphans/by_index.sql";

/// The query of the check, which words what was found of a reference as a finding.
pub type OrphanQuery<'q> = dyn Fn(&Variables) -> Result<String> + 'q;

/// A reference whose orphans are wanted.
struct OrphanSearch<'s, 'g, 'p> {
    reference: &'p Reference,
    /// Its number among all references.
    number: usize,
    group: &'s TaskGroup<'g, 'p>,
    query: &'s OrphanQuery<'s>,
}

/// Says which tables are going to be read from end to end, because no index serves one of their keys.
pub fn register_scans(context: &CheckContext<'_>) {
    for reference in context.references.iter().filter(|reference| may_have_orphans(reference, context)) {
        if let Strategy::HashAntiJoin { .. } = choose_strategy(reference, context).strategy {
            context.scans.register(&reference.child_table);
        }
    }
}

/// True if the rows can be compared, and there are any.
fn may_have_orphans(reference: &Reference, context: &CheckContext<'_>) -> bool {
    reference.incomparable_reason(context.catalog).is_none()
        && !context.empty.contains(&reference.child_table)
}

/// Finds the orphans of all references that have rows, side by side: what each is about, and the rows of the check's query or why
/// there are none. `begin` makes the tasks of one reference.
pub async fn find_all<'g, 'p: 'g>(
    context: &'p CheckContext<'p>,
    begin: impl Fn() -> TaskGroup<'g, 'p>,
    query: &OrphanQuery<'_>,
) -> Vec<(String, CheckResult<Vec<PgRow>>)> {
    // An empty table has no orphans.
    let references = context.references.iter().enumerate();
    let filled = references.filter(|(_, reference)| !context.empty.contains(&reference.child_table));
    let searches = filled.map(|(number, reference)| {
        let group = begin();
        async move {
            let search = OrphanSearch { reference, number, group: &group, query };
            (reference.subject(), search.find().await)
        }
    });
    join_all(searches).await
}

impl<'p> OrphanSearch<'_, '_, 'p> {
    fn context(&self) -> &'p CheckContext<'p> {
        self.group.context()
    }

    /// The finding of the check, if there is one.
    async fn find(&self) -> CheckResult<Vec<PgRow>> {
        if let Some(reason) = self.reference.incomparable_reason(self.context().catalog) {
            return Err(CheckError::Undecided(reason));
        }
        let subject = self.reference.subject();
        let StrategyChoice { mut strategy, why } = choose_strategy(self.reference, self.context());
        tracing::debug!("{subject}: {strategy}, {why}");
        if let Strategy::LooseIndexScan { limit } = strategy {
            if let Some(found) = loose_index_scan::find(self, limit).await? {
                return self.finding_from_summary(&found).await;
            }
            let other = choose_without_index_scan(self.reference, self.context());
            tracing::debug!("{subject}: more values than expected; {}, {}", other.strategy, other.why);
            strategy = other.strategy;
        }
        match strategy {
            Strategy::HashAntiJoin { parent } => match hash_anti_join::find(self, parent).await? {
                Orphans::Rows(rows) => self.finding_at(&rows).await,
                Orphans::Counted { count, missing, first } => {
                    self.finding_counted(count, missing, &first).await
                }
                Orphans::TooMany => self.finding_by_planner().await,
            },
            Strategy::MergeAntiJoin { ranges } => {
                self.finding_from_summary(&merge_anti_join::find(self, ranges).await?).await
            }
            Strategy::SeqScan => match seq_scan::find(self).await? {
                // To look them up one by one would take longer than to read the table again.
                None => self.finding_by_planner().await,
                Some(rows) => self.finding_at(&rows).await,
            },
            Strategy::Plain | Strategy::LooseIndexScan { .. } => self.finding_by_planner().await,
        }
    }

    /// The finding of rows that are counted, with the first five values.
    async fn finding_from_summary(&self, found: &OrphanSummary) -> CheckResult<Vec<PgRow>> {
        if found.count == 0 {
            return Ok(Vec::new());
        }
        let variables = self.variables()?;
        let found = found.query(&variables)?;
        let sql = (self.query)(&variables.sql("found", found))?;
        self.group.query_with_settings(BY_INDEX, Task::new(self.reference.subject(), 0), sql).await
    }

    /// The finding of all orphans among these rows.
    async fn finding_at(&self, rows: &[Ctid]) -> CheckResult<Vec<PgRow>> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let value = self.reference.value(self.context().catalog);
        let predicate = format!("{} AND {value} IS NOT NULL", self.ctid_condition(rows));
        let variables = self.variables()?.sql("predicate", SqlFragment::assert_safe(predicate));
        let found = SqlFragment::assert_safe(render_file("sql/orphans/not_exists.sql", &variables)?);
        let sql = (self.query)(&variables.sql("found", found))?;
        self.group.query(Task::new(self.reference.subject(), rows.len() as u64), sql).await
    }

    /// The finding of `count` rows, which refer to `missing` different ones. These are the first of them.
    async fn finding_counted(&self, count: u64, missing: u64, first: &[Ctid]) -> CheckResult<Vec<PgRow>> {
        let variables = self
            .variables()?
            .text("count", count.to_string())
            .text("missing", missing.to_string())
            .sql("predicate", self.ctid_condition(first));
        let found = SqlFragment::assert_safe(render_file("sql/orphans/counted.sql", &variables)?);
        let sql = (self.query)(&variables.sql("found", found))?;
        self.group.query(Task::new(self.reference.subject(), 0), sql).await
    }

    /// The finding as the planner likes to find it.
    async fn finding_by_planner(&self) -> CheckResult<Vec<PgRow>> {
        let sql = (self.query)(&self.variables()?)?;
        let cost = self.reference.pages(self.context().catalog);
        self.group.query(Task::new(self.reference.subject(), cost), sql).await
    }

    fn ctid_condition(&self, rows: &[Ctid]) -> SqlFragment {
        let child = SqlFragment::qualified(&self.context().catalog.schema, &self.reference.child_table);
        ctid_condition(child.as_str(), rows)
    }

    /// The variables of the files under `sql/orphans/`, for keys of one column.
    fn variables(&self) -> Result<Variables> {
        self.reference.variables(self.context().catalog)
    }
}
