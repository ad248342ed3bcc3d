//! Makes the copy: structure, rows with pseudonyms, indexes and keys, dump.

use std::path::Path;

use anyhow::Result;
use sqlx::Row;
use sqlx::postgres::PgConnection;

use super::columns::StagingTables;
use super::originals::Originals;
use super::preconditions::Preconditions;
use super::row_filter::RowFilter;
use super::rows::TableRows;
use crate::database::catalog::Catalog;
use crate::database::ident::SqlFragment;
use crate::database::query::{execute, execute_file, query_file};
use crate::database::restore::RestoreError;
use crate::database::restore::dump_connection::DumpConnection;
use crate::database::restore::structure_copy::{Original, StructureCopy};
use crate::database::session::Session;
use crate::database::shared_snapshot::{ServerCapacity, SharedSnapshot};
use crate::database::sql_file::Variables;
use crate::database::url::ConnectTarget;
use crate::progress::{ProgressTask, Unit};
use crate::pseudonym::{PseudonymKey, Pseudonymizer, TimeShift};

/// The original, with a snapshot open.
pub struct Source<'s> {
    /// The connection that holds the snapshot.
    pub session: &'s mut Session,
    /// The target of further connections.
    pub target: &'s ConnectTarget,
    /// Its tables.
    pub catalog: &'s Catalog,
    /// The programs to make the copy with, and the tables that stay out.
    pub preconditions: &'s Preconditions,
}

/// The work, and what is known of it so far.
pub struct Copier {
    names: Pseudonymizer,
    originals: Originals,
    progress: ProgressTask,
    schema: String,
    tables: StagingTables,
    /// The tables whose rows are in the copy.
    copied: Vec<String>,
    left_out: Vec<String>,
    rows: u64,
}

/// The content of the copy.
pub struct CopySummary {
    /// Tables with rows of the original.
    pub tables: usize,
    /// The number of rows.
    pub rows: u64,
    /// The parts that are left out, with the reason.
    pub left_out: Vec<String>,
    /// The number of different values of the original that can be looked for.
    pub values: u64,
}

impl Copier {
    /// Decides on every column; the key of the pseudonyms is made here and ends with this value.
    ///
    /// # Errors
    /// When a column can neither be copied nor left out.
    pub async fn new(source: &mut Source<'_>) -> Result<Self> {
        let schema = source.catalog.schema.clone();
        let mut tables = StagingTables::read(source.session.connection(), &schema).await?;
        for table in &source.preconditions.excluded {
            tables.tables.remove(table);
            tables.left_out.retain(|column| !column.starts_with(&format!("{table}.")));
            tables.left_out.push(format!("table {table:?}: this role may not read it"));
        }
        Ok(Self {
            names: Pseudonymizer::new(PseudonymKey::random(), TimeShift::random()),
            originals: Originals::default(),
            progress: ProgressTask::start("snapshot"),
            left_out: tables.left_out.clone(),
            schema,
            tables,
            copied: Vec::new(),
            rows: 0,
        })
    }

    /// Writes the copy's dump to a file.
    ///
    /// # Errors
    /// When the original cannot be read, or there is no room.
    pub async fn write(&mut self, source: Source<'_>, mut filter: RowFilter, to: &Path) -> Result<()> {
        let capacity = ServerCapacity::read(source.session.connection()).await?;
        let shared = match capacity.can_export {
            true => Some(SharedSnapshot::export(source.session.connection(), source.target).await?),
            false => None,
        };
        let schema = self.schema.clone();
        let connection = DumpConnection::new(source.target, source.session.ssl_mode)?;
        let original = Original {
            connection: &connection,
            schema: &schema,
            excluded: &source.preconditions.excluded,
            snapshot: shared.as_ref().map(SharedSnapshot::id),
        };
        self.progress.start_phase("structure", None, Unit::Steps);
        let (copy, refused) = StructureCopy::create(&source.preconditions.programs, &original).await?;
        self.note_refused(&refused);
        // A connection of its own, where that can be: the checks have left their settings on the first.
        let mut joined = match &shared {
            Some(shared) => Some(shared.join().await?.0),
            None => None,
        };
        let from = joined.as_mut().unwrap_or(source.session).connection();
        self.fill(from, &mut copy.connect().await?, &mut filter, source.catalog).await?;
        self.progress.start_phase("indexes and keys", None, Unit::Steps);
        let refused = copy.finish(&original).await?;
        self.note_refused(&refused);
        self.progress.start_phase("writing the dump", None, Unit::Steps);
        copy.dump(&schema, to).await
    }

    fn note_refused(&mut self, refused: &[RestoreError]) {
        let refused = refused.iter().filter(|refused| refused.has_bearing);
        self.left_out.extend(refused.map(|refused| format!("{}: {}", refused.object, refused.error)));
    }

    async fn fill(
        &mut self,
        from: &mut PgConnection,
        to: &mut PgConnection,
        filter: &mut RowFilter,
        catalog: &Catalog,
    ) -> Result<()> {
        execute_file(from, "sql/staging/settings.sql", &Variables::default()).await?;
        execute(to, "BEGIN".into()).await?;
        execute_file(to, "sql/staging/settings.sql", &Variables::default()).await?;
        let readable = self.readable(catalog);
        let rows = readable.iter().filter_map(|name| catalog.tables.get(name)).map(|table| table.rows).sum();
        self.progress.start_phase("rows", Some(rows).filter(|rows| *rows > 0), Unit::Rows);
        for name in filter.order(&readable) {
            for predicate in filter.predicates(&name) {
                if !self.is_usable(from, &name, &predicate).await? {
                    filter.forget(&name, &predicate);
                }
            }
            let rows = TableRows {
                schema: &self.schema,
                table: &name,
                columns: &self.tables.tables[&name],
                names: &self.names,
                progress: &self.progress,
            };
            let originals = &mut self.originals;
            let mut remember = |value: &str| {
                originals.insert(value);
                true
            };
            self.rows += rows.copy(from, to, filter, &mut remember).await?;
            self.copied.push(name);
        }
        self.set_sequences(from, to).await?;
        execute(to, "COMMIT".into()).await?;
        Ok(())
    }

    /// The tables whose rows may be read; of the others it is said why not.
    fn readable(&mut self, catalog: &Catalog) -> Vec<String> {
        let mut readable = Vec::new();
        for name in self.tables.tables.keys() {
            let table = catalog.tables.get(name);
            let reason = if let Some(reason) = catalog.closed.get(name) {
                reason.clone()
            } else if table.is_some_and(|table| !table.is_readable) {
                format!("{name:?}: this role may not read it")
            } else if table.is_some_and(|table| table.hides_rows) {
                format!("{name:?}: row-level security hides rows from this role")
            } else {
                readable.push(name.clone());
                continue;
            };
            self.left_out.push(format!("rows of {reason}"));
        }
        readable
    }

    async fn set_sequences(&self, from: &mut PgConnection, to: &mut PgConnection) -> Result<()> {
        let variables = Variables::for_schema(&self.schema);
        for row in query_file(from, "sql/staging/sequences.sql", &variables).await? {
            let (name, value): (String, i64) = (row.try_get("name")?, row.try_get("last_value")?);
            let sequence = SqlFragment::qualified(&self.schema, &name).to_string();
            let variables = Variables::default().text("sequence", sequence).text("value", value.to_string());
            execute_file(to, "sql/staging/set_sequence.sql", &variables).await?;
        }
        Ok(())
    }

    /// True if the server understands a finding's condition.
    async fn is_usable(&self, from: &mut PgConnection, table: &str, predicate: &str) -> Result<bool> {
        let variables = Variables::for_schema(&self.schema)
            .text("table", table)
            .sql("condition", SqlFragment::assert_safe(predicate.to_owned()));
        execute(from, "SAVEPOINT evodoctor_predicate".into()).await?;
        let tried = execute_file(from, "sql/staging/try_condition.sql", &variables).await;
        let end = "ROLLBACK TO SAVEPOINT evodoctor_predicate; RELEASE SAVEPOINT evodoctor_predicate";
        execute(from, end.into()).await?;
        Ok(tried.is_ok())
    }

    /// Says that the copy is restored and examined now.
    pub fn tell_examining(&self) {
        self.progress.start_phase("restoring and examining the copy", None, Unit::Steps);
    }

    /// Returns the number of values of the original that are in the restored copy.
    pub async fn look_for_originals(&self, copy: &mut PgConnection) -> Result<u64> {
        let mut found = 0;
        for name in &self.copied {
            let rows = TableRows {
                schema: &self.schema,
                table: name,
                columns: &self.tables.tables[name],
                names: &self.names,
                progress: &self.progress,
            };
            let mut look = |value: &str| {
                found += u64::from(self.originals.contains(value));
                false
            };
            rows.look(copy, &mut look).await?;
        }
        Ok(found)
    }

    /// The content of the copy.
    pub fn into_summary(self) -> CopySummary {
        let values = self.originals.count();
        CopySummary { tables: self.copied.len(), rows: self.rows, left_out: self.left_out, values }
    }
}
