//! The columns that the query of every check and hazard returns, read as a finding. `sql/README.md` lists them.

use anyhow::Result;
use serde_json::Value;
use sqlx::Row;
use sqlx::postgres::PgRow;

use super::references::decode_subject;
use crate::redact;
use crate::rules::finding::{Finding, FindingRepair};
use crate::rules::rule::{Applicability, Rule};

/// Reads a row by the contract that all checks share.
///
/// # Errors
/// When a column is missing or of another type.
pub fn finding_from_row(rule: &Rule, row: &PgRow) -> Result<Finding> {
    // Whoever pastes a key into a name has it masked there, too.
    let text = |column| row.try_get::<String, _>(column).map(|text| redact::redact_text(&text));
    let mut finding = Finding::new(rule, decode_subject(&text("subject")?), text("detail")?);
    finding.predicate = row.try_get::<Option<String>, _>("predicate")?.map(|text| redact::redact_text(&text));
    finding.count = row.try_get("count")?;
    finding.key = decode_subject(&text("key")?);
    let mut sample: Value = row.try_get("sample")?;
    redact::redact_json(&mut sample);
    finding.sample = match sample {
        Value::Array(items) => items,
        Value::Null => Vec::new(),
        other => vec![other],
    };
    if let Some(severity) = optional_column::<String>(row, "severity")? {
        finding.severity = severity.parse()?;
    }
    let has_fix = matches!(rule.fix, Some(Applicability::Safe | Applicability::Quarantine));
    finding.is_fixable = has_fix && optional_column::<bool>(row, "fixable")?.unwrap_or(true);
    let texts = |column| optional_column::<Vec<String>>(row, column).map(Option::unwrap_or_default);
    finding.repair =
        FindingRepair { tables: texts("tables")?, statements: texts("repair")?, undo: texts("undo")? };
    Ok(finding)
}

/// A column that a check may leave out.
///
/// # Errors
/// When it is of another type.
pub fn optional_column<'r, T>(row: &'r PgRow, column: &str) -> Result<Option<T>>
where
    T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    match row.try_get::<Option<T>, _>(column) {
        Ok(value) => Ok(value),
        Err(sqlx::Error::ColumnNotFound(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
