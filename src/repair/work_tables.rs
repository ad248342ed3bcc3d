//! Marks: which rows of which tables a fix removes or changes. They are kept in work tables of the schema `evodoctor`, one per
//! table, with primary keys in their own types, so that the server joins them by hash and the work grows with the rows that
//! are touched. The work tables are made and dropped in the fix's transaction.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use sqlx::Row;
use sqlx::postgres::PgConnection;

use crate::database::catalog::CatalogTable;
use crate::database::ident::SqlFragment;
use crate::database::query::{execute, query_file};
use crate::database::sql_file::{SqlFile, Variables, embedded_file, render, render_file};

/// From how many new marks on the planner is given statistics of a work table.
const MANY: u64 = 1000;

/// The schema of everything that evodoctor keeps in a database.
pub const SCHEMA: &str = "evodoctor";

/// The work table of one of Evolution's tables.
#[derive(Debug, Clone)]
pub struct WorkTable {
    relation: String,
    /// How many rows are marked in it.
    pub count: u64,
    /// The newest round of [`WorkTables::remove`] that added rows.
    round: Option<u32>,
    is_indexed: bool,
}

impl WorkTable {
    /// Its name, qualified.
    pub fn name(&self) -> SqlFragment {
        SqlFragment::qualified(SCHEMA, &self.relation)
    }
}

/// The work tables of one fix.
#[derive(Debug, Default)]
pub struct WorkTables {
    removed: BTreeMap<String, WorkTable>,
    changed: BTreeMap<String, WorkTable>,
    /// How many work tables have been made so far: the next one's number.
    made: usize,
}

impl WorkTables {
    /// The tables with rows to remove.
    pub fn removed(&self) -> impl Iterator<Item = (&String, &WorkTable)> {
        self.removed.iter().filter(|(_, marks)| marks.count > 0)
    }

    /// The tables with rows to change.
    pub fn changed(&self) -> impl Iterator<Item = (&String, &WorkTable)> {
        self.changed.iter().filter(|(_, marks)| marks.count > 0)
    }

    /// The rows of a table that are to be removed.
    pub fn removed_from(&self, table: &str) -> Option<&WorkTable> {
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
        table: &CatalogTable,
        schema: &str,
    ) -> Result<SqlFragment> {
        if !self.removed.contains_key(&table.name) {
            let marks = self.make(connection, "sql/work_tables/removed.sql", table, schema).await?;
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
        table: &CatalogTable,
        schema: &str,
    ) -> Result<SqlFragment> {
        if !self.changed.contains_key(&table.name) {
            let marks = self.make(connection, "sql/work_tables/changed.sql", table, schema).await?;
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
        table: &CatalogTable,
        alias: &str,
        change: Option<&str>,
    ) -> Result<SqlFragment> {
        let of = if change.is_some() { &mut self.changed } else { &mut self.removed };
        let marks = of.get_mut(&table.name).context("the work table was made before")?;
        if marks.count == 0 {
            return Ok(SqlFragment::assert_safe("true".to_owned()));
        }
        if !marks.is_indexed {
            let variables = Variables::default()
                .sql("marks", marks.name())
                .sql("key", SqlFragment::columns(None, &table.primary_key));
            run_file(connection, "sql/work_tables/index_marks.sql", &variables).await?;
            marks.is_indexed = true;
        }
        let is_same = match change {
            None => "true".to_owned(),
            Some(change) => {
                format!("marked.\"evodoctor change\" = {}::pg_catalog.jsonb", SqlFragment::literal(change))
            }
        };
        let variables = Variables::default()
            .sql("marks", marks.name())
            .sql("marked_key", SqlFragment::columns(Some("marked"), &table.primary_key))
            .sql("row_key", SqlFragment::columns(Some(alias), &table.primary_key))
            .sql("is_same", SqlFragment::assert_safe(is_same));
        Ok(SqlFragment::assert_safe(format!(
            "NOT EXISTS ({})",
            render_file("sql/work_tables/is_marked.sql", &variables)?
        )))
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
        table: &CatalogTable,
        schema: &str,
    ) -> Result<WorkTable> {
        let relation = self.next_name();
        let variables = Variables::default()
            .sql("marks", SqlFragment::qualified(SCHEMA, &relation))
            .sql("table", SqlFragment::qualified(schema, &table.name))
            .sql("target_key", SqlFragment::columns(Some("target"), &table.primary_key));
        run_file(connection, path, &variables).await?;
        Ok(WorkTable { relation, count: 0, round: None, is_indexed: false })
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
                .sql("changed_key", SqlFragment::columns(Some("changed"), &key))
                .sql("removed_key", SqlFragment::columns(Some("removed"), &key));
            let (_, spared) = run_file(connection, "sql/work_tables/spared.sql", &variables).await?;
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
        marks: &WorkTable,
    ) -> Result<Vec<(Vec<String>, i64)>> {
        let variables = Variables::default().sql("marks", marks.name());
        let found = query_file(connection, "sql/work_tables/groups.sql", &variables).await?;
        found.iter().map(|row| Ok((row.try_get("columns")?, row.try_get("count")?))).collect()
    }

    /// Drops the work tables.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn drop(self, connection: &mut PgConnection) -> Result<()> {
        for marks in self.removed.into_values().chain(self.changed.into_values()) {
            let variables = Variables::default().sql("marks", marks.name());
            run_file(connection, "sql/work_tables/drop.sql", &variables).await?;
        }
        Ok(())
    }
}

async fn added_to(connection: &mut PgConnection, marks: &mut WorkTable, added: u64) -> Result<()> {
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
pub async fn analyze(connection: &mut PgConnection, marks: SqlFragment) -> Result<()> {
    let variables = Variables::default().sql("marks", marks);
    run_file(connection, "sql/work_tables/analyze.sql", &variables).await?;
    Ok(())
}

/// Gives the statements that mark and treat rows memory to hash in, or takes it back.
///
/// # Errors
/// When the connection is lost.
pub async fn reserve_memory(connection: &mut PgConnection, more: bool) -> Result<()> {
    let wanted = Variables::default().text("wanted", if more { "more" } else { "as before" });
    run_file(connection, "sql/work_tables/work_mem.sql", &wanted).await?;
    Ok(())
}

/// Whether this session may leave the checks of foreign keys out (`session_replication_role`).
///
/// # Errors
/// When the connection is lost.
pub async fn can_replicate(connection: &mut PgConnection) -> Result<bool> {
    let rows = query_file(connection, "sql/work_tables/can_replicate.sql", &Variables::default()).await?;
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
    let sql = render(SqlFile::parse(embedded_file(path)).only_statement()?, variables)
        .with_context(|| path.to_owned())?;
    let touched = execute(connection, sql.clone()).await.with_context(|| format!("while running {path}"))?;
    Ok((sql, touched))
}
