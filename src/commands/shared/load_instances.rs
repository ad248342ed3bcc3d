//! The instances that names in a log are compared with: from a file, or from the database.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use anyhow::{Context, Result};

use super::connect::DatabaseContext;
use super::resolve_target;
use crate::cli::{self, GlobalOptions};
use crate::database::catalog;
use crate::error::user_error;
use crate::evolution::fetch_instances;
use crate::evolution::instances::InstanceDirectory;

/// The instances to compare names with, and the database where they are from one.
///
/// # Errors
/// When a file cannot be read or understood, or a database that is named cannot be reached.
pub async fn load_instances(
    args: &cli::LogsArgs,
    common: &GlobalOptions,
) -> Result<(Option<InstanceDirectory>, Option<DatabaseContext>)> {
    if let Some(file) = &args.instances {
        return Ok((Some(from_file(file)?), None));
    }
    if !resolve_target::has_target(common) {
        return Ok((None, None));
    }
    let (directory, opened) = from_database(common).await?;
    Ok((Some(directory), Some(opened)))
}

async fn from_database(common: &GlobalOptions) -> Result<(InstanceDirectory, DatabaseContext)> {
    let mut opened = DatabaseContext::connect_snapshot(common).await?;
    opened.catalog.expect_open(&["Instance"])?;
    let instances = catalog::instances(opened.session.connection(), &opened.schema).await?;
    opened.session.end_snapshot().await?;
    Ok((InstanceDirectory::new(instances), opened))
}

/// The longest list of instances that is read, in bytes: some hundred thousand of them.
const LONGEST: u64 = 256 << 20;

/// The instances in a file that holds what `GET /instance/fetchInstances` returns.
fn from_file(file: &Path) -> Result<InstanceDirectory> {
    let context = || format!("cannot read the instances from {}", file.display());
    let mut json = Vec::new();
    let read = if file == Path::new("-") {
        io::stdin().take(LONGEST + 1).read_to_end(&mut json)
    } else {
        File::open(file).and_then(|file| file.take(LONGEST + 1).read_to_end(&mut json))
    };
    read.with_context(context)?;
    if json.len() as u64 > LONGEST {
        return Err(user_error(
            format!(
                "{} is larger than {} MB, too large for a list of instances",
                file.display(),
                LONGEST >> 20
            ),
            "give what GET /instance/fetchInstances returns",
        ));
    }
    Ok(InstanceDirectory::new(fetch_instances::parse_instances(&json).with_context(context)?))
}
