//! `evodoctor history`: the applied runs.

use anyhow::Result;

use super::open::Opened;
use crate::cli::Common;
use crate::exit::Exit;
use crate::repair::ledger;
use crate::report::{Detail, Report};

/// Lists the runs.
///
/// # Errors
/// When there is no database, or the role may not read the ledger.
pub async fn run(common: &Common) -> Result<Exit> {
    let mut opened = Opened::snapshot(common).await?;
    let mut runs = ledger::runs(opened.session.connection(), &opened.schema).await?;
    ledger::overtaken(opened.session.connection(), &opened.catalog, &mut runs).await?;
    opened.session.end_snapshot().await?;
    let mut report = Report::new("history", Detail::History { runs });
    report.database = Some(opened.database_info());
    report.release = opened.release_info();
    report.print(common)?;
    Ok(Exit::Clean)
}
