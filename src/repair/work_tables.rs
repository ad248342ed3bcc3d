//! Marks: which rows of which tables a fix removes or changes. They are kept in work tables of the schema `evodoctor`,
//! one per table, with primary keys in their own types, so that the server joins them by hash and the work grows with
//! the number of rows that are changed. The work tables are made and dropped in the fix's transaction.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use sqlx::Row;
use sqlx::postgres::{PgConnection, PgRow};

use crate::database::catalog::CatalogTable;
use crate::database::ident::SqlFragment;
use crate::database::query::{execute, query_file};
use crate::database::sql_file::{SqlFile, Variables, embedded_file, render};

/// From how many new marks on the planner is given statistics of a work table.
const MANY: u64 = 1000;

/// The schema of everything that evodoctor keeps in a database.
pub const SCHEMA: &str = "evodoctor";

/// The work table of one of Evolution's tables.
#[derive(Debug, Clone)]
pub struct WorkTable {
    relation: String,
    /// The number of rows that are marked in it.
    pub count: u64,
    /// The newest round of [`WorkTables::remove`] that added rows.
    round: Option<u32>,
}

impl WorkTable {
    /// Its name, qualified.
    pub fn name(&self) -> SqlFragment {
        SqlFragment::qualified(SCHEMA, &self.relation)
    }
}

/// The action on the rows of a work table.
#[derive(Debug, Clone, Copy)]
enum Treatment {
    Removed,
    Changed,
}

impl Treatment {
    /// The file that creates such a work table.
    fn path(self) -> &'static str {
        match self {
            Self::Removed => "sql/work_tables/removed.sql",
            Self::Changed => "sql/work_tables/changed.sql",
        }
    }

    /// The condition for two marks of one row to be the same.
    fn is_same(self) -> &'static str {
        match self {
            Self::Removed => "true",
            Self::Changed => "marked.\"evodoctor change\" = added.\"evodoctor change\"",
        }
    }
}

/// The work tables of one fix.
#[derive(Debug)]
pub struct WorkTables {
    /// Evolution's schema.
    schema: String,
    removed: BTreeMap<String, WorkTable>,
    changed: BTreeMap<String, WorkTable>,
    /// How many work tables have been made so far: the next one's number.
    made: usize,
}

impl WorkTables {
    /// Nothing is marked yet.
    pub fn new(schema: &str) -> Self {
        Self { schema: schema.to_owned(), removed: BTreeMap::new(), changed: BTreeMap::new(), made: 0 }
    }

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

    /// A name for a work table.
    pub fn next_name(&mut self) -> String {
        self.made += 1;
        format!("work_{}", self.made)
    }

    /// Runs a statement that marks rows of a table to be removed, in a round. Returns how many rows it found, of which some may
    /// be marked already.
    pub async fn remove(
        &mut self,
        connection: &mut PgConnection,
        path: &str,
        variables: &Variables,
        table: &CatalogTable,
        round: u32,
    ) -> Result<u64> {
        let (found, added) = self.mark(connection, Treatment::Removed, path, variables, table).await?;
        if added > 0 {
            self.marks(Treatment::Removed, table)?.round = Some(round);
        }
        Ok(found)
    }

    /// Runs a statement that marks rows of a table to be removed, in the first round and before any other mark of this table.
    /// Returns its only row, which has the number of marks in the column `rows`.
    pub async fn remove_first(
        &mut self,
        connection: &mut PgConnection,
        path: &str,
        variables: &Variables,
        table: &CatalogTable,
    ) -> Result<PgRow> {
        let mut marks = self.make(connection, Treatment::Removed, table).await?;
        let variables = variables.clone().sql("marks", marks.name());
        let row = query_file(connection, path, &variables).await?.pop().context("one row")?;
        let added = u64::try_from(row.try_get::<i64, _>("rows")?)?;
        added_to(connection, &mut marks, added).await?;
        marks.round = (added > 0).then_some(0);
        self.removed.insert(table.name.clone(), marks);
        Ok(row)
    }

    /// Runs a statement that marks rows of a table to be changed.
    pub async fn change(
        &mut self,
        connection: &mut PgConnection,
        path: &str,
        variables: &Variables,
        table: &CatalogTable,
    ) -> Result<()> {
        self.mark(connection, Treatment::Changed, path, variables, table).await?;
        Ok(())
    }

    /// Runs a statement that marks rows. Where some are marked already, it fills a table of its own, from which the new ones are
    /// added. Returns how many rows it found, and how many of these are new.
    async fn mark(
        &mut self,
        connection: &mut PgConnection,
        treatment: Treatment,
        path: &str,
        variables: &Variables,
        table: &CatalogTable,
    ) -> Result<(u64, u64)> {
        if self.marks(treatment, table).is_err() {
            let marks = self.make(connection, treatment, table).await?;
            self.of(treatment).insert(table.name.clone(), marks);
        }
        let marks = self.marks(treatment, table)?;
        let name = marks.name();
        if marks.count == 0 {
            let (_, found) = run_file(connection, path, &variables.clone().sql("marks", name)).await?;
            added_to(connection, marks, found).await?;
            return Ok((found, found));
        }
        let mut new = self.make(connection, treatment, table).await?;
        let (_, found) = run_file(connection, path, &variables.clone().sql("marks", new.name())).await?;
        added_to(connection, &mut new, found).await?;
        let key = &table.primary_key;
        let variables = Variables::default()
            .sql("marks", name)
            .sql("added", new.name())
            .sql("marked_key", SqlFragment::columns(Some("marked"), key))
            .sql("added_key", SqlFragment::columns(Some("added"), key))
            .sql("is_same", SqlFragment::assert_safe(treatment.is_same().to_owned()));
        let (_, added) = run_file(connection, "sql/work_tables/add_marks.sql", &variables).await?;
        added_to(connection, self.marks(treatment, table)?, added).await?;
        let variables = Variables::default().sql("marks", new.name());
        run_file(connection, "sql/work_tables/drop.sql", &variables).await?;
        Ok((found, added))
    }

    fn of(&mut self, treatment: Treatment) -> &mut BTreeMap<String, WorkTable> {
        match treatment {
            Treatment::Removed => &mut self.removed,
            Treatment::Changed => &mut self.changed,
        }
    }

    fn marks(&mut self, treatment: Treatment, table: &CatalogTable) -> Result<&mut WorkTable> {
        self.of(treatment).get_mut(&table.name).context("the table has a work table")
    }

    async fn make(
        &mut self,
        connection: &mut PgConnection,
        treatment: Treatment,
        table: &CatalogTable,
    ) -> Result<WorkTable> {
        let relation = self.next_name();
        let variables = Variables::default()
            .sql("marks", SqlFragment::qualified(SCHEMA, &relation))
            .sql("table", SqlFragment::qualified(&self.schema, &table.name))
            .sql("target_key", SqlFragment::columns(Some("target"), &table.primary_key));
        run_file(connection, treatment.path(), &variables).await?;
        Ok(WorkTable { relation, count: 0, round: None })
    }

    /// Removes the rows that are deleted anyway from those that are to be changed.
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
pub async fn analyze(connection: &mut PgConnection, marks: SqlFragment) -> Result<()> {
    let variables = Variables::default().sql("marks", marks);
    run_file(connection, "sql/work_tables/analyze.sql", &variables).await?;
    Ok(())
}

/// Gives the statements that treat many rows memory to hash in, and the planner statistics of small samples; or takes both back.
pub async fn set_planner(connection: &mut PgConnection, for_many_rows: bool) -> Result<()> {
    let wanted = if for_many_rows { "many rows" } else { "as before" };
    let variables = Variables::default().text("wanted", wanted);
    run_file(connection, "sql/work_tables/planner_settings.sql", &variables).await?;
    Ok(())
}

/// True if this session may leave the checks of foreign keys out (`session_replication_role`).
pub async fn can_replicate(connection: &mut PgConnection) -> Result<bool> {
    let rows = query_file(connection, "sql/work_tables/can_replicate.sql", &Variables::default()).await?;
    Ok(rows.first().context("one row")?.try_get("is_allowed")?)
}

/// Runs a file that holds one statement; returns its text and how many rows it touched.
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
