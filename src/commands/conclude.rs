//! How an examination ends: its report is printed, its metrics are written, and it has an exit code.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;

use super::options;
use crate::cli::{Cli, Common};
use crate::exit::Exit;
use crate::report::Report;
use crate::report::metrics::{self, Measured};

/// Tells a report in every way that is asked for.
///
/// # Errors
/// When a file cannot be written.
pub fn conclude(report: &Report, common: &Common, begun: Instant) -> Result<Exit> {
    report.print(common)?;
    let exit = report.exit(common);
    if let Some(path) = &common.metrics {
        let run = Measured {
            command: report.command,
            target: None,
            exit,
            took: begun.elapsed(),
            report: Some((report, common)),
        };
        metrics::write(path, &[run])?;
    }
    Ok(exit)
}

/// A run that could not do its work is in the metrics, too: what the last one left there would look like this one's.
///
/// # Errors
/// When the file cannot be written.
pub fn failed(cli: &Cli, begun: Instant) -> Result<()> {
    // Where the file itself was refused, it is none to write to.
    let is_meant = |path: &&PathBuf| cli.command.takes_baseline() && options::is_collected(path);
    let Some(path) = cli.common.metrics.as_ref().filter(is_meant) else { return Ok(()) };
    let (command, _) = cli.command.formats();
    let run = Measured { command, target: None, exit: Exit::Failed, took: begun.elapsed(), report: None };
    metrics::write(path, &[run])
}
