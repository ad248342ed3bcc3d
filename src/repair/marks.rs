//! Marks: which rows of which tables a fix removes or changes. They are kept in work tables of the schema `evodoctor`, one per
//! table, with primary keys in their own types, so that the server joins them by hash and the work grows with the rows that
//! are touched. The work tables are made and dropped in the fix's transaction.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use sqlx::Row;
use sqlx::postgres::PgConnection;

use crate::database::catalog::Table;
use crate::database::quote::Fragment;
use crate::database::run::{execute, rows};
use crate::database::script::{Script, Variables, file, filled, render};

/// From how many new marks on the planner is given statistics of a work table.
const MANY: u64 = 1000;

/// The schema of everything that evodoctor keeps in a database.
pub const SCHEMA: &str = "evodoctor";

/// The work table of one of Evolution's tables.
#[derive(Debug, Clone)]
pub struct MarkTable {
    relation: String,
    /// How many rows are marked in it.
    pub count: u64,
    /// The newest round of [`Marks::remove`] that added rows.
    round: Option<u32>,
    is_indexed: bool,
}

impl MarkTable {
    /// Its name, qualified.
    pub fn name(&self) -> Fragment {
        Fragment::qualified(SCHEMA, &self.relation)
    }
}

/// The work tables of one fix.
#[derive(Debug, Default)]
pub struct Marks {
    removed: BTreeMap<String, MarkTable>,
    changed: BTreeMap<String, MarkTable>,
    /// How many work tables have been made so far: the next one's number.
    made: usize,
}

impl Marks {
    /// The tables with rows to remove.
    pub fn removed(&self) -> impl Iterator<Item = (&String, &MarkTable)> {
        self.removed.iter().filter(|(_, marks)| marks.count > 0)
    }

    /// The tables with rows to change.
    pub fn changed(&self) -> impl Iterator<Item = (&String, &MarkTable)> {
        self.changed.iter().filter(|(_, marks)| marks.count > 0)
    }

    /// The rows of a table that are to be removed.
    pub fn removed_from(&self, table: &str) -> Option<&MarkTable> {
        self.removed.get(table).filter(|marks| marks.count > 0)
    }

    /// The tables that lost rows in a round.
    pub fn lost_in(&self, round: u32) -> Vec<String> {
        let lost = self.removed.iter().filter(|(_, marks)| marks.round == Some(round));
        lost.map(|(table, _)| table.clone()).collect()
    }

    /// The work table for rows of a table that are to be removed.
    ///
    /// # Errors
    /// When it cannot be made.
    pub async fn for_removed(
        &mut self,
        connection: &mut PgConnection,
        table: &Table,
        schema: &str,
    ) -> Result<Fragment> {
        if !self.removed.contains_key(&table.name) {
            let marks = self.make(connection, "sql/marks/removed.sql", table, schema).await?;
            self.removed.insert(table.name.clone(), marks);
        }
        Ok(self.removed[&table.name].name())
    }

    /// The work table for rows of a table that are to be changed.
    ///
    /// # Errors
    /// When it cannot be made.
    pub async fn for_changed(
        &mut self,
        connection: &mut PgConnection,
        table: &Table,
        schema: &str,
    ) -> Result<Fragment> {
        if !self.changed.contains_key(&table.name) {
            let marks = self.make(connection, "sql/marks/changed.sql", table, schema).await?;
            self.changed.insert(table.name.clone(), marks);
        }
        Ok(self.changed[&table.name].name())
    }

    /// The condition for a row of `alias` not to be marked in a work table yet, with this change where it is one for changes. A
    /// table that is filled for the second time gets an index first: the planner cannot know how many rows it is going to hold,
    /// and might read all of it for each new one.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn is_unmarked(
        &mut self,
        connection: &mut PgConnection,
        table: &Table,
        alias: &str,
        change: Option<&str>,
    ) -> Result<Fragment> {
        let of = if change.is_some() { &mut self.changed } else { &mut self.removed };
        let marks = of.get_mut(&table.name).context("the work table was made before")?;
        if marks.count == 0 {
            return Ok(Fragment::keyword("true".to_owned()));
        }
        if !marks.is_indexed {
            let variables = Variables::default()
                .sql("marks", marks.name())
                .sql("key", Fragment::columns(None, &table.primary_key));
            run_file(connection, "sql/marks/index_marks.sql", &variables).await?;
            marks.is_indexed = true;
        }
        let is_same = match change {
            None => "true".to_owned(),
            Some(change) => {
                format!("marked.\"evodoctor change\" = {}::pg_catalog.jsonb", Fragment::literal(change))
            }
        };
        let variables = Variables::default()
            .sql("marks", marks.name())
            .sql("marked_key", Fragment::columns(Some("marked"), &table.primary_key))
            .sql("row_key", Fragment::columns(Some(alias), &table.primary_key))
            .sql("is_same", Fragment::keyword(is_same));
        Ok(Fragment::keyword(format!("NOT EXISTS ({})", filled("sql/marks/is_marked.sql", &variables)?)))
    }

    /// A name for a work table.
    pub fn next_name(&mut self) -> String {
        self.made += 1;
        format!("work_{}", self.made)
    }

    async fn make(
        &mut self,
        connection: &mut PgConnection,
        path: &str,
        table: &Table,
        schema: &str,
    ) -> Result<MarkTable> {
        let relation = self.next_name();
        let variables = Variables::default()
            .sql("marks", Fragment::qualified(SCHEMA, &relation))
            .sql("table", Fragment::qualified(schema, &table.name))
            .sql("target_key", Fragment::columns(Some("target"), &table.primary_key));
        run_file(connection, path, &variables).await?;
        Ok(MarkTable { relation, count: 0, round: None, is_indexed: false })
    }

    /// Runs a statement that marks rows of a table to be removed, in a round. Returns how many it added.
    ///
    /// # Errors
    /// What the server says.
    pub async fn remove(
        &mut self,
        connection: &mut PgConnection,
        path: &str,
        variables: &Variables,
        table: &str,
        round: u32,
    ) -> Result<u64> {
        let (_, added) = run_file(connection, path, variables).await?;
        let marks = self.removed.get_mut(table).context("the work table was made before")?;
        added_to(connection, marks, added).await?;
        if added > 0 {
            marks.round = Some(round);
        }
        Ok(added)
    }

    /// Runs a statement that marks rows of a table to be changed.
    ///
    /// # Errors
    /// What the server says.
    pub async fn change(
        &mut self,
        connection: &mut PgConnection,
        path: &str,
        variables: &Variables,
        table: &str,
    ) -> Result<()> {
        let (_, added) = run_file(connection, path, variables).await?;
        let marks = self.changed.get_mut(table).context("the work table was made before")?;
        added_to(connection, marks, added).await
    }

    /// Takes the rows that are removed anyway out of those that are to be changed.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn spare(
        &mut self,
        connection: &mut PgConnection,
        key_of: impl Fn(&str) -> Vec<String>,
    ) -> Result<()> {
        for (table, changed) in &mut self.changed {
            let Some(removed) = self.removed.get(table).filter(|removed| removed.count > 0) else { continue };
            let key = key_of(table);
            let variables = Variables::default()
                .sql("marks", changed.name())
                .sql("removed", removed.name())
                .sql("changed_key", Fragment::columns(Some("changed"), &key))
                .sql("removed_key", Fragment::columns(Some("removed"), &key));
            let (_, spared) = run_file(connection, "sql/marks/spared.sql", &variables).await?;
            changed.count -= spared.min(changed.count);
        }
        Ok(())
    }

    /// The sets of columns that are changed in a table, and how many rows have each.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn groups(
        &self,
        connection: &mut PgConnection,
        marks: &MarkTable,
    ) -> Result<Vec<(Vec<String>, i64)>> {
        let variables = Variables::default().sql("marks", marks.name());
        let found = rows(connection, "sql/marks/groups.sql", &variables).await?;
        found.iter().map(|row| Ok((row.try_get("columns")?, row.try_get("count")?))).collect()
    }

    /// Drops the work tables.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn drop(self, connection: &mut PgConnection) -> Result<()> {
        for marks in self.removed.into_values().chain(self.changed.into_values()) {
            let variables = Variables::default().sql("marks", marks.name());
            run_file(connection, "sql/marks/drop.sql", &variables).await?;
        }
        Ok(())
    }
}

async fn added_to(connection: &mut PgConnection, marks: &mut MarkTable, added: u64) -> Result<()> {
    marks.count += added;
    if added >= MANY {
        analyze(connection, marks.name()).await?;
    }
    Ok(())
}

/// Gives the planner statistics of a work table.
///
/// # Errors
/// When the connection is lost.
pub async fn analyze(connection: &mut PgConnection, marks: Fragment) -> Result<()> {
    let variables = Variables::default().sql("marks", marks);
    run_file(connection, "sql/marks/analyze.sql", &variables).await?;
    Ok(())
}

/// Gives the statements that mark and treat rows memory to hash in, or takes it back.
///
/// # Errors
/// When the connection is lost.
pub async fn reserve_memory(connection: &mut PgConnection, more: bool) -> Result<()> {
    let wanted = Variables::default().text("wanted", if more { "more" } else { "as before" });
    run_file(connection, "sql/marks/work_mem.sql", &wanted).await?;
    Ok(())
}

/// Whether this session may leave the checks of foreign keys out (`session_replication_role`).
///
/// # Errors
/// When the connection is lost.
pub async fn can_replicate(connection: &mut PgConnection) -> Result<bool> {
    let rows = rows(connection, "sql/marks/can_replicate.sql", &Variables::default()).await?;
    Ok(rows.first().context("one row")?.try_get("is_allowed")?)
}

/// Runs a file that holds one statement; returns its text and how many rows it touched.
///
/// # Errors
/// What the server says; the file's name is the context.
pub async fn run_file(
    connection: &mut PgConnection,
    path: &str,
    variables: &Variables,
) -> Result<(String, u64)> {
    let sql = render(Script::parse(file(path)).single()?, variables).with_context(|| path.to_owned())?;
    let touched = execute(connection, sql.clone()).await.with_context(|| format!("while running {path}"))?;
    Ok((sql, touched))
}
