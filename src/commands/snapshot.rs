//! `evodoctor snapshot`: a dump for staging in which nobody can be recognised.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Result;
use sqlx::postgres::PgConnection;
use tempfile::{Builder, TempPath};

use super::check;
use super::shared::code_filter::CodeFilter;
use super::shared::connect::DatabaseContext;
use crate::checks::context::CheckContext;
use crate::checks::executor::CheckResults;
use crate::cli::{CheckArgs, GlobalOptions, SnapshotArgs};
use crate::database::query::{self, execute_file, query_file};
use crate::database::restore::structure_copy::{Original, StructureCopy};
use crate::database::session::Session;
use crate::database::shared_snapshot::{ServerCapacity, SharedSnapshot};
use crate::database::sql_file::Variables;
use crate::error::user_error;
use crate::exit_code::Exit;
use crate::output_file::is_special;
use crate::progress::{ProgressTask, Unit};
use crate::pseudonym::{PseudonymKey, Pseudonymizer, TimeShift};
use crate::report::{Detail, Report};
use crate::staging::StagingSnapshot;
use crate::staging::columns::StagingTables;
use crate::staging::comparison::{Examination, compare};
use crate::staging::originals::Originals;
use crate::staging::row_filter::RowFilter;
use crate::staging::rows::TableRows;

/// Makes the copy, examines it, and hands it out.
///
/// # Errors
/// When the original cannot be read, or a value of it is in the copy: then there is no file.
pub async fn run(args: &SnapshotArgs, common: &GlobalOptions) -> Result<Exit> {
    let output = output(common)?;
    let mut opened = DatabaseContext::connect_snapshot(common).await?;
    let mut scope = CheckContext::new(&opened.catalog, opened.release_range(), &opened.server.role);
    let selection = CodeFilter::everything();
    let examined =
        check::run_checks(&CheckArgs::default(), &selection, &mut opened.session, &opened.target, &mut scope)
            .await?;
    if !examined.is_connected {
        return Err(user_error("the connection was lost while the original was examined", "run it again"));
    }

    let tables = StagingTables::read(opened.session.connection(), &opened.schema).await?;
    let mut copying = Copying {
        names: Pseudonymizer::new(PseudonymKey::random(), TimeShift::random()),
        originals: Originals::default(),
        progress: ProgressTask::start("snapshot"),
        left_out: tables.left_out.clone(),
        rows: 0,
        copied: Vec::new(),
    };
    let filter = RowFilter::new(args.rows, &opened.schema, &examined.findings, &scope.references);
    let file = copying.make(&mut opened, &tables, filter, &output).await?;

    copying.progress.start_phase("restoring and examining the copy", None, Unit::Steps);
    let common_of_copy = GlobalOptions {
        snapshot: Some(file.to_path_buf()),
        schema: Some(opened.schema.clone()),
        database_url: None,
        env_file: None,
        compose: None,
        service: None,
        ..common.clone()
    };
    let mut copy = DatabaseContext::connect_snapshot(&common_of_copy).await?;
    let mut scope = CheckContext::new(&copy.catalog, copy.release_range(), &copy.server.role);
    let again =
        check::run_checks(&CheckArgs::default(), &selection, &mut copy.session, &copy.target, &mut scope)
            .await?;
    let found = copying.look_for_originals(&mut copy, &tables).await?;
    if found > 0 {
        return Err(user_error(
            format!(
                "{found} values of the original are in the copy, so it is not handed out; this is a fault of evodoctor"
            ),
            "please report it, with the version and the types of your own columns",
        ));
    }

    fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
    let bytes = file.metadata()?.len();
    file.persist(&output)?;
    let examination = |results: &CheckResults| (results.checks.clone(), results.findings.clone());
    let ((checks, findings), (copy_checks, copy_findings)) = (examination(&examined), examination(&again));
    let comparison = compare(
        &Examination { checks: &checks, findings: &findings },
        &Examination { checks: &copy_checks, findings: &copy_findings },
    );
    let is_same = comparison.differences.is_empty();
    let mut report = Report::new(
        "snapshot",
        Detail::Snapshot {
            snapshot: StagingSnapshot {
                file: output.display().to_string(),
                bytes,
                tables: copying.copied.len(),
                rows: copying.rows,
                rows_per_table: args.rows,
                left_out: copying.left_out,
                values_looked_for: copying.originals.len(),
                values_found: found,
                same_findings: comparison.same,
                differences: comparison.differences,
                not_carried: comparison.not_carried,
            },
        },
    );
    report.database = Some(opened.database_info());
    report.release = opened.release_info();
    // --output is the dump; the report goes to stdout.
    report.print(&GlobalOptions { output: None, ..common.clone() })?;
    Ok(if is_same { Exit::Clean } else { Exit::Findings })
}

/// The file that is asked for.
fn output(common: &GlobalOptions) -> Result<PathBuf> {
    let Some(output) = common.output.clone() else {
        return Err(user_error("no file is named for the snapshot", "add --output staging.dump"));
    };
    if is_special(&output) || output.is_dir() {
        return Err(user_error(
            format!("{} is no ordinary file", output.display()),
            "name a file with --output, such as staging.dump",
        ));
    }
    Ok(output)
}

/// The copy on its way.
struct Copying {
    names: Pseudonymizer,
    originals: Originals,
    progress: ProgressTask,
    left_out: Vec<String>,
    rows: u64,
    copied: Vec<String>,
}

impl Copying {
    /// Makes the structure, fills it, and dumps it beside the output.
    async fn make(
        &mut self,
        opened: &mut DatabaseContext,
        tables: &StagingTables,
        filter: RowFilter,
        output: &Path,
    ) -> Result<TempPath> {
        let capacity = ServerCapacity::read(opened.session.connection()).await?;
        let shared = match capacity.can_export {
            true => Some(SharedSnapshot::export(opened.session.connection(), &opened.target).await?),
            false => None,
        };
        let schema = opened.schema.clone();
        let original = Original {
            target: &opened.target,
            major: opened.server.version.split('.').next().and_then(|major| major.parse().ok()),
            schema: &schema,
            snapshot: shared.as_ref().map(SharedSnapshot::id),
        };
        self.progress.start_phase("structure", None, Unit::Steps);
        let (copy, refused) = StructureCopy::create(&original).await?;
        self.left_out.extend(refused.iter().filter(|refused| refused.has_bearing).map(told));
        let chosen = self.readable(&opened.catalog, tables);
        // A connection of its own: the checks have left their settings on the first.
        let mut joined = match &shared {
            Some(shared) => Some(shared.join().await?.0),
            None => None,
        };
        let from = joined.as_mut().map_or(&mut opened.session, |session| session).connection();
        execute_file(from, "sql/staging/settings.sql", &Variables::default()).await?;
        let mut to = copy.connect().await?;
        self.fill(from, &mut to, &schema, &chosen, tables, filter, &opened.catalog).await?;
        self.progress.start_phase("indexes and keys", None, Unit::Steps);
        let refused = copy.finish(&original).await?;
        self.left_out.extend(refused.iter().filter(|refused| refused.has_bearing).map(told));
        self.progress.start_phase("writing the dump", None, Unit::Steps);
        let folder =
            output.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let file = Builder::new().prefix(".evodoctor-").suffix(".dump").tempfile_in(folder)?.into_temp_path();
        copy.dump(&schema, &file).await?;
        self.copied = chosen;
        Ok(file)
    }

    /// The tables whose rows may be read; of the others it is said why not.
    fn readable(
        &mut self,
        catalog: &crate::database::catalog::Catalog,
        tables: &StagingTables,
    ) -> Vec<String> {
        let mut chosen = Vec::new();
        for name in tables.tables.keys() {
            match (catalog.closed.get(name), catalog.tables.get(name)) {
                (Some(reason), _) => self.left_out.push(format!("rows of {reason}")),
                (None, Some(table)) if !table.is_readable => {
                    self.left_out.push(format!("rows of {name:?}: this role may not read them"));
                }
                (None, Some(table)) if table.hides_rows => {
                    self.left_out
                        .push(format!("rows of {name:?}: row-level security hides some from this role"));
                }
                _ => chosen.push(name.clone()),
            }
        }
        chosen
    }

    #[expect(clippy::too_many_arguments, reason = "two ends, and what goes from one to the other")]
    async fn fill(
        &mut self,
        from: &mut PgConnection,
        to: &mut PgConnection,
        schema: &str,
        chosen: &[String],
        tables: &StagingTables,
        mut filter: RowFilter,
        catalog: &crate::database::catalog::Catalog,
    ) -> Result<()> {
        query::execute(to, "BEGIN".into()).await?;
        execute_file(to, "sql/staging/settings.sql", &Variables::default()).await?;
        let total: u64 =
            chosen.iter().filter_map(|name| catalog.tables.get(name)).map(|table| table.rows).sum();
        self.progress.start_phase("rows", Some(total).filter(|total| *total > 0), Unit::Rows);
        for name in filter.order(chosen) {
            for predicate in filter.predicates(&name) {
                if !is_usable(from, schema, &name, &predicate).await? {
                    filter.forget(&name, &predicate);
                }
            }
            let rows = TableRows {
                schema,
                table: &name,
                columns: &tables.tables[&name],
                names: &self.names,
                progress: &self.progress,
            };
            let originals = &mut self.originals;
            self.rows += rows.copy(from, to, &mut filter, &mut |value| originals.insert(value)).await?;
        }
        for row in query_file(from, "sql/staging/sequences.sql", &Variables::for_schema(schema)).await? {
            let (name, value): (String, i64) =
                (sqlx::Row::try_get(&row, "name")?, sqlx::Row::try_get(&row, "last_value")?);
            let sequence = crate::database::ident::SqlFragment::qualified(schema, &name).to_string();
            let variables = Variables::default().text("sequence", sequence).text("value", value.to_string());
            execute_file(to, "sql/staging/set_sequence.sql", &variables).await?;
        }
        query::execute(to, "COMMIT".into()).await?;
        Ok(())
    }

    /// How many values of the original stand in the restored copy.
    async fn look_for_originals(
        &mut self,
        copy: &mut DatabaseContext,
        tables: &StagingTables,
    ) -> Result<u64> {
        let schema = copy.schema.clone();
        let session: &mut Session = &mut copy.session;
        let mut found = 0;
        for name in &self.copied {
            let rows = TableRows {
                schema: &schema,
                table: name,
                columns: &tables.tables[name],
                names: &self.names,
                progress: &self.progress,
            };
            let originals = &self.originals;
            let mut look = |value: &str| found += u64::from(originals.contains(value));
            rows.look(session.connection(), &mut look).await?;
        }
        Ok(found)
    }
}

fn told(refused: &crate::database::restore::RestoreError) -> String {
    format!("{}: {}", refused.object, refused.error)
}

/// Whether the server understands a finding's condition; one with a masked secret in it, for example, finds no rows.
async fn is_usable(from: &mut PgConnection, schema: &str, table: &str, predicate: &str) -> Result<bool> {
    let table = crate::database::ident::SqlFragment::qualified(schema, table);
    query::execute(from, "SAVEPOINT evodoctor_predicate".into()).await?;
    let tried = query::execute(from, format!("SELECT FROM ONLY {table} WHERE ({predicate}) LIMIT 0")).await;
    query::execute(
        from,
        "ROLLBACK TO SAVEPOINT evodoctor_predicate; RELEASE SAVEPOINT evodoctor_predicate".into(),
    )
    .await?;
    Ok(tried.is_ok())
}
