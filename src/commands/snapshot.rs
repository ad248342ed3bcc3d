//! `evodoctor snapshot`: writes a pseudonymised dump for staging.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Result;
use tempfile::Builder;

use super::check::run_checks;
use super::shared::code_filter::CodeFilter;
use super::shared::connect::DatabaseContext;
use crate::checks::context::CheckContext;
use crate::cli::{CheckArgs, GlobalOptions, SnapshotArgs};
use crate::error::user_error;
use crate::exit_code::Exit;
use crate::output_file::is_special;
use crate::report::{Detail, Report};
use crate::staging::StagingSnapshot;
use crate::staging::comparison::{Examination, compare};
use crate::staging::copier::{Copier, Source};
use crate::staging::preconditions::{Preconditions, expect_own_server_process};
use crate::staging::row_filter::RowFilter;

/// Makes the copy, examines it, and writes the file.
///
/// # Errors
/// When the original cannot be read, or a value of it is in the copy: then there is no file.
pub async fn run(args: &SnapshotArgs, common: &GlobalOptions) -> Result<Exit> {
    let output = output_path(common)?;
    let (all, every_code) = (CheckArgs::default(), CodeFilter::everything());
    let mut opened = DatabaseContext::connect_snapshot(common).await?;
    // Errors that would end the work are found before the database is examined, which may take minutes.
    let preconditions = Preconditions::check(&mut opened.session, &opened.schema).await?;
    expect_own_server_process(&opened.target).await?;
    let mut context = CheckContext::for_server(&opened.catalog, opened.release_range(), &opened.server);
    let original =
        run_checks(&all, &every_code, None, &mut opened.session, &opened.target, &mut context).await?;
    if !original.is_connected {
        return Err(user_error("the connection was lost while the original was examined", "run it again"));
    }

    // Beside the output, as a file of many gigabytes is not moved from one disk to another.
    let file = Builder::new().prefix(".evodoctor-").suffix(".dump").tempfile_in(folder(&output))?;
    let file = file.into_temp_path();
    let filter = RowFilter::new(args.rows, &opened.schema, &original.findings, &context.references);
    let mut source = Source {
        session: &mut opened.session,
        target: &opened.target,
        catalog: &opened.catalog,
        preconditions: &preconditions,
    };
    let mut copier = Copier::new(&mut source).await?;
    copier.write(source, filter, &file).await?;

    copier.tell_examining();
    let mut copy = DatabaseContext::connect_snapshot(&options_of_copy(common, &file, &opened.schema)).await?;
    let mut context = CheckContext::for_server(&copy.catalog, copy.release_range(), &copy.server);
    let again = run_checks(&all, &every_code, None, &mut copy.session, &copy.target, &mut context).await?;
    let values_found = copier.look_for_originals(copy.session.connection()).await?;
    if values_found > 0 {
        return Err(user_error(
            format!(
                "{values_found} values of the original are in the copy, so no snapshot was written; \
                 this is a bug in evodoctor"
            ),
            "please report it, with the types of the columns that you have added",
        ));
    }
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
    let bytes = file.metadata()?.len();
    file.persist(&output)?;

    let comparison = compare(
        &Examination { checks: &original.checks, findings: &original.findings },
        &Examination { checks: &again.checks, findings: &again.findings },
        args.rows.is_some(),
    );
    let exit = if comparison.differences.is_empty() { Exit::Clean } else { Exit::Findings };
    let copied = copier.into_summary();
    let snapshot = StagingSnapshot {
        file: output.display().to_string(),
        bytes,
        tables: copied.tables,
        rows: copied.rows,
        rows_per_table: args.rows,
        left_out: copied.left_out,
        values_looked_for: copied.values,
        values_found,
        same_findings: comparison.same,
        differences: comparison.differences,
        not_carried: comparison.not_carried,
    };
    let mut report = Report::new("snapshot", Detail::Snapshot { snapshot });
    report.database = Some(opened.database_info());
    report.release = opened.release_info();
    // --output is the dump; the report goes to stdout.
    report.print(&GlobalOptions { output: None, ..common.clone() })?;
    Ok(exit)
}

/// The file that is asked for.
fn output_path(common: &GlobalOptions) -> Result<PathBuf> {
    let Some(output) = common.output.clone() else {
        return Err(user_error("no file is given for the snapshot", "add --output staging.dump"));
    };
    if is_special(&output) || output.is_dir() {
        return Err(user_error(
            format!("{} is not a regular file", output.display()),
            "name a file with --output, such as staging.dump",
        ));
    }
    Ok(output)
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The options that examine the copy instead of the original.
fn options_of_copy(common: &GlobalOptions, file: &Path, schema: &str) -> GlobalOptions {
    GlobalOptions {
        snapshot: Some(file.to_path_buf()),
        schema: Some(schema.to_owned()),
        database_url: None,
        env_file: None,
        compose: None,
        service: None,
        ..common.clone()
    }
}
