//! The checks as functions: the facts about a database that they need, and what they found, to compare.

use std::collections::BTreeSet;

use evodoctor::database::catalog::Catalog;
use evodoctor::database::column_stats::ColumnStatsMap;
use evodoctor::evolution::release::{MigrationHistory, ReleaseRange};
use evodoctor::rules::finding::{CheckReport, Finding};
use sqlx::PgConnection;

/// Begins the transaction of an examination.
pub const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY";

/// How checks came out, and what they found, in no order.
pub fn summary_lines(checks: &[CheckReport], findings: &[Finding]) -> BTreeSet<String> {
    let outcomes =
        checks.iter().map(|report| format!("{}: {:?} {:?}", report.code, report.outcome, report.reason));
    let found = findings.iter().map(|finding| serde_json::to_string(finding).expect("JSON"));
    outcomes.chain(found).collect()
}

/// The facts about a database before its rows are read: its catalog, and which releases it may be.
pub async fn read_catalog(connection: &mut PgConnection) -> (Catalog, Option<ReleaseRange>) {
    let mut catalog = Catalog::read(connection, "public").await.expect("a catalog");
    catalog.columns = ColumnStatsMap::read(connection, "public").await.expect("statistics");
    let history = evodoctor::database::catalog::migration_history(connection, &catalog).await;
    let history = MigrationHistory::from_rows(&history.expect("readable").expect("Prisma's table"));
    (catalog, history.range)
}
