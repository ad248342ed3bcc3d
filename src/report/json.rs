//! One JSON document. Other people's scripts rest on it: `report.schema.json` describes it, and fields are only ever
//! added.

use anyhow::Result;
use serde_json::{Value, json};

use super::outline::Outline;

/// The JSON Schema of what every command prints.
pub const SCHEMA: &str = include_str!("report.schema.json");

/// The report, with how it stands to the baseline where there is one.
///
/// # Errors
/// Never in practice: everything in a report can be written as JSON.
pub fn render(outline: &Outline<'_>) -> Result<String> {
    Ok(serde_json::to_string_pretty(&document(outline)?)? + "\n")
}

/// The same, not yet as text.
///
/// # Errors
/// As [`render`].
pub fn document(outline: &Outline<'_>) -> Result<Value> {
    let mut document = serde_json::to_value(outline.report)?;
    if let Some(gone) = &outline.gone {
        let findings = document["findings"].as_array_mut().into_iter().flatten();
        for (finding, told) in findings.zip(&outline.told) {
            finding["baseline"] = json!(told.standing);
        }
        document["baseline"] = json!({"gone": gone});
    }
    Ok(document)
}
