//! Checks that the options of every command have to pass before any work is done.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;

use crate::cli::{Cli, OutputFormat};
use crate::commands::shared::apply_config;
use crate::error::user_error;
use crate::rules::baseline::Baseline;

/// Takes what `evodoctor.toml` says, refuses what the command has no use for, and reads the baseline.
///
/// # Errors
/// When `evodoctor.toml` is wrong, the command has no such format or no findings to compare, or the baseline cannot be read.
pub fn validate_options(cli: &mut Cli) -> Result<()> {
    apply_config::apply_config(cli)?;
    let (command, formats) = cli.command.supported_formats();
    let common = &mut cli.common;
    if !formats.contains(&common.format) {
        let names: Vec<&str> = formats.iter().copied().map(OutputFormat::as_str).collect();
        return Err(user_error(
            format!("{command} does not support --format {}: it has no findings", common.format.as_str()),
            format!("use --format {}", names.join(" or --format ")),
        ));
    }
    let asks = common.baseline.is_some() || common.write_baseline.is_some();
    if asks && !cli.command.takes_baseline() {
        return Err(user_error(
            format!("{command} does not use a baseline; check, preflight and logs do"),
            "remove --baseline and --write-baseline",
        ));
    }
    if let Some(path) = &common.metrics {
        expect_metrics(path, command, cli.command.takes_baseline())?;
    }
    // Each database of a list has its own.
    if cli.command.target_list().is_some() {
        return Ok(());
    }
    common.known = common.baseline.as_deref().map(Baseline::read).transpose()?.map(Arc::new);
    Ok(())
}

/// A file that cannot be written, or would not be collected, is an error before the work, not after it.
fn expect_metrics(path: &Path, command: &str, has_figures: bool) -> Result<()> {
    if !has_figures {
        return Err(user_error(
            format!("{command} writes no metrics; check, preflight and logs do"),
            "remove --metrics",
        ));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if path.is_dir() || !folder.is_dir() {
        return Err(user_error(
            format!("--metrics {} is not a file in an existing folder", path.display()),
            "name a file in the folder that node_exporter's --collector.textfile.directory names",
        ));
    }
    if !is_textfile_name(path) {
        return Err(user_error(
            format!(
                "the textfile collector reads only files that end in .prom, and {} does not",
                path.display()
            ),
            format!("use --metrics {}", path.with_extension("prom").display()),
        ));
    }
    Ok(())
}

/// True if the textfile collector reads a file of this name.
pub fn is_textfile_name(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "prom")
}
