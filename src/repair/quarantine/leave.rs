//! Moves rows that undo cannot bring back, because the rows they refer to no longer exist, into separate tables of the
//! quarantine. A later undo restores them from there once those rows exist again.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use serde_json::Value;
use sqlx::Row;
use sqlx::postgres::PgConnection;

use super::column_values::restored_value;
use super::left_rows::{DanglingAllowance, Leaving, LeftRows, Link, Source};
use super::restore::{RowRestore, kept_key, of_these};
use super::{Quarantine, QuarantineEntry, RowAction, RowSample};
use crate::checks::references::encode_subject;
use crate::database::catalog::{CatalogTable, DeclaredKey};
use crate::database::ident::SqlFragment;
use crate::database::query::query_file;
use crate::database::shared_sql::bot_tables;
use crate::database::sql_file::Variables;
use crate::repair::schema_acl::revoke_from_others;
use crate::repair::work_tables::run_file;

impl RowRestore<'_> {
    /// Moves the rows that cannot come back, because what they refer to no longer exists or is left itself, into
    /// separate tables, which become entries of the run. The rest can be restored then. Returns what was left; empty if
    /// everything can come back.
    ///
    /// # Errors
    /// When a table is gone, or the connection is lost.
    pub async fn leave(
        &mut self,
        connection: &mut PgConnection,
        allowance: impl Fn(&DeclaredKey) -> DanglingAllowance,
    ) -> Result<Vec<LeftRows>> {
        let keys = self.catalog.foreign_keys.iter().filter(|key| key.child_schema == self.catalog.schema);
        let mut links: Vec<Link> = keys
            .map(|key| Link::of(key, (key.is_enforced && !key.is_temporal).then(|| allowance(key))))
            .collect();
        links.extend(self.bots());
        let mut position = self.next_position(connection).await?;
        let mut leaving = Leaving::default();
        loop {
            let mut moved = 0;
            for link in &links {
                for source in self.sources(link) {
                    moved += self.leave_of(connection, link, &source, position, &mut leaving).await?;
                }
            }
            if moved == 0 {
                break;
            }
        }
        let run = *self.runs.first().context("a run is undone")?;
        for entry in &mut leaving.entries {
            self.move_samples(connection, entry).await?;
            let mut quarantine = Quarantine { entries: position, ..Quarantine::new(run, false) };
            quarantine.record(connection, &entry.code, &entry.diff, &entry.relation).await?;
            position += 1;
        }
        for relation in leaving.unused() {
            let variables = Variables::default().sql("kept", Quarantine::name(relation));
            run_file(connection, "sql/quarantine/drop.sql", &variables).await?;
        }
        Ok(leaving.left_rows)
    }

    /// The sessions' references to bots. No foreign key says that `IntegrationSession.botId` refers to one of their tables, but
    /// an open session without its bot blocks every other bot for its contact.
    fn bots(&self) -> Vec<Link> {
        let has_bots = self
            .catalog
            .tables
            .get("IntegrationSession")
            .is_some_and(|t| t.columns.contains(&"botId".into()));
        let tables = bot_tables().into_iter();
        let tables = tables.filter(|table| has_bots && self.catalog.tables.contains_key(table));
        let link = |table: String| Link {
            child_table: "IntegrationSession".to_owned(),
            child_columns: vec!["botId".to_owned()],
            parent_schema: self.catalog.schema.clone(),
            parent_table: table,
            parent_columns: vec!["id".to_owned()],
            allowance: None,
        };
        tables.map(link).collect()
    }

    /// The kept rows that have what a link refers by.
    fn sources(&self, link: &Link) -> Vec<Source> {
        let key = self.catalog.tables.get(&link.child_table).map(|table| table.primary_key.as_slice());
        let key = key.unwrap_or_default();
        let has_link = |entry: &&QuarantineEntry| {
            let columns = &entry.diff.columns;
            entry.diff.table == link.child_table
                && match entry.diff.action {
                    RowAction::Removed => true,
                    _ => {
                        link.child_columns.iter().any(|one| columns.contains(one))
                            && link.child_columns.iter().all(|one| columns.contains(one) || key.contains(one))
                    }
                }
        };
        let mut sources: Vec<Source> = self.entries.iter().filter(has_link).map(Source::of).collect();
        sources.sort();
        sources.dedup();
        sources
    }

    /// Leaves those rows of a source that cannot come back because of a link. Returns how many.
    async fn leave_of(
        &mut self,
        connection: &mut PgConnection,
        link: &Link,
        source: &Source,
        position: usize,
        leaving: &mut Leaving,
    ) -> Result<i64> {
        let mut count = 0;
        if let Some(is_new) = self.new_orphans(connection, link, source).await? {
            let parents = self.parents_of(link)?;
            count +=
                self.move_rows(connection, link, source, ("NOT", parents, is_new), position, leaving).await?;
        }
        let left: Vec<&String> = self
            .sources_of_removed(&link.parent_table)
            .filter_map(|relation| leaving.relations.get(relation))
            .collect();
        if link.parent_schema == self.catalog.schema && !left.is_empty() {
            let parent = self.table(&link.parent_table)?;
            let queries =
                left.into_iter().map(|relation| self.kept_values_of(parent, &link.parent_columns, relation));
            let parents = SqlFragment::assert_safe(queries.collect::<Vec<_>>().join(" UNION ALL "));
            let always = SqlFragment::assert_safe("true".to_owned());
            count +=
                self.move_rows(connection, link, source, ("", parents, always), position, leaving).await?;
        }
        Ok(count)
    }

    /// The condition for rows that referred to something before the run; `None` where none can be among them.
    async fn new_orphans(
        &self,
        connection: &mut PgConnection,
        link: &Link,
        source: &Source,
    ) -> Result<Option<SqlFragment>> {
        let (rows, is_of_run) = match link.allowance {
            None | Some(DanglingAllowance::Any) => return Ok(None),
            Some(DanglingAllowance::AtMost { rows, is_of_run }) => (rows, is_of_run),
        };
        if rows == 0 && !is_of_run {
            return Ok(Some(SqlFragment::assert_safe("true".to_owned())));
        }
        if source.action == RowAction::Removed {
            let mut dangling = 0;
            for removed in self.sources(link).into_iter().filter(|one| one.action == RowAction::Removed) {
                let variables = self.link_variables(link, &removed)?.sql("parents", self.parents_of(link)?);
                let found = query_file(connection, "sql/quarantine/count_dangling.sql", &variables).await?;
                dangling += found.first().context("a count is one row")?.try_get::<i64, _>("count")?;
            }
            if dangling <= rows {
                return Ok(None);
            }
        }
        // What a row that was an orphan by this key referred to was gone before the run.
        let child = self.table(&link.child_table)?;
        let reason = SqlFragment::literal(&format!("{} is gone", encode_subject(&link.subject())));
        let old: Vec<String> = self
            .sources(link)
            .iter()
            .map(|one| {
                let values = self.kept_values_of(child, &link.child_columns, &one.relation);
                format!("{values} AND kept.\"evodoctor reason\" = {reason}")
            })
            .collect();
        Ok(Some(SqlFragment::assert_safe(format!(
            "NOT EXISTS (SELECT FROM ({}) AS old WHERE ({}) = ({}))",
            old.join(" UNION ALL "),
            SqlFragment::columns(Some("old"), &link.child_columns),
            reference(child, &link.child_columns),
        ))))
    }

    /// The rows that a link may refer to: existing ones, and those that come back.
    fn parents_of(&self, link: &Link) -> Result<SqlFragment> {
        let mut queries = vec![format!(
            "SELECT {} FROM {} AS parent",
            SqlFragment::columns(Some("parent"), &link.parent_columns),
            SqlFragment::qualified(&link.parent_schema, &link.parent_table)
        )];
        if link.parent_schema == self.catalog.schema
            && let Some(parent) = self.catalog.tables.get(&link.parent_table)
        {
            let relations = self.sources_of_removed(&link.parent_table);
            queries.extend(relations.map(|one| self.kept_values_of(parent, &link.parent_columns, one)));
        }
        Ok(SqlFragment::assert_safe(queries.join(" UNION ALL ")))
    }

    /// The tables of the quarantine that hold removed rows of a table, each once.
    fn sources_of_removed<'e>(&'e self, table: &str) -> impl Iterator<Item = &'e String> {
        let is_it =
            |entry: &&QuarantineEntry| entry.diff.table == table && entry.diff.action == RowAction::Removed;
        let relations: BTreeSet<&String> =
            self.entries.iter().filter(is_it).map(|entry| &entry.relation).collect();
        relations.into_iter()
    }

    /// A query for these columns of the rows that a table of the quarantine holds.
    fn kept_values_of(&self, table: &CatalogTable, columns: &[String], relation: &str) -> String {
        let values: Vec<String> = columns
            .iter()
            .map(|column| format!("{} AS {}", restored_value(table, column), SqlFragment::ident(column)))
            .collect();
        format!(
            "SELECT {} FROM {} AS kept WHERE kept.\"evodoctor run\" = ANY ({})",
            values.join(", "),
            Quarantine::name(relation),
            self.runs_in_sql()
        )
    }

    fn link_variables(&self, link: &Link, source: &Source) -> Result<Variables> {
        let child = self.table(&source.table)?;
        let of_these = match source.action {
            RowAction::Removed => "true".to_owned(),
            // What was deleted since has no place for its old values.
            _ => format!(
                "{} AND EXISTS (SELECT FROM {} AS target WHERE ({}) = ({}))",
                of_these(&source.columns)?,
                SqlFragment::qualified(&self.catalog.schema, &child.name),
                kept_key(child),
                SqlFragment::columns(Some("target"), &child.primary_key)
            ),
        };
        Ok(self
            .variables(child, &source.relation)
            .sql("of_these", SqlFragment::assert_safe(of_these))
            .sql("reference", SqlFragment::assert_safe(reference(child, &link.child_columns)))
            .sql("parent_columns", SqlFragment::columns(Some("parent"), &link.parent_columns)))
    }

    async fn move_rows(
        &mut self,
        connection: &mut PgConnection,
        link: &Link,
        source: &Source,
        (not, parents, is_new): (&str, SqlFragment, SqlFragment),
        position: usize,
        leaving: &mut Leaving,
    ) -> Result<i64> {
        let left_table = self.left_table(connection, source, position, leaving).await?;
        let variables = self
            .link_variables(link, source)?
            .sql("not", SqlFragment::assert_safe(not.to_owned()))
            .sql("parents", parents)
            .sql("is_new", is_new)
            .sql("left_table", Quarantine::name(&left_table));
        let mut moved = 0;
        for row in query_file(connection, "sql/quarantine/leave.sql", &variables).await? {
            let (reason, count): (String, i64) = (row.try_get("reason")?, row.try_get("count")?);
            moved += count;
            leaving.tell(link, source, &row)?;
            let is_it = |entry: &&mut QuarantineEntry| {
                Source::of(entry) == *source && encode_subject(&entry.diff.reason) == reason
            };
            let Some(entry) = self.entries.iter_mut().find(is_it) else { continue };
            entry.diff.count -= count;
            leaving.keep(entry, &left_table, count);
        }
        Ok(moved)
    }

    /// The table for what is left of a source, made where it is not there yet.
    async fn left_table(
        &self,
        connection: &mut PgConnection,
        source: &Source,
        position: usize,
        leaving: &mut Leaving,
    ) -> Result<String> {
        if let Some(known) = leaving.relations.get(&source.relation) {
            return Ok(known.clone());
        }
        let run = self.runs.first().context("a run is undone")?;
        let name = format!("quarantine_{run}_left_{position}_{}", leaving.relations.len() + 1);
        let variables = Variables::default()
            .sql("left_table", Quarantine::name(&name))
            .sql("kept", Quarantine::name(&source.relation));
        run_file(connection, "sql/quarantine/left.sql", &variables).await?;
        revoke_from_others(connection).await?;
        leaving.relations.insert(source.relation.clone(), name.clone());
        Ok(name)
    }

    async fn next_position(&self, connection: &mut PgConnection) -> Result<usize> {
        let run = self.runs.first().context("a run is undone")?;
        let variables = Variables::default().text("run", run.to_string());
        let found = query_file(connection, "sql/quarantine/next_position.sql", &variables).await?;
        let position: i32 = found.first().context("one row")?.try_get("position")?;
        Ok(usize::try_from(position)?)
    }

    /// Moves the samples of rows that are left from the entry that they were of.
    async fn move_samples(
        &mut self,
        connection: &mut PgConnection,
        left: &mut QuarantineEntry,
    ) -> Result<()> {
        let table = self.table(&left.diff.table)?.clone();
        let is_it = |entry: &&mut QuarantineEntry| entry.code == left.code && entry.diff.is_like(&left.diff);
        let Some(entry) = self.entries.iter_mut().find(is_it) else { return Ok(()) };
        let keys: Vec<String> = entry.diff.sample.iter().map(|sample| key_of(&table, sample)).collect();
        let variables = Variables::default()
            .text("keys", serde_json::to_string(&keys)?)
            .sql("kept_key", kept_key(&table))
            .sql("left_table", Quarantine::name(&left.relation));
        let found = query_file(connection, "sql/quarantine/left_keys.sql", &variables).await?;
        let gone: Vec<String> = found.iter().map(|row| row.try_get("key")).collect::<sqlx::Result<_>>()?;
        let (of_left, others) = std::mem::take(&mut entry.diff.sample)
            .into_iter()
            .partition(|s| gone.contains(&key_of(&table, s)));
        left.diff.sample = of_left;
        entry.diff.sample = others;
        Ok(())
    }
}

/// The referring columns of a kept row.
fn reference(table: &CatalogTable, columns: &[String]) -> String {
    columns.iter().map(|column| restored_value(table, column)).collect::<Vec<_>>().join(", ")
}

/// The key of a sample, as `concat_ws` writes it.
fn key_of(table: &CatalogTable, sample: &RowSample) -> String {
    let text = |column: &String| match &sample.before[column] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    table.primary_key.iter().map(text).collect::<Vec<_>>().join(", ")
}
