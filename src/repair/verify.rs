//! Verification, Sqitch's third step: what was wrong is correct after the fix, or will be once its deferred statements
//! are done.

use anyhow::Result;
use sqlx::postgres::PgConnection;

use super::change_target::ChangeTarget;
use super::deferred_ddl::{DeferredStatement, DeferredWork};
use crate::checks::check::{CheckScope, all_checks};
use crate::checks::context::CheckContext;
use crate::checks::detector::Detector;
use crate::checks::references::Reference;
use crate::database::catalog::Catalog;
use crate::error::user_error;
use crate::rules::finding::Finding;
use crate::text::humanize::format_count;

/// Runs the detector again: none of the findings that the fix has repaired may be left. Other findings are ignored.
pub async fn is_repaired(
    connection: &mut PgConnection,
    subject: &ChangeTarget,
    catalog: &Catalog,
    finder: &dyn Detector,
    family: CheckScope,
    treated: &[Finding],
) -> Result<()> {
    let mut context = CheckContext::for_server(catalog, subject.range, &subject.server);
    let is_treated = |key: &str| treated.iter().any(|finding| finding.key == key);
    context
        .references
        .retain(|reference| family != CheckScope::Reference || is_treated(&reference.subject()));
    context.unique_indexes.retain(|index| family != CheckScope::UniqueIndex || is_treated(&index.name));
    let (_, findings) = finder.find(connection, &context).await?;
    match treated.iter().find(|treated| findings.iter().any(|found| found.key == treated.key)) {
        None => Ok(()),
        Some(finding) => Err(user_error(
            format!("{} is still found after its fix ({})", finding.code, finding.subject),
            "please report this with the output of: evodoctor check --format json",
        )),
    }
}

/// Checks the rows of every key that is to be validated after the transaction, as the validation will.
///
/// # Errors
/// Names the key and how many rows refer to nothing.
pub async fn can_validate(
    connection: &mut PgConnection,
    subject: &ChangeTarget,
    catalog: &Catalog,
    deferred: &[DeferredStatement],
) -> Result<()> {
    let is_validated = |reference: &Reference| {
        deferred.iter().any(|later| match &later.work {
            DeferredWork::Validate(key) => {
                reference.constraint == *key && later.table.as_ref() == Some(&reference.child_table)
            }
            DeferredWork::Build(_) | DeferredWork::Rebuild(_) => false,
        })
    };
    let mut context = CheckContext::for_server(catalog, subject.range, &subject.server);
    context.references.retain(is_validated);
    let check = all_checks().iter().find(|check| check.scope() == CheckScope::Reference);
    let Some(check) = check.filter(|_| !context.references.is_empty()) else { return Ok(()) };
    let (_, findings) = check.find(connection, &context).await?;
    let Some(finding) = findings.first() else { return Ok(()) };
    let reference = context.references.iter().find(|reference| reference.subject() == finding.key);
    Err(user_error(
        format!(
            "{} rows refer to rows that do not exist ({}), so the foreign key {} could not be validated",
            format_count(u64::try_from(finding.count).unwrap_or_default()),
            finding.subject,
            reference.map_or("", |reference| reference.constraint.as_str()),
        ),
        "run evodoctor fix EVO101 first; repair by hand what it leaves to you",
    ))
}
