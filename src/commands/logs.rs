//! `evodoctor logs`: requests that name instances wrongly.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::cli;
use crate::evolution::fetched;
use crate::evolution::instances::Directory;
use crate::exit::Exit;
use crate::requests::{self, Examined};

/// Examines the logs. Compares names with `--instances` where it is given, else with `directory`, the instances
/// of the database, else judges them by their form.
///
/// # Errors
/// When a file cannot be read or understood.
pub fn run(args: &cli::Logs, common: &cli::Common, directory: Option<Directory>) -> Result<(Examined, Exit)> {
    let directory = match &args.instances {
        Some(file) => Some(instances(file)?),
        None => directory,
    };
    let examined = requests::examine(&args.files, directory.as_ref())?;
    let counts = |severity| common.fail_on.counts(severity);
    let exit = if examined.findings.iter().any(|finding| counts(finding.severity)) {
        Exit::Findings
    } else {
        Exit::Clean
    };
    Ok((examined, exit))
}

/// The instances in a file that holds what `GET /instance/fetchInstances` returns.
///
/// # Errors
/// When it cannot be read, or holds something else.
pub fn instances(file: &Path) -> Result<Directory> {
    let context = || format!("cannot take the instances from {}", file.display());
    let json = fs::read(file).with_context(context)?;
    Ok(Directory::new(fetched::instances(&json).with_context(context)?))
}
