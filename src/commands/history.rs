//! `evodoctor history`: the applied runs.

use anyhow::Result;

use super::shared::connect::DatabaseContext;
use crate::cli::GlobalOptions;
use crate::exit_code::Exit;
use crate::repair::ledger;
use crate::report::{Detail, Report};

/// Lists the runs.
///
/// # Errors
/// When there is no database, or the role may not read the ledger.
pub async fn run(common: &GlobalOptions) -> Result<Exit> {
    let mut opened = DatabaseContext::connect_snapshot(common).await?;
    let mut runs = ledger::read_runs(opened.session.connection(), &opened.schema).await?;
    ledger::mark_superseded(opened.session.connection(), &opened.catalog, &mut runs).await?;
    opened.session.end_snapshot().await?;
    let mut report = Report::new("history", Detail::History { runs });
    report.database = Some(opened.database_info());
    report.release = opened.release_info();
    report.print(common)?;
    Ok(Exit::Clean)
}
