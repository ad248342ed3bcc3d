//! The columns that the query of every check and hazard returns, read as a finding. `sql/README.md` lists them.

use anyhow::{Result, bail, ensure};
use serde_json::{Map, Value};
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
    let count = row.try_get("count")?;
    let detail = redact::redact_text(&detail(rule, row, count)?);
    let mut finding = Finding::new(rule, decode_subject(&text("subject")?), detail);
    finding.predicate = row.try_get::<Option<String>, _>("predicate")?.map(|text| redact::redact_text(&text));
    finding.count = count;
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

/// The sentence of a row: of a rule with templates the one that the row names, filled in with its values.
///
/// # Errors
/// When the row has a sentence and its rule has templates, or neither does, or a value is missing.
fn detail(rule: &Rule, row: &PgRow, count: i64) -> Result<String> {
    if rule.details.is_empty() {
        return Ok(row.try_get("detail")?);
    }
    ensure!(row.try_column("detail").is_err(), "both the header and the row have `detail`");
    let form: Option<String> = optional_column(row, "form")?;
    let values = match optional_column::<Value>(row, "values")? {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(values)) => values,
        Some(other) => bail!("the column `values` is not an object: {other}"),
    };
    rule.details.fill(form.as_deref(), count, values)
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
