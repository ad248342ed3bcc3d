//! The consent that a fix needs on this database: found out before it runs, and checked against what was done.

use anyhow::Result;
use sqlx::postgres::PgConnection;

use super::FixExecution;
use crate::checks::check::CheckScope;
use crate::checks::references::Reference;
use crate::database::catalog::Catalog;
use crate::database::query::execute;
use crate::repair::fix::needing_consent;
use crate::repair::quarantine::{RowAction, RowDiff};
use crate::repair::{privileges, work_tables};

impl FixExecution<'_> {
    /// Refuses a dry run that would fire triggers of the user's without consent.
    pub fn expect_consent_to_triggers(&self) -> Result<()> {
        privileges::expect_consent_to_triggers(
            self.context.catalog,
            &self.subject.server,
            &self.required_privileges(),
        )
    }

    /// The hazards without consent, found out without a lock. The rows are marked and forgotten.
    pub async fn lacks_consent(
        &self,
        connection: &mut PgConnection,
        allowed: &[String],
    ) -> Result<Vec<String>> {
        let mut lacking = needing_consent(&self.fix.code, &self.fix.hazards);
        let claims_valid =
            |key: &Reference| key.declared.as_ref().is_some_and(|key| key.is_enforced && key.is_validated);
        if !self.orphaned().into_iter().any(claims_valid) || work_tables::can_replicate(connection).await? {
            lacking.retain(|hazard| hazard != "limits-undo");
        }
        lacking.retain(|hazard| !allowed.contains(hazard));
        if !lacking.iter().any(|hazard| hazard.ends_with("-rows")) {
            return Ok(lacking);
        }
        execute(connection, "SAVEPOINT evodoctor_consent".into()).await?;
        let marked = self.mark_rows(connection).await?;
        let (removes, changes) = marked.map_or((false, false), |rows| (rows.removes(), rows.changes()));
        execute(
            connection,
            "ROLLBACK TO SAVEPOINT evodoctor_consent; RELEASE SAVEPOINT evodoctor_consent".into(),
        )
        .await?;
        lacking.retain(|hazard| match hazard.as_str() {
            "deletes-rows" => removes,
            "changes-rows" => changes,
            _ => true,
        });
        Ok(lacking)
    }

    /// The hazards that are real here: row hazards only where there are rows.
    pub(super) fn hazards(&self, rows: &[RowDiff], undo_is_exact: bool) -> Vec<String> {
        let has = |action| rows.iter().any(|diff| diff.action == action);
        let is_real = |hazard: &&String| match hazard.as_str() {
            "deletes-rows" => has(RowAction::Removed),
            "changes-rows" => has(RowAction::Changed),
            // Said of undo by the files of a fix, and of orphans only where it is so.
            "limits-undo" => self.fix.family != CheckScope::Reference || !undo_is_exact,
            _ => true,
        };
        self.fix.hazards.iter().filter(is_real).cloned().collect()
    }
}

/// The note about triggers that run with the changes.
pub(super) fn trigger_notes(catalog: &Catalog, rows: &[RowDiff]) -> Vec<String> {
    let mut tables: Vec<&str> = rows.iter().map(|diff| diff.table.as_str()).collect();
    tables.dedup();
    tables
        .into_iter()
        .filter_map(|name| catalog.tables.get(name))
        .filter(|table| !table.triggers.is_empty())
        .map(|table| {
            format!(
                "the triggers of {} run too ({}); what they change is not in the quarantine",
                table.name,
                table.triggers.join(", ")
            )
        })
        .collect()
}
