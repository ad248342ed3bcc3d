//! How an examination ends: its report is printed, its metrics are written, and it has an exit code.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;

use crate::cli::{Cli, Command, GlobalOptions, OutputFormat};
use crate::commands::shared::validate_options;
use crate::exit_code::Exit;
use crate::report::metrics::{self, MeasuredRun};
use crate::report::{Report, failure, print};

/// Prints a report in every way that was requested.
pub fn emit_report(report: &mut Report, common: &GlobalOptions, begun: Instant) -> Result<Exit> {
    report.print(common)?;
    let exit = report.exit_code(common);
    if let Some(path) = &common.metrics {
        let run = MeasuredRun {
            command: report.command,
            target: None,
            exit,
            took: begun.elapsed(),
            report: Some((report, common)),
        };
        metrics::write_metrics(path, &[run])?;
    }
    Ok(exit)
}

/// A run that failed leaves a report that says so, in the requested format: a file of the last run would be taken for
/// its result. An error while writing it is ignored: the error of the run is on stderr.
pub fn emit_failure(cli: &Cli, error: &anyhow::Error) {
    let (command, formats) = cli.command.supported_formats();
    let common = &cli.common;
    // Each database of a list has its own report.
    if cli.command.target_list().is_some() || !formats.contains(&common.format) {
        return;
    }
    // --output of `snapshot` is a dump, and no report belongs there.
    let output = common.output.as_deref().filter(|_| !matches!(cli.command, Command::Snapshot(_)));
    if common.format == OutputFormat::Human && output.is_none() {
        return;
    }
    if let Ok(Some(text)) = failure::render(common.format, command, None, error) {
        let _ = print(&text, output);
    }
}

/// A run that failed is in the metrics, too: the ones of the last run would be taken for its result.
pub fn emit_failure_metrics(cli: &Cli, begun: Instant) -> Result<()> {
    // Where the file itself was refused, it is none to write to.
    let is_meant = |path: &&PathBuf| cli.command.takes_baseline() && validate_options::is_textfile_name(path);
    let Some(path) = cli.common.metrics.as_ref().filter(is_meant) else { return Ok(()) };
    let (command, _) = cli.command.supported_formats();
    let run = MeasuredRun { command, target: None, exit: Exit::Failed, took: begun.elapsed(), report: None };
    metrics::write_metrics(path, &[run])
}
