//! Verification, Sqitch's third step: what was wrong is right after the fix, or will be once its deferred work is done.

use anyhow::Result;
use sqlx::postgres::PgConnection;

use super::online::{Later, Work};
use super::rehearsal::Subject;
use crate::database::catalog::Catalog;
use crate::examine::check::{Family, checks};
use crate::examine::finder::Finder;
use crate::examine::finding::Finding;
use crate::examine::references::Reference;
use crate::examine::runner::Scope;
use crate::exit::failure;
use crate::units::number;

/// Asks the finder again: none of the findings that its fix has treated may be left. What nobody touched is not looked at.
///
/// # Errors
/// Names the finding that stays.
pub async fn is_repaired(
    connection: &mut PgConnection,
    subject: &Subject,
    finder: &dyn Finder,
    family: Family,
    treated: &[Finding],
) -> Result<()> {
    let catalog = Catalog::read(connection, &subject.schema).await?;
    let mut scope = Scope::new(&catalog, subject.range, &subject.server.role);
    let is_treated = |key: &str| treated.iter().any(|finding| finding.key == key);
    scope.references.retain(|reference| family != Family::Reference || is_treated(&reference.subject()));
    scope.unique_indexes.retain(|index| family != Family::UniqueIndex || is_treated(&index.name));
    let (_, findings) = finder.find(connection, &scope).await?;
    match treated.iter().find(|treated| findings.iter().any(|found| found.key == treated.key)) {
        None => Ok(()),
        Some(finding) => Err(failure(
            format!("{} is still found after its fix ({})", finding.code, finding.subject),
            "please report this with the output of: evodoctor check --format json",
        )),
    }
}

/// Looks at the rows of every key that is to be validated after the transaction, as the validation will.
///
/// # Errors
/// Names the key and how many rows refer to nothing.
pub async fn can_validate(
    connection: &mut PgConnection,
    subject: &Subject,
    deferred: &[Later],
) -> Result<()> {
    let is_validated = |reference: &Reference| {
        deferred.iter().any(|later| match &later.work {
            Work::Validate(key) => {
                reference.constraint == *key && later.table.as_ref() == Some(&reference.child_table)
            }
            Work::Build(_) | Work::Rebuild(_) => false,
        })
    };
    let catalog = Catalog::read(connection, &subject.schema).await?;
    let mut scope = Scope::new(&catalog, subject.range, &subject.server.role);
    scope.references.retain(is_validated);
    let check = checks().iter().find(|check| check.family() == Family::Reference);
    let Some(check) = check.filter(|_| !scope.references.is_empty()) else { return Ok(()) };
    let (_, findings) = check.find(connection, &scope).await?;
    let Some(finding) = findings.first() else { return Ok(()) };
    let reference = scope.references.iter().find(|reference| reference.subject() == finding.key);
    Err(failure(
        format!(
            "{} rows refer to rows that do not exist ({}), so the key {} could not be validated afterwards",
            number(u64::try_from(finding.count).unwrap_or_default()),
            finding.subject,
            reference.map_or("", |reference| reference.constraint.as_str()),
        ),
        "evodoctor fix EVO101 treats them; what it leaves to you has to be treated first",
    ))
}
